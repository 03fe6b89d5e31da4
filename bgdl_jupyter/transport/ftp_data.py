"""
The data connection of an FTP exchange: from the socket into the sink, with nothing in between.

In clear text the kernel writes straight into the sink's buffers (`asyncio.BufferedProtocol`). Under TLS a plain
`asyncio.Protocol` takes its place: asyncio drops decrypted bytes when the peer closes while a buffered protocol's
buffer is full.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final, cast

if TYPE_CHECKING:
    import socket
    import ssl
    from collections.abc import Awaitable

    from bgdl_jupyter.transport.base import Sink

_SURPLUS_ROOM: Final = 4096


class Reception:
    """
    How far the delivery of one body is; what both protocols have in common.

    Parameters
    ----------
    wanted:
        Bytes to deliver; None for all there are.
    stops_there:
        Whether more is known to follow that nobody wants; else what follows is surplus, and a fault.
    """

    def __init__(self, sink: Sink, wanted: int | None, *, stops_there: bool) -> None:
        self._sink = sink
        self._left = wanted
        self._stops_there = stops_there
        self._transport: asyncio.Transport | None = None
        self._changed = asyncio.Event()
        self._pending: Awaitable[None] | None = None
        self._refusal: Exception | None = None
        self._has_ended = False
        self.lost: Exception | None = None
        self.received = 0
        self.has_surplus = False

    @property
    def is_filled(self) -> bool:
        """Whether all that was wanted has been delivered."""
        return self._left == 0

    async def finish(self, *, patience: float) -> None:
        """
        Wait until the body has ended and everything is with the sink.

        After the last wanted byte the end of the connection is waited for ``patience`` seconds. Raises what the sink
        raised; what broke the connection is in `lost`.
        """
        try:
            await self._follow(patience)
        finally:
            self._end()
            self._drop_pending()
        if self._refusal is not None:
            raise self._refusal

    async def _follow(self, patience: float) -> None:
        while not self._has_ended:
            try:
                async with asyncio.timeout(patience if self.is_filled else None):
                    await self._changed.wait()
            except TimeoutError:
                break
            self._changed.clear()
            await self._let_the_sink_catch_up()
        await self._let_the_sink_catch_up()

    async def _let_the_sink_catch_up(self) -> None:
        pending, self._pending = self._pending, None
        if pending is None:
            return
        await pending
        if self._transport is not None:
            self._transport.resume_reading()

    def _drop_pending(self) -> None:
        """Give up what the sink wanted to be waited for, without a complaint about a coroutine that nobody ran."""
        pending, self._pending = self._pending, None
        if asyncio.iscoroutine(pending):
            pending.close()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep what can be paused."""
        self._transport = cast("asyncio.Transport", transport)

    def pause_writing(self) -> None:
        """Nothing is written."""

    def resume_writing(self) -> None:
        """Nothing is written."""

    def eof_received(self) -> None:
        """Take the end that the server makes when all is sent."""
        self._end()

    def connection_lost(self, exc: Exception | None) -> None:
        """Take the end, whatever it is; what comes after the end does not count."""
        if not self._has_ended:
            self.lost = exc
        self._end()

    def _took(self, count: int, pending: Awaitable[None] | None) -> None:
        self.received += count
        if self._left is not None:
            self._left -= count
        if pending is not None:
            self._pending = pending
            if self._transport is not None:
                self._transport.pause_reading()
            self._changed.set()
        if self.is_filled:
            if self._stops_there:
                self._end()
            self._changed.set()

    def _took_surplus(self) -> None:
        self.has_surplus = True
        self._end()

    def _refuse(self, error: Exception) -> None:
        self._refusal = error
        self._end()

    def _end(self) -> None:
        self._has_ended = True
        self._changed.set()
        if self._transport is not None:
            self._transport.abort()


class BufferedReception(Reception, asyncio.BufferedProtocol):
    """The receiver of a clear-text body."""

    def get_buffer(self, sizehint: int) -> memoryview:  # noqa: ARG002 (the sink knows how much is good)
        """Give the sink's own room, but not for more than is wanted."""
        if self.is_filled:
            return memoryview(bytearray(_SURPLUS_ROOM))
        try:
            return self._sink.get_buffer()[: self._left]
        except Exception as error:  # noqa: BLE001 (raised by `finish`; here asyncio would only log it)
            self._refuse(error)
            return memoryview(bytearray(_SURPLUS_ROOM))

    def buffer_updated(self, nbytes: int) -> None:
        """Tell the sink."""
        if self._has_ended:
            return
        if self.is_filled:
            self._took_surplus()
            return
        try:
            self._took(nbytes, self._sink.received(nbytes))
        except Exception as error:  # noqa: BLE001 (raised by `finish`; here asyncio would only log it)
            self._refuse(error)


class CopiedReception(Reception, asyncio.Protocol):
    """The receiver of a body under TLS."""

    def data_received(self, data: bytes) -> None:
        """Hand the bytes to the sink, but not more than are wanted."""
        if self._has_ended:
            return
        wanted = memoryview(data)[: self._left]
        has_surplus = len(wanted) < len(data) and not self._stops_there
        try:
            if wanted:
                self._took(len(wanted), self._sink.write(wanted))
        except Exception as error:  # noqa: BLE001 (raised by `finish`; here asyncio would only log it)
            self._refuse(error)
        if has_surplus:
            self._took_surplus()


async def receive_from(
    connection: socket.socket, reception: BufferedReception | CopiedReception, *, tls: ssl.SSLContext | None, host: str
) -> asyncio.Transport:
    """Let what comes from a connected socket go into the reception; return what closes it."""
    loop = asyncio.get_running_loop()
    transport, _ = await loop.create_connection(
        lambda: reception, sock=connection, ssl=tls, server_hostname=host if tls else None
    )
    return transport

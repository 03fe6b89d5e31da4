"""
Takes a body from the connection straight into the sink's own memory.

For large bodies with a known length, and for those that end with the connection: aiohttp has read the head, then this
protocol takes its place on the transport. It never asks for more than is left of the body, so that surplus bytes stay
where they are and are noticed.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from bgdl_jupyter.transport.http_errors import cut_short
from bgdl_jupyter.transport.http_waking import Waking

if TYPE_CHECKING:
    from collections.abc import Awaitable

    from bgdl_jupyter.transport.base import Sink
    from bgdl_jupyter.transport.http_watch import Watch
    from bgdl_jupyter.uris import Origin

# What a transport reads into when nothing is wanted any more, and is dropped.
_SCRATCH: Final = 4096


class BodyReceiver(asyncio.BufferedProtocol):
    """
    The protocol of a connection for the length of one body.

    Parameters
    ----------
    watch:
        The protocol whose place is taken; it is told when the connection is lost.
    sink:
        Where the bytes go.
    left:
        How many are to come; None for all until the other side closes.
    """

    def __init__(
        self, watch: Watch, transport: asyncio.Transport, sink: Sink, left: int | None, origin: Origin
    ) -> None:
        self._watch = watch
        self._transport = transport
        self._sink = sink
        self._left = left
        self._origin = origin
        self._waking = Waking(transport)
        self._room = 0
        self._is_over = False
        self._error: BaseException | None = None
        self._rest = b""
        self._pending: Awaitable[None] | None = None
        self._news: asyncio.Future[None] | None = None

    async def receive(self) -> None:
        """
        Wait until the body is complete.

        Raises
        ------
        NetworkFailed
            The connection ended before the body did.
        """
        while True:
            pending, self._pending = self._pending, None
            if pending is not None:
                await pending
            elif self._is_over:
                break
            else:
                self._news = asyncio.get_running_loop().create_future()
                # Not before: what comes while the sink is busy has to wait.
                self._transport.resume_reading()
                await self._news
        if self._rest and (pending := self._sink.write(self._rest)) is not None:
            await pending
        if self._error is not None:
            raise self._error

    def drop(self) -> None:
        """Take nothing more; what still comes waits at the server until the connection is cut."""
        self._is_over = True
        self._waking.end()
        if not self._transport.is_closing():
            self._transport.pause_reading()

    def get_buffer(self, sizehint: int) -> memoryview:  # noqa: ARG002 (the sink knows better)
        """Return room for the next bytes, and for none that are not part of the body."""
        if self._is_over:
            return memoryview(bytearray(_SCRATCH))
        try:
            room = self._sink.get_buffer()
        except Exception as error:  # noqa: BLE001 (whatever the sink says is told to who receives)
            self._finish(error)
            return memoryview(bytearray(_SCRATCH))
        if self._left is not None and len(room) > self._left:
            room = room[: self._left]
        self._room = len(room)
        return room

    def buffer_updated(self, nbytes: int) -> None:
        """Pass on that so many bytes are in the sink's memory."""
        if self._is_over:
            return
        if self._left is not None:
            self._left -= nbytes
        self._waking.read(nbytes, room=self._room, left=self._left)
        try:
            self._pending = self._sink.received(nbytes)
        except Exception as error:  # noqa: BLE001 (as above)
            self._finish(error)
            return
        if self._left == 0:
            self._finish(None)
        elif self._pending is not None:
            self._transport.pause_reading()
            self._tell()

    def eof_received(self) -> None:
        """Take an end in order: the end of a body without a length, and of no other."""
        rest = self._watch.end()
        if self._is_over:
            return
        self._rest = rest if self._left is None else rest[: self._left]
        is_whole = self._watch.ended_in_order if self._left is None else len(self._rest) == self._left
        self._finish(None if is_whole else cut_short(self._origin, None))

    def connection_lost(self, error: Exception | None) -> None:
        """Take an end out of order."""
        if not self._is_over:
            rest = self._watch.unread()
            self._rest = rest[: self._left]
            self._finish(cut_short(self._origin, error) if self._left is None or len(rest) < self._left else None)
        self._watch.connection_lost(error)

    def _finish(self, error: BaseException | None) -> None:
        self._is_over = True
        self._error = error
        self._transport.pause_reading()
        self._tell()

    def _tell(self) -> None:
        if self._news is not None and not self._news.done():
            self._news.set_result(None)

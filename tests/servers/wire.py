"""
One accepted connection: bytes in, bytes out, and every way of ending it.

Made of a plain socket, with TLS over memory buffers, because a transport hides just what a test needs: how many bytes
went out, a reset that does not overtake the bytes before it, an end of TLS without a close_notify.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import socket
import ssl
import struct
import termios
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

T = TypeVar("T")

_RECEIVE = 1 << 16
_TLS_PIECE = 1 << 18
_DRAIN_TIMEOUT = 2.0
_LINGER_TIMEOUT = 1.0


class Gone(ConnectionError):
    """The other side ended the connection while the script was waiting."""


class Wire:
    """A connection under full control. All coroutines raise `ConnectionError` when the other side has gone."""

    def __init__(self, sock: socket.socket, number: int = 0) -> None:
        sock.setblocking(False)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.sock = sock
        self.number = number
        self.peer: tuple[str, int] = sock.getpeername()[:2]
        self._tls: ssl.SSLObject | None = None
        self._incoming = ssl.MemoryBIO()
        self._outgoing = ssl.MemoryBIO()
        self._early = bytearray()
        self._is_gathering = False

    async def start_tls(self, context: ssl.SSLContext) -> None:
        """Shake hands as the server. Raises `ssl.SSLError` when the client does not agree."""
        self._tls = context.wrap_bio(self._incoming, self._outgoing, server_side=True)
        while True:
            try:
                self._tls.do_handshake()
            except ssl.SSLWantReadError:
                await self._flush_tls()
                await self._feed_tls()
            except ssl.SSLError:
                await self._flush_tls()  # the alert that says why
                raise
            else:
                return await self._flush_tls()

    async def receive(self) -> bytes:
        """Return what has arrived, waiting for the first byte; empty at the end."""
        if self._tls is None:
            return await self._receive_raw()
        while True:
            try:
                return self._tls.read(_RECEIVE)
            except ssl.SSLWantReadError:
                await self._feed_tls()
            except (ssl.SSLZeroReturnError, ssl.SSLEOFError):
                return b""

    async def send(self, view: memoryview | bytes, *, count: Callable[[int], None] | None = None) -> None:
        """Send all bytes; `count` is told how many have been handed to the kernel, as they go."""
        if self._tls is None:
            return await self._send_raw(view, count)
        view = memoryview(view)
        for position in range(0, len(view), _TLS_PIECE):
            piece = view[position : position + _TLS_PIECE]
            self._tls.write(piece)
            await self._flush_tls()
            if count is not None:
                count(len(piece))
        return None

    def gather(self) -> None:
        """Let what is sent leave in as few packets as it fits into, until `part`: the head together with its body."""
        self._is_gathering = True
        self._cork(is_on=True)

    def push(self) -> None:
        """Let what was gathered leave."""
        if self._is_gathering:
            self._cork(is_on=False)
            self._cork(is_on=True)

    def part(self) -> None:
        """Let what was gathered leave, and gather no more."""
        if self._is_gathering:
            self._is_gathering = False
            self._cork(is_on=False)

    def _cork(self, *, is_on: bool) -> None:
        with contextlib.suppress(OSError):  # closed already
            self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_CORK, is_on)

    async def unless_gone(self, awaited: Awaitable[T]) -> T:
        """Wait for something else than the other side. Raises `Gone` if that ends the connection first."""
        self.push()
        waiting = asyncio.ensure_future(awaited)
        gone = asyncio.ensure_future(self._gone())
        try:
            await asyncio.wait({waiting, gone}, return_when=asyncio.FIRST_COMPLETED)
            if waiting.done():
                return waiting.result()
            raise Gone(*self.peer)
        finally:
            waiting.cancel()
            gone.cancel()

    def half_close(self) -> None:
        """Send FIN and go on reading."""
        with contextlib.suppress(OSError):  # the other side may have reset the connection before
            self.sock.shutdown(socket.SHUT_WR)

    async def reset(self) -> None:
        """Send RST, after the bytes before it have arrived in the other kernel."""
        self.part()
        with contextlib.suppress(TimeoutError, OSError):
            async with asyncio.timeout(_DRAIN_TIMEOUT):
                while self._unacknowledged():  # noqa: ASYNC110 - the kernel tells nobody when the queue is empty
                    await asyncio.sleep(0.001)
        self.reset_now()

    def reset_now(self) -> None:
        """Send RST, whatever has not arrived yet."""
        with contextlib.suppress(OSError):  # closed already
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.sock.close()

    async def cut(self) -> None:
        """Send FIN; under TLS without the close_notify that would say that the stream is whole."""
        self.half_close()
        # Closing over unread bytes would turn the FIN into a reset.
        with contextlib.suppress(TimeoutError, OSError):
            async with asyncio.timeout(_LINGER_TIMEOUT):
                while await self._receive_raw():
                    self._early.clear()
        self.sock.close()

    async def close(self) -> None:
        """End in order: close_notify under TLS, then FIN."""
        if self._tls is not None:
            with contextlib.suppress(ssl.SSLError):
                self._tls.unwrap()
            with contextlib.suppress(OSError):
                await self._flush_tls()
        await self.cut()

    def abandon(self) -> None:
        """Release the socket, whatever state it is in."""
        self.sock.close()

    async def _gone(self) -> None:
        while True:
            try:
                early = await asyncio.get_running_loop().sock_recv(self.sock, _RECEIVE)
            except OSError:
                return
            if not early:
                return
            self._early += early

    async def _receive_raw(self) -> bytes:
        if self._early:
            early = bytes(self._early)
            self._early.clear()
            return early
        return await asyncio.get_running_loop().sock_recv(self.sock, _RECEIVE)

    async def _send_raw(self, view: memoryview | bytes, count: Callable[[int], None] | None) -> None:
        rest = memoryview(view)
        while rest:
            try:
                sent = self.sock.send(rest)
            except BlockingIOError:
                await self._writable()
                continue
            rest = rest[sent:]
            if count is not None:
                count(sent)

    async def _writable(self) -> None:
        loop = asyncio.get_running_loop()
        ready: asyncio.Future[None] = loop.create_future()
        loop.add_writer(self.sock, _settle, ready)
        try:
            await ready
        finally:
            loop.remove_writer(self.sock)

    async def _feed_tls(self) -> None:
        raw = await self._receive_raw()
        if raw:
            self._incoming.write(raw)
        else:
            self._incoming.write_eof()

    async def _flush_tls(self) -> None:
        if self._outgoing.pending:
            await self._send_raw(self._outgoing.read(), None)

    def _unacknowledged(self) -> int:
        return int(struct.unpack("i", fcntl.ioctl(self.sock, termios.TIOCOUTQ, b"\0\0\0\0"))[0])


def _settle(ready: asyncio.Future[None]) -> None:
    if not ready.done():
        ready.set_result(None)

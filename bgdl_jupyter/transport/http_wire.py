"""
What we add to aiohttp between the connection and the response.

`Watch` stands between a connection and aiohttp's parser for the connection's whole life: it bounds the head in length
and time, and a connection that says anything while it rests is aborted, so that surplus bytes never become the next
answer.
`Connector` checks whom a connection leads to before a byte is sent.
"""

from __future__ import annotations

import asyncio
import errno
import re
import select
import socket
from contextvars import ContextVar
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import aiohttp

from bgdl_jupyter.errors import ProtocolViolation, RedirectRefused, TransferFailed, TransferTimeout

if TYPE_CHECKING:
    from collections.abc import Callable

    from aiohttp.client_proto import ResponseHandler
    from aiohttp.client_reqrep import ClientRequest
    from aiohttp.connector import Connection
    from aiohttp.tracing import Trace

MAX_HEAD: Final = 64 * 1024
MAX_INTERIM_ANSWERS: Final = 20
_END_OF_HEAD: Final = re.compile(rb"\r?\n\r?\n")
_LENGTH: Final = re.compile(rb"\r\ncontent-length:[ \t]*([0-9]{1,19})\r\n", re.IGNORECASE)
# What nearly every answer begins with: the others are read with more care.
_FINAL: Final = (b"HTTP/1.1 2", b"HTTP/1.1 3", b"HTTP/1.1 4", b"HTTP/1.1 5")
_HEARD: Final = 16


@dataclass(slots=True, kw_only=True, eq=False)
class Attempt:
    """What one request on the wire may do, and what became of it."""

    response_timeout: float
    refuses_private: bool = False
    is_direct: bool = True
    peer: str = ""
    watch: Watch | None = None
    flaw: TransferFailed | None = None

    @property
    def heard(self) -> bytes:
        """The first bytes of the answer."""
        return self.watch.heard if self.watch else b""


#: The attempt that the current task makes; aiohttp has no other way through to its connector and response.
current_attempt: Final[ContextVar[Attempt]] = ContextVar("current_attempt")


class Watch(asyncio.Protocol):
    """
    Passes what a connection receives on to aiohttp, the head in pieces of their own.

    A head is handed over alone, so that rubbish behind a short body in the same packet cannot take the answer with it.
    """

    def __init__(self, handler: ResponseHandler, transport: asyncio.Transport) -> None:
        self._handler = handler
        self._transport = transport
        self._attempt: Attempt | None = None
        self._head = bytearray()
        self._reads_head = False
        self._interim_answers = 0
        self._size = 0
        self._loop = asyncio.get_running_loop()
        self._timer: asyncio.TimerHandle | None = None
        self._poll: select.poll | None = None
        self.heard = b""
        self.is_resting = True
        self.has_ended = False

    def begin(self, attempt: Attempt) -> None:
        """Expect the answer to a new request, its head within the attempt's time however many bytes of it come."""
        self._attempt = attempt
        self._head.clear()
        self._reads_head = True
        self._interim_answers = self._size = 0
        self.heard = b""
        self.is_resting = False
        self.start_timer()

    def start_timer(self) -> None:
        """Start the time for the head, again if a byte of our body has gone."""
        self._stop_timer()
        if self._attempt is not None and self._reads_head:
            self._timer = self._loop.call_later(self._attempt.response_timeout, self._expire)

    def _expire(self) -> None:
        self._give_up(TransferTimeout("The server did not answer in time."))

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def rest(self) -> None:
        """Expect nothing: the exchange is over."""
        self._stop_timer()
        self.is_resting = True
        self._attempt = None

    def has_unread(self) -> bool:
        """Whether the kernel holds bytes, or an end, that the loop has not seen."""
        sock = self._transport.get_extra_info("socket")
        if sock is None or sock.fileno() < 0:
            return True
        if not hasattr(select, "poll"):
            return bool(select.select([sock], [], [], 0)[0])
        if self._poll is None:
            self._poll = select.poll()
            self._poll.register(sock.fileno(), select.POLLIN)
        return bool(self._poll.poll(0))

    def data_received(self, data: bytes) -> None:
        """Take what came from the network."""
        if self.is_resting:
            self._transport.abort()
        elif self._reads_head:
            self._receive_head(data)
        else:
            self._handler.data_received(data)

    def _receive_head(self, data: bytes) -> None:
        if not self.heard:
            self.heard = data[:_HEARD]
        is_final = False
        while data and not is_final:
            end, is_final = self._end_in(data)
            self._size += end
            if self._size > MAX_HEAD or self._interim_answers > MAX_INTERIM_ANSWERS:
                self._give_up(self._flaw())
                return
            if is_final and not _has_surplus(data, end):
                end = len(data)
            if is_final:
                self._reads_head = False
                self._stop_timer()
            self._handler.data_received(data[:end])
            data = data[end:]
        if data:
            self._handler.data_received(data)

    def _end_in(self, data: bytes) -> tuple[int, bool]:
        """Return where the present head ends in new bytes, their length where it does not, and whether for good."""
        known = len(self._head)
        if not known and data.startswith(_FINAL) and (end := data.find(b"\r\n\r\n")) >= 0:
            return end + 4, True
        self._head += data
        match = _END_OF_HEAD.search(self._head, max(0, known - 3))
        if match is None:
            return len(data), False
        is_interim = self._head[9:10] == b"1" and self._head[9:12] != b"101"
        self._head.clear()
        self._interim_answers += is_interim
        return match.end() - known, not is_interim

    def _flaw(self) -> ProtocolViolation:
        """Return what is wrong with a head that is past its bounds."""
        if self._size > MAX_HEAD:
            return ProtocolViolation(f"The header of the answer is longer than {MAX_HEAD // 1024} KiB.")
        return ProtocolViolation(f"The server sent more than {MAX_INTERIM_ANSWERS} interim answers.")

    def _give_up(self, flaw: TransferFailed) -> None:
        self._stop_timer()
        if self._attempt is not None:
            self._attempt.flaw = flaw
        self.is_resting = True
        self._transport.abort()

    def eof_received(self) -> None:
        """Note that the other side closed in order (FIN, and close_notify under TLS)."""
        self.has_ended = True
        self._handler.eof_received()

    def connection_lost(self, error: Exception | None) -> None:
        """Pass on that the connection is gone."""
        self._stop_timer()
        self._handler.connection_lost(error)

    def pause_writing(self) -> None:
        """Pass on that the send buffer is full."""
        self._handler.pause_writing()

    def resume_writing(self) -> None:
        """Pass on that the send buffer has room."""
        self._handler.resume_writing()


def _has_surplus(data: bytes, end: int) -> bool:
    """Whether more than one answer may be in what came with a head that ends at ``end``."""
    length = _LENGTH.search(data, 0, end)
    return length is None or len(data) - end > int(length[1])


class Connector(aiohttp.TCPConnector):
    """
    Gives a connection only to those who may use it, and only if it is clean.

    Parameters
    ----------
    is_private:
        Which addresses a redirect may not lead to.
    options:
        Those of `aiohttp.TCPConnector`.
    """

    def __init__(self, *, is_private: Callable[[str], bool], **options: Any) -> None:
        super().__init__(socket_factory=self._make_socket, **options)
        self._is_private = is_private

    async def connect(
        self,
        req: ClientRequest,
        traces: list[Trace],
        timeout: aiohttp.ClientTimeout,  # noqa: ASYNC109 (aiohttp's signature)
    ) -> Connection:
        """Return a connection that has nothing unread, to an address that the attempt allows."""
        attempt = current_attempt.get()
        while True:
            connection = await super().connect(req, traces, timeout)
            transport = connection.transport
            if transport is None or connection.protocol is None:
                return connection
            watch = transport.get_protocol()
            if isinstance(watch, Watch) and (connection.protocol.should_close or watch.has_unread()):
                connection.close()
                continue
            if not isinstance(watch, Watch):
                watch = Watch(connection.protocol, transport)
                transport.set_protocol(watch)
            self._check_peer(attempt, connection, transport)
            watch.begin(attempt)
            connection.add_callback(watch.rest)
            attempt.watch = watch
            return connection

    def _check_peer(self, attempt: Attempt, connection: Connection, transport: asyncio.Transport) -> None:
        peer = transport.get_extra_info("peername")
        attempt.peer = str(peer[0]) if peer else ""
        if attempt.refuses_private and attempt.is_direct and self._is_private(attempt.peer):
            connection.close()
            raise private_redirect()
        attempt.flaw = None

    def _make_socket(self, address_info: tuple[Any, ...]) -> socket.socket:
        """Make the socket for an address, unless the attempt may not go there."""
        family, kind, protocol, _, address = address_info
        attempt = current_attempt.get()
        if attempt.refuses_private and attempt.is_direct and self._is_private(str(address[0])):
            # The connector goes on with the next address of the name on an OSError only.
            attempt.flaw = private_redirect()
            raise PermissionError(errno.EACCES, "a redirect may not lead here")
        return socket.socket(family, kind, protocol)


def private_redirect() -> RedirectRefused:
    """Return the error for a redirect from the public internet into a private network."""
    return RedirectRefused(
        "A public server redirected to a private or local address.",
        hint="Set `allow_private_redirect` if that is meant to be.",
    )

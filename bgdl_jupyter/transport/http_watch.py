"""
Stands between a connection and aiohttp's parser for the connection's whole life.

It bounds the head in length and time, tells an end in order from a cut, and counts: a connection that says more than
its answer is not used again, so that surplus bytes never become the next answer.
"""

from __future__ import annotations

import asyncio
import select
import ssl
from typing import TYPE_CHECKING, Final

import aiohttp

from bgdl_jupyter.errors import ProtocolViolation, TransferFailed, TransferTimeout
from bgdl_jupyter.transport.http_head import HeadReader
from bgdl_jupyter.transport.http_parsing import PARSING, HeadParser

if TYPE_CHECKING:
    from aiohttp.client_proto import ResponseHandler

    from bgdl_jupyter.transport.http_attempt import Attempt
    from bgdl_jupyter.transport.http_parsing import WholeAnswer

_LAST_CHUNK: Final = b"0\r\n\r\n"
_TLS_PIECE: Final = 64 * 1024
# What is read at once while a head is expected, and of bodies: much that came with a head would wait beside it.
_HEAD_PIECE: Final = 64 * 1024
_BODY_PIECE: Final = 256 * 1024


class Watch(asyncio.Protocol):
    """
    Passes what a connection receives on to aiohttp.

    Parameters
    ----------
    handler, transport:
        aiohttp's own protocol, and the connection.
    """

    def __init__(self, handler: ResponseHandler, transport: asyncio.Transport) -> None:
        self._handler = handler
        self._transport = transport
        # Kept, since a transport that is closed twice, as by aiohttp, cannot be asked for it any more.
        self._tls: ssl.SSLObject | None = transport.get_extra_info("ssl_object")
        self._loop = asyncio.get_running_loop()
        self._attempt: Attempt | None = None
        self._content: aiohttp.StreamReader | None = None
        self._head = HeadReader()
        self._left: int | None = None
        self._tail = b""
        self._deadline = 0.0
        self._timer: asyncio.TimerHandle | None = None
        self._poll: select.poll | None = None
        self._parser: HeadParser | None = None
        self._waiter: asyncio.Future[WholeAnswer | None] | None = None
        self._is_resting = True
        self._is_lost = False
        self.has_ended = False
        self.ended_in_order = False

    # One exchange

    def begin(self, attempt: Attempt) -> None:
        """Expect the answer to a new request, its head within the attempt's time however many bytes of it come."""
        self._attempt = attempt
        self._content = self._waiter = None
        self._head = HeadReader()
        self._left, self._tail = None, b""
        self._is_resting = False
        self._read_at_once(_HEAD_PIECE)
        self.start_timer()

    def expect(self) -> asyncio.Future[WholeAnswer | None]:
        """
        Expect an answer that no session reads; call it before the request is sent.

        Returns
        -------
        :
            What gets the answer if it comes whole at once; None if aiohttp's protocol is reading it.
        """
        self._waiter = self._loop.create_future()
        return self._waiter

    @property
    def heard(self) -> bytes:
        """The first bytes of the answer."""
        return self._head.heard

    def start_timer(self) -> None:
        """Start the time for the head, again if a byte of our body has gone."""
        if self._attempt is None or self._head.is_complete:
            return
        self._deadline = self._loop.time() + self._attempt.response_timeout
        # A timer that runs is left to run: most answers come long before it, and most connections serve many.
        if self._timer is None or self._timer.when() > self._deadline:
            self._stop_timer()
            self._timer = self._loop.call_at(self._deadline, self._expire)

    def guard(self, content: aiohttp.StreamReader) -> None:
        """See to it that who reads the body hears of the connection's end."""
        self._content = content
        if self._is_lost:
            self._tell_reader()

    def _read_at_once(self, size: int) -> None:
        if hasattr(self._transport, "max_size"):  # asyncio's own, without TLS
            self._transport.max_size = size

    def take_body(self) -> None:
        """Let the rest of a large body come: it waits until somebody reads it."""
        self._transport.resume_reading()

    def body_was_taken(self) -> None:
        """Count the body as complete: another protocol has taken it."""
        self._left = 0

    def rest(self) -> None:
        """Expect nothing: the exchange is over."""
        self._is_resting = True
        self._attempt = self._content = None

    # Between two exchanges

    def is_clean(self) -> bool:
        """Whether the connection is open and has said its answer and not a byte more."""
        is_told = self._left == 0 if self._left is not None else self._tail == _LAST_CHUNK
        return is_told and not self.has_ended and not self._handler.should_close and not self.has_unread()

    def has_unread(self) -> bool:
        """Whether the kernel, or TLS, holds bytes or an end that the loop has not seen."""
        if self._is_lost or self._transport.is_closing():
            return True  # its descriptor may be somebody else's by now
        if self._poll is not None:
            return bool(self._poll.poll(0))
        sock = self._transport.get_extra_info("socket")
        if sock is None or sock.fileno() < 0:
            return True
        if not hasattr(select, "poll"):
            return bool(select.select([sock], [], [], 0)[0])
        self._poll = select.poll()
        self._poll.register(sock.fileno(), select.POLLIN)
        return self.has_unread()

    # What the connection says

    def data_received(self, data: bytes) -> None:
        """Take what came from the network."""
        if self._is_resting:
            self._transport.abort()
        elif self._head.is_complete:
            self._pass_body(data)
        else:
            self._receive_head(data)

    def _receive_head(self, data: bytes) -> None:
        try:
            end = self._head.feed(data)
        except ProtocolViolation as flaw:
            self._give_up(flaw)
            return
        if not self._head.is_complete:
            self._pass_on(data)
            return
        self._left = self._head.length
        self._read_at_once(_BODY_PIECE)
        if self._left is not None and self._left - (len(data) - end) > _BODY_PIECE:
            self._transport.pause_reading()  # until it is taken: see `take_body`
        if self._left is not None and len(data) - end <= self._left:
            self._left -= len(data) - end
            if self._left or not self._take_whole(data, end):
                self._pass_on(data)
            return
        # Rubbish behind a short body in the same packet would take the answer with it.
        self._pass_on(data[:end])
        if end < len(data):
            self._pass_body(data[end:])

    def _take_whole(self, data: bytes, end: int) -> bool:
        """Give an answer that came at once to who waits for it; return whether that is possible."""
        if self._waiter is None:
            return False
        if self._parser is None:
            self._parser = HeadParser(self._handler, self._loop)
        answer = self._parser.read(data, end)
        if answer is None:
            self._parser = None
            return False
        if answer.is_last:
            self._handler.force_close()
        self._tell_waiter(answer)
        return True

    def _pass_on(self, data: bytes) -> None:
        """Give bytes to aiohttp's protocol."""
        if self._waiter is not None:
            self._handler.set_response_params(**PARSING)
            self._tell_waiter(None)
        self._handler.data_received(data)

    def _tell_waiter(self, answer: WholeAnswer | None) -> None:
        waiter, self._waiter = self._waiter, None
        if waiter is not None and not waiter.done():
            waiter.set_result(answer)

    def _pass_body(self, data: bytes) -> None:
        if self._left is not None:
            self._left -= len(data)
        else:
            self._tail = (self._tail + data[-len(_LAST_CHUNK) :])[-len(_LAST_CHUNK) :]
        self._handler.data_received(data)

    def _expire(self) -> None:
        self._timer = None
        if self._attempt is None or self._head.is_complete:
            return
        if self._loop.time() < self._deadline:
            self._timer = self._loop.call_at(self._deadline, self._expire)
        else:
            self._give_up(TransferTimeout("The server did not answer in time."))

    def _give_up(self, flaw: TransferFailed) -> None:
        if self._attempt is not None:
            self._attempt.flaw = flaw
        self.rest()
        self._transport.abort()

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    # The end

    def eof_received(self) -> None:
        """Take the other side's end, and what asyncio has left unread before it."""
        rest = self.end()
        if rest:
            self.data_received(rest)
        self._handler.eof_received()

    def end(self) -> bytes:
        """Note how the other side ended; return what TLS has of it that nobody has read."""
        self.has_ended = True
        rest, self.ended_in_order = _rest_of(self._tls)
        return rest

    def unread(self) -> bytes:
        """Return what TLS has of a connection that broke while nobody read: it came, and asyncio forgets it."""
        rest, _ = _rest_of(self._tls)
        return rest

    def connection_lost(self, error: Exception | None) -> None:
        """Pass on that the connection is gone, behind what had come of it."""
        self._stop_timer()
        self._is_lost = True
        if self._attempt is not None:
            self._attempt.loss = error
            if rest := self.unread():
                self.data_received(rest)
        self._handler.connection_lost(error)
        self._tell_waiter(None)
        self._tell_reader()

    def _tell_reader(self) -> None:
        """End a body that the parser gave up without a word to who reads it."""
        content = self._content
        if content is not None and not content.is_eof() and content.exception() is None:
            content.set_exception(aiohttp.ClientPayloadError("the body cannot be read on"))

    def pause_writing(self) -> None:
        """Pass on that the send buffer is full."""
        self._handler.pause_writing()

    def resume_writing(self) -> None:
        """Pass on that the send buffer has room."""
        self._handler.resume_writing()


def _rest_of(tls: ssl.SSLObject | None) -> tuple[bytes, bool]:
    """
    Return what a connection that has ended still holds, and whether it ended in order.

    Without TLS a FIN is in order and comes last. Under TLS the order is a close_notify, which asyncio does not tell
    from a cut; and what did not fit into the protocol's buffer is left in the TLS object.
    """
    rest: list[bytes] = []
    if tls is None:
        return b"", True
    try:
        while data := tls.read(_TLS_PIECE):
            rest.append(data)
    except ssl.SSLError:
        return b"".join(rest), False
    return b"".join(rest), True


def tls_is_silent(transport: asyncio.Transport) -> bool:
    """Whether nothing, and no end, is left in the TLS object of a connection whose body has been taken."""
    tls = transport.get_extra_info("ssl_object")
    if tls is None:
        return True
    try:
        tls.read(1)
    except ssl.SSLWantReadError:
        return True
    except ssl.SSLError:
        return False
    return False

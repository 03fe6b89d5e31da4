"""One response, and its body on the way into a sink."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Final

from bgdl_jupyter.errors import ProtocolViolation
from bgdl_jupyter.transport.base import Framing
from bgdl_jupyter.transport.decoding import Decoder
from bgdl_jupyter.transport.headers import content_codings, read_answer
from bgdl_jupyter.transport.http_body import BodyReceiver
from bgdl_jupyter.transport.http_errors import WIRE_ERRORS, cut_short
from bgdl_jupyter.transport.http_watch import tls_is_silent

if TYPE_CHECKING:
    import aiohttp
    from multidict import CIMultiDictProxy

    from bgdl_jupyter.errors import NetworkFailed
    from bgdl_jupyter.resource import Answer
    from bgdl_jupyter.transport.base import Sink
    from bgdl_jupyter.transport.http_attempt import Attempt
    from bgdl_jupyter.transport.http_lanes import LaneKey, Lanes
    from bgdl_jupyter.transport.http_reply import Response
    from bgdl_jupyter.transport.http_request import Journey, RequestBody
    from bgdl_jupyter.transport.redirects import Hop
    from bgdl_jupyter.uris import Origin

log = logging.getLogger(__name__)

# Below it a change of protocols costs more than it saves.
_DIRECT_FROM: Final = 256 * 1024
_NOTICE_LENGTH: Final = 2 * 1024
_NOTICE_TIME: Final = 5.0


class HttpExchange:
    """
    A response whose body has not been read; made by `HttpTransport`.

    Whoever has it closes it: a body that was not read to its end takes the connection with it.

    Attributes
    ----------
    journey, hop:
        What it answers.
    """

    def __init__(
        self,
        response: Response,
        *,
        journey: Journey,
        hop: Hop,
        attempt: Attempt,
        lanes: Lanes,
        lane: LaneKey,
        body: RequestBody | None = None,
    ) -> None:
        self._response = response
        self.journey = journey
        self.hop = hop
        self._attempt = attempt
        self._body = body
        self._lanes = lanes
        self._lane = lane
        self._answer: Answer | None = None
        self._is_finished = False
        if attempt.watch is not None:
            attempt.watch.guard(response.content)

    @property
    def status(self) -> int:
        """The status code."""
        return self._response.status

    @property
    def headers(self) -> CIMultiDictProxy[str]:
        """The header fields as they came."""
        return self._response.headers

    @property
    def peer(self) -> str:
        """The address of the other end of the connection."""
        return self._attempt.peer

    @property
    def answer(self) -> Answer:
        """What the server says."""
        if self._answer is None:
            self._answer = read_answer(self.status, self.headers, self.hop.shown)
        return self._answer

    @property
    def origin(self) -> Origin:
        """Who answered, after all redirects."""
        return self.hop.origin

    @property
    def has_sent_body(self) -> bool:
        """Whether a byte of the request's body left this machine."""
        return self.journey.has_sent_body

    async def receive(self, sink: Sink, *, limit: int | None = None) -> Framing:
        """
        Deliver the body, decoded where it is content-coded.

        Returns when the framing is finished or after ``limit`` bytes. Surplus bytes are never delivered; cancelling
        closes the connection.

        Raises
        ------
        NetworkFailed
            The connection ended before the body did.
        DecodingFailed
            The content coding is broken, or becomes too long.
        """
        framing = self._framing()
        codings = content_codings(self.headers)
        if codings:
            is_complete = await self._decode(Decoder(codings), sink, limit)
        elif framing is Framing.CHUNKED or self._is_nearly_here():
            is_complete = await self._pump(sink, limit)
        else:
            is_complete = await self._receive_directly(sink, limit)
        if is_complete and framing is Framing.CLOSED:
            self._check_closing()
        return framing

    def _is_nearly_here(self) -> bool:
        """Whether so little of the body is missing that aiohttp may as well read it."""
        length = self.answer.content_length
        return length is not None and length - self._response.content.total_bytes <= _DIRECT_FROM

    def _framing(self) -> Framing:
        coding = self.headers.get("Transfer-Encoding", "").strip().lower()
        if coding == "chunked":
            return Framing.CHUNKED
        if coding not in ("", "identity"):
            raise ProtocolViolation("The server sent a transfer coding that was not asked for.")
        return Framing.CLOSED if self.answer.content_length is None else Framing.LENGTH

    def _check_closing(self) -> None:
        """Check that a body without a length ended as TCP and TLS end in order (RFC 9112 9.8)."""
        watch = self._attempt.watch
        if watch is None or not watch.ended_in_order:
            raise cut_short(self.origin, None)

    # Through aiohttp's stream

    async def _pump(self, sink: Sink, limit: int | None) -> bool:
        """Deliver what aiohttp reads; return whether that was all."""
        left = limit
        content = self._response.content
        self._let_come()
        while left != 0 and (data := await self._next_chunk()):
            if left is not None:
                data = data[:left]
                left -= len(data)
            if (pending := sink.write(data)) is not None:
                await pending
            if content.at_eof():
                break
        self._is_finished = left != 0 or content.at_eof()
        return self._is_finished

    def _let_come(self) -> None:
        if self._attempt.watch is not None and self._transport() is not None:
            self._attempt.watch.take_body()

    async def _next_chunk(self) -> bytes:
        """Return some bytes of the body as they came, none at its end."""
        content = self._response.content
        failure: NetworkFailed
        try:
            return content.read_nowait() if content.is_eof() else await content.readany()
        except WIRE_ERRORS as error:
            if rest := _unread(content):
                return rest  # the error is met again at the next read
            failure = cut_short(self.origin, error)
        raise failure

    async def _decode(self, decoder: Decoder, sink: Sink, limit: int | None) -> bool:
        """Deliver the body without its content coding; return whether that was all."""
        left = limit
        self._let_come()
        while data := await self._next_chunk():
            for piece in decoder.feed(data):
                wanted = piece if left is None else piece[:left]
                if (pending := sink.write(wanted)) is not None:
                    await pending
                left = None if left is None else left - len(wanted)
                if left == 0:
                    return False
        decoder.finish()
        self._is_finished = True
        return True

    # Past aiohttp

    async def _receive_directly(self, sink: Sink, limit: int | None) -> bool:
        """Deliver a body that is framed by its length or by the connection's end; return whether that was all."""
        transport, watch, length = self._transport(), self._attempt.watch, self.answer.content_length
        if transport is None or watch is None or self._response.content.exception() is not None:
            return await self._pump(sink, limit)
        ahead = self._take_ahead()
        if self._response.content.at_eof():
            await _write(sink, ahead[:limit])
            return limit is None or len(ahead) <= limit
        wanted = min((size for size in (length, limit) if size is not None), default=None)
        left = None if wanted is None else wanted - len(ahead[:wanted])
        receiver = BodyReceiver(watch, transport, sink, left=left, origin=self.origin)
        transport.pause_reading()
        transport.set_protocol(receiver)
        try:
            await _write(sink, ahead[:wanted])
            if left != 0:
                await receiver.receive()
        except BaseException:
            receiver.drop()
            raise
        receiver.drop()
        if length is not None and wanted == length:
            self._hand_back(transport)
        return wanted == length or watch.has_ended

    def _transport(self) -> asyncio.Transport | None:
        """Return the transport of a connection that is open and has more to give."""
        connection = self._response.connection
        transport = connection.transport if connection is not None else None
        return None if transport is None or transport.is_closing() else transport

    def _take_ahead(self) -> bytes:
        """Return what aiohttp has read of the body, to the last byte."""
        failure: NetworkFailed
        chunks: list[bytes] = []
        try:
            # Reading lets the parser go on with what it held back, so that there may be more.
            while data := self._response.content.read_nowait():
                chunks.append(data)
        except WIRE_ERRORS as error:
            failure = cut_short(self.origin, error)
        else:
            return b"".join(chunks)
        raise failure

    def _hand_back(self, transport: asyncio.Transport) -> None:
        """Give a connection whose body is complete back to aiohttp, which keeps it if the server does."""
        watch = self._attempt.watch
        self._is_finished = True
        if watch is None or watch.has_ended or transport.is_closing() or not tls_is_silent(transport):
            transport.abort()
            return
        watch.body_was_taken()
        transport.set_protocol(watch)
        self._response.content.feed_eof()
        transport.resume_reading()

    # The end

    async def read_notice(self) -> bytes:
        """Return the beginning of an error's body; never raises for what the wire does."""
        self._let_come()
        try:
            async with asyncio.timeout(_NOTICE_TIME):
                return await self._response.content.read(_NOTICE_LENGTH)
        except WIRE_ERRORS as error:
            log.debug("the text of an error could not be read: %s", type(error).__name__)
            return b""

    async def aclose(self) -> None:
        """End the exchange; cuts the connection unless the body was read to its end."""
        if not self._response.closed:
            transport = self._transport()
            if not self._is_finished and transport is not None:
                transport.abort()
            self._response.close()
        if self._body is not None:
            await self._body.aclose()
        await self._lanes.release(self._lane)


def _unread(content: aiohttp.StreamReader) -> bytes:
    """Return what had come before a connection broke: aiohttp keeps it, and gives out the error alone."""
    return content._read_nowait(-1) if content.total_bytes else b""  # noqa: SLF001 (nothing public skips the error)


async def _write(sink: Sink, data: bytes) -> None:
    if data and (pending := sink.write(data)) is not None:
        await pending

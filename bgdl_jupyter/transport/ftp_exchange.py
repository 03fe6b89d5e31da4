"""One file that an FTP server is about to send: its body, the server's last word, and how the two are believed."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from typing import TYPE_CHECKING, Any, Final, TypeVar

from bgdl_jupyter.errors import NetworkFailed, ResourceChanged
from bgdl_jupyter.transport.base import Framing
from bgdl_jupyter.transport.ftp_data import BufferedReception, CopiedReception, receive_from
from bgdl_jupyter.transport.ftp_replies import Refused, Reply, failure_of, mapped
from bgdl_jupyter.web_error_status import WebErrorStatus

if TYPE_CHECKING:
    import socket
    from collections.abc import AsyncIterator, Coroutine

    from bgdl_jupyter.resource import Answer
    from bgdl_jupyter.secret import Secret
    from bgdl_jupyter.transport.base import Request, Sink
    from bgdl_jupyter.transport.ftp_session import Session
    from bgdl_jupyter.uris import Origin

log = logging.getLogger(__name__)

_T = TypeVar("_T")

#: Seconds for the end of the data connection and for the server's last word once all bytes are here.
PATIENCE: Final = 10.0


class FtpExchange:
    """
    Implements `Exchange`.

    Parameters
    ----------
    answer:
        What the server says, in the terms of the resume decision.
    connection:
        The connected data connection; None where no body will come.
    last_word:
        The reply that ends the transfer, where the server gave it before it sent anything.
    """

    has_sent_body = False

    def __init__(
        self,
        session: Session,
        answer: Answer,
        *,
        origin: Origin,
        request: Request,
        connection: socket.socket | None = None,
        last_word: Reply | None = None,
    ) -> None:
        self._session = session
        self._answer = answer
        self._origin = origin
        self._secrets: tuple[Secret, ...] = request.uri.secrets
        self._patience = min(PATIENCE, request.response_timeout)
        self._connection = connection
        self._last_word = last_word
        self._data: asyncio.Transport | None = None
        self.is_clean = connection is None

    @property
    def answer(self) -> Answer:
        """What the server says, as HTTP would put it."""
        return self._answer

    @property
    def origin(self) -> Origin:
        """Who answered."""
        return self._origin

    def close_data(self) -> None:
        """Close the data connection, whatever is on it."""
        if self._data is not None:
            self._data.abort()
        elif self._connection is not None:
            self._connection.close()

    async def receive(self, sink: Sink, *, limit: int | None = None) -> Framing:
        """
        Deliver the body; see `Exchange.receive`.

        LENGTH: the rest was not wanted, or all bytes arrived and the server did not confirm it in time. CONFIRMED: all
        arrived and it did. CLOSED: it confirmed, but never told a length to measure that by.

        Raises
        ------
        NetworkFailed
            The body ended early, or was not confirmed and has no length.
        ResourceChanged
            More came than the file had: it grew, or the server did not begin at the offset that it agreed to.
        """
        length = self._answer.content_length
        wanted = length if limit is None else limit if length is None else min(limit, length)
        if self._connection is None or limit == 0:
            return Framing.LENGTH
        reception = await self._begin(self._connection, sink, wanted)
        async with _running(self._hear_last_word()) as last_word, _running(self._finish(reception)) as body:
            await asyncio.wait({last_word, body}, return_when=asyncio.FIRST_COMPLETED)
            if not body.done():
                # A refusal ends the body. A lost control connection does not: routers forget the one that is silent.
                self._confirmed_by(last_word)
            await body
            if wanted != self._on_the_wire and reception.is_filled:
                return Framing.LENGTH
            await asyncio.wait({last_word}, timeout=self._patience)
            return self._judge(reception, is_confirmed=last_word.done() and self._confirmed_by(last_word))

    async def _begin(
        self, connection: socket.socket, sink: Sink, wanted: int | None
    ) -> BufferedReception | CopiedReception:
        tls = self._session.data_context()
        stops_there = wanted is not None and wanted != self._on_the_wire
        reception = (CopiedReception if tls else BufferedReception)(sink, wanted, stops_there=stops_there)
        with mapped(f"receiving from {self._origin}"):
            self._data = await receive_from(connection, reception, tls=tls, host=self._session.server_host)
        return reception

    async def _finish(self, reception: BufferedReception | CopiedReception) -> None:
        await reception.finish(patience=self._patience)
        if reception.lost is not None:
            raise failure_of(reception.lost, f"receiving from {self._origin}") from reception.lost

    @property
    def _on_the_wire(self) -> int | None:
        """Bytes that the server will send, whoever wants them."""
        total = self._answer.resource.length
        sent = self._answer.content_range.sent if self._answer.content_range else None
        return total if sent is None or total is None else total - sent.start

    async def _hear_last_word(self) -> Reply:
        with mapped(f"waiting for the last word of {self._origin}", self._secrets):
            reply = self._last_word or await self._session.reply("the transfer")
            if not reply.is_positive:
                raise Refused("the transfer", reply)
            return reply

    @staticmethod
    def _confirmed_by(last_word: asyncio.Task[Reply]) -> bool:
        """Whether the server said that all was sent; raises its refusal, passes over a lost control connection."""
        error = last_word.exception()
        if error is None:
            return True
        if isinstance(error.__cause__, OSError):
            return False
        raise error

    def _judge(self, reception: BufferedReception | CopiedReception, *, is_confirmed: bool) -> Framing:
        length = self._on_the_wire
        if reception.has_surplus:
            raise ResourceChanged(f"{self._origin} sent more than the {length:,} bytes that it announced.")
        if length is not None and not reception.is_filled:
            claim = " and called it complete" if is_confirmed else ""
            raise _ended_early(f"{self._origin} sent {reception.received:,} of {length:,} bytes{claim}.")
        if length is None and not is_confirmed:
            raise _ended_early(f"{self._origin} did not confirm the end of a file of unknown length.")
        if is_confirmed:
            self.is_clean = True
            return Framing.CLOSED if length is None else Framing.CONFIRMED
        log.warning("%s: all %d bytes arrived, and the server did not confirm it.", self._origin, length)
        return Framing.LENGTH


def _ended_early(message: str) -> NetworkFailed:
    return NetworkFailed(message, web_error_status=WebErrorStatus.CONNECTION_ABORTED)


@contextlib.asynccontextmanager
async def _running(coroutine: Coroutine[Any, Any, _T]) -> AsyncIterator[asyncio.Task[_T]]:
    """Run beside the block; canceled, and waited for, at its end."""
    task = asyncio.create_task(coroutine)
    try:
        yield task
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

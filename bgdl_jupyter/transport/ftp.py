"""
FTP, and FTP under explicit TLS (RFC 959, 2428, 3659, 4217): one control connection per exchange.

How FTP fits the seam: a file whose SIZE and MDTM are known has a validator; a request for a part is answered as a 206
where the server restarts at the offset, as a 200 from byte 0 where it cannot or where the validator is another one than
the request's condition, and as a 416 where the offset is at or behind the end.

The rooms behind this one: `ftp_request` (what may be asked), `ftp_session` (the control connection), `ftp_replies`
(what the server says), `ftp_exchange` and `ftp_data` (the body).
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import ssl
from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING

from bgdl_jupyter.errors import NetworkFailed
from bgdl_jupyter.ranges import ByteRange
from bgdl_jupyter.resource import Answer, ContentRange, Resource, Validator, ValidatorKind
from bgdl_jupyter.transport.ftp_exchange import FtpExchange
from bgdl_jupyter.transport.ftp_replies import mapped, modification_time_of, parse_time, size_of
from bgdl_jupyter.transport.ftp_request import ANONYMOUS, check, credential_of, path_of
from bgdl_jupyter.transport.ftp_session import Session
from bgdl_jupyter.uris import Origin, origin_of

if TYPE_CHECKING:
    import socket
    from collections.abc import AsyncIterator

    from bgdl_jupyter.secret import Credential
    from bgdl_jupyter.transport.base import Request
    from bgdl_jupyter.transport.ftp_replies import Reply

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _File:
    """What the server tells about the file."""

    length: int | None
    modified: str | None

    @property
    def validator(self) -> Validator | None:
        if self.length is None or self.modified is None:
            return None
        return Validator(ValidatorKind.MODIFICATION_TIME, f"{self.modified};{self.length}")

    def fits(self, request: Request) -> bool:
        """Whether a part of this file is what the asker wants a part of, as far as can be told."""
        return request.condition is None or request.condition == self.validator


class FtpTransport:
    """Fetches files by FTP and FTPS; implements `Transport`."""

    def __init__(self) -> None:
        self._sessions: set[Session] = set()
        self._warned: set[Origin] = set()
        self._context: ssl.SSLContext | None = None
        self._is_closed = False

    @property
    def schemes(self) -> frozenset[str]:
        """The URI schemes that it serves."""
        return frozenset({"ftp", "ftps"})

    @contextlib.asynccontextmanager
    async def open(self, request: Request) -> AsyncIterator[FtpExchange]:
        """
        Connect, log in and ask for the file; see `Transport.open`.

        Raises
        ------
        InvalidRequest
            The request has what FTP cannot do, or cannot send safely.
        TransferFailed
            As for every transport; a refused login bears UNAUTHORIZED, a missing file NOT_FOUND or FORBIDDEN.
        """
        check(request)
        path, credential, origin = path_of(request.uri.full), credential_of(request), origin_of(request.uri.public)
        async with self._session(request, origin) as session:
            with mapped(f"asking {origin} for the file", (*request.uri.secrets, credential.password)):
                async with asyncio.timeout(request.response_timeout):
                    await self._enter(session, request, credential, origin)
                    exchange = await _ask_for(path, session, request, origin)
            try:
                yield exchange
            finally:
                exchange.close_data()
            if exchange.is_clean:
                await session.leave()

    async def aclose(self) -> None:
        """Close all connections, those that are being made included."""
        self._is_closed = True
        for session in tuple(self._sessions):
            session.abort()

    @contextlib.asynccontextmanager
    async def _session(self, request: Request, origin: Origin) -> AsyncIterator[Session]:
        with mapped(f"connecting to {origin}"):
            async with asyncio.timeout(request.connect_timeout):
                session = await Session.connect_to(origin.host, origin.port)
        self._sessions.add(session)
        try:
            if self._is_closed:
                raise NetworkFailed(f"The transport was closed while connecting to {origin}.")
            yield session
        finally:
            self._sessions.discard(session)
            session.abort()

    async def _enter(self, session: Session, request: Request, credential: Credential, origin: Origin) -> None:
        await session.greet()
        if origin.scheme == "ftps":
            await session.secure(request.ssl_context or await self._default_context())
        elif credential is not ANONYMOUS:
            self._warn_once(origin)
        await session.log_in(credential)
        await session.choose_binary()

    def _warn_once(self, origin: Origin) -> None:
        if origin not in self._warned:
            self._warned.add(origin)
            log.warning("%s: the user name and the password travel in clear text; ftps:// would protect them.", origin)

    async def _default_context(self) -> ssl.SSLContext:
        if self._context is None:
            # Loading the system's authorities takes tens of milliseconds.
            self._context = await asyncio.to_thread(ssl.create_default_context)
        return self._context


async def _ask_for(path: str, session: Session, request: Request, origin: Origin) -> FtpExchange:
    if not path.isascii():
        await session.ask("OPTS UTF8 ON")  # some servers want to be asked; the answer changes nothing
    file = _File(size_of(await session.ask(f"SIZE {path}")), modification_time_of(await session.ask(f"MDTM {path}")))
    if file.length is not None and request.start and request.start >= file.length and file.fits(request):
        return FtpExchange(session, _unsatisfiable(request, file, file.length), origin=origin, request=request)
    restarts = await _restarts(session, request, file)
    connection, reply = await _start(path, session, request)
    return FtpExchange(
        session,
        _answer(request, file, restarts=restarts),
        origin=origin,
        request=request,
        connection=connection,
        last_word=None if reply.is_preliminary else reply,
    )


async def _restarts(session: Session, request: Request, file: _File) -> bool | None:
    """Ask for the offset; None where it is not wanted, or where nothing would tell that the part fits."""
    if not request.start or file.length is None or not file.fits(request):
        return None
    return await session.restart_at(request.start)


async def _start(path: str, session: Session, request: Request) -> tuple[socket.socket, Reply]:
    connection = await session.connect_data(request.connect_timeout)
    try:
        return connection, await session.retrieve(path)
    except BaseException:
        connection.close()
        raise


def _answer(request: Request, file: _File, *, restarts: bool | None) -> Answer:
    """Return what will come, in the terms of the resume decision."""
    sent = _part(request, file.length) if restarts or _is_first_part(request, file) else None
    status = HTTPStatus.OK if sent is None else HTTPStatus.PARTIAL_CONTENT
    return Answer(
        resource=_resource(request, file, status, accepts_ranges=restarts),
        status=status,
        content_length=file.length if sent is None else sent.length,
        content_range=None if sent is None else ContentRange(sent, file.length),
        has_content_range=sent is not None,
    )


def _unsatisfiable(request: Request, file: _File, length: int) -> Answer:
    status = HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE
    return Answer(
        resource=_resource(request, file, status, accepts_ranges=None),
        status=status,
        content_length=0,
        content_range=ContentRange(None, length),
        has_content_range=True,
    )


def _is_first_part(request: Request, file: _File) -> bool:
    """Whether the part begins where the file does, so that no restart is needed; an empty file has no parts."""
    return request.start == 0 and bool(file.length) and file.fits(request)


def _part(request: Request, length: int | None) -> ByteRange | None:
    if length is None:
        return None
    return ByteRange(request.start or 0, length if request.stop is None else min(request.stop, length))


def _resource(request: Request, file: _File, status: HTTPStatus, *, accepts_ranges: bool | None) -> Resource:
    return Resource(
        actual_uri=request.uri.public,
        status_code=status,
        length=file.length,
        validator=file.validator,
        accepts_ranges=accepts_ranges,
        modified_at=parse_time(file.modified),
    )

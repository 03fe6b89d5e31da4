"""
The control connection of an FTP exchange: greet, secure, log in, ask, and get a socket for the data.

aioftp holds the connection; what it leaves open is closed here: replies are bounded, nothing is logged (it logs every
command), a password is sent once and not for as long as a server asks for it, the data connection goes to the address
that the control connection reached, and bytes that were sent before TLS began are not taken for replies under TLS.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
import ssl
from typing import TYPE_CHECKING, Final, Self, SupportsIndex

import aioftp
from aioftp.common import SSLSessionBoundContext

from bgdl_jupyter.errors import InvalidRequest, ProtocolViolation, TransferFailed
from bgdl_jupyter.transport.ftp_replies import LINE_LIMIT, Refused, Reply, names_other_offset, passive_port, read_reply
from bgdl_jupyter.web_error_status import WebErrorStatus

if TYPE_CHECKING:
    from collections.abc import Iterable

    from bgdl_jupyter.secret import Credential

log = logging.getLogger(__name__)

# RFC 959 and RFC 4217.
_READY: Final = 220
_TLS_FOLLOWS: Final = 234
_NEED_PASSWORD: Final = 331
_RESTART_ACCEPTED: Final = 350
_GOING_DOWN: Final = 421

#: Seconds for a polite goodbye.
_GOODBYE: Final = 1.0
# A second address is tried after this (RFC 8305).
_HAPPY_EYEBALLS: Final = 0.25
# Routers forget a connection that is silent for long, and the control connection is silent while data flow.
_KEEP_ALIVE: Final = 60


class _CountingReader(asyncio.StreamReader):
    """A reader that knows whether something came that nobody has read."""

    def __init__(self) -> None:
        super().__init__(limit=LINE_LIMIT)
        self._unread = 0

    @property
    def has_unread(self) -> bool:
        return self._unread > 0

    def feed_data(self, data: Iterable[SupportsIndex]) -> None:
        self._unread += len(bytes(data))
        super().feed_data(data)

    async def readline(self) -> bytes:
        line = await super().readline()
        self._unread -= len(line)
        return line


class Session(aioftp.BaseClient):
    """
    One control connection.

    Made by `connect_to`; its steps raise `Refused`, `ProtocolViolation`, `OSError` and `TimeoutError`.
    """

    _reader: _CountingReader
    _tls: ssl.SSLContext | None = None

    @classmethod
    async def connect_to(cls, host: str, port: int) -> Self:
        """Connect; the greeting is not read yet."""
        session = cls()
        await session.connect(host, port)
        return session

    async def _open_connection(self, host: str, port: int) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        loop = asyncio.get_running_loop()
        self._reader = _CountingReader()
        protocol = asyncio.StreamReaderProtocol(self._reader, loop=loop)
        transport, _ = await loop.create_connection(
            lambda: protocol, host, port, happy_eyeballs_delay=_HAPPY_EYEBALLS, interleave=1
        )
        _keep_alive(transport.get_extra_info("socket"))
        return self._reader, asyncio.StreamWriter(transport, protocol, self._reader, loop)

    async def ask(self, command: str, *, step: str = "") -> Reply:
        """Send a command and return its reply, whatever it says, but a 421: then the server has left."""
        if any(character in command for character in "\r\n\0"):
            raise InvalidRequest("A line break or NUL cannot be sent in an FTP command.")
        self.stream.writer.write(command.encode("utf-8", "surrogateescape") + b"\r\n")
        await self.stream.writer.drain()
        return await self.reply(step or command.partition(" ")[0])

    async def reply(self, step: str) -> Reply:
        """Return the next reply."""
        reply = await read_reply(self._reader.readline)
        if reply.code == _GOING_DOWN:
            raise Refused(step, reply)
        return reply

    async def greet(self) -> None:
        """Wait until the server is ready."""
        reply = await self.reply("the connection")
        while reply.is_preliminary:  # 120: ready in a few minutes
            reply = await self.reply("the connection")
        if reply.code != _READY:
            raise Refused("the connection", reply)

    async def secure(self, context: ssl.SSLContext) -> None:
        """
        Go over to TLS for commands and data (RFC 4217); never goes on in clear text.

        Raises
        ------
        TransferFailed
            The server has no TLS, or none for the data.
        """
        reply = await self.ask("AUTH TLS")
        if reply.code != _TLS_FOLLOWS:
            raise _no_tls("AUTH TLS", reply)
        if self._reader.has_unread:
            raise ProtocolViolation("The FTP server sent clear text after it agreed to TLS; somebody may be injecting.")
        await self.stream.start_tls(sslcontext=context, server_hostname=self.server_host)
        self._tls = context
        for command in ("PBSZ 0", "PROT P"):
            reply = await self.ask(command)
            if not reply.is_positive:
                raise _no_tls(command, reply)

    async def log_in(self, credential: Credential) -> None:
        """Send the user's name and, once, the password."""
        reply = await self.ask(f"USER {credential.user_name}", step="the user name")
        if reply.code == _NEED_PASSWORD:
            reply = await self.ask(f"PASS {credential.password.reveal()}", step="the login")
        if not reply.is_positive:
            raise Refused("the login", reply, is_private=True)

    async def choose_binary(self) -> None:
        """Turn off the conversion of line ends."""
        reply = await self.ask("TYPE I")
        if not reply.is_positive:
            raise Refused("binary transfer (TYPE I)", reply)

    async def restart_at(self, offset: int) -> bool:
        """Ask for the next file from an offset on; return whether the server will."""
        reply = await self.ask(f"REST {offset}")
        if reply.code != _RESTART_ACCEPTED:
            return False
        if not names_other_offset(reply, offset):
            return True
        reply = await self.ask("REST 0")
        if reply.code != _RESTART_ACCEPTED:
            raise Refused("to begin at byte 0 again", reply)
        return False

    async def retrieve(self, path: str) -> Reply:
        """Ask for the file, and return the reply that announces it."""
        reply = await self.ask(f"RETR {path}", step="the file")
        if reply.is_preliminary or reply.is_positive:
            return reply
        raise Refused("the file", reply)

    async def connect_data(self, timeout: float) -> socket.socket:  # noqa: ASYNC109 (it is the caller's setting)
        """Return a socket for the data, connected to a port of the very address that the control connection reached."""
        peer = self.stream.writer.get_extra_info("peername")
        family = socket.AF_INET6 if len(peer) == 4 else socket.AF_INET  # noqa: PLR2004 (address, port, flow, scope)
        port = await self._passive_port(family)
        connection = socket.socket(family, socket.SOCK_STREAM)
        try:
            connection.setblocking(False)  # noqa: FBT003 (the standard library's signature)
            async with asyncio.timeout(timeout):
                await asyncio.get_running_loop().sock_connect(connection, (peer[0], port, *peer[2:]))
        except BaseException:
            connection.close()
            raise
        return connection

    async def _passive_port(self, family: socket.AddressFamily) -> int:
        reply = await self.ask("EPSV")
        if not reply.is_positive and family is socket.AF_INET:
            reply = await self.ask("PASV")
        if not reply.is_positive:
            raise Refused("a passive data connection", reply)
        return passive_port(reply)

    def data_context(self) -> ssl.SSLContext | None:
        """Return the TLS context for the data connection: bound to the control connection's session, or None."""
        tls = self.stream.writer.get_extra_info("ssl_object")
        if self._tls is None or tls is None:
            return None
        return SSLSessionBoundContext(ssl.PROTOCOL_TLS_CLIENT, context=self._tls, session=tls.session)

    async def leave(self) -> None:
        """Say goodbye and close; the server has a second for its part."""
        writer = self.stream.writer
        try:
            with contextlib.suppress(OSError, TimeoutError):
                async with asyncio.timeout(_GOODBYE):
                    writer.write(b"QUIT\r\n")
                    writer.close()
                    await writer.wait_closed()
        finally:
            self.abort()

    def abort(self) -> None:
        """Close at once."""
        self.stream.writer.transport.abort()


def _no_tls(command: str, reply: Reply) -> TransferFailed:
    return TransferFailed(
        f"The FTP server refused {command} ({reply.code}); an ftps URI is never fetched in clear text.",
        web_error_status=WebErrorStatus.CANNOT_CONNECT,
        hint="Ask the server's owner for TLS, or use ftp:// if everybody on the way may read along.",
    )


def _keep_alive(connection: socket.socket) -> None:
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    if hasattr(socket, "TCP_KEEPIDLE"):
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, _KEEP_ALIVE)

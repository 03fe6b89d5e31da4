"""
Asks without a session, and gives what is answered.

For requests that bear no body and go through no proxy, which are nearly all. aiohttp's connector gives the
connection, aiohttp's parser reads the answer; what is left out is what a session does about cookies, redirects,
traces, bodies and proxies. An answer that comes whole at once goes past aiohttp's streams, too.
"""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING, Final, Protocol

import aiohttp

if TYPE_CHECKING:
    from aiohttp.client_proto import ResponseHandler
    from aiohttp.connector import Connection
    from aiohttp.http import RawResponseMessage
    from multidict import CIMultiDictProxy

    from bgdl_jupyter.transport.http_attempt import Attempt
    from bgdl_jupyter.transport.http_parsing import WholeAnswer

_INTERIM: Final = range(HTTPStatus.CONTINUE, HTTPStatus.OK)
_SWITCHING: Final = int(HTTPStatus.SWITCHING_PROTOCOLS)


class Response(Protocol):
    """What an exchange needs of a response: `aiohttp.ClientResponse` has it, and so has `Reply`."""

    @property
    def status(self) -> int:
        """The status code."""

    @property
    def headers(self) -> CIMultiDictProxy[str]:
        """The header fields as they came."""

    @property
    def content(self) -> aiohttp.StreamReader:
        """What gives the body."""

    @property
    def connection(self) -> Connection | None:
        """The connection, until it is given back."""

    @property
    def closed(self) -> bool:
        """Whether the connection was given back."""

    def close(self) -> None:
        """Close the connection unless it was given back."""


class Reply:
    """A response that aiohttp's protocol reads; its connection is given back at the end of the body."""

    def __init__(self, message: RawResponseMessage, content: aiohttp.StreamReader, connection: Connection) -> None:
        self.status = message.code
        self.headers = message.headers
        self.content = content
        self.connection: Connection | None = connection
        content.on_eof(self._end)

    @property
    def closed(self) -> bool:
        """Whether the connection was given back."""
        return self.connection is None

    def close(self) -> None:
        """Close the connection unless it was given back."""
        connection, self.connection = self.connection, None
        if connection is not None:
            connection.close()

    def _end(self) -> None:
        connection, self.connection = self.connection, None
        if connection is not None:
            connection.release()


async def ask(connection: Connection, attempt: Attempt, head: bytes) -> WholeAnswer | Reply:
    """
    Send a request's head, and return the answer; the connection is closed where there is none.

    Raises
    ------
    ClientError, HttpProcessingError, OSError
        As the wire has it; see `bgdl_jupyter.transport.http_errors`.
    """
    try:
        protocol, transport, watch = connection.protocol, connection.transport, attempt.watch
        if protocol is None or transport is None or transport.is_closing() or watch is None:
            raise aiohttp.ServerDisconnectedError  # noqa: TRY301 (closed below as after every error)
        answering = watch.expect()
        transport.write(head)
        answer = await answering
        if answer is None:
            return await _read_reply(protocol, connection)
    except BaseException:
        connection.close()
        raise
    connection.release()
    return answer


async def _read_reply(protocol: ResponseHandler, connection: Connection) -> Reply:
    """Return the final answer that aiohttp's protocol reads, past the interim ones (RFC 9110 15.2)."""
    while True:
        message, content = await protocol.read()
        if message.code not in _INTERIM or message.code == _SWITCHING:
            return Reply(message, content, connection)

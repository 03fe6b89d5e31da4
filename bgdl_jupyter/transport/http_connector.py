"""Gives a request its connection: a clean one, to an address that it may go to."""

from __future__ import annotations

import errno
import socket
from typing import TYPE_CHECKING, Any

import aiohttp

from bgdl_jupyter.errors import RedirectRefused
from bgdl_jupyter.transport.http_attempt import current_attempt
from bgdl_jupyter.transport.http_watch import Watch

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable

    from aiohttp.client_reqrep import ClientRequest
    from aiohttp.connector import Connection
    from aiohttp.tracing import Trace

    from bgdl_jupyter.transport.http_attempt import Attempt


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
        if attempt.watch is not None:
            # The connection broke, and aiohttp is about to send the request again unasked: that is for us to say.
            raise aiohttp.ServerDisconnectedError from attempt.loss
        while True:
            connection = await super().connect(req, traces, timeout)
            transport = connection.transport
            if transport is None or connection.protocol is None:
                return connection
            watch = transport.get_protocol()
            attempt.is_reused = isinstance(watch, Watch)
            if not isinstance(watch, Watch):
                watch = Watch(connection.protocol, transport)
                transport.set_protocol(watch)
            elif attempt.wants_fresh or not watch.is_clean():
                connection.close()
                continue
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

"""
The seam between the engine and the protocols.

A transport opens a `Request` and gives an `Exchange`: the server's `Answer`, and a body that is delivered into a
`Sink`. It follows redirects, answers challenges and checks the framing; it decides nothing about resuming,
retrying or files.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    import ssl
    from collections.abc import Awaitable
    from contextlib import AbstractAsyncContextManager
    from pathlib import Path

    from bgdl_jupyter.resource import Answer, Validator
    from bgdl_jupyter.secret import Credential, Secret
    from bgdl_jupyter.transport.proxies import EnvironmentProxies
    from bgdl_jupyter.uris import Origin, SplitUri


@dataclass(frozen=True, slots=True, kw_only=True)
class Safety:
    """What a server may not lead us to unless the user allows it."""

    allow_insecure_auth: bool = False
    allow_insecure_redirect: bool = False
    allow_private_redirect: bool = False
    allow_body_redirect: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ProxyServer:
    """The proxy to go through, and who we are to it."""

    uri: SplitUri
    credential: Credential | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """
    One request for a resource or a part of it.

    Parameters
    ----------
    uri:
        What to ask for; its user information, if any, is a credential for its origin.
    headers:
        The user's headers; they go to the origin of ``uri`` and to no other.
    start, stop:
        The half-open range to ask for; both None for everything, ``stop`` None for the rest.
    condition:
        The validator under which the range is wanted (If-Range).
    credential, proxy:
        Who we are to the origin of ``uri``; through whom to ask, wherever redirects lead.
    environment:
        Through whom to ask where ``proxy`` is None: chosen anew for each origin that redirects lead to.
    connect_timeout, response_timeout:
        Seconds for the connection, and from the request to the end of the response's header.
    """

    uri: SplitUri
    method: str = "GET"
    headers: tuple[tuple[str, str | Secret], ...] = ()
    body: Path | None = None
    start: int | None = None
    stop: int | None = None
    condition: Validator | None = None
    credential: Credential | None = None
    proxy: ProxyServer | None = None
    environment: EnvironmentProxies | None = None
    safety: Safety = Safety()
    ssl_context: ssl.SSLContext | None = None
    connect_timeout: float = 30.0
    response_timeout: float = 60.0


class Framing(Enum):
    """How the end of a body was known."""

    LENGTH = "length"
    CHUNKED = "chunked"
    CLOSED = "connection closed"
    CONFIRMED = "confirmed by the server"


class Sink(Protocol):
    """
    Where the bytes of one body go, in order.

    Both ways may return an awaitable: then the next bytes wait for it (a full writer, a rate limit).
    """

    def write(self, data: bytes | bytearray | memoryview) -> Awaitable[None] | None:
        """Take bytes that somebody else holds; they are copied or written before this returns."""

    def get_buffer(self) -> memoryview:
        """Return free room of at least one byte for the next bytes; valid until `received`."""

    def received(self, count: int) -> Awaitable[None] | None:
        """Take the first ``count`` bytes of what `get_buffer` gave."""


class Exchange(Protocol):
    """A response whose body has not been read."""

    @property
    def answer(self) -> Answer:
        """What the server says."""

    @property
    def origin(self) -> Origin:
        """Who answered, after all redirects."""

    @property
    def has_sent_body(self) -> bool:
        """Whether a byte of the request's body left this machine."""

    async def receive(self, sink: Sink, *, limit: int | None = None) -> Framing:
        """
        Deliver the body, decoded where it is content-coded.

        Returns when the framing is finished or after ``limit`` bytes; then the connection is given back only if it is
        clean. Surplus bytes are never delivered. Cancelling closes the connection.

        Raises
        ------
        TransferFailed
            The body ended early, broke its framing or its coding, or the connection broke.
        """


class Transport(Protocol):
    """A way to fetch bytes; made on the loop that runs it."""

    @property
    def schemes(self) -> frozenset[str]:
        """The URI schemes that it serves."""

    def open(self, request: Request) -> AbstractAsyncContextManager[Exchange]:
        """
        Ask for a resource.

        The context ends the exchange: a body that was not read to its end closes the connection.

        Raises
        ------
        TransferFailed
            No answer, or one that is neither 2xx with a file nor 416; ``retry_after`` and ``http_status`` are set
            where the server gave them, and ``body_was_sent`` where a byte of a request body left.
        """

    async def aclose(self) -> None:
        """Close all connections."""

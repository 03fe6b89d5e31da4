"""What the requests with the same header fields to the same origin have in common, worked out once."""

from __future__ import annotations

import asyncio
import re
from collections import OrderedDict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import aiohttp

from bgdl_jupyter.errors import InvalidRequest
from bgdl_jupyter.transport.http_identity import Identity
from bgdl_jupyter.transport.http_request import headers_of, own_headers, range_fields
from bgdl_jupyter.transport.redirects import first_hop
from bgdl_jupyter.uris import origin_of

if TYPE_CHECKING:
    import ssl
    from collections.abc import Iterable

    from bgdl_jupyter.secret import Secret
    from bgdl_jupyter.transport.authentication import Authenticator
    from bgdl_jupyter.transport.base import Request
    from bgdl_jupyter.transport.http_lanes import LaneKey
    from bgdl_jupyter.transport.proxies import EnvironmentProxies
    from bgdl_jupyter.transport.redirects import Hop
    from bgdl_jupyter.uris import Origin

    _Key = tuple[Origin, tuple[tuple[str, str | Secret], ...], ssl.SSLContext | None]

_BREAKS: Final = re.compile(r"[\r\n\0]")
_TARGET: Final = re.compile(r"/[!-\"$-~]*")  # what may stand in a request line, and has no fragment
_MOST: Final = 256


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Route:
    """
    Where to send a GET, and what it says besides its target and its range.

    ``template`` tells aiohttp's connector where to connect to, ``lines`` are the header fields as they are sent, and
    ``beginning`` is how the URIs of the origin begin.
    """

    origin: Origin
    lane: LaneKey
    template: aiohttp.ClientRequest
    lines: bytes
    beginning: str

    @classmethod
    def to(cls, request: Request, hop: Hop, identity: Identity) -> Route:
        """Return the route of a hop."""
        headers = headers_of(request, hop)
        if identity.authorization is not None:
            headers["Authorization"] = identity.authorization
        for name, value in own_headers().items():
            headers.setdefault(name, value)
        template = aiohttp.ClientRequest(
            hop.method,
            hop.url,
            headers=headers,
            ssl=request.ssl_context or True,
            loop=asyncio.get_running_loop(),
        )
        return cls(
            origin=hop.origin,
            lane=identity.lane,
            template=template,
            lines=_lines(template.headers.items()),
            beginning=str(hop.origin),
        )

    def head(self, request: Request, target: str) -> bytes:
        """Return the head of a request as it is sent."""
        fields = range_fields(request)
        start = f"GET {target} HTTP/1.1\r\n".encode()
        return b"%b%b%b\r\n" % (start, self.lines, _lines(fields.items()) if fields else b"")

    def target_of(self, request: Request) -> str | None:
        """Return what to ask for in the request's URI; None for one that is to be looked at with more care."""
        uri = request.uri.full
        target = uri[len(self.beginning) :]
        return target if uri.startswith(self.beginning) and _TARGET.fullmatch(target) else None


def _lines(fields: Iterable[tuple[str, str]]) -> bytes:
    """Return header fields as they are sent; bytes of a server's that were no text go back as they came."""
    lines = [f"{name}: {value}" for name, value in fields]
    if any(_BREAKS.search(line) for line in lines):
        raise InvalidRequest("A header field holds a line break or a NUL.")
    return "\r\n".join([*lines, ""]).encode("utf-8", "surrogateescape")


class Routes:
    """
    The routes of plain requests, which are nearly all: a GET without a body, a credential or a proxy.

    Their header fields are the same for every file of an origin, so that most of a request is made once.
    """

    def __init__(self, authenticator: Authenticator) -> None:
        self._authenticator = authenticator
        self._known: OrderedDict[_Key, Route] = OrderedDict()

    def find(self, request: Request, environment: EnvironmentProxies) -> Route | None:
        """Return the route of a plain request; None for any other."""
        if request.method != "GET" or request.body is not None or request.proxy is not None:
            return None
        if request.credential is not None or request.uri.user_info is not None:
            return None
        origin = origin_of(request.uri.public)
        if environment.proxies and environment.proxy_for(origin) is not None:
            return None
        key = origin, request.headers, request.ssl_context
        route = self._known.get(key)
        if route is None:
            hop = first_hop(request.uri, request.method, has_body=False)
            route = self._known[key] = Route.to(request, hop, Identity(request, hop, None, self._authenticator))
            if len(self._known) > _MOST:
                self._known.popitem(last=False)
        return route

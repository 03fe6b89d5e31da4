"""
Sends one request, and gets its answer or the reason why there is none.

Each goes out once, and once more on a fresh connection where one that had been used before was found to be dead.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final, TypeAlias, TypeVar

import aiohttp
from multidict import CIMultiDict
from yarl import URL

from bgdl_jupyter.errors import NetworkFailed, ProtocolViolation
from bgdl_jupyter.transport.http_attempt import Attempt, current_attempt
from bgdl_jupyter.transport.http_errors import WIRE_ERRORS, failure_of
from bgdl_jupyter.transport.http_exchange import HttpExchange
from bgdl_jupyter.transport.http_parsing import WholeAnswer
from bgdl_jupyter.transport.http_reply import ask
from bgdl_jupyter.transport.http_request import Journey, RequestBody, headers_of, range_fields
from bgdl_jupyter.transport.http_route import Route
from bgdl_jupyter.transport.http_whole import WholeExchange
from bgdl_jupyter.transport.redirects import first_hop

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from multidict import MultiMapping

    from bgdl_jupyter.transport.base import ProxyServer, Request
    from bgdl_jupyter.transport.http_identity import Identity
    from bgdl_jupyter.transport.http_lanes import Lane, LaneKey, Lanes
    from bgdl_jupyter.transport.http_reply import Reply, Response
    from bgdl_jupyter.transport.redirects import Hop
    from bgdl_jupyter.uris import Origin

T = TypeVar("T")

Answering: TypeAlias = "HttpExchange | WholeExchange"

_REPEATABLE: Final = frozenset({"GET", "HEAD"})
# What a connection that was used before may have done to a request that is not to blame.
_SPOILT: Final = (NetworkFailed, ProtocolViolation)


class TunnelRefused(Exception):
    """A proxy answered CONNECT with something else than a tunnel."""

    def __init__(self, status: int, headers: MultiMapping[str]) -> None:
        super().__init__(status)
        self.status = status
        self.headers = headers


class Sender:
    """
    Sends requests, each on a connection of its lane.

    A GET without a proxy is asked directly; a session sends what bears a body or goes through a proxy.
    """

    def __init__(self, lanes: Lanes) -> None:
        self._lanes = lanes

    async def send_plain(self, request: Request, route: Route, target: str) -> Answering:
        """Send a plain request, whose header fields its route has."""
        head = route.head(request, target)
        attempt = Attempt(response_timeout=request.response_timeout)
        try:
            answer = await self._ask(request, route, head, attempt)
        except _SPOILT:
            if not attempt.is_reused:
                raise
            attempt = Attempt(response_timeout=request.response_timeout, wants_fresh=True)
            answer = await self._ask(request, route, head, attempt)
        if isinstance(answer, WholeAnswer):
            return WholeExchange(answer, origin=route.origin, shown=request.uri.public)
        hop = first_hop(request.uri, request.method, has_body=False)
        journey = Journey(request, hop.origin)
        return HttpExchange(answer, journey=journey, hop=hop, attempt=attempt, lanes=self._lanes, lane=route.lane)

    async def send(self, journey: Journey, hop: Hop, proxy: ProxyServer | None, identity: Identity) -> Answering:
        """
        Send the request of one hop.

        Raises
        ------
        TransferFailed
            There is no answer.
        TunnelRefused
            The proxy gives no tunnel.
        """
        attempt = _attempt(journey.request, hop, proxy)
        try:
            return await self._send_once(journey, hop, proxy, identity, attempt)
        except _SPOILT:
            if not attempt.is_reused or hop.method not in _REPEATABLE:
                raise
        attempt = _attempt(journey.request, hop, proxy, wants_fresh=True)
        return await self._send_once(journey, hop, proxy, identity, attempt)

    async def _send_once(
        self, journey: Journey, hop: Hop, proxy: ProxyServer | None, identity: Identity, attempt: Attempt
    ) -> Answering:
        request = journey.request
        if proxy is not None or hop.has_body or hop.method != "GET":
            return await self._send_by_session(journey, hop, proxy, identity, attempt)
        route = Route.to(request, hop, identity)
        answer = await self._ask(request, route, route.head(request, hop.url.raw_path_qs), attempt)
        if isinstance(answer, WholeAnswer):
            return WholeExchange(answer, origin=hop.origin, shown=hop.shown)
        return HttpExchange(answer, journey=journey, hop=hop, attempt=attempt, lanes=self._lanes, lane=route.lane)

    async def _ask(self, request: Request, route: Route, head: bytes, attempt: Attempt) -> WholeAnswer | Reply:
        """Ask directly; the lane is held on for as long as there is more to read."""

        async def speak(lane: Lane) -> WholeAnswer | Reply:
            connection = await lane.connector.connect(route.template, [], _timeouts(request.connect_timeout))
            return await ask(connection, attempt, head)

        answer = await self._on_lane(route.lane, route.origin, attempt, speak)
        if isinstance(answer, WholeAnswer):
            await self._lanes.release(route.lane)
        return answer

    async def _send_by_session(
        self, journey: Journey, hop: Hop, proxy: ProxyServer | None, identity: Identity, attempt: Attempt
    ) -> HttpExchange:
        request, body = journey.request, None
        if request.body is not None and hop.has_body:
            body = await RequestBody.open(request.body, journey, attempt)

        async def speak(lane: Lane) -> Response:
            return await lane.session.request(
                hop.method,
                hop.url,
                headers=_headers(request, hop, identity, body, is_tunnel=proxy is None or hop.url.scheme == "https"),
                data=None if body is None else body.chunks(),
                allow_redirects=False,
                timeout=_timeouts(request.connect_timeout),
                ssl=request.ssl_context or True,
                **_proxy_options(proxy, identity),
            )

        try:
            response = await self._on_lane(identity.lane, hop.origin, attempt, speak)
        except BaseException:
            if body is not None:
                await body.aclose()
            raise
        return HttpExchange(
            response, journey=journey, hop=hop, attempt=attempt, body=body, lanes=self._lanes, lane=identity.lane
        )

    async def _on_lane(
        self, key: LaneKey, origin: Origin, attempt: Attempt, speak: Callable[[Lane], Awaitable[T]]
    ) -> T:
        """Return what was answered on a lane, which is then held; errors are told in our words, and let go of it."""
        failure: Exception
        token = current_attempt.set(attempt)
        try:
            return await speak(self._lanes.acquire(key))
        except aiohttp.ClientHttpProxyError as error:
            failure = TunnelRefused(error.status, error.headers or CIMultiDict())
        except WIRE_ERRORS as error:
            failure = attempt.flaw or failure_of(error, origin, heard=attempt.heard)
        except BaseException:
            await self._lanes.release(key)
            raise
        finally:
            current_attempt.reset(token)
        # Raised here, so that it does not hold the error of aiohttp, which holds the URI.
        await self._lanes.release(key)
        raise failure


def _headers(
    request: Request, hop: Hop, identity: Identity, body: RequestBody | None, *, is_tunnel: bool
) -> CIMultiDict[str]:
    """Return all header fields of a request; a proxy's credential only where the proxy itself reads them."""
    headers = headers_of(request, hop)
    headers.update(range_fields(request))
    if identity.authorization is not None:
        headers["Authorization"] = identity.authorization
    if identity.proxy_authorization is not None and not is_tunnel:
        headers["Proxy-Authorization"] = identity.proxy_authorization
    if body is not None:
        headers["Content-Length"] = str(body.size)
    return headers


@lru_cache(maxsize=16)
def _timeouts(connect: float) -> aiohttp.ClientTimeout:
    return aiohttp.ClientTimeout(total=None, connect=connect)


def _proxy_options(proxy: ProxyServer | None, identity: Identity) -> dict[str, Any]:
    if proxy is None:
        return {}
    options: dict[str, Any] = {"proxy": URL(proxy.uri.full, encoded=True)}
    if identity.proxy_authorization is not None:
        options["proxy_headers"] = {"Proxy-Authorization": identity.proxy_authorization}
    return options


def _attempt(request: Request, hop: Hop, proxy: ProxyServer | None, *, wants_fresh: bool = False) -> Attempt:
    return Attempt(
        response_timeout=request.response_timeout,
        refuses_private=hop.refuses_private,
        is_direct=proxy is None,
        wants_fresh=wants_fresh,
    )

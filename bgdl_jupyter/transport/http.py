"""
HTTP and HTTPS: aiohttp makes the exchange, we decide where it may lead and whether its answer is one.

Redirects are followed by our own loop; credentials, the user's header fields and bodies stay with the origin they
were given for; each request goes out once, and is answered or fails.
"""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager
from functools import lru_cache
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any, Final

import aiohttp
from multidict import CIMultiDict
from yarl import URL

from bgdl_jupyter.errors import NetworkFailed, ProtocolViolation, RedirectRefused, TransferFailed
from bgdl_jupyter.transport.addresses import Answered, Resolver, is_private_address, is_private_name
from bgdl_jupyter.transport.authentication import Authenticator
from bgdl_jupyter.transport.http_attempt import Attempt, current_attempt
from bgdl_jupyter.transport.http_connector import private_redirect
from bgdl_jupyter.transport.http_errors import WIRE_ERRORS, failure_of
from bgdl_jupyter.transport.http_exchange import HttpExchange
from bgdl_jupyter.transport.http_identity import Identity
from bgdl_jupyter.transport.http_lanes import Lanes
from bgdl_jupyter.transport.http_request import Journey, RequestBody, headers_of
from bgdl_jupyter.transport.http_statuses import is_answer, status_error, status_failure
from bgdl_jupyter.transport.proxies import EnvironmentProxies
from bgdl_jupyter.transport.redirects import MAX_REDIRECTS, REDIRECTS, Hop, first_hop, next_hop

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

    from aiohttp.abc import AbstractResolver
    from multidict import MultiMapping

    from bgdl_jupyter.secret import Secret
    from bgdl_jupyter.transport.base import ProxyServer, Request

_SCHEMES: Final = frozenset({"http", "https"})
_REPEATABLE: Final = frozenset({"GET", "HEAD"})


class _TunnelRefused(Exception):
    """A proxy answered CONNECT with something else than a tunnel."""

    def __init__(self, status: int, headers: MultiMapping[str]) -> None:
        super().__init__(status)
        self.status = status
        self.headers = headers


class _Opening(AbstractAsyncContextManager["HttpExchange"]):
    """One use of a transport: the exchange, and its end."""

    __slots__ = ("_exchange", "_request", "_transport")

    def __init__(self, transport: HttpTransport, request: Request) -> None:
        self._transport = transport
        self._request = request
        self._exchange: HttpExchange | None = None

    async def __aenter__(self) -> HttpExchange:
        self._exchange = await self._transport.follow(self._request)
        return self._exchange

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._exchange is not None:
            await self._exchange.aclose()


class HttpTransport:
    """
    Fetches over HTTP/1.1; made on the loop that runs it.

    Parameters
    ----------
    environment:
        The proxies for requests that name none; none at all by default.
    resolver:
        Looks names up.
    is_private:
        Which addresses the public internet may not redirect to.
    """

    def __init__(
        self,
        *,
        environment: EnvironmentProxies | None = None,
        resolver: AbstractResolver | None = None,
        is_private: Callable[[str], bool] = is_private_address,
    ) -> None:
        self._environment = environment or EnvironmentProxies()
        self._is_private = is_private
        self._authenticator = Authenticator()
        self._lanes = Lanes(resolver=Answered(resolver or Resolver()), is_private=is_private, user_agent=_user_agent())

    @property
    def schemes(self) -> frozenset[str]:
        """The URI schemes that it serves."""
        return _SCHEMES

    def open(self, request: Request) -> AbstractAsyncContextManager[HttpExchange]:
        """
        Ask for a resource, follow redirects and answer challenges.

        Raises
        ------
        TransferFailed
            There is no answer with a file; see `bgdl_jupyter.transport.base.Transport.open`.
        """
        return _Opening(self, request)

    async def close_idle(self) -> None:
        """Close connections at rest, where their lane has no request."""
        await self._lanes.close_idle()

    async def aclose(self) -> None:
        """Close all connections."""
        await self._lanes.aclose()

    async def follow(self, request: Request) -> HttpExchange:
        """Return the first answer that is no redirect; whoever takes it closes it."""
        method = request.method if request.body is None or request.method != "GET" else "POST"
        hop = first_hop(request.uri, method, has_body=request.body is not None)
        journey = Journey(request, hop.origin)
        try:
            return await self._travel(journey, hop)
        except TransferFailed as failed:
            failed.body_was_sent = journey.has_sent_body
            raise

    async def _travel(self, journey: Journey, hop: Hop) -> HttpExchange:
        for _ in range(MAX_REDIRECTS + 1):
            exchange = await self._ask(journey, hop)
            if is_answer(exchange.status, hop.method):
                return exchange
            try:
                hop = await self._lead_on(journey, hop, exchange)
            finally:
                await exchange.aclose()
        raise RedirectRefused(f"{journey.home} redirected more than {MAX_REDIRECTS} times.")

    async def _lead_on(self, journey: Journey, hop: Hop, exchange: HttpExchange) -> Hop:
        """Return where an answer without a file leads to; raises where it leads nowhere."""
        request = journey.request
        if exchange.status not in REDIRECTS:
            raise await status_failure(exchange, _secrets(request))
        return next_hop(
            hop,
            exchange.status,
            exchange.headers.get("Location"),
            home=journey.home,
            safety=request.safety,
            is_public=self._is_public(request, hop, exchange),
        )

    async def _ask(self, journey: Journey, hop: Hop) -> HttpExchange:
        """Return the answer to one hop, after one answer to each challenge."""
        proxy = self._proxy_for(journey.request, hop)
        if proxy is not None and hop.refuses_private and is_private_name(hop.origin.host):
            raise private_redirect()
        identity = Identity(journey.request, hop, proxy, self._authenticator)
        while True:
            try:
                exchange = await self._send(journey, hop, proxy, identity)
            except _TunnelRefused as refusal:
                if identity.takes_up(refusal.status, refusal.headers):
                    continue
                failed = status_error("The proxy", refusal.status, headers=refusal.headers)
            else:
                if not identity.takes_up(exchange.status, exchange.headers):
                    return exchange
                await exchange.aclose()
                continue
            raise failed

    def _proxy_for(self, request: Request, hop: Hop) -> ProxyServer | None:
        return request.proxy or (request.environment or self._environment).proxy_for(hop.origin)

    def _is_public(self, request: Request, hop: Hop, exchange: HttpExchange) -> bool:
        """Whether a server of the public internet answered; behind a proxy its name has to do."""
        if self._proxy_for(request, hop) is not None:
            return not is_private_name(hop.origin.host)
        return not self._is_private(exchange.peer)

    async def _send(self, journey: Journey, hop: Hop, proxy: ProxyServer | None, identity: Identity) -> HttpExchange:
        """
        Send one request and read the head of its answer.

        A connection that was used before may have died, or have been spoilt, when the request left: then it is asked
        once more on a fresh one.
        """
        attempt = _attempt(journey.request, hop, proxy)
        try:
            return await self._send_once(journey, hop, proxy, identity, attempt)
        except (NetworkFailed, ProtocolViolation):
            if not attempt.is_reused or hop.method not in _REPEATABLE:
                raise
        attempt = _attempt(journey.request, hop, proxy, wants_fresh=True)
        return await self._send_once(journey, hop, proxy, identity, attempt)

    async def _send_once(
        self, journey: Journey, hop: Hop, proxy: ProxyServer | None, identity: Identity, attempt: Attempt
    ) -> HttpExchange:
        request, body = journey.request, None
        if request.body is not None and hop.has_body:
            body = await RequestBody.open(request.body, journey, attempt)
        session = self._lanes.acquire(identity.lane)
        failure: Exception | None = None
        token = current_attempt.set(attempt)
        try:
            response = await session.request(
                hop.method,
                hop.url,
                headers=_headers(request, hop, identity, body, is_tunnel=proxy is None or hop.url.scheme == "https"),
                data=None if body is None else body.chunks(),
                allow_redirects=False,
                timeout=_timeouts(request.connect_timeout),
                ssl=request.ssl_context or True,
                **_proxy_options(proxy, identity),
            )
            return HttpExchange(
                response, journey=journey, hop=hop, attempt=attempt, body=body, lanes=self._lanes, lane=identity.lane
            )
        except aiohttp.ClientHttpProxyError as error:
            failure = _TunnelRefused(error.status, error.headers or CIMultiDict())
        except WIRE_ERRORS as error:
            failure = attempt.flaw or failure_of(error, hop.origin, heard=attempt.heard)
        except BaseException:
            await self._give_up(identity, body)
            raise
        finally:
            current_attempt.reset(token)
        # Raised here, so that it does not hold the error of aiohttp, which holds the URI.
        await self._give_up(identity, body)
        raise failure

    async def _give_up(self, identity: Identity, body: RequestBody | None) -> None:
        if body is not None:
            await body.aclose()
        await self._lanes.release(identity.lane)


def _headers(
    request: Request, hop: Hop, identity: Identity, body: RequestBody | None, *, is_tunnel: bool
) -> CIMultiDict[str]:
    """Return all header fields of a request; a proxy's credential only where the proxy itself reads them."""
    headers = headers_of(request, hop)
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


def _secrets(request: Request) -> tuple[Secret, ...]:
    """Return what must not be shown of a request, for texts that servers send back."""
    return (
        *request.uri.secrets,
        *((request.credential.password,) if request.credential else ()),
        *(value for _, value in request.headers if not isinstance(value, str)),
    )


def _user_agent() -> str:
    try:
        return f"bgdl_jupyter/{version('bgdl-jupyter')}"
    except PackageNotFoundError:
        return "bgdl_jupyter"

"""
HTTP and HTTPS: aiohttp makes the exchange, we decide where it may lead and whether its answer is one.

Redirects are followed by our own loop; credentials, the user's header fields and bodies stay with the origin they
were given for; each request goes out once, and is answered or fails.
"""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager
from typing import TYPE_CHECKING, Final

from bgdl_jupyter.errors import RedirectRefused, TransferFailed
from bgdl_jupyter.transport.addresses import Answered, Resolver, is_private_address, is_private_name
from bgdl_jupyter.transport.authentication import Authenticator
from bgdl_jupyter.transport.http_connector import private_redirect
from bgdl_jupyter.transport.http_identity import Identity
from bgdl_jupyter.transport.http_lanes import Lanes
from bgdl_jupyter.transport.http_request import Journey
from bgdl_jupyter.transport.http_route import Routes
from bgdl_jupyter.transport.http_sending import Answering, Sender, TunnelRefused
from bgdl_jupyter.transport.http_statuses import is_answer, status_error, status_failure
from bgdl_jupyter.transport.http_whole import WholeExchange
from bgdl_jupyter.transport.proxies import EnvironmentProxies
from bgdl_jupyter.transport.redirects import MAX_REDIRECTS, REDIRECTS, Hop, first_hop, next_hop

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

    from aiohttp.abc import AbstractResolver

    from bgdl_jupyter.secret import Secret
    from bgdl_jupyter.transport.base import Exchange, ProxyServer, Request
    from bgdl_jupyter.transport.http_exchange import HttpExchange

_SCHEMES: Final = frozenset({"http", "https"})


class _Opening(AbstractAsyncContextManager[Answering]):
    """One use of a transport: the exchange, and its end."""

    __slots__ = ("_exchange", "_request", "_transport")

    def __init__(self, transport: HttpTransport, request: Request) -> None:
        self._transport = transport
        self._request = request
        self._exchange: Answering | None = None

    async def __aenter__(self) -> Answering:
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
        self._routes = Routes(self._authenticator)
        self._lanes = Lanes(resolver=Answered(resolver or Resolver()), is_private=is_private)
        self._sender = Sender(self._lanes)

    @property
    def schemes(self) -> frozenset[str]:
        """The URI schemes that it serves."""
        return _SCHEMES

    def open(self, request: Request) -> AbstractAsyncContextManager[Exchange]:
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

    async def follow(self, request: Request) -> Answering:
        """Return the first answer that is no redirect; whoever takes it closes it."""
        route = self._routes.find(request, request.environment or self._environment)
        target = route.target_of(request) if route is not None else None
        if route is None or target is None:
            return await self._set_out(request)
        exchange = await self._sender.send_plain(request, route, target)
        if isinstance(exchange, WholeExchange):
            return exchange
        return await self._travel(exchange.journey, exchange.hop, exchange)

    async def _set_out(self, request: Request) -> Answering:
        method = request.method if request.body is None or request.method != "GET" else "POST"
        hop = first_hop(request.uri, method, has_body=request.body is not None)
        journey = Journey(request, hop.origin)
        try:
            return await self._travel(journey, hop)
        except TransferFailed as failed:
            failed.body_was_sent = journey.has_sent_body
            raise

    async def _travel(self, journey: Journey, hop: Hop, first: Answering | None = None) -> Answering:
        """Return the first answer that is no redirect; the answer to the first hop may be there."""
        for _ in range(MAX_REDIRECTS + 1):
            exchange, first = first or await self._ask(journey, hop), None
            if isinstance(exchange, WholeExchange) or is_answer(exchange.status, hop.method):
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

    async def _ask(self, journey: Journey, hop: Hop) -> Answering:
        """Return the answer to one hop, after one answer to each challenge."""
        proxy = self._proxy_for(journey.request, hop)
        if proxy is not None and hop.refuses_private and is_private_name(hop.origin.host):
            raise private_redirect()
        identity = Identity(journey.request, hop, proxy, self._authenticator)
        while True:
            try:
                exchange = await self._sender.send(journey, hop, proxy, identity)
            except TunnelRefused as refusal:
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


def _secrets(request: Request) -> tuple[Secret, ...]:
    """Return what must not be shown of a request, for texts that servers send back."""
    return (
        *request.uri.secrets,
        *((request.credential.password,) if request.credential else ()),
        *(value for _, value in request.headers if not isinstance(value, str)),
    )

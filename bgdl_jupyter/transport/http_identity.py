"""Who we are to the server and to the proxy of one hop, and how we prove it."""

from __future__ import annotations

from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING, Final

from bgdl_jupyter.transport.authentication import parse_challenges
from bgdl_jupyter.transport.http_lanes import LaneKey
from bgdl_jupyter.transport.http_request import credential_of, secrets_of
from bgdl_jupyter.uris import is_loopback, origin_of

if TYPE_CHECKING:
    from multidict import MultiMapping

    from bgdl_jupyter.secret import Credential
    from bgdl_jupyter.transport.authentication import Authenticator
    from bgdl_jupyter.transport.base import ProxyServer, Request
    from bgdl_jupyter.transport.redirects import Hop
    from bgdl_jupyter.uris import Origin

_CHALLENGES: Final = {
    HTTPStatus.UNAUTHORIZED: "WWW-Authenticate",
    HTTPStatus.PROXY_AUTHENTICATION_REQUIRED: "Proxy-Authenticate",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Party:
    """Somebody who may challenge us: the server or the proxy of a hop."""

    place: Origin
    credential: Credential
    method: str
    target: str
    has_body: bool
    may_send_basic: bool


class Identity:
    """What we say of ourselves on one hop: at first, and after a challenge."""

    def __init__(self, request: Request, hop: Hop, proxy: ProxyServer | None, authenticator: Authenticator) -> None:
        self._authenticator = authenticator
        self._parties: dict[int, Party] = {}
        self._fields: dict[int, str] = {}
        self._answered: dict[int, int] = {}
        server, middleman = _server(request, hop), _proxy(proxy, hop)
        for status, party in ((HTTPStatus.UNAUTHORIZED, server), (HTTPStatus.PROXY_AUTHENTICATION_REQUIRED, middleman)):
            if party is not None:
                self._parties[status] = party
                self._open(status, party)
        self.lane = LaneKey(
            credential=server.credential if server else None,
            secrets=secrets_of(request, hop),
            proxy_credential=middleman.credential if middleman else None,
            has_body=hop.has_body,
        )

    @property
    def authorization(self) -> str | None:
        """The value of ``Authorization``."""
        return self._fields.get(HTTPStatus.UNAUTHORIZED)

    @property
    def proxy_authorization(self) -> str | None:
        """The value of ``Proxy-Authorization``."""
        return self._fields.get(HTTPStatus.PROXY_AUTHENTICATION_REQUIRED)

    def takes_up(self, status: int, headers: MultiMapping[str]) -> bool:
        """
        Whether a response is a challenge that we have an answer to; the next request bears it.

        One answer is given to each party, and another one only to who says that the nonce was too old.
        """
        party = self._parties.get(status)
        if party is None:
            return False
        challenges = parse_challenges(headers.getall(_CHALLENGES[HTTPStatus(status)], ()))
        answers = self._answered.get(status, 0)
        if answers > any(each.is_stale for each in challenges):
            return False
        answer = self._authenticator.answer(
            challenges,
            party.place,
            party.credential,
            method=party.method,
            target=party.target,
            has_body=party.has_body,
            may_send_basic=party.may_send_basic,
        )
        if answer is None or answer == self._fields.get(status):
            return False
        self._answered[status] = answers + 1
        self._fields[status] = answer
        return True

    def _open(self, status: int, party: Party) -> None:
        opening = self._authenticator.opening(
            party.place,
            party.credential,
            method=party.method,
            target=party.target,
            may_send_basic=party.may_send_basic,
        )
        if opening is not None:
            self._fields[status] = opening


def _server(request: Request, hop: Hop) -> Party | None:
    """Return the server as the one whom the user's credential is for; None where there is none for it."""
    credential = request.credential or credential_of(request.uri.user_info)
    if credential is None or not hop.is_home:
        return None
    if any(name.lower() == "authorization" for name, _ in request.headers):
        return None
    origin = hop.origin
    return Party(
        place=origin,
        credential=credential,
        method=hop.method,
        target=hop.url.raw_path_qs,
        has_body=hop.has_body,
        may_send_basic=origin.scheme == "https" or is_loopback(origin.host) or request.safety.allow_insecure_auth,
    )


def _proxy(proxy: ProxyServer | None, hop: Hop) -> Party | None:
    if proxy is None:
        return None
    credential = proxy.credential or credential_of(proxy.uri.user_info)
    if credential is None:
        return None
    is_tunnel = hop.url.scheme == "https"
    return Party(
        place=origin_of(proxy.uri.public),
        credential=credential,
        method="CONNECT" if is_tunnel else hop.method,
        target=f"{hop.url.host_subcomponent}:{hop.url.port}" if is_tunnel else str(hop.url),
        has_body=hop.has_body and not is_tunnel,
        may_send_basic=True,
    )

"""
The proxies that the environment names, resolved by us: ``HTTP_PROXY``, ``HTTPS_PROXY``, ``ALL_PROXY``, ``NO_PROXY``.

Lower case wins over upper case, as with curl. ``HTTP_PROXY`` in upper case is not believed inside a CGI program, where
a client can set it by a header (httpoxy).
"""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from bgdl_jupyter.errors import InvalidRequest
from bgdl_jupyter.transport.base import ProxyServer
from bgdl_jupyter.uris import split_uri

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bgdl_jupyter.uris import Origin

_SCHEMES: Final = frozenset({"http", "https"})


@dataclass(frozen=True, slots=True)
class EnvironmentProxies:
    """
    What the environment says about proxies.

    Parameters
    ----------
    proxies:
        The proxy for each scheme.
    exceptions:
        Hosts that are spoken to directly, as in ``NO_PROXY``.
    """

    proxies: tuple[tuple[str, ProxyServer], ...] = ()
    exceptions: tuple[str, ...] = ()

    @classmethod
    def of(cls, environment: Mapping[str, str]) -> EnvironmentProxies:
        """
        Return what an environment says.

        Raises
        ------
        InvalidRequest
            A proxy is named that cannot be used; the message shows no secret.
        """
        found = []
        for scheme in sorted(_SCHEMES):
            value = _variable(environment, f"{scheme}_proxy") or _variable(environment, "all_proxy")
            if value:
                found.append((scheme, _proxy_server(value)))
        names = _variable(environment, "no_proxy").replace(",", " ").split()
        return cls(tuple(found), tuple(name.lower() for name in names))

    def proxy_for(self, origin: Origin) -> ProxyServer | None:
        """Return the proxy through which an origin is reached; None for a direct connection."""
        if not self.proxies or any(_is_covered(origin, pattern) for pattern in self.exceptions):
            return None
        return dict(self.proxies).get(origin.scheme)


def _variable(environment: Mapping[str, str], name: str) -> str:
    value = environment.get(name)
    if value is None and not (name == "http_proxy" and "REQUEST_METHOD" in environment):
        value = environment.get(name.upper())
    return (value or "").strip()


def _proxy_server(value: str) -> ProxyServer:
    try:
        return ProxyServer(uri=split_uri(value if "://" in value else f"http://{value}", _SCHEMES))
    except InvalidRequest as error:
        message = error.message
    raise InvalidRequest(
        f"The proxy in the environment cannot be used. {message}",
        hint="Proxies are http or https; set `trust_env` to False to ignore the environment.",
    )


def _is_covered(origin: Origin, pattern: str) -> bool:
    """Whether a member of ``NO_PROXY`` covers an origin: ``*``, a name and all below it, an address, a network."""
    if pattern == "*":
        return True
    host, port = _split_port(pattern)
    if port is not None and port != origin.port:
        return False
    address = _address(origin.host)
    if address is not None:
        return _covers_address(host, address)
    name = host.lstrip("*").strip(".")
    return bool(name) and (origin.host == name or origin.host.endswith("." + name))


def _split_port(pattern: str) -> tuple[str, int | None]:
    if pattern.startswith("["):
        host, _, rest = pattern[1:].partition("]")
        return host, int(rest[1:]) if rest[1:].isdecimal() else None
    host, colon, port = pattern.rpartition(":")
    if colon and port.isdecimal() and ":" not in host:
        return host, int(port)
    return pattern, None


def _address(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        return None


def _covers_address(host: str, address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> bool:
    try:
        return address in ipaddress.ip_network(host, strict=False)
    except ValueError:
        return False

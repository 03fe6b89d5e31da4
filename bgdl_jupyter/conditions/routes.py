"""
Whether Linux has a network at all, from ``/proc`` and ``/sys``: a route over something else than loopback.

Rather "up" than "down": a container of an inner network has no default route, and must not wait for one.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

_ROUTE_IS_UP: Final = 0x1  # RTF_UP
_LINK_LOCAL: Final = "FEA9"  # 169.254.0.0, the bytes in the order of a little-endian machine
_GLOBAL_SCOPE: Final = 0x00
_LOOPBACK: Final = re.compile(r"lo[0-9]*")
# A bridge without members says "lowerlayerdown" or "down"; tunnels and containers say "unknown".
_DOWN: Final = frozenset({"down", "lowerlayerdown", "notpresent", "dormant", "testing"})


def interfaces_with_route(proc: Path = Path("/proc"), sys: Path = Path("/sys")) -> frozenset[str] | None:
    """Return the interfaces, loopback aside, over which a packet can leave; None where that cannot be read."""
    try:
        routes = (proc / "net/route").read_text("ascii", "replace")
    except OSError:
        return None
    try:
        addresses = (proc / "net/if_inet6").read_text("ascii", "replace")
    except OSError:  # a machine without IPv6
        addresses = ""
    candidates = {*_ipv4_interfaces(routes), *_ipv6_interfaces(addresses)}
    return frozenset(name for name in candidates if _is_up(name, sys))


def _ipv4_interfaces(routes: str) -> Iterator[str]:
    for line in routes.splitlines()[1:]:
        fields = line.split()
        try:
            name, destination, flags = fields[0], fields[1], int(fields[3], 16)
        except (IndexError, ValueError):
            continue
        if flags & _ROUTE_IS_UP and not destination.endswith(_LINK_LOCAL) and not _LOOPBACK.fullmatch(name):
            yield name


def _ipv6_interfaces(addresses: str) -> Iterator[str]:
    """Yield the interfaces with a global address: every interface that is up has one of its link."""
    for line in addresses.splitlines():
        fields = line.split()
        try:
            scope, name = int(fields[3], 16), fields[5]
        except (IndexError, ValueError):
            continue
        if scope == _GLOBAL_SCOPE and not _LOOPBACK.fullmatch(name):
            yield name


def _is_up(name: str, sys: Path) -> bool:
    try:
        state = (sys / "class/net" / name / "operstate").read_text("ascii", "replace").strip()
    except OSError:  # no /sys in this container
        return True
    return state not in _DOWN

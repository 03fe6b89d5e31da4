"""
Whether there is a network, and what it costs.

Linux: NetworkManager over D-Bus for the cost, the kernel's routes where it does not know; macOS and Windows: the
system's call. The network meant is that of the machine where the kernel runs.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any, Final

from bgdl_jupyter.conditions.routes import interfaces_with_route
from bgdl_jupyter.conditions.system_bus import Service, SystemBus, Unavailable
from bgdl_jupyter.conditions.values import CostOverride, NetworkConditions, NetworkCost

if TYPE_CHECKING:
    from collections.abc import Callable

    from bgdl_jupyter.conditions.base import Probe, Runner

NETWORK_MANAGER: Final = Service(
    "NetworkManager",
    "org.freedesktop.NetworkManager",
    "/org/freedesktop/NetworkManager",
    "org.freedesktop.NetworkManager",
)

# NMMetered: 0 unknown, 1 yes, 2 no, 3 guessed yes, 4 guessed no.
_METERED: Final = {
    1: (NetworkCost.METERED, "NetworkManager says that the network is metered."),
    2: (NetworkCost.UNRESTRICTED, "NetworkManager says that the network is not metered."),
    3: (NetworkCost.METERED, "NetworkManager takes the network for metered."),
    4: (NetworkCost.UNRESTRICTED, "NetworkManager takes the network for not metered."),
}
_NO_WORD: Final = (NetworkCost.UNKNOWN, "NetworkManager does not know whether the network is metered.")
# NMConnectivityState and NMState.
_PORTAL: Final = 2
_SOME_CONNECTIVITY: Final = frozenset({2, 3, 4})
_CONNECTED: Final = 50
_NO_ROUTE: Final = "No interface but loopback has a route."


class NetworkCostMonitor:
    """
    The network as the platform's probe sees it, under the user's word about its cost.

    Parameters
    ----------
    probe:
        What looks.
    override:
        What the user says about the cost.
    """

    def __init__(self, probe: Probe[NetworkConditions], *, override: CostOverride = CostOverride.AUTO) -> None:
        self._probe = probe
        self._seen = NetworkConditions(reason="The network has not been looked at yet.")
        self.override = override

    @property
    def conditions(self) -> NetworkConditions:
        """What was last seen, at the cost that the user says."""
        return self._seen.overridden(self.override)

    async def look(self) -> NetworkConditions:
        """Look again."""
        self._seen = await self._probe.look()
        return self.conditions

    def notify(self, poke: Callable[[], None]) -> None:
        """Call ``poke`` when the system tells that the network changed."""
        self._probe.notify(poke)

    async def aclose(self) -> None:
        """Let go of the probe."""
        await self._probe.aclose()


def network_probe(bus: SystemBus, run: Runner) -> Probe[NetworkConditions]:
    """Return what looks at the network on this platform."""
    if sys.platform == "win32":
        from bgdl_jupyter.conditions.windows import WindowsNetwork

        return WindowsNetwork(run)
    if sys.platform == "darwin":
        from bgdl_jupyter.conditions.macos import MacNetwork

        return MacNetwork(run)
    return LinuxNetwork(bus, run)


class LinuxNetwork:
    """NetworkManager where it runs, the kernel's routes everywhere; implements `Probe`."""

    def __init__(self, bus: SystemBus, run: Runner) -> None:
        self._bus = bus
        self._run = run

    async def look(self) -> NetworkConditions:
        """Ask both."""
        interfaces = await self._run(interfaces_with_route)
        has_route = None if interfaces is None else bool(interfaces)
        try:
            return judge(await self._bus.properties(NETWORK_MANAGER), has_route=has_route)
        except Unavailable as missing:
            unknown = f"The cost of the network is not known: {missing}."
            return NetworkConditions(is_up=has_route, reason=_NO_ROUTE if has_route is False else unknown)

    def notify(self, poke: Callable[[], None]) -> None:
        """Hear NetworkManager; the kernel's routes are only looked at."""
        self._bus.notify(poke)

    async def aclose(self) -> None:
        """Nothing is held: the bus is the owner's."""


def judge(properties: dict[str, Any], *, has_route: bool | None) -> NetworkConditions:
    """
    Return what NetworkManager's properties mean.

    It may not manage the interface that is in use (containers, servers): where it sees no connection, the kernel's
    routes decide. It knows nothing of roaming and data limits.
    """
    connectivity, state = properties.get("Connectivity", 0), properties.get("State", 0)
    is_connected = connectivity in _SOME_CONNECTIVITY or state >= _CONNECTED
    is_up = True if is_connected else has_route
    if is_up is False:
        return NetworkConditions(is_up=False, reason=_NO_ROUTE)
    if not is_connected:
        return NetworkConditions(is_up=is_up, reason="NetworkManager does not manage the network in use.")
    cost, reason = _METERED.get(properties.get("Metered", 0), _NO_WORD)
    if connectivity == _PORTAL:
        reason = f"The network wants a sign-in in a browser first. {reason}"
    return NetworkConditions(is_up=True, cost=cost, reason=reason)

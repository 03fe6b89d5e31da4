"""What concerns a host as a whole: how many connections it has, and until when it asked to be left alone."""

from __future__ import annotations

from collections import Counter


class Hosts:
    """
    The hosts that transfers talk to.

    Attributes
    ----------
    max_connections:
        How many connections one host may have, files and parts of files together.
    """

    def __init__(self) -> None:
        self.max_connections = 16
        self._connections: Counter[str] = Counter()
        self._until: dict[str, float] = {}

    def opened(self, host: str) -> None:
        """Count a connection."""
        self._connections[host] += 1

    def closed(self, host: str) -> None:
        """Count one less."""
        self._connections[host] -= 1
        if not self._connections[host]:
            del self._connections[host]

    def connections(self, host: str) -> int:
        """Return how many connections the host has."""
        return self._connections[host]

    def room(self, host: str) -> int:
        """Return how many connections more the host may have."""
        return max(0, self.max_connections - self._connections[host])

    def hold(self, host: str, until: float) -> None:
        """Do not ask this host before ``until``; the later of two times holds."""
        self._until[host] = max(until, self._until.get(host, 0.0))

    def held(self, now: float) -> frozenset[str]:
        """Return the hosts that are not to be asked now."""
        for host in [host for host, until in self._until.items() if until <= now]:
            del self._until[host]
        return frozenset(self._until)

    def next_release(self) -> float | None:
        """Return when the next host may be asked again, None when none is held."""
        return min(self._until.values(), default=None)

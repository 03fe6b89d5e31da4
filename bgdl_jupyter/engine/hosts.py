"""What concerns a host as a whole: how many connections it has and may have, and until when it is left alone."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Final

# After trouble a host may have one connection more each so many seconds; its halves count once in as many.
_RECOVERY: Final = 1.0


@dataclass(frozen=True, slots=True)
class _Trouble:
    """When a host said that it has too much to do, and how many connections it got then."""

    at: float
    allowed: int


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
        self._troubles: dict[str, _Trouble] = {}

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

    def room(self, host: str, now: float) -> int:
        """Return how many connections more the host may have; negative where it has too many."""
        return self.allowed(host, now) - self._connections[host]

    def trouble(self, host: str, now: float) -> None:
        """
        Halve what a host may have, for all files: it refused, or did not answer in time.

        Once in a while, since many requests that fail in one moment are one piece of news.
        """
        last = self._troubles.get(host)
        if last is None or now - last.at >= _RECOVERY:
            used = min(self.allowed(host, now), self._connections[host] + 1)
            self._troubles[host] = _Trouble(now, max(1, used // 2))

    def allowed(self, host: str, now: float) -> int:
        """Return how many connections a host may have now: the limit, or what trouble left and time gave back."""
        trouble = self._troubles.get(host)
        if trouble is None:
            return self.max_connections
        recovered = trouble.allowed + int((now - trouble.at) / _RECOVERY)
        if recovered >= self.max_connections:
            del self._troubles[host]
        return min(recovered, self.max_connections)

    def troubled(self, now: float) -> dict[str, int]:
        """Return the hosts that may have fewer connections than others, and how many."""
        allowed = {host: self.allowed(host, now) for host in tuple(self._troubles)}
        return {host: count for host, count in allowed.items() if host in self._troubles}

    def hold(self, host: str, until: float) -> None:
        """Do not ask this host before ``until``; the later of two times holds."""
        self._until[host] = max(until, self._until.get(host, 0.0))

    def held(self, now: float) -> frozenset[str]:
        """Return the hosts that are not to be asked now."""
        for host in [host for host, until in self._until.items() if until <= now]:
            del self._until[host]
        return frozenset(self._until)

    def next_release(self, now: float) -> float | None:
        """Return when the next host may be asked again, or more than now; None when there is none to wait for."""
        more = [each.at + _RECOVERY * (1 + (now - each.at) // _RECOVERY) for each in self._troubles.values()]
        return min([*self._until.values(), *more], default=None)

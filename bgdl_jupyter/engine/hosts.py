"""Hosts that asked to be left alone for a while."""

from __future__ import annotations


class Hosts:
    """Until when (monotonic) which host is not to be asked."""

    def __init__(self) -> None:
        self._until: dict[str, float] = {}

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

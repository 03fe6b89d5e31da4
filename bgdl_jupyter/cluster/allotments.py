"""A limit that many share: what they are given together is never more. Pure."""

from __future__ import annotations

from collections import Counter


class Allotments:
    """
    What of a limit was given to whom, for each host.

    Parameters
    ----------
    limit:
        How much of each host may be given away at any time.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._given: Counter[str] = Counter()

    def share(self, sharers: int) -> int:
        """Return what each of so many gets, at least one."""
        return max(1, self._limit // max(1, sharers))

    def take(self, host: str, sharers: int) -> int:
        """Return a part of the host's limit that is free, as large as each of so many gets; 0 where nothing is."""
        part = min(self.share(sharers), self._limit - self._given[host])
        if part <= 0:
            return 0
        self._given[host] += part
        return part

    def claim(self, host: str, part: int) -> None:
        """Count what was given earlier, by another."""
        self._given[host] += part

    def give_back(self, host: str, part: int) -> None:
        """Have a part free again."""
        self._given[host] -= part
        if self._given[host] <= 0:
            del self._given[host]

    def given(self, host: str) -> int:
        """Return how much of a host is given away."""
        return self._given[host]

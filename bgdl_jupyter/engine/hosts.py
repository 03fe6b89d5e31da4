"""What concerns a host as a whole: how many connections it has, may have and is best had by, and its latency."""

from __future__ import annotations

from collections import Counter, OrderedDict
from dataclasses import dataclass
from typing import Final

# After trouble a host may have one connection more each so many seconds; its halves count once in as many.
_RECOVERY: Final = 1.0

# The weights of a new answer in the mean latency of the last answers and in that of all. Where the former is so many
# times the latter, and so many seconds more, our own requests wait for each other at the host.
_RECENT_WEIGHT: Final = 0.2
_USUAL_WEIGHT: Final = 0.02
_LATENCY_FACTOR: Final = 3.0
_LATENCY_SLACK: Final = 0.2
_LATENCY_CUT: Final = 0.75
#: What a host gets to begin with; answers that take longer are no reason for fewer.
AT_FIRST: Final = 4
# Parts of files are fetched over further connections while there are fewer than so many in all: with more, it is this
# machine that has enough to do.
_MOST_IN_ALL: Final = 32
# So many hosts are remembered, those that were not asked for the longest time are forgotten.
_MOST_KNOWN: Final = 1024


@dataclass(frozen=True, slots=True)
class _Trouble:
    """When a host said that it has too much to do, and how many connections it got then."""

    at: float
    allowed: int


@dataclass(slots=True)
class _Known:
    """What was found out about a host: seconds to an answer lately and usually, and how many connections help."""

    recent: float | None = None
    usual: float = 0.0
    helpful: int | None = None

    def answered(self, seconds: float) -> None:
        if self.recent is None:
            self.recent = self.usual = seconds
        self.recent += _RECENT_WEIGHT * (seconds - self.recent)
        self.usual += _USUAL_WEIGHT * (seconds - self.usual)

    @property
    def is_queueing_up(self) -> bool:
        return self.recent is not None and self.recent > _LATENCY_FACTOR * self.usual + _LATENCY_SLACK


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
        self._total = 0
        self._until: dict[str, float] = {}
        self._troubles: dict[str, _Trouble] = {}
        self._known: OrderedDict[str, _Known] = OrderedDict()

    def opened(self, host: str) -> None:
        """Count a connection."""
        self._connections[host] += 1
        self._total += 1

    def closed(self, host: str) -> None:
        """Count one less."""
        self._connections[host] -= 1
        self._total -= 1
        if not self._connections[host]:
            del self._connections[host]

    def connections(self, host: str) -> int:
        """Return how many connections the host has."""
        return self._connections[host]

    def room(self, host: str, now: float) -> int:
        """Return how many connections more the host may have; negative where it has too many."""
        return self.allowed(host, now) - self._connections[host]

    def room_for_parts(self, host: str, now: float) -> int:
        """Return how many connections more the host may have that only make a file come sooner."""
        room = self.room(host, now)
        return min(room, max(0, _MOST_IN_ALL - self._total))

    def trouble(self, host: str, now: float) -> None:
        """
        Halve what a host may have, for all files: it refused, or did not answer in time.

        Once in a while, since many requests that fail in one moment are one piece of news.
        """
        if self._is_news(host, now):
            used = min(self.allowed(host, now), self._connections[host] + 1)
            self._troubles[host] = _Trouble(now, max(1, used // 2))
            self._know(host).helpful = None

    def _is_news(self, host: str, now: float) -> bool:
        last = self._troubles.get(host)
        return last is None or now - last.at >= _RECOVERY

    def answered(self, host: str, now: float, *, seconds: float) -> None:
        """
        Take in how long an answer took; the host gets fewer connections where answers take ever longer.

        Not fewer than it gets to begin with: a host may be slow for reasons of its own.
        """
        known = self._know(host)
        known.answered(seconds)
        used = min(self.allowed(host, now), self._connections[host] + 1)
        if known.is_queueing_up and used > AT_FIRST and self._is_news(host, now):
            self._troubles[host] = _Trouble(now, max(AT_FIRST, int(used * _LATENCY_CUT)))

    def learn(self, host: str, helpful: int) -> None:
        """Remember how many connections helped, for the next file."""
        self._know(host).helpful = helpful

    def helpful(self, host: str) -> int | None:
        """Return how many connections helped the last time, None where that is not known."""
        known = self._known.get(host)
        return None if known is None else known.helpful

    def _know(self, host: str) -> _Known:
        known = self._known.get(host)
        if known is None:
            known = self._known[host] = _Known()
            if len(self._known) > _MOST_KNOWN:
                self._known.popitem(last=False)
        self._known.move_to_end(host)
        return known

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

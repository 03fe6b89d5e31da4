"""
How many connections to one host help: more while they make it faster, fewer at once when it is in trouble.

A trial at a time: grow, measure one round with all connections in use, keep the growth if it brought something, else
take it back and try again later. The first trials double, later ones add a quarter. Trouble outside a trial halves
(additive increase, multiplicative decrease), down to a single connection that finds out whether the host is back.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import Enum
from typing import Final

# A round is over when it can be trusted: so long, and so many bytes for each connection; or at last so long.
_SHORTEST_ROUND: Final = 0.1
_LONGEST_ROUND: Final = 1.0
_TELLING_BYTES: Final = 256 * 1024

# Growth by a factor f is worth it if the rate grew by at least this share of f - 1, and by so much in any case.
_SHARE_OF_GROWTH: Final = 0.15
_LEAST_GAIN: Final = 0.05

_PAUSE_BETWEEN_TRIALS: Final = 5.0
_LONGEST_PAUSE: Final = 60.0
# A host that refused so many connections is not asked for as many again for so long.
_REFUSAL_IS_REMEMBERED: Final = 60.0

# The weight of a new answer in the mean latency, and when that mean means that requests queue up at the host.
_LATENCY_WEIGHT: Final = 0.2
_LATENCY_FACTOR: Final = 3.0
_LATENCY_SLACK: Final = 0.2
_LATENCY_CUT: Final = 0.75


class Trouble(Enum):
    """What says that a host has too much to do."""

    REFUSED = "refused or reset the connection"
    BUSY = "answered 429 or 503"
    TIMED_OUT = "did not answer in time"


@dataclass(frozen=True, slots=True)
class _Trial:
    """What was allowed, and what came of it, before the last growth."""

    allowed: int
    rate: float


class HostControl:
    """
    How many connections to one host are allowed now.

    Parameters
    ----------
    start:
        How many at first.
    ceiling:
        How many at most; may be set at any time.
    shortest_round:
        Seconds that a measurement takes at least: longer where a server sends in bursts.
    share_of_growth:
        What share of the growth in connections the rate must have grown by to keep them.
    """

    def __init__(
        self,
        *,
        start: int = 4,
        ceiling: int = 16,
        shortest_round: float = _SHORTEST_ROUND,
        share_of_growth: float = _SHARE_OF_GROWTH,
    ) -> None:
        self.ceiling = ceiling
        self._shortest_round = shortest_round
        self._share_of_growth = share_of_growth
        self._allowed = start
        self._now = -math.inf
        self._round: tuple[float, int] | None = None  # when it began, and the bytes until then
        self._trial: _Trial | None = None
        self._is_climbing_fast = True
        self._next_trial = -math.inf
        self._pause = _PAUSE_BETWEEN_TRIALS
        self._refused: tuple[int, float] = (0, -math.inf)  # how many were refused, and when
        self._was_cut = False
        self._least_latency = math.inf
        self._latency = 0.0

    def __repr__(self) -> str:
        return f"<HostControl allowed={self.allowed} ceiling={self.ceiling}>"

    @property
    def allowed(self) -> int:
        """How many connections may be open, at least one."""
        return max(1, min(self._allowed, self.ceiling))

    def observe(
        self,
        now: float,
        bytes_total: int,
        *,
        active: int,
        is_throttled: bool = False,
        latency: float | None = None,
    ) -> None:
        """
        Take in how it goes; call it a few times a second, or more often.

        Parameters
        ----------
        now:
            Monotonic seconds.
        bytes_total:
            All bytes that ever came from the host.
        active:
            How many connections deliver or are about to.
        is_throttled:
            Whether our own limits hold bytes back, so that the rate says nothing about the host.
        latency:
            Seconds from the last request to its answer, if one was answered since.
        """
        self._now = now
        if latency is not None:
            self._take_latency(latency)
        if self._round is None or is_throttled or active < self.allowed:
            # Only a round in which every allowed connection worked says what one more would bring.
            self._begin_round(now, bytes_total)
            return
        began, bytes_before = self._round
        elapsed, received = now - began, bytes_total - bytes_before
        is_telling = elapsed >= self._shortest_round and received >= _TELLING_BYTES * active
        if is_telling or elapsed >= _LONGEST_ROUND:
            self._end_round(received / elapsed)
            self._begin_round(now, bytes_total)

    def error(self, kind: Trouble) -> None:
        """
        Take the growth on trial back, or else halve what is allowed.

        Once a round: sixteen refusals in one moment are one piece of news.
        """
        if self._was_cut:
            return
        self._was_cut = True
        if kind is not Trouble.TIMED_OUT:
            self._refused = (self.allowed, self._now)
        self._cut(0.5 if self._trial is None else self._trial.allowed / self.allowed)

    def _begin_round(self, now: float, bytes_total: int) -> None:
        if self._round is None or now - self._round[0] >= self._shortest_round:
            self._was_cut = False
        self._round = (now, bytes_total)

    def _end_round(self, rate: float) -> None:
        if self._trial is not None:
            self._judge(self._trial, rate)
        elif self._is_queueing_up():
            self._cut(_LATENCY_CUT)
        if self._trial is None and self._now >= self._next_trial:
            self._grow(rate)

    def _judge(self, trial: _Trial, rate: float) -> None:
        """Keep the growth if it helped, else take it back."""
        self._trial = None
        growth = self.allowed / trial.allowed - 1
        if rate >= trial.rate * (1 + max(_LEAST_GAIN, self._share_of_growth * growth)):
            self._pause = _PAUSE_BETWEEN_TRIALS
            return
        self._allowed = trial.allowed
        self._is_climbing_fast = False
        self._next_trial = self._now + self._pause
        self._pause = min(_LONGEST_PAUSE, 2 * self._pause)

    def _grow(self, rate: float) -> None:
        before = self.allowed
        step = before if self._is_climbing_fast else max(1, before // 4)
        self._allowed = min(before + step, self._present_ceiling())
        if self._allowed > before:
            self._trial = _Trial(before, rate)
        else:
            self._allowed = before

    def _present_ceiling(self) -> int:
        refused, at = self._refused
        return min(self.ceiling, refused - 1) if self._now - at < _REFUSAL_IS_REMEMBERED else self.ceiling

    def _cut(self, factor: float) -> None:
        self._allowed = max(1, round(self.allowed * factor))
        self._trial = None
        self._is_climbing_fast = False
        self._next_trial = self._now + _PAUSE_BETWEEN_TRIALS

    def _take_latency(self, latency: float) -> None:
        self._least_latency = min(self._least_latency, latency)
        before = self._latency or latency
        self._latency = before + _LATENCY_WEIGHT * (latency - before)

    def _is_queueing_up(self) -> bool:
        """Whether answers take so much longer than at best that our own requests must be in each other's way."""
        if self.allowed == 1 or self._now < self._next_trial:
            return False
        return self._latency > _LATENCY_FACTOR * self._least_latency + _LATENCY_SLACK

"""
How many connections to one host help: more while they make it faster, fewer at once when it is in trouble.

A trial at a time: grow, measure one round with all connections in use, keep the growth if it brought something, else
take it back and try again later. The first trials multiply by four, one after a trial in vain doubles, later ones add a
quarter. Where doubling brought nothing, half may do as well: trials of less follow until one costs something. Trouble
outside a trial halves (additive increase, multiplicative decrease), down to a single connection that finds out whether
the host is back.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from enum import Enum
from typing import TYPE_CHECKING, Final

from bgdl_jupyter.errors import HttpStatusError, TransferTimeout

if TYPE_CHECKING:
    from bgdl_jupyter.errors import TransferFailed

# A round is over when it can be trusted: so long, and so many bytes for each connection; or at last so long.
_SHORTEST_ROUND: Final = 0.1
_LONGEST_ROUND: Final = 1.0
_TELLING_BYTES: Final = 256 * 1024
# The first one only shows what there is before the first growth, and every connection too few costs most at that time.
_FIRST_ROUND: Final = 0.05

# Growth by a factor f is worth it if the rate grew by at least this share of f - 1, and by so much in any case.
_SHARE_OF_GROWTH: Final = 0.15
_LEAST_GAIN: Final = 0.05
# What is in our buffers when the disk is full makes a rate look better than it is: then more has to be shown.
_CLEAR: Final = 0.5
# Connections that were just opened are slow at first, the more so the farther the host is: growth is given up only when
# so many rounds show no gain.
_ROUNDS_OF_GROWTH: Final = 2
# So much may be lost by halving: a line that is full fluctuates, which rounds of twice the length even out.
_WORTH_HALF: Final = 0.15
_LONGER: Final = 2
# Bytes that wait so much of a round for our own disk say that the host gives enough; unless they are so few a second
# that they can only wait for an answer of the disk, and not for its speed.
_FULL: Final = 0.3
_SPEED_OF_A_DISK: Final = 100e6
# So does a loop that is at work so much of a round.
_BUSY: Final = 0.7

# How much a trial multiplies by while there was none in vain, and after the first.
_FACTOR: Final = 4
_SMALL_FACTOR: Final = 2

# After a trial that brought nothing, doubled with each further one; and after trouble. One such trial may have met a
# moment in which this machine did something else: doubling is given up after the second.
_FIRST_PAUSE: Final = 0.5
_TRIALS_IN_VAIN: Final = 2
_LONGEST_PAUSE: Final = 60.0
_PAUSE_AFTER_TROUBLE: Final = 5.0
# A host that refused so many connections is not asked for as many again for so long.
_REFUSAL_IS_REMEMBERED: Final = 60.0


class Trouble(Enum):
    """What says that a host has too much to do."""

    REFUSED = "refused or reset the connection"
    BUSY = "answered 429 or 503"
    TIMED_OUT = "did not answer in time"

    @classmethod
    def of(cls, error: TransferFailed) -> Trouble:
        """Return what the failure of a connection says."""
        if isinstance(error, HttpStatusError):
            return cls.BUSY
        return cls.TIMED_OUT if isinstance(error, TransferTimeout) else cls.REFUSED


@dataclass(frozen=True, slots=True)
class _Trial:
    """What was allowed, and what came of it and to others, before the last change; and how many rounds were in vain."""

    allowed: int
    rate: float
    others: float = 0.0
    rounds: int = 0


@dataclass(frozen=True, slots=True)
class _Round:
    """When a round began; what had come until then, to us and to others, been held back, and been worked."""

    began: float
    received: int
    others: int
    held_back: float
    worked: float

    def is_full(self, now: _Round) -> bool:
        """Whether it was this machine that took no more since then."""
        elapsed = now.began - self.began
        is_slow = now.received + now.others - self.received - self.others < _SPEED_OF_A_DISK * elapsed
        waits = not is_slow and now.held_back - self.held_back >= _FULL * elapsed
        return waits or now.worked - self.worked >= _BUSY * elapsed


class HostControl:
    """
    How many connections to one host are allowed now.

    Parameters
    ----------
    start:
        How many at first.
    least:
        How many there are at least unless there is trouble; ``start`` where it is not given.
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
        least: int | None = None,
        ceiling: int = 16,
        shortest_round: float = _SHORTEST_ROUND,
        share_of_growth: float = _SHARE_OF_GROWTH,
    ) -> None:
        self.ceiling = ceiling
        self._least = start if least is None else least
        self._shortest_round = shortest_round
        self._share_of_growth = share_of_growth
        self._allowed = start
        self._now = -math.inf
        self._round: _Round | None = None
        self._tries_less = self._has_grown = self._has_measured = False
        self._in_vain = 0
        self._trial: _Trial | None = None
        self._is_climbing_fast = True
        self._factor = _FACTOR
        self._next_trial = -math.inf
        self._pause = _FIRST_PAUSE
        self._refused: tuple[int, float] = (0, -math.inf)  # how many were refused, and when
        self._cut_at: float | None = None

    def __repr__(self) -> str:
        return f"<HostControl allowed={self.allowed} ceiling={self.ceiling}>"

    @property
    def is_finding_out(self) -> bool:
        """Whether it will soon have another opinion: then it wants to be asked often."""
        return self._is_climbing_fast or self._tries_less or self._trial is not None

    @property
    def helpful(self) -> int | None:
        """How many connections were found to help, None while nothing is known."""
        return self.allowed if self._has_grown or not self.is_finding_out else None

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
        others: int = 0,
        is_throttled: bool = False,
        held_back: float = 0.0,
        worked: float = 0.0,
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
        others:
            All bytes that ever came to whom growth could take them from: what it only takes away is no gain.
        is_throttled:
            Whether our own limits hold bytes back, so that the rate says nothing about the host.
        held_back:
            Seconds in all during which our disk kept bytes waiting: where these are many, more connections cannot help.
        worked:
            Seconds in all during which our own loop was at work: where it always is, more connections cannot help.
        """
        self._now = now
        present = _Round(now, bytes_total, others, held_back, worked)
        if self._round is None or is_throttled or active < self.allowed:
            # Only a round in which every allowed connection worked says what one more would bring.
            self._round = present
            return
        elapsed, received = now - self._round.began, bytes_total - self._round.received
        shortest = self._shortest_round * (_LONGER if self._is_about_less else 1)
        is_full = self._round.is_full(present)
        if not self._has_measured and self._least < self.allowed and not is_full:
            shortest = _FIRST_ROUND
        is_telling = elapsed >= shortest and received >= _TELLING_BYTES * active
        if is_telling or elapsed >= _LONGEST_ROUND:
            elsewhere = (others - self._round.others) / elapsed
            self._has_measured = True
            self._end_round(received / elapsed, elsewhere, is_full=is_full)
            self._round = present

    def error(self, kind: Trouble) -> None:
        """
        Take the growth on trial back, or else halve what is allowed.

        Once in the time of a round: sixteen refusals in one moment are one piece of news.
        """
        if self._cut_at is not None and not self._now - self._cut_at >= self._shortest_round:
            return
        self._cut_at = self._now
        if kind is not Trouble.TIMED_OUT:
            self._refused = (self.allowed, self._now)
        is_growth = self._trial is not None and self._trial.allowed < self.allowed
        self._cut(self._trial.allowed / self.allowed if self._trial is not None and is_growth else 0.5)

    def _end_round(self, rate: float, others: float, *, is_full: bool) -> None:
        if self._trial is not None:
            self._judge(self._trial, rate, others, is_full=is_full)
        elif self._tries_less:
            self._try_less(rate, others)
        elif is_full:
            self._stop_climbing()
        if not (self._trial or self._tries_less or is_full) and self._now >= self._next_trial:
            self._grow(rate, others)

    def _judge(self, trial: _Trial, rate: float, others: float, *, is_full: bool) -> None:
        """Keep the growth if it helped, or what is less if it costs little; else take it back."""
        self._trial = None
        change = self.allowed / trial.allowed - 1
        if change > 0:
            rate -= max(0.0, trial.others - others)
        if change < 0:
            if is_full or rate >= trial.rate * (1 - _WORTH_HALF):
                self._tries_less = self.allowed > self._least
            else:
                self._allowed = trial.allowed
        elif rate >= trial.rate * (1 + max(_LEAST_GAIN, (_CLEAR if is_full else self._share_of_growth) * change)):
            self._pause = _FIRST_PAUSE
            self._has_grown, self._in_vain = True, 0
            self._is_climbing_fast = self._is_climbing_fast and not is_full
        elif trial.rounds + 1 < _ROUNDS_OF_GROWTH:
            self._trial = replace(trial, rounds=trial.rounds + 1)
        else:
            self._allowed = trial.allowed
            self._next_trial = self._now + self._pause
            self._pause = min(_LONGEST_PAUSE, 2 * self._pause)
            self._in_vain += 1
            self._factor = _SMALL_FACTOR
            if self._in_vain >= _TRIALS_IN_VAIN or is_full:
                self._stop_climbing()

    @property
    def _is_about_less(self) -> bool:
        return self._tries_less or (self._trial is not None and self._trial.allowed > self.allowed)

    def _stop_climbing(self) -> None:
        """Find out, where no growth ever brought anything, whether less would do; once."""
        self._tries_less = self._is_climbing_fast and not self._has_grown and self.allowed > self._least
        self._is_climbing_fast = False

    def _try_less(self, rate: float, others: float) -> None:
        """Halve, measured against a round before which nothing was changed."""
        self._tries_less = False
        self._trial = _Trial(self.allowed, rate, others)
        self._allowed = max(self._least, self.allowed // 2)

    def _grow(self, rate: float, others: float) -> None:
        before = self.allowed
        wanted = before * self._factor if self._is_climbing_fast else before + max(1, before // 4)
        self._allowed = min(wanted, self._present_ceiling())
        if self._allowed > before:
            self._trial = _Trial(before, rate, others)
        else:
            self._allowed, self._is_climbing_fast = before, False

    def _present_ceiling(self) -> int:
        refused, at = self._refused
        return min(self.ceiling, refused - 1) if self._now - at < _REFUSAL_IS_REMEMBERED else self.ceiling

    def _cut(self, factor: float) -> None:
        self._allowed = max(1, round(self.allowed * factor))
        self._trial = None
        self._tries_less = self._is_climbing_fast = False
        self._next_trial = self._now + _PAUSE_AFTER_TROUBLE

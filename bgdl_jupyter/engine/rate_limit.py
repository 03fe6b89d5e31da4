"""
Bytes per second, for all transfers and for a group: first come, first served, and paid afterwards.

A limiter counts bytes that have already come, and says how long to wait before more are taken. What is owed is never
forgiven, so that the average is exact however coarse the timers are.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections import deque
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Generator, Sequence

#: No fewer bytes are taken at once, however low the rate.
LEAST_AT_ONCE: Final = 4096
#: What may be had at once after a time without bytes, in seconds of the rate.
BURST: Final = 0.05
# What those who wait may have at once because the loop woke them late, in seconds of the rate.
_MADE_GOOD: Final = 0.5
# Nobody is stopped for less: a timer is about as coarse, and what is owed stays owed.
_WORTH_A_WAIT: Final = 0.005
_ROUNDING: Final = 1e-6


class RateLimiter:
    """
    So many bytes per second, shared by all who take.

    Parameters
    ----------
    rate:
        Bytes per second; None for no limit.
    clock:
        Monotonic seconds, the same as the running loop's.

    Used on one loop only.
    """

    def __init__(self, rate: float | None, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._rate = _checked(rate)
        self._taken = 0.0  # all bytes that were taken under the present limit
        self._earned = 0.0  # all bytes that the rate has allowed up to `_earned_at`
        self._earned_at = clock()
        self._turns: deque[tuple[float, asyncio.Future[None]]] = deque()
        self._timer: asyncio.TimerHandle | None = None

    def __repr__(self) -> str:
        return f"<RateLimiter rate={self._rate} waiting={len(self._turns)}>"

    @property
    def rate(self) -> float | None:
        """
        Bytes per second, None for no limit; may be set at any time, those who wait go on at the new rate.

        Raises
        ------
        ValueError
            It is not a positive, finite number.
        """
        return self._rate

    @rate.setter
    def rate(self, rate: float | None) -> None:
        rate = _checked(rate)
        self._earn()
        self._rate = rate
        if rate is not None:
            self._earned = min(self._earned, self._taken + rate * BURST)
        self._serve()

    def take(self, count: int) -> asyncio.Future[None] | None:
        """
        Count bytes, and return what to wait for before more are taken; None when they may come at once.

        Whoever stops waiting, or never waits, does no harm to others: the bytes have come and are paid for.
        """
        if self._rate is None:
            return None
        self._earn()
        self._taken += count
        if not self._turns and self._taken - self._earned <= self._rate * _WORTH_A_WAIT:
            return None
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._turns.append((self._taken, turn))
        if self._timer is None:
            self._arm(self._rate)
        return turn

    def _earn(self) -> None:
        """Bring what the rate has allowed up to now."""
        now = self._clock()
        if self._rate is None:
            self._taken = self._earned = 0.0
        else:
            # What nobody took is lost but for a burst: saved up, it would break the limit later. Whoever waits does
            # take it, however late the loop is.
            saved = self._rate * (_MADE_GOOD if self._turns else BURST)
            most = max(self._earned, self._taken + saved)
            self._earned = min(most, self._earned + (now - self._earned_at) * self._rate)
        self._earned_at = now

    def _serve(self) -> None:
        """Let those go on whose bytes are paid for."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._earn()
        paid = math.inf if self._rate is None else self._earned + self._rate * _ROUNDING
        while self._turns and (self._turns[0][0] <= paid or self._turns[0][1].done()):
            _, turn = self._turns.popleft()
            if not turn.done():
                turn.set_result(None)
        if self._turns and self._rate is not None:
            self._arm(self._rate)

    def _arm(self, rate: float) -> None:
        seconds = (self._turns[0][0] - self._earned) / rate
        self._timer = asyncio.get_running_loop().call_later(max(0.0, seconds), self._serve)


class CombinedLimiter:
    """
    The limits that one transfer keeps together: its group's and that of all.

    Parameters
    ----------
    limiters:
        Each is asked for every byte; the slowest decides.
    clock:
        Monotonic seconds.
    """

    def __init__(self, *limiters: RateLimiter, clock: Callable[[], float] = time.monotonic) -> None:
        self._limiters: tuple[RateLimiter, ...] = limiters
        self._clock = clock
        self._waited = 0.0
        self._waiting = 0
        self._since = 0.0

    @property
    def is_waiting(self) -> bool:
        """Whether a connection of this transfer is being held back now."""
        return self._waiting > 0

    @property
    def most_at_once(self) -> int | None:
        """How many bytes one read is to bring at most, so that those who share a rate take turns; None for any."""
        rates = [limiter.rate for limiter in self._limiters if limiter.rate is not None]
        return max(LEAST_AT_ONCE, int(min(rates) * BURST)) if rates else None

    @property
    def seconds_waited(self) -> float:
        """How long the limits have held this transfer back, the present wait included."""
        return self._waited + (self._clock() - self._since if self._waiting else 0.0)

    def take(self, count: int) -> Awaitable[None] | None:
        """Count bytes with every limiter, and return what to wait for before more are taken; None when nothing."""
        turns = [turn for limiter in self._limiters if (turn := limiter.take(count)) is not None]
        return _Wait(self, turns) if turns else None

    def release(self) -> None:
        """Ask nobody any more; who waits already still gets the turn it was promised."""
        self._limiters = ()

    async def wait(self, turns: Sequence[asyncio.Future[None]]) -> None:
        """Wait for all the turns, and count the time once however many connections wait."""
        if not self._waiting:
            self._since = self._clock()
        self._waiting += 1
        try:
            for turn in turns:
                await turn
        finally:
            self._waiting -= 1
            if not self._waiting:
                self._waited += self._clock() - self._since


class _Wait:
    """What `CombinedLimiter.take` gives: silent when it is dropped, as a coroutine would not be."""

    __slots__ = ("_limiter", "_turns")

    def __init__(self, limiter: CombinedLimiter, turns: Sequence[asyncio.Future[None]]) -> None:
        self._limiter = limiter
        self._turns = turns

    def __await__(self) -> Generator[object, None, None]:
        return self._limiter.wait(self._turns).__await__()


def _checked(rate: float | None) -> float | None:
    if rate is not None and not (rate > 0 and math.isfinite(rate)):
        raise ValueError(f"A rate is a positive number of bytes per second or None, not {rate!r}.")
    return rate

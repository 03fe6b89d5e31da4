"""How fast, how far: measured where the bytes are written, told at most four times a second."""

from __future__ import annotations

import math
from collections import deque
from typing import Final

#: Seconds between two ticks of everything that is told or watched.
TICK: Final = 0.25
_WINDOW: Final = 5.0
# Long enough for a server that sends in bursts of a tenth of a second not to look many times as fast as it is.
_MOMENT: Final = 0.1


class RateMeter:
    """Bytes per second over the last five seconds, by a monotonic clock."""

    def __init__(self, now: float) -> None:
        self._samples: deque[tuple[float, int]] = deque([(now, 0)])
        self._total = 0

    @property
    def total(self) -> int:
        """All bytes counted."""
        return self._total

    def count(self, count: int) -> None:
        """Count bytes."""
        self._total += count

    def sample(self, now: float) -> float:
        """Close the present interval and return the rate."""
        samples = self._samples
        samples.append((now, self._total))
        while len(samples) > 2 and now - samples[1][0] >= _WINDOW:  # noqa: PLR2004 (an interval has two ends)
            samples.popleft()
        elapsed = now - samples[0][0]
        return (self._total - samples[0][1]) / elapsed if elapsed > 0 else 0.0


class Pace:
    """Bytes per second of the last moment; time during which we held the bytes back ourselves does not count."""

    def __init__(self, now: float) -> None:
        self._since = now
        self._held_back = 0.0
        self._count = 0
        self.rate = 0.0

    def count(self, count: int, now: float, *, held_back: float) -> None:
        """
        Count bytes.

        Parameters
        ----------
        count, now:
            How many, and when they came.
        held_back:
            Seconds in all during which we held bytes back.
        """
        self._count += count
        elapsed = (now - self._since) - (held_back - self._held_back)
        if elapsed >= _MOMENT:
            self.rate = self._count / elapsed
            self._since, self._held_back, self._count = now, held_back, 0


class StallWatch:
    """
    Tells when fewer than so many bytes came in a window.

    Time during which the loop itself stood still, or during which we held the bytes back, moves the window instead
    of counting.
    """

    def __init__(self, now: float, *, window: float, least: int) -> None:
        self._window = window
        self._least = least
        self._since = now
        self._total = 0
        self._last = now

    def look(self, now: float, total: int, *, is_held_back: bool) -> bool:
        """Return whether the window passed with too few bytes; called once a tick."""
        lost = now - self._last - TICK
        self._last = now
        if is_held_back:
            self._since = now
        elif lost > TICK:
            self._since += lost  # the loop was blocked: nobody could have received anything
        if total - self._total >= self._least:
            self._since, self._total = now, total
        return now - self._since >= self._window


def seconds_left(missing: int | None, rate: float) -> float | None:
    """Return the time that is left at this rate, None when it cannot be said."""
    if missing is None or rate <= 0:
        return None
    seconds = missing / rate
    return seconds if math.isfinite(seconds) else None

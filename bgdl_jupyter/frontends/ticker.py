"""
When views are sent: one ticker for all of them.

At most four times a second, and never more than so many messages a second on average: a server cuts off a kernel that
floods it, and keeps all that is said while no page is there. What comes first is what a person waits for, then what was
not sent for the longest time.
"""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING, Final, Protocol

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable

log = logging.getLogger(__name__)

#: Seconds between two ticks.
PERIOD: Final = 0.25
#: Messages a second, on average; a little below the twenty that are promised.
RATE: Final = 17.0
_BURST: Final = 20.0
#: Kept for what a person waits for.
_RESERVE: Final = 6.0
#: Between two parts of what a view says in several, in seconds.
_PAUSE: Final = 0.05
#: After so many seconds of silence something is said while transfers run: a server ends kernels that seem idle.
HEARTBEAT: Final = 45.0


class View(Protocol):
    """Something that can be sent to a front end."""

    weight: float
    """How much sooner than others it is sent."""

    def send(self) -> int:
        """Send what changed; returns how many messages that took."""


class Budget:
    """Messages that may be sent: a bucket that fills with time, by a monotonic clock."""

    def __init__(self, now: float) -> None:
        self._left = _BURST
        self._at = now

    def left(self, now: float) -> float:
        """Return how many messages may be sent now."""
        self._left = min(_BURST, self._left + (now - self._at) * RATE)
        self._at = now
        return self._left

    def spend(self, count: int) -> None:
        """Count what was sent; a view that took more than was left makes the next ones wait."""
        self._left -= count


class Ticker:
    """
    Sends what is due, and rests when nothing is; belongs to the engine's loop.

    Parameters
    ----------
    prepare:
        Brings everything up to date, and wakes the views that have something to send.
    is_live:
        Tells whether transfers run.
    pulse:
        Sends something small; returns how many messages it took.
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        *,
        prepare: Callable[[], object],
        is_live: Callable[[], bool],
        pulse: Callable[[], int],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._loop = loop
        self._prepare = prepare
        self._is_live = is_live
        self._pulse = pulse
        self._clock = clock
        self._budget = Budget(clock())
        self._due: dict[View, bool] = {}
        self._sent_at: dict[View, float] = {}
        self._going_on: set[View] = set()
        self._timer: asyncio.TimerHandle | None = None
        self._heart: asyncio.TimerHandle | None = None
        self._ticked_at = float("-inf")
        self._spoke_at = clock()
        self.messages_sent = 0

    def wake(self, view: View, *, is_urgent: bool = False) -> None:
        """Have a view sent; what a person waits for is urgent."""
        # What was never sent waits from now on, or many new rows would hold up what tells of everything.
        self._sent_at.setdefault(view, self._clock() - PERIOD)
        self._due[view] = self._due.get(view, False) or is_urgent
        self.arm()

    def go_on(self, view: View) -> None:
        """Have a view sent again in a moment: it has more to say than the loop has time for in one turn."""
        if view not in self._going_on:
            self._going_on.add(view)
            self._loop.call_later(_PAUSE, self._go_on, view)

    def _go_on(self, view: View) -> None:
        if view not in self._going_on:
            return
        self._going_on.discard(view)
        if self._budget.left(self._clock()) < _RESERVE:
            self.wake(view)
        else:
            self._due.pop(view, None)
            self._send(view)

    def forget(self, view: View) -> None:
        """Do not send a view any more."""
        self._going_on.discard(view)
        self._due.pop(view, None)
        self._sent_at.pop(view, None)

    def arm(self) -> None:
        """Have a tick come, not sooner than a period after the last."""
        if self._timer is None:
            delay = max(0.0, self._ticked_at + PERIOD - self._clock())
            self._timer = self._loop.call_later(delay, self._tick)

    def count(self, messages: int) -> None:
        """Count messages that were sent past the ticker: widgets that came into being, answers."""
        self._budget.spend(messages)
        self._note(messages)

    def _note(self, messages: int) -> None:
        if messages:
            self.messages_sent += messages
            self._spoke_at = self._clock()

    def _tick(self) -> None:
        self._timer = None
        self._ticked_at = self._clock()
        self._prepare()
        for view in self._in_order():
            least = 1.0 if self._due[view] else _RESERVE
            if self._budget.left(self._clock()) < least:
                break
            del self._due[view]
            self._send(view)
        if self._due:
            self.arm()
        self._keep_heart_beating()

    def _in_order(self) -> list[View]:
        """Return what is due: the urgent first, then what was not sent for longest by its weight."""
        now = self._ticked_at

        def place(view: View) -> tuple[bool, float]:
            return not self._due[view], -view.weight * (now - self._sent_at[view])

        return sorted(self._due, key=place)

    def _send(self, view: View) -> None:
        self._sent_at[view] = self._ticked_at
        try:
            self.count(view.send())
        except Exception:  # a broken view must not stop the others
            log.exception("A view could not be sent")

    def _keep_heart_beating(self) -> None:
        if self._heart is None and self._is_live():
            wait = max(0.0, self._spoke_at + HEARTBEAT - self._clock())
            self._heart = self._loop.call_later(wait, self._beat)

    def _beat(self) -> None:
        self._heart = None
        if self._is_live() and self._clock() - self._spoke_at >= HEARTBEAT:
            self._spoke_at = self._clock()
            self.count(self._pulse())
        self._keep_heart_beating()

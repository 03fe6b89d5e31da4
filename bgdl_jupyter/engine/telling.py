"""What a transfer tells of itself while it runs: what it is doing, how far it is, which ranges have come."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from bgdl_jupyter.engine.progress import RateMeter
from bgdl_jupyter.events import ActivityChanged, Event, Progressed, RangesArrived, Restarted

if TYPE_CHECKING:
    from collections.abc import Callable
    from uuid import UUID

    from bgdl_jupyter.engine.holding import Holding
    from bgdl_jupyter.status import TransferActivity


class Telling:
    """The facts of one transfer, told when they are others than before."""

    def __init__(self, operation_id: UUID, holding: Holding, publish: Callable[[Event], None]) -> None:
        self._operation_id = operation_id
        self._holding = holding
        self._publish = publish
        self._meter = RateMeter(time.monotonic())
        self._told = -1
        self._told_ranges = holding.written
        self._is_restarted = False

    def count(self, received: int) -> None:
        """Count bytes that came."""
        self._meter.count(received)

    def sample(self, now: float) -> float:
        """Return the rate in bytes per second."""
        return self._meter.sample(now)

    def activity(self, activity: TransferActivity, *, reason: str = "", until: float | None = None) -> None:
        """Tell what the transfer does from now on."""
        self._publish(ActivityChanged(operation_id=self._operation_id, activity=activity, reason=reason, until=until))

    def restarted(self, reason: str) -> None:
        """Tell that what had come is void."""
        self._publish(Restarted(operation_id=self._operation_id, reason=reason))

    def progress(self, rate: float, *, small: int | None, connections: int) -> None:
        """Tell how far it is; ``small`` are the bytes of a body that is not in the file yet."""
        written = self._holding.written
        received = small if small is not None else written.total
        if received == self._told and rate == 0:
            return
        self._told = received
        self._ranges()
        self._publish(
            Progressed(
                operation_id=self._operation_id,
                bytes_received=received,
                total_bytes=self._holding.length,
                rate=rate,
                finished=written,
                connections=connections,
            )
        )

    def _ranges(self) -> None:
        """Tell which ranges have come; those before are void where some of them are gone."""
        written, before = self._holding.written, self._told_ranges
        is_restarted = self._is_restarted or bool(before.without(written))
        added = written.ranges if is_restarted else written.without(before)
        if added:
            self._publish(RangesArrived(operation_id=self._operation_id, added=added, was_restarted=is_restarted))
            self._is_restarted = False
        elif is_restarted:
            self._is_restarted = True
        self._told_ranges = written

    def begin_again(self) -> None:
        """Count the ranges from nothing: the next ones that come make those before void."""
        self._is_restarted = self._is_restarted or bool(self._told_ranges)
        self._told_ranges = self._holding.written

"""What a transfer tells of itself while it runs: what it is doing, how far it is, which ranges have come."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Protocol

from bgdl_jupyter.engine.progress import RateMeter
from bgdl_jupyter.events import (
    ActivityChanged,
    ArrivedAtOnce,
    Event,
    Progressed,
    RangesArrived,
    ResourceProbed,
    Restarted,
)
from bgdl_jupyter.status import TransferActivity

if TYPE_CHECKING:
    from collections.abc import Callable
    from uuid import UUID

    from bgdl_jupyter.ranges import RangeSet
    from bgdl_jupyter.resource import Resource


class Bytes(Protocol):
    """What there is to tell about: how long the whole is, and which ranges of it are in the file."""

    @property
    def length(self) -> int | None:
        """The size of the whole, None while it is unknown."""

    @property
    def written(self) -> RangeSet:
        """What is in the file."""


class Telling:
    """
    The facts of one transfer, told when they are others than before.

    A file that comes with its answer is told of once, when it is there: what else there would be to say of it has no
    time to be seen.
    """

    def __init__(self, operation_id: UUID, holding: Bytes, publish: Callable[[Event], None]) -> None:
        self._operation_id = operation_id
        self._holding = holding
        self._publish = publish
        self._meter = RateMeter(time.monotonic())
        self._told = -1
        self._told_ranges = holding.written
        self._is_restarted = False
        self._brief: Resource | None = None

    def count(self, received: int) -> None:
        """Count bytes that came."""
        self._meter.count(received)

    def sample(self, now: float) -> float:
        """Return the rate in bytes per second."""
        return self._meter.sample(now)

    def probed(self, resource: Resource, *, is_brief: bool = False) -> None:
        """Tell what the server says is there; later where so little is to come that it may be here in a moment."""
        if is_brief:
            self._brief = resource
        else:
            self._publish(ResourceProbed(operation_id=self._operation_id, resource=resource))

    def activity(self, activity: TransferActivity, *, reason: str = "", until: float | None = None) -> None:
        """Tell what the transfer does from now on."""
        if self._brief is not None:
            self._catch_up()
        self._publish(ActivityChanged(operation_id=self._operation_id, activity=activity, reason=reason, until=until))

    def downloading(self) -> None:
        """Tell that the body comes, unless that is not worth it."""
        if self._brief is None:
            self.activity(TransferActivity.DOWNLOADING)

    def committing(self, *, small: int | None) -> None:
        """Tell that the file is about to get its name; ``small`` are the bytes of a body that is not in the file."""
        brief, self._brief = self._brief, None
        if brief is None or small is None:
            self.activity(TransferActivity.COMMITTING)
            return
        self._told = small
        self._publish(ArrivedAtOnce(operation_id=self._operation_id, resource=brief, bytes_received=small))

    def ending(self) -> bool:
        """Tell what the server said where that was held back, and whether it was; nothing is done any more."""
        brief, self._brief = self._brief, None
        if brief is not None:
            self.probed(brief)
        return brief is not None

    def _catch_up(self) -> None:
        """Tell what was held back: it takes longer than a moment."""
        if self.ending():
            self.activity(TransferActivity.DOWNLOADING)

    def begun(self) -> None:
        """Tell it when the bytes that were recorded turn out to be gone."""
        if self._told_ranges and not self._holding.written:
            self.begin_again()
            self.restarted("the partial file is gone")

    def restarted(self, reason: str) -> None:
        """Tell that what had come is void."""
        self._catch_up()
        self._publish(Restarted(operation_id=self._operation_id, reason=reason))

    def progress(self, rate: float, *, small: int | None, connections: int) -> None:
        """Tell how far it is; ``small`` are the bytes of a body that is not in the file yet."""
        self._catch_up()
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

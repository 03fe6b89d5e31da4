"""
Several connections for one file, as long as more of them make it faster.

The first exchange brings the file from where it began; a further connection takes the tail of whoever would be the
last to end. Every part is asked for under the same strong validator, so that no two versions meet in one file. What a
connection leaves behind, for whatever reason, is a gap that another one or the next attempt takes.
"""

from __future__ import annotations

import asyncio
import logging
import time
from typing import TYPE_CHECKING, Final

from bgdl_jupyter.engine.concurrency import HostControl, Trouble
from bgdl_jupyter.engine.delivery import Delivered, Delivery
from bgdl_jupyter.engine.hosts import AT_FIRST
from bgdl_jupyter.engine.refusals import Refusals
from bgdl_jupyter.engine.retry import is_trouble
from bgdl_jupyter.engine.segments import ActiveSegment, cut_by, next_range_for, plan, split_tails, unclaimed
from bgdl_jupyter.engine.sink import OverlapMismatch
from bgdl_jupyter.errors import StorageFailed, TransferFailed
from bgdl_jupyter.ranges import ByteRange
from bgdl_jupyter.resource import ValidatorKind, Verdict, decide
from bgdl_jupyter.transport.base import Framing

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Sequence
    from contextlib import AbstractAsyncContextManager

    from bgdl_jupyter.engine.facilities import Facilities
    from bgdl_jupyter.engine.holding import Holding
    from bgdl_jupyter.engine.order import Options
    from bgdl_jupyter.engine.rate_limit import CombinedLimiter
    from bgdl_jupyter.resource import Resource
    from bgdl_jupyter.transport.base import Exchange

log = logging.getLogger(__name__)

#: No file is split into less, and no tail into less than the second.
SMALLEST_PART: Final = 4 * 1024 * 1024
_SMALLEST_TAIL: Final = 1024 * 1024
#: What is no farther from where a connection is comes soon enough without another one.
NEAR: Final = 256 * 1024
# What ends sooner than in so many times as long as a connection takes to open is not worth another one; where none was
# opened yet, so long is taken for it.
_OPENINGS_WORTH: Final = 4
_FIRST_OPENING: Final = 0.05
_LOOK_EVERY: Final = 0.05
_LOOK_WHILE_FINDING_OUT: Final = 0.02
# Servers that cap a connection send in bursts of a tenth of a second, of which each round has to have as many; a line
# that is full gives a newcomer only what it takes from the others, which must not look like a gain.
_ROUND: Final = 0.2
_SHARE_OF_GROWTH: Final = 0.3
# A first connection that brings so many bytes a second, or more than the disk takes, is not held back by the server:
# more are added one trial at a time, and so they are where all files together come so fast. Beside a slower one as many
# are opened at once as a host gets to begin with, or as helped the last time.
_FIRST_LOOK: Final = 0.05
_FAST: Final = 100e6
_HELD_BACK: Final = 0.3
# Seconds within which connections that do not help are left to end by themselves.
_SOON: Final = 4.0


def may_split(resource: Resource, missing: int) -> bool:
    """Whether several connections may bring parts: ranges and a strong validator are proven, and much is left."""
    validator = resource.validator
    return (
        resource.length is not None
        and resource.accepts_ranges is True
        and resource.content_encoding is None
        and validator is not None
        and validator.kind is not ValidatorKind.MODIFICATION_TIME
        and missing >= 2 * SMALLEST_PART
    )


class Crew:
    """
    The connections of one transfer.

    Parameters
    ----------
    open_part:
        Opens an exchange for a range, under the validator that we have.
    wrote:
        Called with the bounds of bytes that are in the file.

    Attributes
    ----------
    was_refused:
        Whether the server did not give a part of the version that we have: it is not to be asked for parts again.
    """

    def __init__(
        self,
        holding: Holding,
        *,
        host: str,
        facilities: Facilities,
        limiter: CombinedLimiter,
        options: Options,
        open_part: Callable[[ByteRange], AbstractAsyncContextManager[Exchange]],
        wrote: Callable[[int, int], None],
    ) -> None:
        self._holding = holding
        self._host = host
        self._facilities = facilities
        self._limiter = limiter
        self._options = options
        self._open_part = open_part
        self._wrote = wrote
        self._control: HostControl | None = None
        self._began_at = asyncio.get_running_loop().time()
        self._opening = _FIRST_OPENING
        self._deliveries: dict[asyncio.Task[Delivered], Delivery | None] = {}
        self._parts: dict[asyncio.Task[Delivered], ByteRange] = {}
        self._may_split = True
        self.was_refused = False
        self._lets_end = False
        self._received = 0
        self._received_before = facilities.received
        self._refusals = Refusals()
        self._wanted: int | None = None
        self._reading: asyncio.Task[Delivered] | None = None

    @property
    def connections(self) -> int:
        """How many connections deliver or are being opened."""
        return len(self._deliveries)

    def tick(self, now: float, *, flushes: bool) -> None:
        """Watch all deliveries for stalls."""
        for delivery in self._deliveries.values():
            if delivery is not None:
                delivery.tick(now, flushes=flushes)

    def want(self, position: int) -> None:
        """Fetch what is missing from a position on before all else, over a connection of its own."""
        self._wanted = position

    async def run(self, first: Delivery, *, position: int, gap: ByteRange) -> Delivered:
        """
        Receive what is missing, beginning with the exchange of ``first``.

        Raises
        ------
        TransferFailed
            The first connection failed, or a part belongs to another version; what had come is in the file.
        """
        length = self._holding.length or 0
        main = self._add(first.run(position=position, gap=gap, wrote=self._count), first, ByteRange(gap.start, length))
        outcome: Delivered | None = None
        try:
            while self._deliveries:
                done, _ = await asyncio.wait(
                    self._deliveries, timeout=self._look_again_in(), return_when=asyncio.FIRST_COMPLETED
                )
                is_sound = True
                for task in done:
                    ended = self._end(task, is_main=task is main)
                    outcome = ended if task is main else outcome
                    is_sound &= ended is not None
                if self._deliveries or is_sound:
                    self._adjust()
        finally:
            await self._stop_all()
            self._remember()
        return outcome or Delivered(position=length, framing=Framing.LENGTH, was_cut=True)

    def _add(
        self, work: Coroutine[object, None, Delivered], delivery: Delivery | None, part: ByteRange
    ) -> asyncio.Task[Delivered]:
        task = asyncio.get_running_loop().create_task(work)
        self._deliveries[task] = delivery
        self._parts[task] = part
        self._facilities.hosts.opened(self._host)
        return task

    def _end(self, task: asyncio.Task[Delivered], *, is_main: bool) -> Delivered | None:
        had_begun = self._deliveries.pop(task) is not None
        self._parts.pop(task)
        self._facilities.hosts.closed(self._host)
        error = task.exception()
        if error is None:
            return task.result()
        if is_main or isinstance(error, OverlapMismatch | StorageFailed) or not isinstance(error, TransferFailed):
            raise error
        log.info("A further connection ended: %s", error)
        now = asyncio.get_running_loop().time()
        if not had_begun:
            self._refusals.refused(now)
        if self._control is not None:
            self._control.error(Trouble.of(error))
        if is_trouble(error):
            self._facilities.hosts.trouble(self._host, now)
        return None

    def _count(self, start: int, stop: int) -> None:
        self._received += stop - start
        self._wrote(start, stop)

    def _look_again_in(self) -> float:
        finds_out = self._control is None or self._control.is_finding_out
        return _LOOK_WHILE_FINDING_OUT if finds_out else _LOOK_EVERY

    def _adjust(self) -> None:
        """Open connections where more help, close one at a time where fewer are allowed."""
        if self._wanted is not None and self._may_split:
            self._turn_to(self._wanted)
        if len(self._deliveries) > 1:
            piece = self._holding.piece_for(len(self._deliveries))
            for each in self._deliveries.values():
                if each is not None:
                    each.use_pieces(piece)
        active = sum(1 for task in self._deliveries if task is not self._reading)
        now = asyncio.get_running_loop().time()
        wanted, room = self._wanted_connections(now), self._facilities.hosts.room_for_parts(self._host, now)
        if room < 0:  # a file came while parts of others had it all, or the host is in trouble
            wanted = max(1, min(wanted, active + room))
        self._lets_end = active > wanted and room >= 0 and self._ends_soon()
        if active > wanted and not self._lets_end:
            self._close_one()
        newcomers = min(wanted - active, room)
        if newcomers > 0 and self._may_split and self._refusals.may_ask(now):
            for part in self._next_parts(newcomers):
                self._add(self._fetch(part), None, part)

    def _wanted_connections(self, now: float) -> int:
        """Return how many connections there are to be, by what those that there are bring."""
        if self._control is None and now - self._began_at < _FIRST_LOOK:
            return len(self._deliveries)
        control = self._control = self._control or self._first_control(now)
        if self._lets_end:  # more are at work than are allowed: what they bring says nothing of these
            return control.allowed
        delivering = sum(1 for each in self._deliveries.values() if each is not None and each.rate > 0)
        control.observe(
            now,
            self._received,
            active=delivering,
            others=self._facilities.received - self._received,
            is_throttled=self._limiter.is_waiting,
            held_back=self._holding.held_back,
            worked=time.thread_time(),
        )
        return control.allowed

    def _first_control(self, now: float) -> HostControl:
        begun = [each for each in self._deliveries.values() if each is not None and each.has_begun]
        in_all = sum(one.position - one.written_to for one in begun) + self._facilities.received - self._received_before
        is_fast = max(in_all / _FAST, self._holding.held_back / _HELD_BACK) >= now - self._began_at
        hosts = self._facilities.hosts
        others = hosts.connections(self._host) - len(self._deliveries)
        start = hosts.helpful(self._host) or AT_FIRST
        return HostControl(
            start=1 if is_fast or self._limiter.is_waiting else max(1, start - others),
            least=1,
            ceiling=self._options.max_connections,
            shortest_round=_ROUND,
            share_of_growth=_SHARE_OF_GROWTH,
        )

    def _remember(self) -> None:
        """Let the next file from this host begin with as many connections as helped this one."""
        if self._control is not None and (helpful := self._control.helpful) is not None:
            self._facilities.hosts.learn(self._host, helpful)

    def _turn_to(self, position: int) -> None:
        """Open a connection at a position; it may be one more than helps, but not more than the host may have."""
        missing = self._holding.written.missing(self._holding.length or 0)
        segments = self._segments()
        active = list(segments.values())
        part = next_range_for(position, missing, active=active, smallest=NEAR)
        if part is None:
            self._wanted = None
            return
        now = asyncio.get_running_loop().time()
        if self._facilities.hosts.room(self._host, now) <= 0 or len(active) >= self._options.max_connections:
            self._close_one()
            return
        cut = cut_by(part, active)
        if cut is None or self._end_before(list(segments)[cut.index], part):
            self._wanted = None
            self._reading = self._add(self._fetch(part), None, part)

    def _end_before(self, task: asyncio.Task[Delivered], part: ByteRange) -> bool:
        """Let whoever was to bring a part end before it; False where it cannot be told so yet."""
        delivery = self._deliveries[task]
        if delivery is None or not delivery.has_begun or delivery.position >= part.start:
            return False
        delivery.stop = part.start
        self._parts[task] = ByteRange(self._parts[task].start, part.start)
        return True

    def _segments(self) -> dict[asyncio.Task[Delivered], ActiveSegment]:
        length = self._holding.length or 0
        segments = {}
        for task, part in self._parts.items():
            delivery = self._deliveries[task]
            if delivery is None or not delivery.has_begun:
                segments[task] = ActiveSegment(part.start, part.stop, is_open=False)
            else:
                segments[task] = ActiveSegment(delivery.written_to, delivery.stop or length, delivery.rate)
        return segments

    def _next_parts(self, newcomers: int) -> list[ByteRange]:
        """Return gaps that nobody fetches, or tails of those that would be the last; none where none is worth it."""
        segments = self._segments()
        gaps = unclaimed(self._holding.written.missing(self._holding.length or 0), segments.values())
        if gaps:
            return plan(gaps, connections=newcomers, smallest=_SMALLEST_TAIL)
        tasks, active = list(segments), list(segments.values())
        longest = max((each.seconds_left for each in active if each.is_open), default=0.0)
        if longest < _OPENINGS_WORTH * self._opening:
            return []
        largest = self._largest_part(active, newcomers)
        ends, taken = split_tails(active, newcomers=newcomers, smallest=_SMALLEST_TAIL, largest=largest)
        for task, before, after in zip(tasks, active, ends, strict=True):
            if after.stop < before.stop and not self._end_before(task, ByteRange(after.stop, before.stop)):
                taken = [part for part in taken if not before.position <= part.start < before.stop]
        return taken

    def _largest_part(self, active: Sequence[ActiveSegment], newcomers: int) -> int | None:
        """
        Return how much a further connection gets at most while there may soon be more of them, or so many come at once.

        All of them take it from the first, whose request has no end, and not from what was asked for with one: cutting
        that short throws away what is on its way.
        """
        if self._control is None or not self._control.is_finding_out:
            return None
        if self._control.allowed == self._control.ceiling:
            return max(each.remaining for each in active) // (newcomers + 1)
        return sum(each.remaining for each in active) // self._control.ceiling

    def _ends_soon(self) -> bool:
        """Whether what connections have still to bring comes in a moment: to close one then wastes what it sends."""
        return max(each.seconds_left for each in self._segments().values()) < _SOON

    def _close_one(self) -> None:
        """End the connection that has most to do: what it leaves is taken by the others."""
        segments = self._segments()
        task = max(segments, key=lambda each: (each is not self._reading, segments[each].remaining))
        delivery = self._deliveries[task]
        if delivery is not None and delivery.has_begun and (len(self._deliveries) > 1 or self._wanted is not None):
            delivery.stop_now()

    async def _fetch(self, part: ByteRange) -> Delivered:
        """Fetch one part over a connection of its own."""
        asked_at = asyncio.get_running_loop().time()
        async with self._open_part(part) as exchange:
            self._opening = asyncio.get_running_loop().time() - asked_at
            asked = ByteRange(part.start, part.start)
            decision = decide(self._holding.kept_from(part.start), asked, exchange.answer)
            if decision.verdict is not Verdict.CONTINUE or not self._is_same(exchange.answer.resource):
                self._refuse(part)
                # If the version changed, the next attempt finds out, and begins again as a whole.
                return Delivered(position=part.start, framing=Framing.LENGTH, was_cut=True)
            delivery = Delivery(
                exchange,
                self._holding,
                facilities=self._facilities,
                limiter=self._limiter,
                options=self._options,
            )
            task = asyncio.current_task()
            assert task is not None  # noqa: S101 (this is a task of ours)
            self._deliveries[task] = delivery
            self._refusals.forget()
            stop = self._parts[task].stop
            return await delivery.run(position=decision.position, gap=ByteRange(part.start, stop), wrote=self._count)

    def _is_same(self, resource: Resource) -> bool:
        """Whether a part says that it is of our version: nothing before it is compared, so it has to say so itself."""
        ours = self._holding.resource
        return ours is not None and resource.validator == ours.validator

    def _refuse(self, part: ByteRange) -> None:
        """Split no more, and give what was to be a part back to whoever had it before."""
        self._may_split = False
        self.was_refused = True
        for task, each in self._parts.items():
            delivery = self._deliveries[task]
            if each.stop == part.start and delivery is not None and delivery.has_begun:
                delivery.stop = part.stop
                self._parts[task] = ByteRange(each.start, part.stop)

    async def _stop_all(self) -> None:
        for task in self._deliveries:
            task.cancel()
        if self._deliveries:
            await asyncio.wait(self._deliveries)
        for task in self._deliveries:
            self._facilities.hosts.closed(self._host)
            if not task.cancelled():
                task.exception()  # taken, so that it is not reported as lost
        self._deliveries.clear()
        self._parts.clear()

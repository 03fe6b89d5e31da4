"""
One run of an operation, from the first request to the commit or an error.

There is one way to begin: read what is durable, ask the server whether it is still the same, go on. A restart, a
crash, a resume, a retry and a take-over from another kernel all come through here. Pause and cancel are the
cancellation of the task that runs this; what is in flight then is made durable.
"""

from __future__ import annotations

import logging
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from bgdl_jupyter.engine.asking import Asking
from bgdl_jupyter.engine.connections import Crew, may_split
from bgdl_jupyter.engine.delivery import Delivered, Delivery, check_acceptable
from bgdl_jupyter.engine.finishing import Fetched, Finishing
from bgdl_jupyter.engine.holding import Holding
from bgdl_jupyter.engine.patience import Patience
from bgdl_jupyter.engine.sink import OverlapMismatch
from bgdl_jupyter.engine.small_body import is_small
from bgdl_jupyter.engine.sources import Sources
from bgdl_jupyter.engine.tail import look_behind
from bgdl_jupyter.engine.telling import Telling
from bgdl_jupyter.engine.wanted import Wanted
from bgdl_jupyter.errors import DecodingFailed, IntegrityFailed, ProtocolViolation, TransferFailed
from bgdl_jupyter.ranges import ByteRange
from bgdl_jupyter.resource import MAX_RESTARTS, Decision, Verdict, decide
from bgdl_jupyter.status import TransferActivity
from bgdl_jupyter.transport.base import Framing
from bgdl_jupyter.web_error_status import WebErrorStatus

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from contextlib import AbstractAsyncContextManager
    from pathlib import Path

    from bgdl_jupyter.engine.facilities import Facilities
    from bgdl_jupyter.engine.first import First
    from bgdl_jupyter.engine.order import Durable, Order, Park, RequestMaker
    from bgdl_jupyter.engine.rate_limit import CombinedLimiter
    from bgdl_jupyter.events import Event
    from bgdl_jupyter.resource import Answer, Resource, Validator
    from bgdl_jupyter.transport.base import Exchange

log = logging.getLogger(__name__)

# A conditional range, an unconditional one, everything: more questions than these an attempt does not ask.
_MOST_QUESTIONS: Final = 3
_FLUSH_EVERY_TICKS: Final = 4
# Met before there is a connection: nothing of a request can have left.
_NEVER_LEFT: Final = frozenset(
    {WebErrorStatus.CANNOT_CONNECT, WebErrorStatus.HOST_NAME_NOT_RESOLVED, WebErrorStatus.SERVER_UNREACHABLE}
)
_UNASKED: Final = WebErrorStatus.UNEXPECTED_STATUS_CODE


class Transfer:
    """
    Fetches one file.

    Parameters
    ----------
    order, durable:
        What is wanted, and what is there.
    make_request:
        Makes the request of each attempt from the operation's present settings.
    choose_destination:
        Gives the path for a name that the server proposed; it is then ours.
    park:
        Waits out of the way of others until a monotonic time.
    leave:
        Gives the place among the running back, once nothing is to be fetched any more.
    publish:
        Is told everything that happens.
    draw:
        Random numbers in [0, 1) for the jitter.
    first:
        What the first exchange brought, where there was one already.
    """

    def __init__(
        self,
        order: Order,
        durable: Durable,
        *,
        facilities: Facilities,
        limiter: CombinedLimiter,
        make_request: RequestMaker,
        choose_destination: Callable[[Resource], Awaitable[Path]],
        park: Park,
        leave: Callable[[], None],
        publish: Callable[[Event], None],
        draw: Callable[[], float],
        first: First | None = None,
    ) -> None:
        self._order = order
        self._facilities = facilities
        self._choose_destination = choose_destination
        self._leave = leave
        self._publish = publish
        self._holding = Holding(order, durable, facilities=facilities, journal=facilities.journal)
        self.limiter = limiter
        self._telling = Telling(order.operation_id, self._holding, publish)
        self._patience = Patience(
            order.options, facilities=facilities, tell=self._telling.activity, park=park, draw=draw
        )
        self._sources = Sources(order.sources, durable.source)
        self._asking = Asking(make_request, self._sources, facilities)
        self._has_turned = False
        self._most = durable.finished.total
        self._ticks = 0
        self._delivery: Crew | Delivery | None = None
        self._fetched = fetched = Fetched(destination=order.destination)
        self._finishing = Finishing(
            order,
            fetched,
            holding=self._holding,
            facilities=facilities,
            tell=self._telling.activity,
            publish=publish,
            leave=leave,
        )
        self._wanted = Wanted(self._holding, order.options)
        self._first = first
        self._was_answered = first is not None and first.was_answered
        self._has_body = first is not None and first.has_body
        if first is not None:
            self._asking.host = first.host
        self._gives_no_parts = False
        self._has_broken_coding = False

    async def run(self) -> None:
        """
        Return when the file has its name and that is durable.

        Raises
        ------
        TransferFailed
            What ended the transfer; the bytes are kept where they may be of use.
        LeaseLost
            Another kernel owns the operation.
        asyncio.CancelledError
            Paused or canceled; by then the connections are closed and the bytes are durable.
        """
        self._facilities.watch(self)
        try:
            published = await self._holding.begin()
            if published is not None:
                await self._finishing.finish_published(published)
                return
            self._telling.begun()
            await self._fetch_and_verify()
            await self._commit()
        except BaseException:
            self._telling.ending()
            self._tell_progress(0.0)  # what came since the last tick is there, too
            raise
        finally:
            self._facilities.unwatch(self)
            await self._holding.settle()

    async def _fetch_and_verify(self) -> None:
        is_second = False
        await self._fetch()
        while not await self._finishing.is_right():
            expected = self._holding.expected_digest
            if not self._order.options.is_repeatable:
                raise IntegrityFailed(f"The answer does not have the digest {expected}.")
            if is_second:
                self._turn(IntegrityFailed(f"The bytes do not have the digest {expected}, twice."))
            is_second = not is_second
            await self._start_over("the digest is not the expected one")
            await self._fetch()

    async def _fetch(self) -> None:
        failures = 0
        while not (self._holding.is_whole or self._fetched.small_body is not None):
            try:
                await self._attempt()
            except OverlapMismatch as error:
                await self._start_over(error.message)
            except TransferFailed as error:
                if self._deserves_a_fresh_start(error):
                    await self._start_over(error.message)
                    continue
                failures = 0 if self._has_more_than_ever() else failures
                try:
                    failures += 1 if await self._back_off(error, failures) else 0
                except TransferFailed as final:
                    self._turn(final)
                    failures = 0

    def _deserves_a_fresh_start(self, error: TransferFailed) -> bool:
        """Whether a coding broke for the first time: it cannot be gone on with, and may have been an accident."""
        is_first = isinstance(error, DecodingFailed) and not self._has_broken_coding
        self._has_broken_coding |= is_first
        return is_first and self._order.options.is_repeatable

    def _turn(self, error: TransferFailed) -> None:
        """Go on from the next place that has the file; raises the error where there is none."""
        self._sources.turn(error)
        log.info("Operation %s goes on from %s: %s", self._order.operation_id, self._sources.name, error.message)
        self._holding.turn_to(self._sources.current)
        self._has_turned = True

    def _has_more_than_ever(self) -> bool:
        """Whether the attempt brought a new byte: one that was fetched anew after a restart is none."""
        before, self._most = self._most, max(self._most, self._holding.written.total)
        return self._most > before

    async def _back_off(self, error: TransferFailed, failures: int) -> bool:
        """Wait until it is worth another try, and return whether this one counts; raise the error where none is."""
        if not self._order.options.is_repeatable and self._arrived_perhaps(error):
            raise error
        return await self._patience.back_off(error, failures, host=self._asking.host)

    def _arrived_perhaps(self, error: TransferFailed) -> bool:
        """Whether the server may have acted on a request; of one with a body the error itself knows whether it left."""
        return self._was_answered or (not self._has_body and error.web_error_status not in _NEVER_LEFT)

    async def _attempt(self) -> None:
        """Ask for the first missing range, and take what the answer allows."""
        first, self._first = self._first, None
        if first is not None and first.failure is not None:
            raise first.failure
        gap = self._holding.first_gap(self._wanted.position)
        kept = self._holding.kept_from(gap.start)
        asked = self._holding.overlap_before(gap, kept)
        if asked is None and self._holding.written:
            await self._start_over("nothing proves that the server still has the same file")
            gap, kept = ByteRange(0, 0), self._holding.kept_from(0)
        condition = kept.validator
        opened = first.opened if first is not None else None
        if opened is None:
            self._telling.activity(TransferActivity.CONNECTING)
        for _ in range(_MOST_QUESTIONS):
            opening = opened or await self._ask(asked, gap, condition)
            opened = None
            async with opening as exchange:
                self._was_answered = True
                decision = decide(kept, asked, exchange.answer, was_conditional=condition is not None)
                match decision.verdict:
                    case Verdict.ASK_UNCONDITIONALLY:
                        condition = None
                    case Verdict.ASK_FOR_ALL:
                        asked, condition = None, None
                    case Verdict.CHECK_COMPLETE:
                        self._know(exchange.answer)
                        return self._holding.learn_length(kept.position)
                    case Verdict.FAIL:
                        break
                    case _:
                        return await self._take(exchange, decision, gap)
        raise ProtocolViolation(
            f"The answer cannot be used: {decision.reason}.", web_error_status=_UNASKED if asked is None else None
        )

    async def _ask(
        self, asked: ByteRange | None, gap: ByteRange, condition: Validator | None
    ) -> AbstractAsyncContextManager[Exchange]:
        request = await self._asking.request(asked, gap, condition)
        self._has_body = request.body is not None
        return await self._asking.open(request)

    async def _take(self, exchange: Exchange, decision: Decision, gap: ByteRange) -> None:
        """Deliver a usable body."""
        answer = exchange.answer
        if decision.verdict is Verdict.START_OVER:
            if self._holding.written:
                await self._start_over(decision.reason)
            await self._accept(answer)
            gap = ByteRange(0, 0)
        else:
            self._know(answer)
            if self._holding.length is None and answer.content_range and answer.content_range.total is not None:
                self._holding.learn_length(answer.content_range.total)
        if self._has_turned:
            self._has_turned = False
            if decision.verdict is Verdict.CONTINUE:
                self._telling.probed(self._holding.continue_as(answer.resource))
        self._telling.downloading()
        ended = await self._deliver(exchange, decision.position, gap)
        self._fetched.framing = ended.framing
        if ended.small_body is not None:
            self._fetched.small_body = ended.small_body
            self._telling.count(len(ended.small_body))
        if self._holding.length is None and not ended.was_cut:
            if ended.framing is Framing.CLOSED:
                open_part = self._open_part if self._order.options.may_ask_for_parts else None
                self._fetched.framing = await look_behind(self._holding, ended.position, open_part)
            self._holding.learn_length(ended.position)

    def _know(self, answer: Answer) -> None:
        """Take the resource from an answer that is gone on with: a commit from memory announces a place and no more."""
        if self._holding.resource is None:
            self._holding.adopt(replace(answer.resource, length=None))

    async def _deliver(self, exchange: Exchange, position: int, gap: ByteRange) -> Delivered:
        """Receive the body, over several connections where that may help; every connection counts for its host."""
        holding, facilities, options = self._holding, self._facilities, self._order.options
        first = Delivery(exchange, holding, facilities=facilities, limiter=self.limiter, options=options)
        resource = holding.resource
        missing = (holding.length or 0) - holding.written.total
        is_single = self._gives_no_parts or holding.durable.restarts >= MAX_RESTARTS
        is_single = is_single or options.max_connections == 1 or not options.may_ask_for_parts
        if resource is None or is_single or not may_split(resource, missing):
            return await self._watch_alone(first, position, gap)
        self._delivery = crew = Crew(
            holding,
            host=self._asking.host,
            facilities=facilities,
            limiter=self.limiter,
            options=options,
            open_part=self._open_part,
            wrote=self._wrote,
        )
        if self._wanted.position is not None:
            crew.want(self._wanted.position)
        try:
            return await crew.run(first, position=position, gap=gap)
        finally:
            self._gives_no_parts |= crew.was_refused
            self._delivery = None

    async def _watch_alone(self, delivery: Delivery, position: int, gap: ByteRange) -> Delivered:
        self._delivery = delivery
        self._facilities.hosts.opened(self._asking.host)
        try:
            return await delivery.run(position=position, gap=gap, wrote=self._wrote)
        finally:
            self._facilities.hosts.closed(self._asking.host)
            self._delivery = None

    def _open_part(self, part: ByteRange) -> AbstractAsyncContextManager[Exchange]:
        resource = self._holding.resource
        return self._asking.part(part, resource.validator if resource is not None else None)

    async def _accept(self, answer: Answer) -> None:
        """Take a first answer, or refuse it before a byte of it is written."""
        resource = answer.resource
        check_acceptable(resource, self._order.options)
        if self._fetched.destination is None and (self._order.publisher is not None or not is_small(answer)):
            self._fetched.destination = await self._choose_destination(resource)
        self._holding.adopt(resource)
        self._telling.probed(resource, is_brief=is_small(answer))

    def _wrote(self, start: int, stop: int) -> None:
        self._telling.count(stop - start)
        self._facilities.received += stop - start
        self._holding.wrote(start, stop)
        if self._wanted.has_come():
            self._tell_progress(self._holding.rate)  # somebody waits for it

    def want(self, position: int) -> None:
        """Fetch what is missing from a position on before anything else, where that can be done (see `Wanted`)."""
        self._wanted.want(position, self._delivery)

    async def _start_over(self, reason: str) -> None:
        log.info("Operation %s begins again at byte 0: %s", self._order.operation_id, reason)
        self._fetched.small_body = None
        await self._holding.start_over(counts=not self._has_turned)  # another place is no server that cannot resume
        self._has_turned = False
        self._wanted.position = None
        self._telling.begin_again()
        self._telling.restarted(reason)

    async def _commit(self) -> None:
        self._telling.committing(small=self._fetched.small_size)
        if not self._finishing.is_crowded:
            self._leave()
        if self._fetched.small_body is None:
            await self._have_file()
        self._tell_progress(0.0)
        self._facilities.unwatch(self)
        await self._finishing.deliver(self._back_off)

    async def _have_file(self) -> None:
        resource = self._holding.resource
        assert resource is not None  # noqa: S101 (an answer was accepted)
        self._fetched.destination = self._fetched.destination or await self._choose_destination(resource)
        await self._holding.open_file()  # an empty body never opened it

    def tick(self, now: float) -> None:
        """Measure, record, watch and tell; called four times a second."""
        self._ticks += 1
        rate = self._telling.sample(now)
        self._holding.rate = rate
        if self._delivery is not None:
            self._delivery.tick(now, flushes=self._wanted.is_read or self._ticks % _FLUSH_EVERY_TICKS == 0)
        self._holding.tick(now)
        self._tell_progress(rate)

    def _tell_progress(self, rate: float) -> None:
        connections = self._delivery.connections if self._delivery else 0
        self._telling.progress(rate, small=self._fetched.small_size, connections=connections)

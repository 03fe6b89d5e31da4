"""
One run of an operation, and the short way of most files that are not large: whole at once, and straight to the commit.

Where there is nothing to begin from, everything is asked for before anything else is made. What then comes whole, with
its answer or soon after it, goes to the committer; what is larger, unusual, wrong or late becomes a `Transfer`'s, which
goes on from that exchange. The same is checked, told and recorded either way.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Final

from bgdl_jupyter.engine.asking import Asking
from bgdl_jupyter.engine.coming import Coming
from bgdl_jupyter.engine.delivery import check_acceptable
from bgdl_jupyter.engine.finished import Finished
from bgdl_jupyter.engine.first import First, Opened, Received
from bgdl_jupyter.engine.holding import Holding
from bgdl_jupyter.engine.middle_bodies import is_middle
from bgdl_jupyter.engine.small_body import SmallBody, is_small
from bgdl_jupyter.engine.sources import Sources
from bgdl_jupyter.engine.telling import Telling
from bgdl_jupyter.engine.verification import body_has, integrity_of
from bgdl_jupyter.errors import TransferFailed
from bgdl_jupyter.events import ActivityChanged, ArrivedAtOnce, ResourceProbed
from bgdl_jupyter.ranges import EMPTY, ByteRange
from bgdl_jupyter.status import TransferActivity
from bgdl_jupyter.storage.digests import strongest

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractAsyncContextManager

    from bgdl_jupyter.engine.facilities import Facilities
    from bgdl_jupyter.engine.order import Durable, Order, RequestMaker
    from bgdl_jupyter.engine.rate_limit import CombinedLimiter
    from bgdl_jupyter.engine.transfer import Transfer
    from bgdl_jupyter.events import Event
    from bgdl_jupyter.resource import Answer, Digest, Resource
    from bgdl_jupyter.transport.base import Exchange, Framing

_ALL: Final = ByteRange(0, 0)


class AtOnce:
    """
    Fetches one file.

    Parameters
    ----------
    order, durable, facilities, limiter, make_request, leave, publish:
        As for a `Transfer`.
    otherwise:
        Makes the transfer that goes on where the file does not come at once.

    Attributes
    ----------
    limiter:
        What holds its bytes back.
    """

    __slots__ = (
        "__weakref__",
        "_asking",
        "_coming",
        "_durable",
        "_facilities",
        "_leave",
        "_order",
        "_otherwise",
        "_publish",
        "_small",
        "_telling",
        "_transfer",
        "_wanted",
        "limiter",
        "resource",
    )

    #: Nothing is in a file before the commit.
    written = EMPTY

    def __init__(
        self,
        order: Order,
        durable: Durable,
        *,
        facilities: Facilities,
        limiter: CombinedLimiter,
        make_request: RequestMaker,
        leave: Callable[[], None],
        publish: Callable[[Event], None],
        otherwise: Callable[[First | None], Transfer],
    ) -> None:
        self._order = order
        self._durable = durable
        self._facilities = facilities
        self._asking = Asking(make_request, Sources(order.sources, 0), facilities)
        self._leave = leave
        self._publish = publish
        self._otherwise = otherwise
        self._transfer: Transfer | None = None
        self._wanted: int | None = None
        self._small: SmallBody | None = None
        self._coming: Coming | None = None
        self._telling: Telling | None = None
        self.limiter = limiter
        self.resource: Resource | None = None

    async def run(self) -> None:
        """Return when the file has its name and that is durable; raises as `Transfer.run` does."""
        finished = await self.fetch()
        if finished is not None:
            await self._facilities.committer.commit(finished)

    async def fetch(self) -> Finished | None:
        """Do as `run` does, but leave the commit of a file that came at once to the caller, who gets that file."""
        if not self._durable.is_nothing or self._order.publisher is not None:
            await self._go_on(None)
            return None
        self._facilities.watch(self)
        try:
            came = await self._ask()
        finally:
            self._facilities.unwatch(self)
        if isinstance(came, Finished):
            return came
        await self._go_on(came)
        return None

    async def _go_on(self, first: First | None) -> None:
        self._transfer = transfer = self._otherwise(first)
        if self._wanted is not None:
            transfer.want(self._wanted)
        try:
            await transfer.run()
        finally:
            if first is not None and first.opened is not None:
                await first.opened.__aexit__()

    async def _ask(self) -> Finished | First:
        """Ask for everything; return the file, or what is to be gone on from."""
        activity = TransferActivity.CONNECTING
        self._publish(ActivityChanged(operation_id=self._order.operation_id, activity=activity))
        asking, has_body = self._asking, False
        try:
            request = await asking.request(None, _ALL, None)
            has_body = request.body is not None
            opening = await asking.open(request)
            exchange = await opening.__aenter__()
        except TransferFailed as error:
            return First(host=asking.host, has_body=has_body, failure=error)
        answer = exchange.answer
        if answer.has_content_range or not (is_small(answer) or self._may_come_soon(answer)):
            return self._first(has_body, opened=Opened(exchange, opening))
        if not is_small(answer):
            return await self._await_middle(exchange, opening, has_body)
        try:
            return await self._receive(exchange, answer)
        except TransferFailed as error:
            self._tell_probed()
            return self._first(has_body, failure=error)
        except BaseException:
            self._tell_probed()
            raise
        finally:
            await opening.__aexit__(None, None, None)

    def _first(self, has_body: bool, **came: Any) -> First:  # noqa: FBT001 (one of three, of which this is the first)
        return First(host=self._asking.host, has_body=has_body, was_answered=True, **came)

    async def _receive(self, exchange: Exchange, answer: Answer) -> Finished | First:
        resource, hosts, host = answer.resource, self._facilities.hosts, self._asking.host
        check_acceptable(resource, self._order.options)
        self.resource = resource
        if self._telling is not None:
            self._telling.probed(resource, is_brief=True)
        self._small = small = SmallBody(self.limiter, self._order.options)
        hosts.opened(host)
        try:
            framing = await small.receive(exchange, resource.length or 0)
        finally:
            hosts.closed(host)
        expected = self._order.digest or (strongest(resource.digests) if resource.digests else None)
        if expected is not None and not body_has(expected, small.body):
            again = Received(answer, exchange.origin, small.body, framing)
            return First(host=host, was_answered=True, opened=Opened(again))
        self._tell_arrival(resource, len(small.body))
        return self._finished(resource, small.body, framing, expected)

    def _may_come_soon(self, answer: Answer) -> bool:
        """Whether a body may be received into memory: nothing holds it back, and nobody waits for parts of it."""
        if self._wanted is not None or self._order.options.is_random_access_required:
            return False
        return is_middle(answer) and self.limiter.most_at_once is None

    async def _await_middle(
        self,
        exchange: Exchange,
        opening: AbstractAsyncContextManager[Exchange],
        has_body: bool,  # noqa: FBT001 (as for `_first`)
    ) -> Finished | First:
        """Receive a body of middle size; one that does not come soon is gone on with."""
        opened, bodies = Opened(exchange, opening), self._facilities.bodies
        try:
            resource = exchange.answer.resource
            check_acceptable(resource, self._order.options)
            block = await bodies.room(resource.length or 0)
            if block is None:
                return self._first(has_body, opened=opened)
            self._coming = coming = Coming(exchange, opening, bodies=bodies, block=block)
            opened = Opened(coming, coming)
            if not await self._comes_soon(coming):
                bodies.late()
                return self._first(has_body, opened=opened)
            finished = await self._take_middle(coming)
            if finished is None:
                return self._first(has_body, opened=opened)
        except TransferFailed as error:
            await opened.__aexit__()
            return self._first(has_body, failure=error)
        except BaseException:
            await opened.__aexit__()
            raise
        await opened.__aexit__()
        return finished

    async def _comes_soon(self, coming: Coming) -> bool:
        hosts, host, self.resource = self._facilities.hosts, self._asking.host, coming.answer.resource
        if self._telling is not None:
            self._telling.probed(self.resource, is_brief=True)
        hosts.opened(host)
        try:
            return await coming.comes_soon()
        except asyncio.CancelledError:
            await coming.break_off()
            if coming.body:
                await self._keep(coming.body, self.resource)
            raise
        finally:
            hosts.closed(host)
            self._coming = None

    async def _take_middle(self, coming: Coming) -> Finished | None:
        """Return the file of a body that is whole, its bytes written; None where it has not the expected digest."""
        resource, body, facilities = coming.answer.resource, coming.body, self._facilities
        expected = self._order.digest or (strongest(resource.digests) if resource.digests else None)
        if expected is not None and not await facilities.run(body_has, expected, body):
            return None
        size = len(body)
        facilities.received += size
        finished = self._finished(resource, body, coming.framing, expected)
        await facilities.bodies.write(finished)
        self._tell_arrival(resource, size)  # not before: a full disk would take back what was told
        return finished

    async def _keep(self, body: memoryview, resource: Resource) -> None:
        """Make durable what came of a body until it was not wanted any more."""
        facilities = self._facilities
        holding = Holding(self._order, self._durable, facilities=facilities, journal=facilities.journal)
        holding.adopt(resource)
        file = await holding.open_file()
        try:
            await facilities.run(file.write, body, 0)
            holding.wrote(0, len(body))
        finally:
            await holding.settle()
        self._publish(ResourceProbed(operation_id=self._order.operation_id, resource=resource))
        Telling(self._order.operation_id, holding, self._publish).progress(0.0, small=None, connections=0)

    def _finished(self, resource: Resource, body: memoryview, framing: Framing, expected: Digest | None) -> Finished:
        order = self._order
        return Finished(
            order=order,
            durable=self._durable,
            place=order.place or str(order.path_for(resource)),
            is_ours=order.place is not None,
            small_body=body,
            size=len(body),
            integrity=integrity_of(expected, resource, framing),
            digest=str(expected) if expected else None,
            publish=self._publish,
            leave=self._leave,
        )

    def _tell_arrival(self, resource: Resource, size: int) -> None:
        operation_id, telling = self._order.operation_id, self._telling
        if telling is None:
            self._publish(ArrivedAtOnce(operation_id=operation_id, resource=resource, bytes_received=size))
            return
        telling.count(size)
        telling.committing(small=size)
        telling.progress(0.0, small=size, connections=0)

    def _tell_probed(self) -> None:
        """Tell what the server said, of a body that did not come whole."""
        if self._telling is not None:
            self._telling.ending()
        elif self.resource is not None:
            self._publish(ResourceProbed(operation_id=self._order.operation_id, resource=self.resource))

    @property
    def length(self) -> int | None:
        """The size of the whole, None while it is unknown."""
        return self.resource.length if self.resource is not None else None

    def want(self, position: int) -> None:
        """Fetch what is missing from a position on before anything else; a small file comes as a whole anyway."""
        self._wanted = position
        if self._transfer is not None:
            self._transfer.want(position)

    def tick(self, now: float) -> None:
        """Watch and tell: by now it takes longer than a moment; called four times a second."""
        if self._telling is None:
            self._telling = Telling(self._order.operation_id, self, self._publish)
            if self.resource is not None:
                self._telling.probed(self.resource, is_brief=True)
        rate = self._telling.sample(now)
        if self._small is not None:
            self._small.tick(now)
        if self._coming is not None:
            self._coming.tick(now, is_limited=self.limiter.most_at_once is not None)
        self._telling.progress(rate, small=None, connections=int((self._small or self._coming) is not None))

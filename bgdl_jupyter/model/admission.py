"""The queue of this process: who waits, who has a place, and who is let in next."""

from __future__ import annotations

import asyncio
import functools
import itertools
import sys
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from bgdl_jupyter.engine.scheduler import Candidate, Limits, Queue, Running, admit
from bgdl_jupyter.model.light import alike
from bgdl_jupyter.uris import beginning_of, origin_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from uuid import UUID

    from bgdl_jupyter.engine.hosts import Hosts
    from bgdl_jupyter.model.operation import DownloadOperation
    from bgdl_jupyter.model.registry import Registry


# So many are let in in one turn of the loop, and fewer where a turn takes longer than so many seconds: a thousand that
# begin at once would keep it from all else, and from those that began before.
_AT_ONCE: Final = 8
_TURN: Final = 0.02
_QUEUED: Final = frozenset({"application", "group", "priority"})
_NOBODY: Final = Running()
_NO_LIMITS: Final = Limits(max_parallel=sys.maxsize, max_parallel_per_host=sys.maxsize)


class Admission:
    """
    Lets operations run as the scheduler admits them; belongs to the engine's loop.

    Parameters
    ----------
    start:
        Called with the name of an operation that got a place.
    """

    def __init__(
        self, loop: asyncio.AbstractEventLoop, registry: Registry, hosts: Hosts, start: Callable[[UUID], None]
    ) -> None:
        self._loop = loop
        self._registry = registry
        self._hosts = hosts
        self._start = start
        self._queue = Queue()
        self._unlimited = Queue()
        # By the number in the name: to hash that is dear.
        self._running: dict[int, Candidate] = {}
        self._count = Running()
        self._readmissions: dict[int, asyncio.Future[None]] = {}
        self._is_due = False
        self._looked_at: float | None = None
        self._most = _AT_ONCE
        self._is_open = True
        self._release: asyncio.TimerHandle | None = None
        self.limits = Limits()

    def close(self) -> None:
        """Let nobody in any more."""
        self._is_open = False

    def enqueue(self, operation: DownloadOperation) -> None:
        """Let an operation wait for its turn; its place in the queue follows its priority and position."""
        self.withdraw(operation.values["guid"])
        queue = self._unlimited if operation.is_unconstrained else self._queue
        queue.add(candidate_of(operation))
        self.look_soon()

    def enqueue_all(self, operations: Iterable[DownloadOperation]) -> None:
        """Let many wait that did not yet, and have our limits."""
        self._queue.add_all(candidates_of(operations))
        self.look_soon()

    def requeue(self, operation: DownloadOperation) -> None:
        """Give a waiting operation the place that it has by now, and a running one without limits its own."""
        if operation.guid in self._queue or operation.guid in self._unlimited:
            self.enqueue(operation)
        elif operation.is_unconstrained:
            self.leave(operation.guid)

    def withdraw(self, operation_id: UUID) -> Candidate | None:
        """Let an operation wait no longer; return it as it waited."""
        return self._queue.remove(operation_id) or self._unlimited.remove(operation_id)

    def leave(self, operation_id: UUID) -> None:
        """Give a place back, where it has one."""
        candidate = self._running.pop(operation_id.int, None)
        if candidate is not None:
            self._count.remove(candidate)
            self.look_soon()

    def next_few(self, count: int) -> Iterator[UUID]:
        """Give the names of some that wait, among them those that are likely to be let in next."""
        return (each.operation_id for each in itertools.islice(self._queue.first_of_each_lane(), count))

    def look_soon(self) -> None:
        """Look for who may run, once for all that happens in this turn of the loop."""
        if not self._is_due and self._is_open:
            self._is_due = True
            self._loop.call_soon(self._look)

    def _look(self) -> None:
        self._is_due = False
        now = time.monotonic()
        most = self._most_at_once(now)
        held = self._hosts.held(now)
        running = self._count
        limits = replace(
            self.limits,
            max_parallel=min(self.limits.max_parallel, running.total + most),
            groups=self._registry.group_limits(),
            hosts=self._hosts.troubled(now),
        )
        admitted = admit(self._queue.lanes, running, limits, held_hosts=held)
        for operation_id in admitted:
            self._let_in(operation_id)
        # Lifted are our limits; what a server asks for still counts.
        lifted = replace(_NO_LIMITS, max_parallel=most)
        unlimited = admit(self._unlimited.lanes, _NOBODY, lifted, held_hosts=held) if self._unlimited else ()
        for operation_id in unlimited:
            self._let_in(operation_id, takes_place=False)
        if len(admitted) == most or len(unlimited) == most:
            self._looked_at = now
            self.look_soon()
        release = self._hosts.next_release(now)
        if self._release is not None:
            self._release.cancel()
            self._release = None
        if release is not None and (len(self._queue) or len(self._unlimited)):
            self._release = self._loop.call_later(max(0.0, release - now), self.look_soon)

    def _most_at_once(self, now: float) -> int:
        """Return how many to let in: half as many after a long turn of the loop, one more after a short one."""
        before, self._looked_at = self._looked_at, None
        if before is None:
            self._most = _AT_ONCE
        else:
            self._most = max(1, self._most // 2) if now - before > _TURN else min(_AT_ONCE, self._most + 1)
        return self._most

    def _let_in(self, operation_id: UUID, *, takes_place: bool = True) -> None:
        candidate = self.withdraw(operation_id)
        if candidate is None:
            return
        if takes_place:
            self._running[operation_id.int] = candidate
            self._count.add(candidate)
        waiting = self._readmissions.pop(operation_id.int, None)
        if waiting is None:
            self._start(operation_id)
        elif not waiting.done():
            waiting.set_result(None)

    async def step_aside(self, operation: DownloadOperation, until: float, back: Callable[[], None]) -> None:
        """Make room for others until a monotonic time, then call ``back`` and wait for a turn again."""
        self.leave(operation.guid)
        await asyncio.sleep(max(0.0, until - time.monotonic()))
        back()
        turn = self._readmissions[operation.guid.int] = self._loop.create_future()
        self.enqueue(operation)
        try:
            await turn
        finally:
            self._readmissions.pop(operation.guid.int, None)
            self.withdraw(operation.guid)

    def make_current(self, operation: DownloadOperation) -> list[tuple[UUID, float]]:
        """Move a waiting operation, and those behind it, to the front of its group; return the new positions."""
        if operation.guid not in self._queue:
            return []
        moved = [(each.operation_id, each.position) for each in self._queue.make_current(operation.guid)]
        self.look_soon()
        return moved


@functools.lru_cache(maxsize=4096)
def _group_key(application: str, group: str) -> str:
    return f"{application}\0{group}"


def candidate_of(operation: DownloadOperation) -> Candidate:
    """Return what the scheduler needs to know about an operation."""
    (candidate,) = candidates_of((operation,))
    return candidate


def candidates_of(operations: Iterable[DownloadOperation]) -> Iterator[Candidate]:
    """Return what the scheduler needs to know about operations."""
    for values, some in alike(operations, _QUEUED):
        group, priority = values["group"], values["priority"]
        key, rank = _group_key(values["application"], group) if group else "", priority.rank
        host, beginning = "", "/"  # most are of the host of the one before
        for each in some:
            own = each.values
            operation_id: UUID = own["guid"]
            uri: str = own["requested_uri"]
            if not uri.startswith(beginning):
                host, beginning = origin_of(uri).host, beginning_of(uri)
            yield Candidate(operation_id, host, key, priority, (rank, each.position, operation_id.int))

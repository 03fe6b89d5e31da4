"""
Which of the waiting operations may run now: the queue, and one pure decision over it.

Policy: priority first, then the order of start, inside the limits. An operation whose host is full or held does not
hold up those behind it, not even in a serial group: while its head waits for a ``Retry-After``, the next of the group
with another host goes, still one at a time, and the head is first again when its time has come. LOW waits for as long
as anything better can run; nothing else is ever overtaken but by a higher priority or by those that can run when it
cannot.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from heapq import heapify, heappop, heappush, heapreplace
from itertools import count, islice
from typing import TYPE_CHECKING, NamedTuple
from uuid import UUID

from bgdl_jupyter.engine.lanes import Lanes
from bgdl_jupyter.status import BackgroundTransferBehavior, BackgroundTransferPriority

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from bgdl_jupyter.engine.lanes import Lane


class Candidate(NamedTuple):
    """
    An operation that waits: a tuple, since a hundred thousand are made at once.

    ``order`` is its place in the queue: no two operations have the same.
    """

    operation_id: UUID
    host: str
    group: str
    priority: BackgroundTransferPriority
    order: tuple[int, float, int]

    @classmethod
    def of(
        cls, *, operation_id: UUID, host: str, group: str, priority: BackgroundTransferPriority, position: float
    ) -> Candidate:
        """Return an operation that waits; ``position`` is its place in the order of start, smaller goes first."""
        return cls(operation_id, host, group, priority, (priority.rank, position, operation_id.int))

    @property
    def position(self) -> float:
        """Its place in the order of start."""
        return self.order[1]

    def at(self, position: float, priority: BackgroundTransferPriority | None = None) -> Candidate:
        """Return it with another position and priority; None to keep the latter."""
        priority = self.priority if priority is None else priority
        return self._replace(priority=priority, order=(priority.rank, position, self.operation_id.int))

    @property
    def is_high(self) -> bool:
        """Whether it may run beside the one of a serial group."""
        return self.priority is BackgroundTransferPriority.HIGH


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupLimits:
    """How many of a group may run at once."""

    behavior: BackgroundTransferBehavior = BackgroundTransferBehavior.PARALLEL
    max_parallel: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """How many may run at once; what is not in ``hosts`` or ``groups`` has no limit of its own."""

    max_parallel: int = 16
    max_parallel_per_host: int = 16
    hosts: Mapping[str, int] = field(default_factory=dict)
    groups: Mapping[str, GroupLimits] = field(default_factory=dict)


@dataclass(slots=True, kw_only=True)
class Running:
    """How many run: in all, by host, by group, and by group those that are not HIGH."""

    total: int = 0
    per_host: dict[str, int] = field(default_factory=dict)
    per_group: dict[str, int] = field(default_factory=dict)
    not_high_per_group: dict[str, int] = field(default_factory=dict)

    def add(self, candidate: Candidate) -> None:
        """Count one more."""
        self._count(candidate, 1)

    def remove(self, candidate: Candidate) -> None:
        """Count one less, which was counted."""
        self._count(candidate, -1)

    def _count(self, candidate: Candidate, change: int) -> None:
        self.total += change
        _change(self.per_host, candidate.host, change)
        _change(self.per_group, candidate.group, change)
        if not candidate.is_high:
            _change(self.not_high_per_group, candidate.group, change)


def _change(counts: dict[str, int], name: str, change: int) -> None:
    count = counts.get(name, 0) + change
    if count:
        counts[name] = count
    else:
        del counts[name]


def admit(
    lanes: Lanes[Candidate],
    running: Running,
    limits: Limits,
    *,
    held_hosts: frozenset[str] = frozenset(),
) -> list[UUID]:
    """
    Return the operations to start, best first.

    Costs a look at each group, little for each that is admitted, and a look at each lane whose host is full or held
    and that would be better; however many wait.

    Parameters
    ----------
    lanes:
        What waits.
    running, limits:
        What runs, and how much may.
    held_hosts:
        Hosts that must not be asked now.
    """
    if len(lanes) == 1:
        (lane,) = lanes.values()
        if lane[0].group not in limits.groups:  # as with most: nothing has to be compared
            most = min(limits.max_parallel_per_host, limits.hosts.get(lane[0].host, limits.max_parallel_per_host))
            room_of_host = 0 if lane[0].host in held_hosts else most - running.per_host.get(lane[0].host, 0)
            left = max(0, min(room_of_host, limits.max_parallel - running.total))
            return [each.operation_id for each in islice(lane, left)]
    room = _Room(running, limits, held_hosts)
    admitted: list[UUID] = []
    if not room.is_left:
        return admitted
    streams = [(head[0].order, _Stream(lanes, head)) for head in lanes.heads.values()]
    heapify(streams)
    while streams and room.is_left:
        _, stream = streams[0]
        candidate = stream.best
        if candidate is None or not room.has_group_for(candidate):
            heappop(streams)  # nor has it for any behind: they are of the same group, and of no higher priority
            continue
        if room.has_host_for(candidate):
            room.take(candidate)
            admitted.append(candidate.operation_id)
            stream.go_on()
        else:
            stream.leave_lane()
        if stream.best is not None:
            heapreplace(streams, (stream.best.order, stream))
    return admitted


class _Stream:
    """What waits in one group, best first, merged out of its lanes no further than it is looked at."""

    def __init__(self, lanes: Lanes[Candidate], heads: Lane[Candidate]) -> None:
        self._lanes = lanes
        self._heads = iter(heads)
        self._known: list[tuple[tuple[int, float, int], int, Candidate]] = []
        self._look_at_next_lane()

    @property
    def best(self) -> Candidate | None:
        return self._known[0][2] if self._known else None

    def go_on(self) -> None:
        """Step behind the best."""
        index, candidate = self._pop()
        lane = self._lanes.lane_of(candidate)
        if index + 1 < len(lane):
            heappush(self._known, (lane[index + 1].order, index + 1, lane[index + 1]))

    def leave_lane(self) -> None:
        """Step behind the best and all that is in its lane."""
        self._pop()

    def _pop(self) -> tuple[int, Candidate]:
        _, index, candidate = heappop(self._known)
        if index == 0:  # the lanes are in the order of their heads: the next can be no better than this one was
            self._look_at_next_lane()
        return index, candidate

    def _look_at_next_lane(self) -> None:
        head = next(self._heads, None)
        if head is not None:
            heappush(self._known, (head.order, 0, head))


class _Room:
    """What the limits leave, while it is being given away."""

    def __init__(self, running: Running, limits: Limits, held_hosts: frozenset[str]) -> None:
        self._limits = limits
        self._held_hosts = held_hosts
        self._left = limits.max_parallel - running.total
        self._per_host = dict(running.per_host)
        self._per_group = dict(running.per_group)
        self._not_high = dict(running.not_high_per_group)

    @property
    def is_left(self) -> bool:
        return self._left > 0

    def has_host_for(self, candidate: Candidate) -> bool:
        host = candidate.host
        most = self._limits.max_parallel_per_host
        allowed = min(most, self._limits.hosts.get(host, most))
        return host not in self._held_hosts and self._per_host.get(host, 0) < allowed

    def has_group_for(self, candidate: Candidate) -> bool:
        group = self._limits.groups.get(candidate.group)
        if group is None:
            return True
        if group.max_parallel is not None and self._per_group.get(candidate.group, 0) >= group.max_parallel:
            return False
        is_serial = group.behavior is BackgroundTransferBehavior.SERIALIZED
        return not is_serial or candidate.is_high or not self._not_high.get(candidate.group)

    def take(self, candidate: Candidate) -> None:
        host, group = candidate.host, candidate.group
        self._left -= 1
        self._per_host[host] = self._per_host.get(host, 0) + 1
        self._per_group[group] = self._per_group.get(group, 0) + 1
        if not candidate.is_high:
            self._not_high[group] = self._not_high.get(group, 0) + 1


class Queue:
    """All operations that wait, in lanes that `admit` reads as they are."""

    def __init__(self, candidates: Iterable[Candidate] = ()) -> None:
        self._candidates: dict[int, Candidate] = {}  # by the number in the name: to hash that is dear
        self._lanes: Lanes[Candidate] = Lanes()
        self.add_all(candidates)

    def __len__(self) -> int:
        return len(self._candidates)

    def __contains__(self, operation_id: object) -> bool:
        return isinstance(operation_id, UUID) and operation_id.int in self._candidates

    def __getitem__(self, operation_id: UUID) -> Candidate:
        return self._candidates[operation_id.int]

    @property
    def lanes(self) -> Lanes[Candidate]:
        """What waits; follows the queue, and is changed by it alone."""
        return self._lanes

    def first_of_each_lane(self) -> Iterator[Candidate]:
        """Give what waits, lane by lane in turn: the first of each, then the second."""
        for depth in count():  # lane by lane, since few are asked for and there may be very many lanes
            is_last = True
            for lane in self._lanes.values():
                if depth < len(lane):
                    is_last = False
                    yield lane[depth]
            if is_last:
                return

    def add(self, candidate: Candidate) -> None:
        """Let an operation wait; one that waits already is put into its new place."""
        if candidate.operation_id.int in self._candidates:
            self.remove(candidate.operation_id)
        self._candidates[candidate.operation_id.int] = candidate
        self._lanes.add(candidate)

    def add_all(self, candidates: Iterable[Candidate]) -> None:
        """Let many operations wait, as `add` does: cheaper, above all where they come in their order."""
        added = {candidate.operation_id.int: candidate for candidate in candidates}
        for number in self._candidates.keys() & added.keys():
            self.remove(self._candidates[number].operation_id)
        self._candidates.update(added)
        self._lanes.add_all(added.values())

    def remove(self, operation_id: UUID) -> Candidate | None:
        """Let an operation wait no longer; return it, or None where it did not wait."""
        candidate = self._candidates.pop(operation_id.int, None)
        if candidate is not None:
            self._lanes.remove(candidate)
        return candidate

    def move(
        self,
        operation_id: UUID,
        *,
        priority: BackgroundTransferPriority | None = None,
        position: float | None = None,
    ) -> Candidate:
        """
        Give a waiting operation another priority or position, and return it as it is then.

        Raises
        ------
        KeyError
            It does not wait.
        """
        old = self._candidates[operation_id.int]
        new = old.at(old.position if position is None else position, priority)
        self.add(new)
        return new

    def make_current(self, operation_id: UUID) -> list[Candidate]:
        """
        Move an operation and its followers up in its group; return those whose position changed.

        The places of the group stay as they are, so that nobody outside is put back; who stands on them turns: the
        operation takes the first, its followers come next, and those that were before it close up behind. Priorities
        stay: HIGH still goes before DEFAULT. Costs as much as the group has waiting operations.

        Raises
        ------
        KeyError
            It does not wait.
        """
        current = self._candidates[operation_id.int]
        members = sorted(self._lanes.of_group(current.group), key=lambda each: (each.position, each.operation_id.int))
        start = members.index(current)
        if start == 0:
            return []
        turned = [
            each.at(place.position) for each, place in zip(members[start:] + members[:start], members, strict=True)
        ]
        self._candidates.update((each.operation_id.int, each) for each in turned)
        self._lanes.replace_group(current.group, turned)
        return turned

"""
Which of the waiting operations may run now: the queue, and one pure decision over it.

Policy: priority first, then the order of start, inside the limits. An operation whose host is full or held does not
hold up those behind it, not even in a serial group: while its head waits for a ``Retry-After``, the next of the group
with another host goes, still one at a time, and the head is first again when its time has come. LOW waits for as long
as anything better can run; nothing else is ever overtaken but by a higher priority or by those that can run when it
cannot.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from heapq import heapify, heappop, heapreplace
from itertools import chain
from operator import attrgetter
from types import MappingProxyType
from typing import TYPE_CHECKING, Final, overload

from bgdl_jupyter.status import BackgroundTransferBehavior, BackgroundTransferPriority

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from uuid import UUID

#: Host and group: what runs and what waits is limited by these two.
LaneKey = tuple[str, str]

# A lane is cut into pieces of at most twice this, so that none of its steps costs its whole length.
_PIECE: Final = 512


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """An operation that waits; ``position`` is its place in the order of start, smaller goes first."""

    operation_id: UUID
    host: str
    group: str
    priority: BackgroundTransferPriority
    position: float

    @property
    def order(self) -> tuple[int, float, int]:
        """The place in the queue: no two operations have the same."""
        return self.priority.rank, self.position, self.operation_id.int

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
    """How many may run at once; a group that is not in ``groups`` has no limit of its own."""

    max_parallel: int = 16
    max_parallel_per_host: int = 16
    groups: Mapping[str, GroupLimits] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Running:
    """How many run: in all, by host, by group, and by group those that are not HIGH."""

    total: int = 0
    per_host: Mapping[str, int] = field(default_factory=dict)
    per_group: Mapping[str, int] = field(default_factory=dict)
    not_high_per_group: Mapping[str, int] = field(default_factory=dict)

    @classmethod
    def of(cls, candidates: Iterable[Candidate]) -> Running:
        """Count operations that run."""
        running = tuple(candidates)
        return cls(
            total=len(running),
            per_host=Counter(each.host for each in running),
            per_group=Counter(each.group for each in running),
            not_high_per_group=Counter(each.group for each in running if not each.is_high),
        )


def admit(
    lanes: Mapping[LaneKey, Sequence[Candidate]],
    running: Running,
    limits: Limits,
    *,
    held_hosts: frozenset[str] = frozenset(),
) -> list[UUID]:
    """
    Return the operations to start, best first.

    Costs a look at the head of each lane and little for each that is admitted, however many wait.

    Parameters
    ----------
    lanes:
        What waits, by host and group, each lane in `Candidate.order`.
    running, limits:
        What runs, and how much may.
    held_hosts:
        Hosts that must not be asked now.
    """
    room = _Room(running, limits)
    if not room.is_left:
        return []
    heads = [
        (*lane[0].order, 0, lane)
        for (host, _), lane in lanes.items()
        if lane and host not in held_hosts and room.has_place_for(lane[0])
    ]
    heapify(heads)
    admitted: list[UUID] = []
    while heads and room.is_left:
        *_, index, lane = heads[0]
        candidate = lane[index]
        if not room.has_place_for(candidate):
            heappop(heads)  # nor has it for any behind: they have the same host and group, and no higher priority
            continue
        room.take(candidate)
        admitted.append(candidate.operation_id)
        if index + 1 < len(lane):
            heapreplace(heads, (*lane[index + 1].order, index + 1, lane))
        else:
            heappop(heads)
    return admitted


class _Room:
    """What the limits leave, while it is being given away."""

    def __init__(self, running: Running, limits: Limits) -> None:
        self._limits = limits
        self._left = limits.max_parallel - running.total
        self._per_host = Counter(running.per_host)
        self._per_group = Counter(running.per_group)
        self._not_high = Counter(running.not_high_per_group)

    @property
    def is_left(self) -> bool:
        return self._left > 0

    def has_place_for(self, candidate: Candidate) -> bool:
        if self._per_host[candidate.host] >= self._limits.max_parallel_per_host:
            return False
        group = self._limits.groups.get(candidate.group)
        if group is None:
            return True
        if group.max_parallel is not None and self._per_group[candidate.group] >= group.max_parallel:
            return False
        is_serial = group.behavior is BackgroundTransferBehavior.SERIALIZED
        return not is_serial or candidate.is_high or not self._not_high[candidate.group]

    def take(self, candidate: Candidate) -> None:
        self._left -= 1
        self._per_host[candidate.host] += 1
        self._per_group[candidate.group] += 1
        if not candidate.is_high:
            self._not_high[candidate.group] += 1


class Lane(Sequence[Candidate]):
    """Candidates of one host and group in their order, cut into pieces: adding and removing stay cheap."""

    __slots__ = ("_length", "_pieces")

    def __init__(self) -> None:
        self._pieces: list[list[Candidate]] = []
        self._length = 0

    def __len__(self) -> int:
        return self._length

    def __iter__(self) -> Iterator[Candidate]:
        return chain.from_iterable(self._pieces)

    @overload
    def __getitem__(self, index: int) -> Candidate: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[Candidate]: ...
    def __getitem__(self, index: int | slice) -> Candidate | Sequence[Candidate]:
        if isinstance(index, slice):
            return tuple(self)[index]
        rest = index + self._length if index < 0 else index
        for piece in self._pieces:
            if 0 <= rest < len(piece):
                return piece[rest]
            rest -= len(piece)
        raise IndexError(index)

    def add(self, candidate: Candidate) -> None:
        """Put a candidate in its place."""
        number, index = self._find(candidate)
        if number == len(self._pieces):  # behind all others, as most are
            if not self._pieces or len(self._pieces[-1]) >= _PIECE:
                self._pieces.append([])
            self._pieces[-1].append(candidate)
        else:
            self._pieces[number].insert(index, candidate)
            self._split(number)
        self._length += 1

    def remove(self, candidate: Candidate) -> None:
        """Take a candidate out; it must be there."""
        number, index = self._find(candidate)
        del self._pieces[number][index]
        if not self._pieces[number]:
            del self._pieces[number]
        self._length -= 1

    def _find(self, candidate: Candidate) -> tuple[int, int]:
        """Return the piece in which the candidate has its place, and the place."""
        order = candidate.order
        if not self._pieces or self._pieces[-1][-1].order < order:
            return len(self._pieces), 0
        number = bisect_left(self._pieces, order, key=lambda piece: piece[-1].order)
        return number, bisect_left(self._pieces[number], order, key=attrgetter("order"))

    def _split(self, number: int) -> None:
        piece = self._pieces[number]
        if len(piece) > 2 * _PIECE:
            self._pieces[number : number + 1] = [piece[:_PIECE], piece[_PIECE:]]


class Queue:
    """All operations that wait, in lanes that `admit` reads as they are."""

    def __init__(self, candidates: Iterable[Candidate] = ()) -> None:
        self._candidates: dict[UUID, Candidate] = {}
        self._lanes: dict[LaneKey, Lane] = {}
        for candidate in candidates:
            self.add(candidate)

    def __len__(self) -> int:
        return len(self._candidates)

    def __contains__(self, operation_id: object) -> bool:
        return operation_id in self._candidates

    def __getitem__(self, operation_id: UUID) -> Candidate:
        return self._candidates[operation_id]

    @property
    def lanes(self) -> Mapping[LaneKey, Sequence[Candidate]]:
        """What waits, by host and group; a view that follows the queue."""
        return MappingProxyType(self._lanes)

    def add(self, candidate: Candidate) -> None:
        """Let an operation wait; one that waits already is put into its new place."""
        if candidate.operation_id in self._candidates:
            self.remove(candidate.operation_id)
        self._candidates[candidate.operation_id] = candidate
        self._lanes.setdefault((candidate.host, candidate.group), Lane()).add(candidate)

    def remove(self, operation_id: UUID) -> Candidate | None:
        """Let an operation wait no longer; return it, or None where it did not wait."""
        candidate = self._candidates.pop(operation_id, None)
        if candidate is not None:
            key = (candidate.host, candidate.group)
            self._lanes[key].remove(candidate)
            if not self._lanes[key]:
                del self._lanes[key]
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
        old = self._candidates[operation_id]
        new = replace(
            old,
            priority=old.priority if priority is None else priority,
            position=old.position if position is None else position,
        )
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
        current = self._candidates[operation_id]
        members = sorted(self._waiting_of(current.group), key=lambda each: (each.position, each.operation_id.int))
        start = members.index(current)
        turned = members[start:] + members[:start]
        return [
            self.move(each.operation_id, position=place.position)
            for each, place in zip(turned, members, strict=True)
            if each.position != place.position
        ]

    def _waiting_of(self, group: str) -> Iterator[Candidate]:
        return chain.from_iterable(lane for (_, name), lane in self._lanes.items() if name == group)

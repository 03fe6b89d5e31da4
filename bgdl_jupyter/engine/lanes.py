"""What waits, sorted, and kept sorted at little cost while things come and go."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Mapping, Sequence
from itertools import chain
from operator import attrgetter
from types import MappingProxyType
from typing import TYPE_CHECKING, Final, Protocol, TypeVar, overload

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

# A lane is cut into pieces of at most twice this, so that none of its steps costs its whole length.
_PIECE: Final = 512

#: Host and group: what runs and what waits is limited by these two.
LaneKey = tuple[str, str]


class Waiting(Protocol):
    """Something with a host, a group and a place in the queue; no two have the same place."""

    @property
    def host(self) -> str:
        """Whom it asks."""

    @property
    def group(self) -> str:
        """With whom it belongs."""

    @property
    def order(self) -> tuple[int, float, int]:
        """Its place: smaller goes first."""


W = TypeVar("W", bound=Waiting)


class Lane(Sequence[W]):
    """What waits, in its order, cut into pieces."""

    __slots__ = ("_length", "_pieces")

    def __init__(self, waiting: Iterable[W] = ()) -> None:
        self._pieces: list[list[W]] = []
        self._length = 0
        self.add_all(waiting)

    def __len__(self) -> int:
        return self._length

    def __iter__(self) -> Iterator[W]:
        return chain.from_iterable(self._pieces)

    @overload
    def __getitem__(self, index: int) -> W: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[W]: ...
    def __getitem__(self, index: int | slice) -> W | Sequence[W]:
        if isinstance(index, slice):
            return tuple(self)[index]
        rest = index + self._length if index < 0 else index
        for piece in self._pieces:
            if 0 <= rest < len(piece):
                return piece[rest]
            rest -= len(piece)
        raise IndexError(index)

    def add(self, waiting: W) -> None:
        """Put something in its place."""
        number, index = self._find(waiting)
        if number == len(self._pieces):  # behind all others, as most are
            if not self._pieces or len(self._pieces[-1]) >= _PIECE:
                self._pieces.append([])
            self._pieces[-1].append(waiting)
        else:
            self._pieces[number].insert(index, waiting)
            self._split(number)
        self._length += 1

    def add_all(self, waiting: Iterable[W]) -> None:
        """Put many in their places."""
        ordered = sorted(waiting, key=attrgetter("order"))
        if self._pieces and ordered and ordered[0].order < self._pieces[-1][-1].order:
            for each in ordered:
                self.add(each)
            return
        self._length += len(ordered)
        room = _PIECE - len(self._pieces[-1]) if self._pieces else 0
        if room > 0:
            self._pieces[-1] += ordered[:room]
            ordered = ordered[room:]
        self._pieces += [ordered[start : start + _PIECE] for start in range(0, len(ordered), _PIECE)]

    def remove(self, waiting: W) -> None:
        """Take something out; it must be there."""
        number, index = self._find(waiting)
        del self._pieces[number][index]
        if not self._pieces[number]:
            del self._pieces[number]
        self._length -= 1

    def _find(self, waiting: W) -> tuple[int, int]:
        """Return the piece in which it has its place, and the place."""
        if self._pieces and self._pieces[0][0] is waiting:  # as are most that go
            return 0, 0
        order = waiting.order
        if not self._pieces or self._pieces[-1][-1].order < order:
            return len(self._pieces), 0
        number = bisect_left(self._pieces, order, key=lambda piece: piece[-1].order)
        return number, bisect_left(self._pieces[number], order, key=attrgetter("order"))

    def _split(self, number: int) -> None:
        piece = self._pieces[number]
        if len(piece) > 2 * _PIECE:
            self._pieces[number : number + 1] = [piece[:_PIECE], piece[_PIECE:]]


class Lanes(Mapping[LaneKey, Lane[W]]):
    """All lanes, by host and group; and by group what is first in each of them, in order."""

    def __init__(self) -> None:
        self._lanes: dict[LaneKey, Lane[W]] = {}
        self._heads: dict[str, Lane[W]] = {}

    def __getitem__(self, key: LaneKey) -> Lane[W]:
        return self._lanes[key]

    def __iter__(self) -> Iterator[LaneKey]:
        return iter(self._lanes)

    def __len__(self) -> int:
        return len(self._lanes)

    @property
    def heads(self) -> Mapping[str, Lane[W]]:
        """By group, the first of each of its lanes."""
        return MappingProxyType(self._heads)

    def lane_of(self, waiting: W) -> Lane[W]:
        """Return the lane that something waits in."""
        return self._lanes[waiting.host, waiting.group]

    def of_group(self, group: str) -> list[W]:
        """Return all that waits in a group, lane by lane."""
        return [each for head in self._heads.get(group, ()) for each in self.lane_of(head)]

    def add(self, waiting: W) -> None:
        """Put something in its place."""
        key = waiting.host, waiting.group
        lane = self._lanes.get(key)
        if lane is None:
            lane = self._lanes[key] = Lane()
            self._heads.setdefault(waiting.group, Lane())
        elif lane[0].order < waiting.order:
            lane.add(waiting)
            return
        else:
            self._heads[waiting.group].remove(lane[0])
        lane.add(waiting)
        self._heads[waiting.group].add(waiting)

    def add_all(self, waiting: Iterable[W]) -> None:
        """Put many in their places."""
        by_key: dict[LaneKey, list[W]] = {}
        for each in waiting:
            by_key.setdefault((each.host, each.group), []).append(each)
        for some in by_key.values():
            best = min(some, key=attrgetter("order"))
            self.add(best)
            if len(some) > 1:  # none of these can be the head
                self.lane_of(best).add_all(each for each in some if each is not best)

    def remove(self, waiting: W) -> None:
        """Take something out; it must be there."""
        lane, heads = self.lane_of(waiting), self._heads[waiting.group]
        if lane[0].order == waiting.order:
            heads.remove(waiting)
            if len(lane) > 1:
                heads.add(lane[1])
        lane.remove(waiting)
        if not lane:
            del self._lanes[waiting.host, waiting.group]
        if not heads:
            del self._heads[waiting.group]

    def replace_group(self, group: str, waiting: Iterable[W]) -> None:
        """Put many in the place of all that waited in a group."""
        for head in self._heads.pop(group, ()):
            del self._lanes[head.host, head.group]
        by_host: dict[str, list[W]] = {}
        for each in waiting:
            by_host.setdefault(each.host, []).append(each)
        lanes = {(host, group): Lane(members) for host, members in by_host.items()}
        self._lanes.update(lanes)
        if lanes:
            self._heads[group] = Lane(lane[0] for lane in lanes.values())

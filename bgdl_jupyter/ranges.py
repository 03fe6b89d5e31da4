"""Half-open byte ranges and sets of them. Inclusive ends exist only on the wire."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator


class ByteRange(NamedTuple):
    """The bytes from ``start`` up to, and not including, ``stop``."""

    start: int
    stop: int

    @property
    def length(self) -> int:
        """How many bytes."""
        return self.stop - self.start

    def intersection(self, other: ByteRange) -> ByteRange:
        """Return the common bytes; an empty range where there are none."""
        start = max(self.start, other.start)
        return ByteRange(start, max(start, min(self.stop, other.stop)))


@dataclass(frozen=True, slots=True)
class RangeSet:
    """
    Sorted ranges that neither touch nor overlap; immutable.

    Build one with `of`; the constructor trusts its argument.
    """

    ranges: tuple[ByteRange, ...] = ()

    @classmethod
    def of(cls, ranges: Iterable[tuple[int, int]]) -> RangeSet:
        """
        Return the set of all bytes in the ranges, in any order, touching or overlapping.

        Raises
        ------
        ValueError
            A range starts below 0 or stops before it starts.
        """
        merged: list[ByteRange] = []
        for start, stop in sorted(ranges):
            if start < 0 or stop < start:
                message = f"({start}, {stop}) is not a byte range"
                raise ValueError(message)
            if start == stop:
                continue
            if merged and start <= merged[-1].stop:
                merged[-1] = ByteRange(merged[-1].start, max(merged[-1].stop, stop))
            else:
                merged.append(ByteRange(start, stop))
        return cls(tuple(merged))

    @classmethod
    def whole(cls, length: int) -> RangeSet:
        """Return the set of the first ``length`` bytes."""
        return cls((ByteRange(0, length),)) if length else EMPTY

    def __iter__(self) -> Iterator[ByteRange]:
        return iter(self.ranges)

    def __bool__(self) -> bool:
        return bool(self.ranges)

    def __contains__(self, position: object) -> bool:
        return isinstance(position, int) and self.contiguous_from(position) > position

    def __or__(self, other: RangeSet) -> RangeSet:
        return RangeSet.of((*self.ranges, *other.ranges))

    @property
    def total(self) -> int:
        """How many bytes are in the set."""
        return sum(each.stop - each.start for each in self.ranges)

    @property
    def stop(self) -> int:
        """The end of the last range, 0 for the empty set."""
        return self.ranges[-1].stop if self.ranges else 0

    def add(self, start: int, stop: int) -> RangeSet:
        """Return the set with one range more; costs the ranges behind the place, and little at the end."""
        if start >= stop:
            return self
        ranges = self.ranges
        # The usual case: the last range grows.
        if ranges and ranges[-1].start <= start <= ranges[-1].stop:
            last = ByteRange(ranges[-1].start, max(ranges[-1].stop, stop))
            return RangeSet((*ranges[:-1], last))
        low = bisect_left(ranges, start, key=lambda each: each.stop)
        high = bisect_right(ranges, stop, key=lambda each: each.start)
        touched = ranges[low:high]
        if touched:
            start, stop = min(start, touched[0].start), max(stop, touched[-1].stop)
        return RangeSet((*ranges[:low], ByteRange(start, stop), *ranges[high:]))

    def contiguous_from(self, position: int) -> int:
        """Return where the bytes that are there from ``position`` on end; ``position`` itself where it is missing."""
        index = bisect_right(self.ranges, position, key=lambda each: each.start) - 1
        if index < 0:
            return position
        return max(position, self.ranges[index].stop)

    def contiguous_before(self, position: int) -> int:
        """Return how many bytes without a gap lie right before ``position``."""
        return next((position - each.start for each in self.ranges if each.start < position <= each.stop), 0)

    def missing(self, length: int) -> tuple[ByteRange, ...]:
        """Return the gaps in the first ``length`` bytes."""
        edges = (0, *(min(edge, length) for each in self.ranges for edge in each), length)
        gaps = (ByteRange(start, stop) for start, stop in list(pairwise(edges))[::2])
        return tuple(gap for gap in gaps if gap.length > 0)

    def without(self, other: RangeSet) -> tuple[ByteRange, ...]:
        """Return the ranges of what is here and not in ``other``."""
        gaps = (ByteRange(*gap) for gap in other.missing(self.stop))
        common = (mine.intersection(gap) for gap in gaps for mine in self.ranges)
        return tuple(each for each in common if each.length > 0)

    def covers(self, length: int) -> bool:
        """Whether each of the first ``length`` bytes is there."""
        return self.contiguous_from(0) >= length

    def to_pairs(self) -> list[list[int]]:
        """Return the JSON form."""
        return [[each.start, each.stop] for each in self.ranges]


EMPTY: Final = RangeSet()

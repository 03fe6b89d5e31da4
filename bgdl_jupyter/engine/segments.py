"""
Which bytes to ask for next, over one or several connections: a pure plan of what is missing.

Nothing here opens or closes a connection. A segment is a range that is being fetched by one request; it may be cut
short while it arrives, when a further connection takes over its rest.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from bgdl_jupyter.ranges import ByteRange, RangeSet

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

# Cuts fall on multiples of this where the pieces are much larger: whole pages are cheaper to write.
_ALIGNMENT: Final = 64 * 1024


@dataclass(frozen=True, slots=True)
class ActiveSegment:
    """
    What one request still has to bring: from ``position`` up to ``stop``, at ``rate`` bytes per second.

    One that is not open yet has been asked for, and is not cut short: nobody knows how fast it will be.
    """

    position: int
    stop: int
    rate: float = 0.0
    is_open: bool = True

    @property
    def remaining(self) -> int:
        """How many bytes are still to come."""
        return max(0, self.stop - self.position)

    @property
    def seconds_left(self) -> float:
        """How long that takes at this rate; infinite where nothing comes."""
        if not self.remaining:
            return 0.0
        return self.remaining / self.rate if self.rate > 0 else math.inf


@dataclass(frozen=True, slots=True)
class Split:
    """Segment ``index`` is to end at the start of ``taken``, which a further connection fetches."""

    index: int
    taken: ByteRange


def unclaimed(missing: Iterable[ByteRange], active: Iterable[ActiveSegment]) -> tuple[ByteRange, ...]:
    """Return what is missing and not on its way."""
    gaps = tuple(missing)
    on_their_way = RangeSet.of((each.position, each.stop) for each in active if each.remaining)
    length = max((gap.stop for gap in gaps), default=0)
    free = on_their_way.missing(length)
    both = (gap.intersection(each) for gap in gaps for each in free)
    return tuple(each for each in both if each.length)


def plan(missing: Sequence[ByteRange], *, connections: int, smallest: int) -> list[ByteRange]:
    """
    Return the ranges to fetch next, the first missing first, at most one for each connection.

    Parameters
    ----------
    missing:
        The gaps, sorted.
    connections:
        How many requests may be opened.
    smallest:
        No gap is split into pieces of fewer bytes, but for the alignment of the cuts to 64 KiB.
    """
    gaps = [gap for gap in missing if gap.length][: max(0, connections)]
    pieces = [1] * len(gaps)
    for _ in range(connections - len(gaps)):
        widest = max(range(len(gaps)), key=lambda n: gaps[n].length // pieces[n], default=None)
        if widest is None or gaps[widest].length // (pieces[widest] + 1) < max(1, smallest):
            break
        pieces[widest] += 1
    return [piece for gap, count in zip(gaps, pieces, strict=True) for piece in _cut(gap, count)]


def split_tail(active: Sequence[ActiveSegment], *, smallest: int, largest: int | None = None) -> Split | None:
    """
    Return how a further connection helps the segment that would be the last to end; None where none can be helped.

    The newcomer is expected to be as fast as the others are on average, and gets so much that both end together. Each
    part has at least ``smallest`` bytes, and that of the newcomer at most ``largest``.
    """
    splittable = [n for n, each in enumerate(active) if each.is_open and each.remaining >= 2 * max(1, smallest)]
    if not splittable:
        return None
    index = max(splittable, key=lambda n: (active[n].seconds_left, active[n].remaining))
    slowest = active[index]
    expected = mean_rate(active)
    share = slowest.rate / (slowest.rate + expected) if expected > 0 else 0.5
    least = slowest.remaining - max(smallest, largest) if largest is not None else 0
    kept = min(max(int(slowest.remaining * share), smallest, least), slowest.remaining - smallest)
    cut = slowest.position + kept
    aligned = cut - cut % _ALIGNMENT
    if aligned - slowest.position >= max(smallest, 1):
        cut = aligned
    return Split(index, ByteRange(cut, slowest.stop))


def split_tails(
    active: Sequence[ActiveSegment], *, newcomers: int, smallest: int, largest: int | None = None
) -> tuple[list[ActiveSegment], list[ByteRange]]:
    """
    Return the segments as they are to end when so many further connections help, and the ranges of these.

    Each helps as in `split_tail`, also one that another one helps; fewer ranges come back where no more are worth it.
    """
    planned, expected = list(active), mean_rate(active)
    for _ in range(newcomers):
        split = split_tail(planned, smallest=smallest, largest=largest)
        if split is None:
            break
        planned[split.index] = replace(planned[split.index], stop=split.taken.start)
        planned.append(ActiveSegment(split.taken.start, split.taken.stop, expected))
    count = len(active)
    return planned[:count], [ByteRange(each.position, each.stop) for each in planned[count:]]


def mean_rate(active: Iterable[ActiveSegment]) -> float:
    """Return the rate of a segment on average, those left out that have brought nothing yet; 0 where all are."""
    rates = [each.rate for each in active if each.rate > 0]
    return sum(rates) / len(rates) if rates else 0.0


def next_range_for(
    position: int, missing: Sequence[ByteRange], *, active: Sequence[ActiveSegment] = (), smallest: int
) -> ByteRange | None:
    """
    Return the range to fetch before all others because somebody reads at ``position``.

    It starts at ``position``, or at the next missing byte behind it, and ends with its gap or where another segment
    begins. Where a segment has this range as its tail, it is to be cut short there (see `cut_by`).

    None when nothing is missing from there on, or when a segment is less than ``smallest`` bytes away from it.
    """
    gap = next((gap for gap in missing if gap.stop > position and gap.length), None)
    if gap is None:
        return None
    start = max(position, gap.start)
    if any(each.position <= start < min(each.stop, each.position + smallest) for each in active):
        return None
    borders = [each.position for each in active if each.position > start]
    tails = [each.stop for each in active if each.position <= start < each.stop]
    return ByteRange(start, min([gap.stop, *borders, *tails]))


def cut_by(taken: ByteRange, active: Sequence[ActiveSegment]) -> Split | None:
    """Return which segment loses its tail to a range, None where the range is nobody's."""
    for index, each in enumerate(active):
        if each.position < taken.start < each.stop:
            return Split(index, taken)
    return None


def _cut(gap: ByteRange, count: int) -> list[ByteRange]:
    """Return the gap in so many pieces of about the same length."""
    edges = [gap.start + gap.length * n // count for n in range(count)]
    if gap.length // count >= 2 * _ALIGNMENT:
        edges = [gap.start, *(edge - edge % _ALIGNMENT for edge in edges[1:])]
    return [ByteRange(start, stop) for start, stop in zip(edges, [*edges[1:], gap.stop], strict=True)]

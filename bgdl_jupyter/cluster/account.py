"""How far a job is: what of it is done, and what the shards say that run. Pure."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from bgdl_jupyter.model.group import GroupProgress

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from bgdl_jupyter.cluster.ledger import Indexed, Marker
    from bgdl_jupyter.cluster.ticket import Beat


class Account:
    """
    The shards of a job, and how they ended.

    Attributes
    ----------
    round:
        Which try this is; what failed in an earlier one is to be done.
    broken:
        The shards that could not be run at all, and why.
    """

    def __init__(self, index: Sequence[Indexed], markers: Iterable[Marker], *, round_: int) -> None:
        self.index = index
        self.round = round_
        self.broken: dict[int, str] = {}
        self._markers: dict[int, Marker] = {}
        self._sums: Counter[str] = Counter()
        self.files = sum(each.files for each in index)
        for marker in markers:
            self.put(marker)

    def put(self, marker: Marker) -> None:
        """Have a shard done, as this marker says."""
        before = self._markers.get(marker.shard)
        if before is not None:
            self._count(before, -1)
        self._markers[marker.shard] = marker
        self._count(marker, 1)

    def _count(self, marker: Marker, sign: int) -> None:
        for name in ("completed", "failed", "size"):
            self._sums[name] += sign * getattr(marker, name)

    def is_to_do(self, shard: int) -> bool:
        """Whether a shard is to be run in this round."""
        marker = self._markers.get(shard)
        if shard in self.broken:
            return False
        return marker is None or (marker.failed > 0 and marker.round < self.round)

    @property
    def to_do(self) -> list[int]:
        """The shards that are to be run in this round."""
        return [shard for shard in range(len(self.index)) if self.is_to_do(shard)]

    @property
    def has_failed(self) -> bool:
        """Whether something of it is not there."""
        return bool(self.broken or self._sums["failed"])

    def progress(self, beats: Sequence[Beat], *, is_paused: bool, is_canceled: bool) -> GroupProgress:
        """Return how far all of it is; ``beats`` are what the shards say that are handed out."""
        sums = Counter(self._sums)
        for beat in beats:
            earlier = self._markers.get(beat.shard)  # what is tried again counts by what it says now
            for name in ("completed", "failed", "size"):
                sums[name] += getattr(beat, name) - (getattr(earlier, name) if earlier is not None else 0)
        sums["failed"] += sum(self.index[shard].files for shard in self.broken if shard not in self._markers)
        running = sum(beat.running for beat in beats)
        rest = max(0, self.files - sums["completed"] - sums["failed"] - running)
        is_queued = not (is_paused or is_canceled)
        return GroupProgress(
            bytes_received=sums["size"],
            rate=sum(beat.rate for beat in beats),
            total=self.files,
            running=running if is_queued else 0,
            queued=rest if is_queued else 0,
            paused=rest + running if is_paused else 0,
            completed=sums["completed"],
            failed=sums["failed"],
            canceled=rest if is_canceled else 0,
        )

    def in_words(self, out: Iterable[int], slots: int) -> str:
        """Return how far it is in a line; ``out`` are the shards that are handed out."""
        running = list(out)
        done = len(self._markers) - sum(shard in self._markers for shard in running)
        parts = [f"{done:,} of {len(self.index):,} shards done"]
        parts += [f"{len(running):,} on {slots:,} slots"] if running else []
        parts += [f"{len(self.broken):,} broken: {next(iter(self.broken.values()))}"] if self.broken else []
        return ", ".join(parts)

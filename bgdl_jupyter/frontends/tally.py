"""An operation as it was when it was last looked at, and the sums of those of a group."""

from __future__ import annotations

import itertools
from collections import Counter, deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from bgdl_jupyter.frontends.verbs import Verb, perform
from bgdl_jupyter.model.group import GroupProgress

if TYPE_CHECKING:
    from collections.abc import Iterator
    from uuid import UUID

    from bgdl_jupyter.model.operation import DownloadOperation
    from bgdl_jupyter.model.runner import Runner
    from bgdl_jupyter.post_processing import PostProcessing

#: An application and the name of a group in it; the empty name stands for the operations in no group.
GroupKey = tuple[str, str]

#: Who is shown first, where there is not room for all.
_RANKS: Final = ("running", "failed", "queued", "paused", "completed", "canceled")
_LATEST_FIRST: Final = frozenset({"failed", "completed", "canceled"})
#: The parts of a share.
MILLIONTHS: Final = 1_000_000
_SAMPLE_EVERY: Final = 1.0
_SAMPLES: Final = 60


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """An operation as it was when it was last looked at."""

    operation: DownloadOperation
    number: int
    """Its place in the order in which operations came."""
    kind: str
    received: int
    total: int | None
    rate: int
    share: int | None
    """The part that is there, in millionths: sums of whole numbers do not drift."""
    allowed: frozenset[Verb]
    is_old: bool
    """Whether it was over, and seen, before this kernel."""

    @property
    def key(self) -> GroupKey:
        """The group that it belongs to."""
        return self.operation.application, self.operation.group

    @property
    def is_wanted(self) -> bool:
        """Whether its bytes count: those of what was canceled do not."""
        return self.kind != "canceled"

    @property
    def following(self) -> PostProcessing | None:
        """What follows the file, while it is not over."""
        operation = self.operation
        return operation.post_processing if operation.status.is_success and not operation.is_over else None


class Tally:
    """The operations of one group, and their sums."""

    def __init__(self) -> None:
        self._entries: dict[UUID, Entry] = {}
        self._by_kind: dict[str, dict[UUID, Entry]] = {kind: {} for kind in _RANKS}
        self._received = self._rate = self._total = self._unsized = self._shares = self._old = 0
        self._allowed: Counter[Verb] = Counter()
        self.rates: deque[int] = deque(maxlen=_SAMPLES)
        self._sampled_at = float("-inf")

    def __len__(self) -> int:
        return len(self._entries)

    def __iter__(self) -> Iterator[Entry]:
        return iter(self._entries.values())

    def put(self, operation_id: UUID, entry: Entry) -> None:
        """Take in an entry, in place of the one of this id."""
        before = self._entries.get(operation_id)
        if before is not None:
            self._count(before, -1)
            if before.kind != entry.kind:
                del self._by_kind[before.kind][operation_id]
        self._entries[operation_id] = entry
        self._by_kind[entry.kind][operation_id] = entry
        self._count(entry, 1)

    def drop(self, operation_id: UUID) -> None:
        """Let an entry go."""
        entry = self._entries.pop(operation_id, None)
        if entry is not None:
            del self._by_kind[entry.kind][operation_id]
            self._count(entry, -1)

    def _count(self, entry: Entry, sign: int) -> None:
        for verb in entry.allowed:
            self._allowed[verb] += sign
        self._old += sign * entry.is_old
        if not entry.is_wanted:
            return
        self._received += sign * entry.received
        self._rate += sign * entry.rate
        self._total += sign * (entry.total or 0)
        self._unsized += sign * (entry.total is None)
        self._shares += sign * (entry.share or 0)

    @property
    def progress(self) -> GroupProgress:
        """How far the group is."""
        counts = {kind: len(entries) for kind, entries in self._by_kind.items()}
        return GroupProgress(
            bytes_received=self._received,
            total_bytes_to_receive=None if self._unsized else self._total,
            rate=float(self._rate),
            total=len(self._entries),
            **counts,
        )

    @property
    def share(self) -> float | None:
        """
        The part of the group that is there, 0 to 1.

        By bytes where all sizes are known; by files, each with its part, where there are several; None where neither
        says anything.
        """
        progress = self.progress
        wanted = progress.total - progress.canceled
        if progress.fraction is not None or wanted < 2:  # noqa: PLR2004 (of one file, files say nothing)
            return progress.fraction
        return self._shares / (MILLIONTHS * wanted)

    @property
    def allowed(self) -> frozenset[Verb]:
        """What may be asked of the group; trying again is for what failed, not for what was canceled."""
        found = {verb for verb, count in self._allowed.items() if count}
        return frozenset(found if self._by_kind["failed"] else found - {Verb.RETRY})

    @property
    def is_live(self) -> bool:
        """Whether something in it runs or waits for its turn."""
        return bool(self._by_kind["running"] or self._by_kind["queued"])

    @property
    def is_shown(self) -> bool:
        """Whether there is anything that was not over, and seen, before this kernel."""
        return len(self._entries) > self._old

    def who_allows(self, verb: Verb) -> list[DownloadOperation]:
        """Return the operations that a verb to the group is for."""
        entries = self._by_kind["failed"] if verb is Verb.RETRY else self._entries
        return [entry.operation for entry in entries.values() if verb in entry.allowed]

    @property
    def remark(self) -> str:
        """What is to be said of the group beside its sums; empty for nothing."""
        return ""

    def perform(self, runner: Runner, verb: Verb) -> None:
        """Do it with all operations that a verb to the group is for. Engine's loop only."""
        perform(runner, self.who_allows(verb), verb)

    def first(self, count: int) -> list[Entry]:
        """
        Return as many as there is room for, in the order in which they came.

        The running and the failed are taken before the waiting, those before what is over. The order of those that
        are shown never changes: a row does not jump.
        """
        return sorted(itertools.islice(self._by_rank(), count), key=lambda entry: entry.number)

    def _by_rank(self) -> Iterator[Entry]:
        for kind in _RANKS:
            entries = self._by_kind[kind].values()
            yield from reversed(entries) if kind in _LATEST_FIRST else entries

    def sample(self, now: float) -> None:
        """Remember the present rate, once a second."""
        if now - self._sampled_at >= _SAMPLE_EVERY and (self._rate or self.rates):
            self._sampled_at = now
            self.rates.append(self._rate)

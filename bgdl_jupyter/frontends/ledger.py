"""
What there is to show, kept up to date at the cost of what changed.

Events only note which operation changed; what came of it is read once a tick, however many events there were, and the
sums of a group are corrected by the difference. A group of ten thousand costs what its changes cost.
"""

from __future__ import annotations

import itertools
import time
from collections import Counter, deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from bgdl_jupyter.events import GroupChanged, OperationAdded, OperationEvent, OperationRemoved
from bgdl_jupyter.frontends.verbs import Verb, allowed_verbs
from bgdl_jupyter.model.group import GroupProgress, kind_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from uuid import UUID

    from bgdl_jupyter.events import Event
    from bgdl_jupyter.model.operation import DownloadOperation
    from bgdl_jupyter.model.registry import Registry
    from bgdl_jupyter.post_processing import PostProcessing

#: An application and the name of a group in it; the empty name stands for the operations in no group.
GroupKey = tuple[str, str]

#: Who is shown first, where there is not room for all.
_RANKS: Final = ("running", "failed", "queued", "paused", "completed", "canceled")
_LATEST_FIRST: Final = frozenset({"failed", "completed", "canceled"})
#: How long one look at what changed may take, in seconds: the loop has transfers to run.
_SLICE: Final = 0.02
_MILLIONTHS: Final = 1_000_000
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
        return self._shares / (_MILLIONTHS * wanted)

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


@dataclass(slots=True)
class Changes:
    """What is to be shown anew."""

    operations: dict[UUID, Entry] = field(default_factory=dict)
    removed: dict[UUID, GroupKey] = field(default_factory=dict)
    groups: set[GroupKey] = field(default_factory=set)
    has_more: bool = False
    """Whether the time was too short for all."""


class Ledger:
    """All operations of this process by their groups; belongs to the engine's loop."""

    def __init__(self, registry: Registry) -> None:
        self._registry = registry
        self._numbers = itertools.count()
        self._groups: dict[GroupKey, Tally] = {}
        self._entries: dict[UUID, Entry] = {}
        self._restored: set[UUID] = set()
        self._noted: dict[UUID, None] = dict.fromkeys(each.guid for each in registry.all())
        self._noted_groups: set[GroupKey] = set()

    def note(self, event: Event) -> bool:
        """Remember what has to be looked at; returns whether there is anything."""
        if isinstance(event, GroupChanged):
            self._noted_groups.add((event.application, event.name))
            return True
        if not isinstance(event, OperationEvent):
            return False
        if isinstance(event, OperationAdded) and event.was_restored:
            self._restored.add(event.operation_id)
        elif isinstance(event, OperationRemoved):
            self._restored.discard(event.operation_id)
        self._noted[event.operation_id] = None
        return True

    def refresh(self, seconds: float = _SLICE) -> Changes:
        """Look at what was noted, for so many seconds, and return what changed."""
        changes = Changes(groups=self._noted_groups)
        self._noted_groups = set()
        deadline = time.monotonic() + seconds
        noted, self._noted = self._noted, {}
        rest = iter(noted)
        for count, operation_id in enumerate(rest, 1):
            self._look_at(operation_id, changes)
            if count % 32 == 0 and time.monotonic() > deadline:
                break
        self._noted = dict.fromkeys(rest) | self._noted
        changes.has_more = bool(self._noted)
        now = time.monotonic()
        for key in changes.groups:
            self.group(key).sample(now)
        return changes

    def refresh_all(self) -> Changes:
        """Look at everything that was noted, whatever it takes."""
        return self.refresh(float("inf"))

    def _look_at(self, operation_id: UUID, changes: Changes) -> None:
        operation = self._registry.find(operation_id)
        before = self._entries.get(operation_id)
        if before is not None and (operation is None or before.key != (operation.application, operation.group)):
            self._drop(operation_id, before, changes)
            before = None
        if operation is None:
            return
        entry = self._entry_of(operation, before)
        self._entries[operation_id] = entry
        self._groups.setdefault(entry.key, Tally()).put(operation_id, entry)
        changes.removed.pop(operation_id, None)
        changes.operations[operation_id] = entry
        changes.groups.add(entry.key)

    def _drop(self, operation_id: UUID, before: Entry, changes: Changes) -> None:
        del self._entries[operation_id]
        self.group(before.key).drop(operation_id)
        changes.removed[operation_id] = before.key
        changes.groups.add(before.key)

    def _entry_of(self, operation: DownloadOperation, before: Entry | None) -> Entry:
        fraction, kind = operation.fraction, kind_of(operation)
        is_over = operation.is_over
        was_old = before.is_old if before else operation.guid in self._restored and operation.was_seen
        return Entry(
            operation=operation,
            number=before.number if before else next(self._numbers),
            kind=kind,
            received=operation.progress.bytes_received,
            total=operation.progress.total_bytes_to_receive,
            rate=round(operation.rate),
            share=None if fraction is None else round(fraction * _MILLIONTHS),
            allowed=allowed_verbs(operation),
            is_old=is_over and was_old,
        )

    def find(self, operation_id: UUID) -> Entry | None:
        """Return the entry of an operation."""
        return self._entries.get(operation_id)

    def group(self, key: GroupKey) -> Tally:
        """Return a group's tally; an empty one for a group that has nothing."""
        return self._groups.get(key) or self._groups.setdefault(key, Tally())

    def groups(self, application: str) -> Iterable[tuple[GroupKey, Tally]]:
        """Return the groups of an application that have something to show, in the order in which they came."""
        return [(key, tally) for key, tally in self._groups.items() if key[0] == application and tally.is_shown]

    @property
    def is_live(self) -> bool:
        """Whether anything runs or waits for its turn."""
        return any(tally.is_live for tally in self._groups.values())

"""
What there is to show, kept up to date at the cost of what changed.

Events only note which operation changed; what came of it is read once a tick, however many events there were, and the
sums of a group are corrected by the difference. A group of ten thousand costs what its changes cost.
"""

from __future__ import annotations

import itertools
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from bgdl_jupyter.events import GroupChanged, OperationEvent, OperationRemoved, OperationsAdded
from bgdl_jupyter.frontends.far import FarTally
from bgdl_jupyter.frontends.tally import MILLIONTHS, Entry, GroupKey, Tally
from bgdl_jupyter.frontends.verbs import allowed_verbs
from bgdl_jupyter.model.far import FarGroup
from bgdl_jupyter.model.group import kind_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from uuid import UUID

    from bgdl_jupyter.events import Event
    from bgdl_jupyter.model.operation import DownloadOperation
    from bgdl_jupyter.model.registry import Registry

#: How long one look at what changed may take, in seconds: the loop has transfers to run.
_SLICE: Final = 0.01
_AT_ONCE: Final = 32


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
        # What was noted before that and not looked at yet: very many are neither copied nor taken out one by one.
        self._older: Iterator[UUID] = iter(())
        self._noted_groups: set[GroupKey] = {(each.application, each.name) for each in registry.far_groups()}

    def note(self, event: Event) -> bool:
        """Remember what has to be looked at; returns whether there is anything."""
        if isinstance(event, GroupChanged):
            self._noted_groups.add((event.application, event.name))
            return True
        if isinstance(event, OperationsAdded):
            if event.was_restored:
                self._restored.update(event.operation_ids)
            self._noted.update(dict.fromkeys(event.operation_ids))
            return True
        if not isinstance(event, OperationEvent):
            return False
        if isinstance(event, OperationRemoved):
            self._restored.discard(event.operation_id)
        self._noted[event.operation_id] = None
        return True

    def refresh(self, seconds: float = _SLICE) -> Changes:
        """Look at what was noted, for so many seconds, and return what changed."""
        changes = Changes(groups=self._noted_groups)
        self._noted_groups = set()
        deadline = time.monotonic() + seconds
        while some := self._next_few():
            for operation_id in some:
                self._look_at(operation_id, changes)
            if time.monotonic() > deadline:
                changes.has_more = True
                break
        now = time.monotonic()
        for key in changes.groups:
            self._look_at_group(key)
            self.group(key).sample(now)
        return changes

    def _next_few(self) -> list[UUID]:
        """Return some of what was noted, what has waited for longest first; nothing where all was looked at."""
        some = list(itertools.islice(self._older, _AT_ONCE))
        if not some and self._noted:
            noted, self._noted = self._noted, {}
            self._older = iter(noted)
            some = list(itertools.islice(self._older, _AT_ONCE))
        return some

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

    def _look_at_group(self, key: GroupKey) -> None:
        """Have the sums of a group that holds no operations of its own."""
        group = self._registry.find_group(*key)
        if isinstance(group, FarGroup) and not isinstance(self._groups.get(key), FarTally):
            self._groups[key] = FarTally(group)

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
            share=None if fraction is None else round(fraction * MILLIONTHS),
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

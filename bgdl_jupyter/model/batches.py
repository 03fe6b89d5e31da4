"""
Batches: the operations that a downloader made since its last batch closed, and what is said at their end.

A batch closes when nothing in it is idle or live, and then fires once: the success pair when all succeeded, the
failure pair when at least one failed; canceled ones count as neither. It is open while operations are being created in
it, so that starting early cannot fire it early. A batch with something of its own to say is kept in the state file
until it has fired; one without is known again after a restart by the operations that bear its name. An operation that
is retried after its batch has fired opens it again.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import threading
from collections import Counter
from dataclasses import dataclass, field
from itertools import groupby
from operator import attrgetter
from typing import TYPE_CHECKING, Any, Final
from uuid import uuid4

from traitlets import HasTraits

from bgdl_jupyter.errors import BackgroundTransferError, InvalidRequest
from bgdl_jupyter.events import OperationsAdded, OptionsChanged, PostProcessingChanged, StatusChanged
from bgdl_jupyter.model.alerting import Ending, announce
from bgdl_jupyter.model.light import alike
from bgdl_jupyter.model.notifications import PLAIN, Notifications
from bgdl_jupyter.model.post_processed import STANDING, standing_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from bgdl_jupyter.events import Event
    from bgdl_jupyter.model.completion import BackgroundTransferCompletionGroup
    from bgdl_jupyter.model.operation import DownloadOperation
    from bgdl_jupyter.model.runner import Runner
    from bgdl_jupyter.status import BackgroundTransferStatus

log = logging.getLogger(__name__)

KIND: Final = "batch"
#: How many fired batches are remembered for what is retried.
_REMEMBERED: Final = 1000
# What is counted of those that come.
_TOLD: Final = STANDING | {"group", "status_reason"}


@dataclass(slots=True, eq=False)
class Batch:
    """
    A batch that has not fired.

    ``is_ours``: whether it is to fire in this process, and not in another kernel that runs its operations;
    ``was_restored``: whether an earlier kernel made it; ``creators``: how many calls are creating operations in it;
    ``counted``: whose statuses these are, by the numbers in their names; not those that had ended when it fired before.
    """

    batch_id: str
    application: str
    notifications: Notifications = PLAIN
    is_ours: bool = True
    was_restored: bool = False
    is_recorded: bool = False
    is_closed: bool = False
    creators: int = 0
    counted: set[int] = field(default_factory=set)
    statuses: Counter[BackgroundTransferStatus] = field(default_factory=Counter)
    groups: set[str] = field(default_factory=set)
    latest: DownloadOperation | None = None
    failure: str = ""

    @property
    def is_live(self) -> bool:
        """Whether something in it is idle or live."""
        return any(count and not status.is_final for status, count in self.statuses.items())

    def count(self, which: str) -> int:
        """Return how many of its operations have a status of which this predicate holds."""
        return sum(count for status, count in self.statuses.items() if getattr(status, which))

    def ending(self) -> Ending:
        """Return what there is to say about its end."""
        return Ending(
            application=self.application,
            batch_id=self.batch_id,
            notifications=self.notifications,
            completed=self.count("is_success"),
            failed=self.count("is_failure"),
            canceled=self.count("is_canceled"),
            group=next(iter(self.groups)) if len(self.groups) == 1 else "",
            name=self.latest.name if self.latest is not None else "",
            failure=self.failure,
            while_away=self.was_restored,
        )


class Batches:
    """The batches of this process; `reserve` and `release` are for any thread, the rest is the engine's loop's."""

    def __init__(self, runner: Runner) -> None:
        self._runner = runner
        self._lock = threading.Lock()
        self._open: dict[str, Batch] = {}
        self._fired: dict[str, Notifications] = {}
        self._holds = 0
        self._due: set[Batch] = set()
        runner.events.subscribe(self._hear, OperationsAdded, StatusChanged, OptionsChanged, PostProcessingChanged)

    # ------------------------------------------------------------------------------------------------ from any thread

    def reserve(self, batch: Batch | None, application: str, notifications: Notifications) -> Batch:
        """Return the batch, or a new one where it has closed, kept open until `release`."""
        with self._lock:
            if batch is None or batch.is_closed or batch.application != application:
                batch = Batch(uuid4().hex, application)
                self._open[batch.batch_id] = batch
            batch.creators += 1
            is_news = batch.notifications != notifications
            batch.notifications = notifications
        if is_news:
            self._record(batch)
        return batch

    def release(self, batch: Batch) -> None:
        """Let a batch close when it is finished."""
        with self._lock:
            batch.creators -= 1
        self._runner.place.post(self._look, batch)

    def _record(self, batch: Batch) -> None:
        batch.is_recorded = True
        record = {"kind": KIND} | batch.notifications.to_record()
        self._runner.state.put_batch(batch.batch_id, batch.application, record).add_done_callback(_log_failure)

    # --------------------------------------------------------------------------------------------- on the engine's loop

    def hold(self, application: str, records: Mapping[str, Mapping[str, Any]]) -> None:
        """Take in what an earlier kernel had open, and let nothing close before all operations are there."""
        self._holds += 1
        for batch_id, record in records.items():
            if record.get("kind") != KIND or batch_id in self._open:
                continue
            try:
                notifications = Notifications.from_record(record)
            except (InvalidRequest, KeyError, TypeError) as error:
                log.warning("The notifications of a batch cannot be read and are not kept: %s", error)
                notifications = PLAIN
            batch = Batch(batch_id, application, notifications, is_ours=False, was_restored=True, is_recorded=True)
            self._open[batch_id] = batch

    def let_go(self) -> None:
        """End what `hold` began."""
        self._holds -= 1
        for batch in tuple(self._open.values()):
            if batch.is_recorded and batch.was_restored and not batch.is_live:
                batch.is_ours = True  # its kernel died between the last end and the alert
            self._look_soon(batch)

    def _hear(self, event: Event) -> None:
        match event:
            case OperationsAdded(operation_ids=operation_ids, was_restored=was_restored):
                for values, some in alike(self._runner.registry.find_all(operation_ids), _TOLD):
                    for name, joined in groupby(some, key=attrgetter("batch")):
                        if name is not None:
                            self._joined(name, values, list(joined), was_restored=was_restored)
            case StatusChanged():
                self._stepped(self._operation(event.operation_id), event.old, event.new, event.reason)
            case PostProcessingChanged(old=old, new=new) if old.standing is not new.standing:
                self._stepped(self._operation(event.operation_id), old.standing, new.standing, new.error)
            case OptionsChanged(operation_id=operation_id, names=names) if "holder" in names:
                self._changed_hands(self._operation(operation_id))

    def _operation(self, operation_id: Any) -> DownloadOperation | None:
        return self._runner.registry.find(operation_id)

    def _joined(
        self, name: str, values: Mapping[str, Any], operations: Sequence[DownloadOperation], *, was_restored: bool
    ) -> None:
        """Count operations that have these values in common."""
        batch, latest, standing = self._open.get(name), operations[-1], standing_of(values)
        if batch is None:
            if standing.is_final:
                return
            batch = self._reopened(latest, was_restored=was_restored)
        batch.counted.update(each.values["guid"].int for each in operations)
        batch.statuses[standing] += len(operations)
        batch.groups.add(values["group"])
        batch.latest = latest
        if standing.is_failure:
            batch.failure = latest.status_reason
        if not batch.is_ours:
            for operation in operations:
                self._changed_hands(operation)

    def _stepped(
        self,
        operation: DownloadOperation | None,
        old: BackgroundTransferStatus,
        new: BackgroundTransferStatus,
        reason: str,
    ) -> None:
        if operation is None or operation.batch is None:
            return
        if new.is_success:
            new = operation.standing  # what follows the file may not be over
        batch = self._open.get(operation.batch)
        if batch is None:
            if new.is_final:
                return
            batch = self._reopened(operation)
        values = operation.values
        if values["guid"].int in batch.counted:
            batch.statuses[old] -= 1
        else:
            batch.counted.add(values["guid"].int)
            batch.groups.add(values["group"])
        batch.statuses[new] += 1
        batch.latest = operation
        if new.is_failure:
            batch.failure = reason
            if not operation.is_awaited:
                log.warning("%s: %s", operation.name, reason)
        self._look_soon(batch)

    def _reopened(self, operation: DownloadOperation, *, was_restored: bool = False) -> Batch:
        """Return a batch that nobody remembers, or that is open again since one of it is retried."""
        name = str(operation.batch)
        batch = Batch(name, operation.application, is_ours=not was_restored, was_restored=was_restored)
        batch.notifications = self._fired.pop(name, PLAIN)
        self._open[name] = batch
        if batch.notifications != PLAIN:
            self._record(batch)
        return batch

    def _changed_hands(self, operation: DownloadOperation | None) -> None:
        """Whoever runs the last of a batch lets it fire."""
        batch = self._open.get(operation.batch or "") if operation is not None else None
        if operation is None or batch is None or batch.is_ours or operation.is_held:
            return
        if not operation.is_over:
            batch.is_ours = True

    def removed(self, operation: DownloadOperation) -> None:
        """Count an operation no longer that is gone before it was final; what was final stays counted."""
        batch = self._open.get(operation.batch or "")
        if batch is not None and not operation.is_over:
            batch.statuses[operation.standing] -= 1
            self._look_soon(batch)

    def _look_soon(self, batch: Batch) -> None:
        # Later in this turn of the loop: everybody hears of the last end before the alert that it brings.
        if not batch.is_live and batch not in self._due:
            self._due.add(batch)
            self._runner.place.loop.call_soon(self._look, batch)

    def _look(self, batch: Batch) -> None:
        self._due.discard(batch)
        with self._lock:
            if self._holds or batch.creators or batch.is_closed or batch.is_live:
                return
            batch.is_closed = True
            self._open.pop(batch.batch_id, None)
        if not batch.is_ours:
            return
        if batch.is_recorded:
            self._runner.place.spawn(self._claim(batch), name="batch")
        else:
            self._fire(batch)

    async def _claim(self, batch: Batch) -> None:
        """Fire, unless another kernel of the notebook was first."""
        try:
            is_first = await asyncio.wrap_future(self._runner.state.delete_batch(batch.batch_id, batch.application))
        except BackgroundTransferError as error:
            log.warning("A batch may be told of again in the next kernel: %s", error)
            is_first = True
        if is_first:
            self._fire(batch)

    def _fire(self, batch: Batch) -> None:
        if batch.notifications != PLAIN:
            self._fired[batch.batch_id] = batch.notifications
            while len(self._fired) > _REMEMBERED:
                self._fired.pop(next(iter(self._fired)))
        announce(self._runner, batch.ending())


class MakesBatches(HasTraits):
    """The part of a downloader that puts what it creates into batches."""

    completion_group: BackgroundTransferCompletionGroup | None = None
    _batch: Batch | None = None

    if TYPE_CHECKING:

        @property
        def _runner(self) -> Runner: ...

        def _notifications(self) -> Notifications: ...

    @contextlib.contextmanager
    def _creating(self, application: str, *, is_alone: bool = False) -> Iterator[str]:
        """
        Give the name of the batch of what is created now; it cannot close before this ends.

        Parameters
        ----------
        is_alone:
            Make a batch of its own, as each `download` and `download_many` does.
        """
        batches = self._runner.batches
        batch = batches.reserve(None if is_alone else self._batch, application, self._notifications())
        if not is_alone:
            self._batch = batch
        try:
            if self.completion_group is not None:
                self.completion_group.include(batch.batch_id, self._runner, application)
            yield batch.batch_id
        finally:
            batches.release(batch)


def _log_failure(written: Any) -> None:
    error = written.exception()
    if error is not None:
        log.warning("A batch was not recorded: %s", error)

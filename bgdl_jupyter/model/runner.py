"""
Keeps what runs equal to what the scheduler admits; there is one in a process.

Steps come in from the model's objects, facts from the transfers; both are taken on the engine's loop, where
`apply(event)` is the only writer of what they change.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import logging
from typing import TYPE_CHECKING, Any, Final

from bgdl_jupyter.engine.facilities import Facilities
from bgdl_jupyter.errors import BackgroundTransferError, DuplicateDownload
from bgdl_jupyter.events import (
    Completed,
    Event,
    EventStream,
    GroupChanged,
    OperationEvent,
    OperationRemoved,
    OperationsAdded,
    OptionsChanged,
    PostProcessingChanged,
    StatusChanged,
)
from bgdl_jupyter.model import display
from bgdl_jupyter.model.access import Surroundings
from bgdl_jupyter.model.admission import Admission
from bgdl_jupyter.model.alerting import Tiles
from bgdl_jupyter.model.batches import Batches
from bgdl_jupyter.model.bodies import Bodies
from bgdl_jupyter.model.by_and_by import Collector, in_steps
from bgdl_jupyter.model.completion import Completions
from bgdl_jupyter.model.conditions_watch import ConditionsWatch
from bgdl_jupyter.model.held import HeldWatch
from bgdl_jupyter.model.light import alike
from bgdl_jupyter.model.masking import masked_event
from bgdl_jupyter.model.notifications import AlertSwitch
from bgdl_jupyter.model.persistence import StateJournal, columns_of, status_columns_of
from bgdl_jupyter.model.post_processed import STANDING, standing_of
from bgdl_jupyter.model.post_processing import PostProcessor
from bgdl_jupyter.model.registry import Registry, current_of
from bgdl_jupyter.model.shared_limits import SharedLimits, SharesLimits
from bgdl_jupyter.model.transfers import Transfers
from bgdl_jupyter.status import Step, TransferActivity, advance

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from bgdl_jupyter.engine.loop import Place
    from bgdl_jupyter.model.group import BackgroundTransferGroup
    from bgdl_jupyter.model.operation import DownloadOperation
    from bgdl_jupyter.status import BackgroundTransferStatus
    from bgdl_jupyter.storage.state_file import StateFile
    from bgdl_jupyter.storage.vault import Vault

log = logging.getLogger(__name__)


class Runner:
    """
    Runs the operations of this process.

    Made by `process.current_runner`; everything but ``take``, ``take_all``, ``attach`` and ``watch_group`` belongs to
    the engine's loop.
    """

    def __init__(self, place: Place, state: StateFile, vault: Vault) -> None:
        self.place = place
        self.state = state
        self.vault = vault
        self.events = EventStream()
        self.registry = Registry(self)
        self.journal = StateJournal(state, self.registry.find)
        self.facilities = Facilities(place, self.journal)
        self.facilities.preload()
        self.surroundings = Surroundings(place.loop)
        self.transfers = Transfers(self)
        self.admission = Admission(place.loop, self.registry, self.facilities.hosts, self.transfers.begin)
        self.limits = SharedLimits(self.admission, self.facilities)
        self.held = HeldWatch(self)
        self.conditions = ConditionsWatch(self)
        self.facilities.is_reachable = self.conditions.is_reachable
        self.alerts = AlertSwitch(self)
        self.tiles = Tiles(self)
        self.batches = Batches(self)
        self.completions = Completions(self)
        self.bodies = Bodies(self)
        self.post_processor = PostProcessor(self)
        self.collector = Collector()
        self._restored: set[str] = set()

    # ------------------------------------------------------------------------------------------------ from any thread

    def take(self, operation: DownloadOperation, step: Step) -> None:
        """Take a user's step; returns when the model shows it."""
        self.place.call(self._take_users_step, operation, step)

    def take_all(self, operations: Iterable[DownloadOperation], step: Step, *, only_failed: bool = False) -> None:
        """Take a step with each operation that allows it; off the loop a few at a time, so that transfers go on."""

        def each(some: Sequence[DownloadOperation]) -> Sequence[DownloadOperation]:
            for operation in some:
                if step in operation.allowed_steps and (operation.standing.is_failure or not only_failed):
                    try:
                        self._take_users_step(operation, step)
                    except DuplicateDownload as duplicate:  # of a group, the others are meant all the same
                        log.warning("%s", duplicate)
            return some

        # Those that wait come first: the place of one that stops is not for one that is about to be stopped, too.
        waiting_first = sorted(operations, key=lambda operation: operation.guid in self.transfers)
        with self.collector.resting(len(waiting_first)):
            in_steps(self.place, each, waiting_first, is_behind=lambda: self.state.is_behind)

    def attach(self, operation: DownloadOperation) -> None:
        """Start the operation if it was not started."""

        def begin() -> None:
            if Step.START in operation.allowed_steps:
                self._take_users_step(operation, Step.START)

        self.place.call(begin)

    def watch_group(
        self, group: BackgroundTransferGroup, is_known: Callable[[], bool], ring: Callable[[], None]
    ) -> None:
        """Ring when the condition holds; looked at whenever an operation of the group changed its status."""

        def look() -> bool:
            if is_known():
                ring()
                return True
            return False

        self.place.call(lambda: None if look() else group.watchers.append(look))

    # ----------------------------------------------------------------------------------------------------------- facts

    def publish(self, event: Event) -> None:
        """Let the model take in what happened, then tell everybody."""
        operation = self.registry.find(event.operation_id) if isinstance(event, OperationEvent) else None
        if operation is not None:
            secrets = operation.known_secrets
            if secrets and isinstance(event, OperationEvent):
                event = masked_event(event, secrets)
            operation.apply(event)
        self.events.publish(event)
        if operation is None:
            return
        if isinstance(event, Completed):
            self.change_status(operation, Step.COMPLETE, is_recorded=True)
            if operation.has_secrets:
                self.vault.delete(str(operation.guid))  # nothing is asked for with them any more
            self.post_processor.begin(operation)
        elif isinstance(event, StatusChanged):
            self._tell_who_waits(operation, event.old, operation.standing if event.new.is_success else event.new)
        elif isinstance(event, PostProcessingChanged) and event.old.state is not event.new.state:
            self._tell_who_waits(operation, event.old.standing, event.new.standing)

    def _tell_who_waits(
        self, operation: DownloadOperation, old: BackgroundTransferStatus, new: BackgroundTransferStatus
    ) -> None:
        operation.look_again()
        group = self.group_of(operation)
        if group is not None:
            group.count_change(old, new)

    def change_status(
        self,
        operation: DownloadOperation,
        step: Step,
        *,
        reason: str = "",
        error: BackgroundTransferError | None = None,
        is_recorded: bool = False,
    ) -> None:
        """Take a step of the table, tell it and record it; raises `InvalidTransferState` where it is refused."""
        values = operation.values
        old = values["status"]
        new = advance(old, step, can_pause=operation.can_pause, name=display.Title(operation))
        fact = StatusChanged(operation_id=values["guid"], old=old, new=new, reason=reason, error=error)
        self.publish(fact)
        if new.is_running:
            self._write(operation, status_columns_of(operation))
        elif not is_recorded:
            self.save(operation)

    def save(self, operation: DownloadOperation) -> None:
        """Record the traits; at once when they are final."""
        self._write(operation, columns_of(operation))

    def _write(self, operation: DownloadOperation, columns: dict[str, Any]) -> None:
        # With the epoch: what another kernel took over in the meantime is not ours to write.
        epoch = operation.durable.epoch
        written = self.state.update(operation.guid, epoch=epoch, at_once=operation.status.is_final, **columns)
        written.add_done_callback(_log_failure)

    # ----------------------------------------------------------------------------------------------------------- steps

    def _take_users_step(self, operation: DownloadOperation, step: Step) -> None:
        operation.check_not_held()
        if step is Step.CANCEL and operation.activity is TransferActivity.COMMITTING:
            self.transfers.cancel(operation)  # waits for the rename; whichever came first decides
            return
        old = operation.status
        if old.is_success and step in operation.post_processing.allowed_steps:
            self.post_processor.take(operation, step)
            return
        if step is Step.CANCEL and old.is_final:
            return
        if step is Step.RETRY:
            self.bodies.check_kept(operation)
            self._refuse_twin(operation)
        self.change_status(operation, step, reason=_REASONS.get(step, ""))
        operation.overrides_policy = step is Step.OVERRIDE
        if step is Step.RETRY:
            operation.retried_from = old
            if old.is_canceled:
                operation.forget_bytes()  # shown at once: it may have to wait for its turn
        if operation.status.is_running:
            self.transfers.enqueue(operation)
        else:
            self._withdraw(operation, old)

    def _refuse_twin(self, operation: DownloadOperation) -> None:
        twin = self.registry.live_twin(operation, operation.identity)
        if twin is not None:
            raise DuplicateDownload(
                f"{display.title(operation)} is not started again: {display.title(twin)} is fetching the same. "
                "Wait for it or cancel it, then retry().",
                operation=twin,
            )

    def _withdraw(self, operation: DownloadOperation, old: BackgroundTransferStatus) -> None:
        """Let an operation that is to stand still do so."""
        self.admission.withdraw(operation.guid)
        if not self.transfers.cancel(operation) and operation.status.is_canceled and not old.is_idle:
            self.transfers.clean_up(operation)

    def is_settled(self, operation: DownloadOperation) -> bool:
        """Whether nothing of the operation is under way: connections closed, bytes durable, leftovers removed."""
        return operation.guid not in self.transfers and operation.guid not in self.post_processor

    def settled(self, operation: DownloadOperation) -> None:
        """Let those look who wait until nothing of the operation is under way."""
        operation.look_again()
        group = self.group_of(operation)
        if group is not None:
            group.look_soon()

    # -------------------------------------------------------------------------------------------------- what may change

    def join(self, downloader: SharesLimits, values: dict[str, Any]) -> None:
        """Let a downloader read and set the limits of the one engine; ``values`` are those that it sets."""
        self.place.call(self.limits.join, downloader, values)

    def group_changed(self, group: BackgroundTransferGroup) -> None:
        """Keep the group's new limits, and record them."""
        self.limits.group_changed(group)
        self.registry.save_group(group)
        self.events.publish(GroupChanged(application=group.application, name=group.name))

    def group_of(self, operation: DownloadOperation) -> BackgroundTransferGroup | None:
        """Return the group of an operation."""
        if operation.membership is not None or not operation.group:
            return operation.membership
        return self.registry.group(operation.application, operation.group)

    def options_changed(self, operation: DownloadOperation, *names: str) -> None:
        """Record a changed setting, and let it take effect on what waits."""
        self.admission.requeue(operation)
        self.save(operation)
        self.events.publish(OptionsChanged(operation_id=operation.guid, names=frozenset(names)))

    def make_current(self, operation: DownloadOperation) -> None:
        """Move a waiting operation, and those behind it, to the front of its group."""
        self.place.call(self._make_current, operation)

    def _make_current(self, operation: DownloadOperation) -> None:
        for operation_id, position in self.admission.make_current(operation):
            moved = self.registry.find(operation_id)
            if moved is not None:
                moved.position = position
                self.save(moved)

    def mark_seen(self, operation: DownloadOperation) -> None:
        """Note that a caller was given the outcome."""
        if not operation.was_seen:
            operation.was_seen = True
            self.state.update(operation.guid, was_seen=True).add_done_callback(_log_failure)

    # ------------------------------------------------------------------------------------------------ coming and going

    def introduce(self, operations: Sequence[DownloadOperation], *, was_restored: bool = False) -> None:
        """Take operations in that are in the state file already."""
        if not operations:
            return
        self.registry.add_all(operations)
        names = tuple([each.values["guid"] for each in operations])
        self.events.publish(OperationsAdded(operation_ids=names, was_restored=was_restored))
        self.transfers.go_on(operations)

    def dismiss(self, operations: Iterable[DownloadOperation]) -> None:
        """Keep operations no longer."""
        gone = list(operations)
        for operation in gone:
            self.batches.removed(operation)
            self.registry.remove(operation)
            self.events.publish(OperationRemoved(operation_id=operation.guid))
        self.state.delete([operation.guid for operation in gone]).add_done_callback(_log_failure)

    def current(self, application: str | None, group: str | None) -> list[DownloadOperation]:
        """
        Return what is not final, or final and not yet seen, in the order of creation.

        ``group`` is a name, empty for the operations in no group, None for all.
        """
        # Not sifted on the loop, which very many would hold up.
        return current_of(self.place.call(self.registry.all), application, group)

    def take_current(self, application: str | None, group: str | None) -> list[DownloadOperation]:
        """Return the same as `current` for a caller who asked: what is final counts as seen from now on."""
        operations = self.current(application, group)
        for values, some in alike(operations, STANDING):
            if standing_of(values).is_final:
                for each in some:
                    self.mark_seen(each)
        return operations

    def claim_restoring(self, application: str) -> bool:
        """Whether nobody in this process has restored the application yet; the caller is to do so now."""
        is_first = application not in self._restored
        self._restored.add(application)
        return is_first

    def has_restored(self, application: str) -> bool:
        """Whether the operations of the application belong here."""
        return application in self._restored

    def came_back(self, operation: DownloadOperation, old: BackgroundTransferStatus) -> None:
        """Tell that an operation is as its record says, after another kernel had it; it goes on if it is ours."""
        new, reason, error = operation.status, operation.status_reason, operation.error
        if old is not new:
            fact = StatusChanged(operation_id=operation.guid, old=old, new=new, reason=reason, error=error)
            self.publish(fact)
        self.events.publish(OptionsChanged(operation_id=operation.guid, names=frozenset({"holder"})))
        operation.look_again()
        if operation.status.is_running and not operation.is_held:
            self.transfers.enqueue(operation)
        elif not operation.is_held:
            self.post_processor.begin(operation)

    def start_all(self, operations: Iterable[DownloadOperation]) -> None:
        """Start those that can be started."""
        self.take_all(operations, Step.START)

    def forget(self, operation: DownloadOperation) -> None:
        """Drop the picture of an operation that somebody else held; its row is ours now."""
        self.batches.removed(operation)
        self.registry.remove(operation)
        self.events.publish(OperationRemoved(operation_id=operation.guid))

    def shut_down(self, seconds: float) -> None:
        """End all transfers within the time, flush the state file, and close it."""
        try:
            if self.place.is_alive and not self.place.is_here():
                ending = asyncio.run_coroutine_threadsafe(self.stop(), self.place.loop)
                ending.result(seconds)
        except (TimeoutError, BackgroundTransferError, concurrent.futures.CancelledError) as error:
            log.warning("Not every transfer ended in time; they go on from their last record: %s", error)
        self.state.close(seconds)
        self.place.stop(seconds)

    async def stop(self) -> None:
        """End all transfers with their bytes durable; their operations go on in the next kernel."""
        self.admission.close()
        self.held.end()
        await self.conditions.aclose()
        await self.post_processor.stop()
        await self.transfers.stop()
        await self.facilities.aclose()


_REASONS: Final = {Step.PAUSE: "paused by you"}


def _log_failure(written: object) -> None:
    error = written.exception() if hasattr(written, "exception") else None
    if error is not None:
        log.warning("The state file was not written: %s", error)

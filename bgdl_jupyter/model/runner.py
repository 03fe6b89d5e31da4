"""
Keeps what runs equal to what the scheduler admits; there is one in a process.

Steps come in from the model's objects, facts from the transfers; both are taken on the engine's loop, where
`apply(event)` is the only writer of what they change.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import logging
import random
import weakref
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final, Protocol

from bgdl_jupyter.engine.facilities import Facilities
from bgdl_jupyter.engine.order import LeaseLost
from bgdl_jupyter.engine.rate_limit import CombinedLimiter, RateLimiter
from bgdl_jupyter.engine.transfer import Transfer
from bgdl_jupyter.errors import (
    BackgroundTransferError,
    DiskFull,
    HeldByAnotherKernel,
    TransferFailed,
    error_from_record,
    error_to_record,
)
from bgdl_jupyter.events import (
    ActivityChanged,
    Completed,
    Event,
    EventStream,
    GroupChanged,
    OperationAdded,
    OperationEvent,
    OperationRemoved,
    OptionsChanged,
    StatusChanged,
)
from bgdl_jupyter.model import display
from bgdl_jupyter.model.admission import Admission
from bgdl_jupyter.model.orders import AttentionNeeded, choose_destination, limiter_key, make_request, order_of
from bgdl_jupyter.model.persistence import StateJournal, columns_of, status_columns_of
from bgdl_jupyter.model.registry import Registry
from bgdl_jupyter.secret import redact
from bgdl_jupyter.status import Step, TransferActivity, advance
from bgdl_jupyter.storage.leftovers import discard_leftovers
from bgdl_jupyter.web_error_status import WebErrorStatus

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable, Iterable, Mapping
    from uuid import UUID

    from bgdl_jupyter.engine.loop import Place
    from bgdl_jupyter.model.group import BackgroundTransferGroup
    from bgdl_jupyter.model.operation import DownloadOperation
    from bgdl_jupyter.storage.state_file import StateFile
    from bgdl_jupyter.storage.vault import Vault

log = logging.getLogger(__name__)

_LOOK_AT_DISK_EVERY: Final = 5.0


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
        self.admission = Admission(place.loop, self.registry, self.facilities.hosts, self._begin)
        self._tasks: dict[UUID, asyncio.Task[None]] = {}
        self.ssl_contexts: dict[UUID, ssl.SSLContext] = {}
        self._limiters: dict[tuple[str, str], RateLimiter] = {}
        self._downloaders: weakref.WeakSet[SharesLimits] = weakref.WeakSet()
        self._shared: dict[str, Any] = {}
        self._restored: set[str] = set()
        self._is_stopping = False

    # ------------------------------------------------------------------------------------------------ from any thread

    def take(self, operation: DownloadOperation, step: Step) -> None:
        """Take a user's step; returns when the model shows it."""
        self.place.call(self._take_users_step, operation, step)

    def take_all(self, operations: Iterable[DownloadOperation], step: Step, *, only_failed: bool = False) -> None:
        """Take a step with each operation that allows it."""

        def each() -> None:
            for operation in operations:
                if step in operation.allowed_steps and (operation.status.is_failure or not only_failed):
                    self._take_users_step(operation, step)

        self.place.call_within(60.0, each)

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
            operation.apply(event)
        self.events.publish(event)
        if operation is None:
            return
        if isinstance(event, Completed):
            self._change_status(operation, Step.COMPLETE, is_recorded=True)
        elif isinstance(event, StatusChanged):
            operation.look_again()
            group = self.group_of(operation)
            if group is not None:
                group.count_change(event.old, event.new)

    def _change_status(
        self,
        operation: DownloadOperation,
        step: Step,
        *,
        reason: str = "",
        error: BackgroundTransferError | None = None,
        is_recorded: bool = False,
    ) -> None:
        old = operation.status
        new = advance(old, step, can_pause=operation.can_pause, name=display.title(operation))
        fact = StatusChanged(operation_id=operation.guid, old=old, new=new, reason=reason, error=error)
        self.publish(fact)
        if new.is_running:
            self._write(operation, status_columns_of(operation))
        elif not is_recorded:
            self.save(operation)

    def save(self, operation: DownloadOperation) -> None:
        """Record the traits; at once when they are final."""
        self._write(operation, columns_of(operation))

    def _write(self, operation: DownloadOperation, columns: dict[str, Any]) -> None:
        written = self.state.update(operation.guid, at_once=operation.status.is_final, **columns)
        written.add_done_callback(_log_failure)

    # ----------------------------------------------------------------------------------------------------------- steps

    def _take_users_step(self, operation: DownloadOperation, step: Step) -> None:
        if operation.holder is not None:
            raise HeldByAnotherKernel(f"{display.title(operation)} is run by {operation.holder}.", operation=operation)
        if step is Step.CANCEL and operation.activity is TransferActivity.COMMITTING:
            self._cancel_task(operation)  # waits for the rename; whichever came first decides
            return
        was_canceled = not operation.status.is_failure and step is Step.RETRY
        self._change_status(operation, step, reason=_REASONS.get(step, ""))
        operation.overrides_policy = step is Step.OVERRIDE
        if was_canceled:
            operation.forget_bytes()
        if operation.status.is_running:
            self.enqueue(operation)
        else:
            self._withdraw(operation)

    def _withdraw(self, operation: DownloadOperation) -> None:
        """Let an operation that is to stand still do so."""
        self.admission.withdraw(operation.guid)
        if not self._cancel_task(operation) and operation.status.is_final:
            self.place.spawn(self._clean_up(operation), name="clean up")

    def _cancel_task(self, operation: DownloadOperation) -> bool:
        task = self._tasks.get(operation.guid)
        return task is not None and task.cancel()

    def is_settled(self, operation: DownloadOperation) -> bool:
        """Whether no transfer of the operation is under way: connections closed, bytes durable."""
        return operation.guid not in self._tasks

    # ------------------------------------------------------------------------------------------------------- transfers

    def enqueue(self, operation: DownloadOperation) -> None:
        """Let a running operation wait for its turn; while its last transfer closes, that is done at its end."""
        if operation.guid not in self._tasks:
            self.admission.enqueue(operation)

    def _begin(self, operation_id: UUID) -> None:
        operation = self.registry.find(operation_id)
        if operation is not None:
            self._tasks[operation_id] = self.place.spawn(self._run(operation), name=f"transfer {operation_id}")

    async def _step_aside(self, operation: DownloadOperation, until: float) -> None:
        fact = ActivityChanged(operation_id=operation.guid, activity=TransferActivity.QUEUED)
        await self.admission.step_aside(operation, until, lambda: self.publish(fact))

    async def _run(self, operation: DownloadOperation) -> None:
        try:
            await self._transfer_of(operation).run()
        except LeaseLost:
            self._lose(operation)
        except AttentionNeeded as need:
            self._pause_for(operation, need.status, need.reason)
        except DiskFull as error:
            self._wait_for_disk(operation, error)
        except TransferFailed as error:
            self._fail(operation, error)
        except asyncio.CancelledError:
            if not operation.status.is_running or operation.activity is not TransferActivity.COMMITTING:
                return  # paused or canceled: the status says so already
            self._change_status(operation, Step.CANCEL)
        except Exception as error:  # a fault of ours must end in a status that can be seen
            log.exception("The transfer of %s broke", operation.guid)
            self._fail(operation, TransferFailed(f"An internal error ended it: {type(error).__name__}."))
        finally:
            self._ended(operation)

    def _transfer_of(self, operation: DownloadOperation) -> Transfer:
        return Transfer(
            order_of(operation),
            operation.durable,
            facilities=self.facilities,
            limiter=self._limiter_of(operation),
            make_request=lambda **which: make_request(self, operation, **which),
            choose_destination=lambda resource: choose_destination(self, operation, resource),
            park=lambda until, _: self._step_aside(operation, until),
            leave=lambda: self.admission.leave(operation.guid),
            publish=self.publish,
            draw=random.random,
        )

    def _ended(self, operation: DownloadOperation) -> None:
        self._tasks.pop(operation.guid, None)
        self.admission.leave(operation.guid)
        if operation.status.is_running and not self._is_stopping and operation.holder is None:
            self.enqueue(operation)  # it was resumed while the old transfer was still closing
        elif operation.status.is_final and not operation.status.is_success:
            self.place.spawn(self._clean_up(operation), name="clean up")
        operation.look_again()

    async def _clean_up(self, operation: DownloadOperation) -> None:
        """Remove the partial file of what was canceled; what failed keeps it for a retry."""
        if operation.status.is_failure or operation.status.is_success:
            return
        try:
            durable = operation.durable
            await self.facilities.run(discard_leftovers, operation.directory, operation.guid, durable.epoch)
        except BackgroundTransferError as error:
            log.warning("A partial file was left behind: %s", error)

    def _fail(self, operation: DownloadOperation, error: TransferFailed) -> None:
        listed = error.web_error_status in operation.recoverable_web_error_statuses
        if listed and error.web_error_status is not WebErrorStatus.UNKNOWN:
            self._pause_for(operation, error.web_error_status, str(error))
            return
        record = error_to_record(error)
        record["message"] = redact(record["message"], operation.secrets.values())
        clean = error_from_record(record)
        self._change_status(operation, Step.FAIL, reason=str(clean), error=clean)

    def _pause_for(self, operation: DownloadOperation, status: WebErrorStatus, reason: str) -> None:
        operation.set_trait("current_web_error_status", status)
        shown = redact(reason, operation.secrets.values())
        self._change_status(operation, Step.MEET_RECOVERABLE_ERROR, reason=shown)

    def _wait_for_disk(self, operation: DownloadOperation, error: DiskFull) -> None:
        self._change_status(operation, Step.POLICY_DENIED, reason=f"The disk is almost full: {error.message}")
        self.place.loop.call_later(_LOOK_AT_DISK_EVERY, self._go_on, operation)

    def _go_on(self, operation: DownloadOperation) -> None:
        """Let an operation go on by itself; if the cause is still there, it will say so again."""
        if operation.status.waits_for_conditions and not self._is_stopping:
            self._change_status(operation, Step.CAUSE_ENDED)
            self.enqueue(operation)

    def _lose(self, operation: DownloadOperation) -> None:
        log.warning("Operation %s belongs to another kernel now", operation.guid)
        self.registry.mark_held(operation, "another kernel")

    def _limiter_of(self, operation: DownloadOperation) -> CombinedLimiter:
        if operation.is_unconstrained:
            return CombinedLimiter()
        key = limiter_key(operation)
        group = self.group_of(operation)
        limiter = self._limiters.setdefault(key, RateLimiter(group.max_rate if group else None))
        return CombinedLimiter(self.facilities.limiter, limiter)

    # -------------------------------------------------------------------------------------------------- what may change

    def join(self, downloader: SharesLimits, values: dict[str, Any]) -> None:
        """Let a downloader read and set the limits of the one engine; ``values`` are those that it sets."""
        self.place.call(self._join, downloader, values)

    def _join(self, downloader: SharesLimits, values: dict[str, Any]) -> None:
        self._downloaders.add(downloader)
        self._shared.update(values)
        for each in tuple(self._downloaders):
            each.take_shared(self._shared)
        names = ("max_parallel", "max_parallel_per_host")
        chosen = {name: self._shared[name] for name in names if name in self._shared}
        self.admission.limits = replace(self.admission.limits, **chosen)
        self.facilities.limiter.rate = self._shared.get("max_rate")
        self.admission.look_soon()

    def group_changed(self, group: BackgroundTransferGroup) -> None:
        """Keep the group's new limits, and record them."""
        limiter = self._limiters.get((group.application, group.name))
        if limiter is not None:
            limiter.rate = group.max_rate
        self.registry.save_group(group)
        self.events.publish(GroupChanged(application=group.application, name=group.name))
        self.admission.look_soon()

    def group_of(self, operation: DownloadOperation) -> BackgroundTransferGroup | None:
        """Return the group of an operation."""
        if not operation.group:
            return None
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

    def introduce(self, operations: Iterable[DownloadOperation], *, was_restored: bool = False) -> None:
        """Take operations in that are in the state file already."""
        for operation in operations:
            self.registry.add(operation)
            self.events.publish(OperationAdded(operation_id=operation.guid, was_restored=was_restored))
            if operation.status.is_running and operation.holder is None:
                self.enqueue(operation)

    def dismiss(self, operations: Iterable[DownloadOperation]) -> None:
        """Keep operations no longer."""
        gone = list(operations)
        for operation in gone:
            self.registry.remove(operation)
            self.events.publish(OperationRemoved(operation_id=operation.guid))
        self.state.delete([operation.guid for operation in gone]).add_done_callback(_log_failure)

    def current(self, application: str | None, group: str | None) -> list[DownloadOperation]:
        """
        Return what is not final, or final and not yet seen, in the order of creation; what is final counts as seen now.

        ``group`` is a name, empty for the operations in no group, None for all.
        """

        def look() -> list[DownloadOperation]:
            return [
                each
                for each in self.registry.all()
                if application in (None, each.application)
                and group in (None, each.group)
                and not (each.status.is_final and each.was_seen)
            ]

        return self.place.call(look)

    def claim_restoring(self, application: str) -> bool:
        """Whether nobody in this process has restored the application yet; the caller is to do so now."""
        is_first = application not in self._restored
        self._restored.add(application)
        return is_first

    def start_all(self, operations: Iterable[DownloadOperation]) -> None:
        """Start those that can be started."""
        self.take_all(operations, Step.START)

    def step_quietly(self, operation: DownloadOperation, step: Step, reason: str) -> None:
        """Take a step of an operation that nobody knows yet, and record it."""
        new = advance(operation.status, step, can_pause=operation.can_pause)
        operation.apply(StatusChanged(operation_id=operation.guid, old=operation.status, new=new, reason=reason))
        self.save(operation)

    def fail_interrupted(self, operation: DownloadOperation) -> None:
        """End a request that must not be sent twice and was under way when its kernel died."""
        error = TransferFailed(
            f"The {operation.method} request was interrupted; the server may have carried it out.",
            hint="Check at the server, then retry() sends it again.",
        )
        new = advance(operation.status, Step.FAIL)
        fact = StatusChanged(operation_id=operation.guid, old=operation.status, new=new, reason=str(error), error=error)
        operation.apply(fact)
        self.save(operation)

    def forget(self, operation: DownloadOperation) -> None:
        """Drop the picture of an operation that somebody else held; its row is ours now."""
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

    async def stop(self) -> None:
        """End all transfers with their bytes durable; their operations go on in the next kernel."""
        self._is_stopping = True
        self.admission.close()
        tasks = list(self._tasks.values())
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)
        await self.facilities.aclose()


class SharesLimits(Protocol):
    """A downloader, as far as the limits of the engine concern it."""

    def take_shared(self, values: Mapping[str, Any]) -> None:
        """Read what was set."""


_REASONS: Final = {Step.PAUSE: "paused by you"}


def _log_failure(written: object) -> None:
    error = written.exception() if hasattr(written, "exception") else None
    if error is not None:
        log.warning("The state file was not written: %s", error)

"""The transfers that are under way, a task for each operation, and what becomes of an operation at its end."""

from __future__ import annotations

import asyncio
import functools
import logging
import random
import threading
from typing import TYPE_CHECKING, Any, Final

from bgdl_jupyter.engine.at_once import AtOnce
from bgdl_jupyter.engine.order import LeaseLost
from bgdl_jupyter.engine.transfer import Transfer
from bgdl_jupyter.errors import BackgroundTransferError, DiskFull, TransferFailed, error_from_record, error_to_record
from bgdl_jupyter.events import ActivityChanged
from bgdl_jupyter.model import display
from bgdl_jupyter.model.checksum_fetches import ChecksumFiles
from bgdl_jupyter.model.existing import ours_to_replace, path_to_look_at, take_as_it_is
from bgdl_jupyter.model.light import alike
from bgdl_jupyter.model.orders import (
    AttentionNeeded,
    choose_destination,
    claim_path,
    make_request,
    order_of,
    recall_secrets,
)
from bgdl_jupyter.model.persistence import columns_of
from bgdl_jupyter.model.refusals import REFUSALS, reason_for, siblings_of, was_right_before
from bgdl_jupyter.secret import redact
from bgdl_jupyter.status import Step, TransferActivity
from bgdl_jupyter.storage.leftovers import discard_leftovers
from bgdl_jupyter.storage.records import RowConflict
from bgdl_jupyter.web_error_status import WebErrorStatus

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine, Iterable, Iterator
    from pathlib import Path
    from uuid import UUID

    from bgdl_jupyter.engine.first import First
    from bgdl_jupyter.engine.order import Order, Park
    from bgdl_jupyter.engine.rate_limit import CombinedLimiter
    from bgdl_jupyter.model.operation import DownloadOperation
    from bgdl_jupyter.model.runner import Runner

log = logging.getLogger(__name__)

_LOOK_AT_DISK_EVERY: Final = 5.0
_STATUS: Final = frozenset({"status"})


class Transfers:
    """
    Runs what was admitted; belongs to the engine's loop.

    An operation has at most one task: its transfer, then what has to be tidied up after it.

    Attributes
    ----------
    draw:
        Random numbers in [0, 1) for the jitter between attempts.
    """

    def __init__(self, runner: Runner) -> None:
        self._runner = runner
        # By the number in the name, as the registry has them.
        self._tasks: dict[int, asyncio.Task[None]] = {}
        self._under_way: dict[int, AtOnce] = {}
        # Whole files that only wait for their names, and whether they are wanted.
        self._committing: dict[int, bool] = {}
        self._is_stopping = False
        self._checksum_files = ChecksumFiles(runner)
        runner.facilities.looking.ahead = self._paths_ahead
        self.draw = random.random

    def __contains__(self, operation_id: UUID) -> bool:
        return operation_id.int in self._tasks or operation_id.int in self._committing

    def enqueue(self, operation: DownloadOperation) -> None:
        """Let a running operation wait for its turn; while its last transfer closes, that is done at its end."""
        if operation.values["guid"] not in self and self._runner.conditions.lets_run(operation):
            self._runner.admission.enqueue(operation)

    def go_on(self, operations: Iterable[DownloadOperation]) -> None:
        """Do what there is to do for operations that are new here."""
        for values, some in alike(operations, _STATUS):
            status = values["status"]
            if status.is_canceled:
                for operation in some:
                    if operation.durable.file is not None:
                        self.clean_up(operation)  # nobody did, or lived to record it
                continue
            ours = [each for each in some if each.holder is None]
            if status.is_running:
                self._runner.admission.enqueue_all(self._runner.conditions.let_run(ours))
            elif status.is_success:
                for operation in ours:
                    self._runner.post_processor.begin(operation)

    def begin(self, operation_id: UUID) -> None:
        """Start the transfer of an operation that was admitted."""
        operation = self._runner.registry.find(operation_id)
        if operation is not None:
            self._spawn(operation, self._transfer(operation), "transfer", ended=self._ended)

    def cancel(self, operation: DownloadOperation) -> bool:
        """End the transfer of an operation, and return whether there was one."""
        number = operation.guid.int
        if number in self._committing:
            self._committing[number] = False
            return True
        task = self._tasks.get(number)
        return task is not None and task.cancel()

    def clean_up(self, operation: DownloadOperation) -> None:
        """Remove what an operation left that has no transfer and will have no file."""
        self._spawn(operation, self._tidy(operation), "clean up", ended=self._settled)

    def want(self, operation: DownloadOperation, position: int) -> None:
        """Have an operation fetch what is missing from a position on before all else; nothing if none is under way."""
        transfer = self._under_way.get(operation.guid.int)
        if transfer is not None:
            transfer.want(position)

    def lift_limits(self, operation: DownloadOperation) -> None:
        """Hold the bytes of an operation back no longer; nothing if none are under way."""
        transfer = self._under_way.get(operation.guid.int)
        if transfer is not None:
            transfer.limiter.release()

    async def stop(self) -> None:
        """End all of them with their bytes durable."""
        self._is_stopping = True
        tasks = list(self._tasks.values())
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)
        self._committing = dict.fromkeys(self._committing, False)
        await self._runner.facilities.committer.finish()

    def _spawn(
        self,
        operation: DownloadOperation,
        work: Coroutine[Any, Any, None],
        name: str,
        *,
        ended: Callable[[DownloadOperation], None],
    ) -> None:
        operation_id = operation.values["guid"]
        task = self._tasks[operation_id.int] = self._runner.place.spawn(work, name=f"{name} {operation_id.hex}")
        # As a callback: a task that is canceled before its first step never reaches a `finally`.
        task.add_done_callback(lambda _: ended(operation))

    def _ended(self, operation: DownloadOperation) -> None:
        """Let what was canceled be tidied up after."""
        if operation.values["guid"].int in self._committing:
            del self._tasks[operation.values["guid"].int]
        elif operation.values["status"].is_canceled and not self._is_stopping:
            self.clean_up(operation)
        else:
            self._settled(operation)

    def _settled(self, operation: DownloadOperation) -> None:
        operation_id = operation.values["guid"]
        self._tasks.pop(operation_id.int, None)
        self._runner.admission.leave(operation_id)
        if operation.values["status"].is_running and not self._is_stopping and operation.holder is None:
            self.enqueue(operation)  # it was resumed while the old transfer was still closing
        self._runner.settled(operation)

    # ------------------------------------------------------------------------------------------------------ one of them

    async def _transfer(self, operation: DownloadOperation) -> None:
        try:
            if operation.retried_from is not None:
                await self._claim(operation)
            await self._run(operation)
        except (Exception, asyncio.CancelledError) as error:  # noqa: BLE001 (each ends in a status that can be seen)
            self._end_with(operation, error)

    def _end_with(self, operation: DownloadOperation, error: BaseException) -> None:
        """Let an operation have the status that follows from what ended its transfer."""
        match error:
            case LeaseLost():
                self._lose(operation)
            case AttentionNeeded():
                self._pause_for(operation, error.status, error.reason)
            case DiskFull():
                self._wait_for_disk(operation, error)
            case BackgroundTransferError():
                self._fail(operation, error)
            case asyncio.CancelledError():
                self._canceled(operation)
            case _ if self._is_stopping or not threading.main_thread().is_alive():
                log.warning("%s goes on from its last record (%s at the end)", operation.guid, type(error).__name__)
            case _:  # a fault of ours
                log.error("The transfer of %s broke", operation.guid, exc_info=error)
                self._fail(operation, TransferFailed(f"An internal error ended it: {type(error).__name__}."))

    def _claimer_of(self, operation: DownloadOperation) -> Callable[[Path], Awaitable[bool]]:
        return lambda path: claim_path(self._runner, operation, path)

    def _paths_ahead(self, count: int) -> Iterator[str]:
        """Give the paths that will be looked at next."""
        for operation_id in self._runner.admission.next_few(count):
            operation = self._runner.registry.find(operation_id)
            path = path_to_look_at(operation) if operation is not None else None
            if path is not None:
                yield path

    async def _run(self, operation: DownloadOperation) -> None:
        values = operation.values
        if values["store_url"]:
            await recall_secrets(self._runner, operation)
        if (operation.peek("options") or {}).get("checksum_file"):
            await self._checksum_files.resolve(operation, park=self._park_of(operation), draw=self.draw)
        if await take_as_it_is(self._runner, operation, claim=self._claimer_of(operation)):
            return
        number = values["guid"].int
        run = self._under_way[number] = self._run_of(operation)
        try:
            finished = await run.fetch()
        finally:
            del self._under_way[number]
        if finished is not None:
            self._committing[number] = True
            self._runner.facilities.committer.hand_over(finished, functools.partial(self._committed, operation))

    def _committed(self, operation: DownloadOperation, error: BaseException | None) -> None:
        """Take in what came of a commit: a file that has its name is no cancel."""
        number = operation.values["guid"].int
        if error is not None:
            self._end_with(operation, error if self._committing[number] else asyncio.CancelledError())
        del self._committing[number]
        self._ended(operation)

    def _run_of(self, operation: DownloadOperation) -> AtOnce:
        runner = self._runner
        replaces = ours_to_replace(runner, operation.values["application"], operation.identity)
        order = order_of(operation, replaces=replaces)
        limiter = runner.limits.limiter_of(operation, runner.group_of(operation))
        return AtOnce(
            order,
            operation.durable,
            facilities=runner.facilities,
            limiter=limiter,
            make_request=functools.partial(make_request, runner, operation),
            leave=functools.partial(runner.admission.leave, order.operation_id),
            publish=runner.publish,
            otherwise=functools.partial(self._transfer_of, operation, order, limiter),
        )

    def _transfer_of(
        self, operation: DownloadOperation, order: Order, limiter: CombinedLimiter, first: First | None
    ) -> Transfer:
        runner = self._runner
        return Transfer(
            order,
            operation.durable,
            facilities=runner.facilities,
            limiter=limiter,
            make_request=functools.partial(make_request, runner, operation),
            choose_destination=lambda resource: choose_destination(runner, operation, order.path_for(resource)),
            park=self._park_of(operation),
            leave=functools.partial(runner.admission.leave, order.operation_id),
            publish=runner.publish,
            draw=self.draw,
            first=first,
        )

    def _park_of(self, operation: DownloadOperation) -> Park:
        return lambda until, _: self._step_aside(operation, until)

    async def _step_aside(self, operation: DownloadOperation, until: float) -> None:
        fact = ActivityChanged(operation_id=operation.guid, activity=TransferActivity.QUEUED)
        await self._runner.admission.step_aside(operation, until, lambda: self._runner.publish(fact))

    async def _claim(self, operation: DownloadOperation) -> None:
        """
        Have the lease of an operation that was final, and the right to its URI and destination.

        Raises
        ------
        LeaseLost
            Another living kernel has it.
        TransferFailed
            An operation that came later fetches the same or writes the same file.
        """
        state = self._runner.state
        acquired = await asyncio.wrap_future(state.acquire_one(operation.guid))
        if acquired is None:
            raise LeaseLost
        operation.own(acquired.row.epoch, is_disputed=not acquired.was_proven_dead)
        if operation.retried_from is not None and operation.retried_from.is_canceled:
            operation.forget_bytes()
        try:
            await asyncio.wrap_future(
                state.update(operation.guid, epoch=acquired.row.epoch, at_once=True, **columns_of(operation))
            )
        except RowConflict as conflict:
            raise TransferFailed(
                f"Another download that is not final has the same {conflict.kind}.",
                hint="Wait for it or cancel it, then retry().",
            ) from None
        operation.retried_from = None

    # ---------------------------------------------------------------------------------------------------- how they end

    def _canceled(self, operation: DownloadOperation) -> None:
        """Paused or canceled, and the status says so already; or canceled before the rename, which is decided here."""
        if self._is_stopping or not operation.status.is_running:
            return
        if operation.activity is TransferActivity.COMMITTING:
            self._runner.change_status(operation, Step.CANCEL)

    def _fail(self, operation: DownloadOperation, error: BackgroundTransferError) -> None:
        if not operation.status.is_running:
            log.warning("While %s was closed: %s", operation.guid, redact(str(error), operation.secrets.values()))
            return
        listed = error.web_error_status in operation.recoverable_web_error_statuses
        if listed and error.web_error_status is not WebErrorStatus.UNKNOWN:
            self._pause_for(operation, error.web_error_status, str(error))
            return
        if was_right_before(operation, error):
            self._pause_for(operation, error.web_error_status, reason_for(error.message))
            return
        self._spare_siblings(operation, error.web_error_status)
        record = error_to_record(error)
        record["message"] = redact(record["message"], operation.secrets.values())
        clean = error_from_record(record)
        self._runner.change_status(operation, Step.FAIL, reason=str(clean), error=clean)

    def _pause_for(self, operation: DownloadOperation, status: WebErrorStatus, reason: str) -> None:
        if not operation.status.is_running:
            return
        self._let_wait(operation, status, reason)
        self._spare_siblings(operation, status)

    def _let_wait(self, operation: DownloadOperation, status: WebErrorStatus, reason: str) -> None:
        shown = redact(reason, operation.secrets.values())
        operation.set_trait("current_web_error_status", status)
        self._runner.change_status(operation, Step.MEET_RECOVERABLE_ERROR, reason=shown)

    def _spare_siblings(self, operation: DownloadOperation, status: WebErrorStatus) -> None:
        """Have no others of the group ask with what was just refused: that is how accounts are locked."""
        if status not in REFUSALS:
            return
        others = self._runner.registry.of_application(operation.application)
        for each in siblings_of(operation, status, others):
            self._let_wait(
                each, status, reason_for(f"{display.title(operation)} was refused with the same credential.")
            )
            self._runner.admission.withdraw(each.guid)
            self.cancel(each)

    def _wait_for_disk(self, operation: DownloadOperation, error: DiskFull) -> None:
        if not operation.status.is_running:
            return
        reason = f"The disk is almost full: {error.message}"
        self._runner.change_status(operation, Step.POLICY_DENIED, reason=reason)
        self._runner.place.loop.call_later(_LOOK_AT_DISK_EVERY, self._go_on, operation)

    def _go_on(self, operation: DownloadOperation) -> None:
        """Let an operation go on by itself; if the cause is still there, it will say so again."""
        if operation.status.waits_for_conditions and not self._is_stopping:
            self._runner.change_status(operation, Step.CAUSE_ENDED)
            self.enqueue(operation)

    def _lose(self, operation: DownloadOperation) -> None:
        log.warning("Operation %s belongs to another kernel now", operation.guid)
        operation.hold("another kernel")
        self._runner.held.begin()

    async def _tidy(self, operation: DownloadOperation) -> None:
        """Remove the partial file of what was canceled; what failed keeps its bytes for a retry."""
        epoch = operation.durable.epoch
        try:
            await self._runner.facilities.run(discard_leftovers, operation.directory, operation.guid, epoch)
        except BackgroundTransferError as error:
            log.warning("A partial file was left behind; the next kernel tries again: %s", error)
            return  # its record still names it
        operation.forget_bytes()
        self._runner.state.update(operation.guid, epoch=epoch, watermark=operation.durable.to_record())

"""
What follows a download, off the loop: unpacking, and a user's function with the path of what is there.

The file is complete before any of it begins, and stays whatever becomes of it. Two at a time run on threads of their
own; the loop looks four times a second at how far they are. What was not over when the kernel ended is begun again by
the next one: nothing is under its final name before it is whole.
"""

from __future__ import annotations

import asyncio
import functools
import inspect
import logging
import shutil
import threading
import warnings
from concurrent.futures import Future
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar

from bgdl_jupyter.conditions.disk import Reserve
from bgdl_jupyter.engine.progress import TICK
from bgdl_jupyter.errors import BackgroundTransferError, PostProcessingFailed
from bgdl_jupyter.events import PostProcessingChanged
from bgdl_jupyter.model import display
from bgdl_jupyter.model.named_functions import load_function
from bgdl_jupyter.model.persistence import record_of
from bgdl_jupyter.model.post_processing_plan import KEPT_AS
from bgdl_jupyter.model.unpack_orders import (
    discard_unpacking,
    folders_to_replace,
    order_of_operation,
    plan_of_operation,
)
from bgdl_jupyter.post_processing import PostProcessing, PostProcessingState, advance
from bgdl_jupyter.secret import redact
from bgdl_jupyter.status import Step
from bgdl_jupyter.storage.archives.gauge import Gauge, Limits, UnpackCanceled
from bgdl_jupyter.storage.archives.unpacking import (
    Prepared,
    find_published,
    prepare,
    publish,
    still_prepared,
    target_of,
)

if TYPE_CHECKING:
    from collections.abc import Callable
    from uuid import UUID

    from bgdl_jupyter.model.operation import DownloadOperation
    from bgdl_jupyter.model.post_processing_plan import Plan
    from bgdl_jupyter.model.runner import Runner
    from bgdl_jupyter.storage.archives.unpacking import Order

log = logging.getLogger(__name__)

T = TypeVar("T")

_AT_ONCE: Final = 2
_LONGEST_ERROR: Final = 500


@dataclass(slots=True, eq=False)
class _Work:
    """One that is under way; ``is_publishing`` while it gets its name, which is not to be interrupted."""

    task: asyncio.Task[None] | None = None
    gauge: Gauge | None = None
    is_publishing: bool = False


class PostProcessor:
    """Runs what follows downloads; belongs to the engine's loop."""

    def __init__(self, runner: Runner) -> None:
        self._runner = runner
        self._under_way: dict[UUID, _Work] = {}
        self._turns = asyncio.Semaphore(_AT_ONCE)
        self._is_stopping = False
        self._has_warned = False

    def __contains__(self, operation_id: UUID) -> bool:
        return operation_id in self._under_way

    def begin(self, operation: DownloadOperation) -> None:
        """Have done what waits; while an earlier run winds up, that is at its end."""
        following = operation.peek("post_processing")
        if following is None or not following.is_pending:  # as with nearly all
            return
        if self._is_stopping or operation.guid in self._under_way:
            return
        work = self._under_way[operation.guid] = _Work()
        work.task = self._runner.place.spawn(self._follow(operation, work), name=f"post-processing {operation.guid}")
        work.task.add_done_callback(lambda _: self._ended(operation))

    def take(self, operation: DownloadOperation, step: Step) -> None:
        """Take a user's step; raises `InvalidTransferState` where it is refused."""
        work = self._under_way.get(operation.guid)
        if step is Step.CANCEL:
            if not operation.post_processing.is_pending or (work is not None and work.is_publishing):
                return  # over, or as good as over: whichever came first decides
            self._tell(operation, self._next(operation, step, prepared=None))
            self._runner.save(operation)
            if work is not None:
                self._stop(work)
            return
        self._tell(operation, self._next(operation, step))
        self.begin(operation)

    def ask(self, operation: DownloadOperation, plan: dict[str, Any], function: Callable[..., Any] | None) -> None:
        """
        Have something done with a file that is there already, unless just that is done or under way.

        From any thread; blocks for as long as the file system does.
        """
        path = operation.post_processing.path
        there = path if path is not None and Path(path).exists() else None
        self._runner.place.call(self._ask, operation, plan, function, there)

    def _ask(
        self,
        operation: DownloadOperation,
        plan: dict[str, Any],
        function: Callable[..., Any] | None,
        there: str | None,
    ) -> None:
        following = operation.post_processing
        if following.is_pending or operation.is_held:
            return
        before = operation.options.get(KEPT_AS, {})
        is_same_place = all(before.get(name) == plan[name] for name in ("unpacks", "folder"))
        path = there if is_same_place else None
        is_unpacked = path is not None if plan["unpacks"] else True
        if following.was_done and is_same_place and is_unpacked and _has_called(operation, plan, function):
            return
        operation.set_trait("options", {**operation.options, KEPT_AS: plan})
        operation.post_process, operation.post_process_outcome = function, None
        waiting = PostProcessing(state=PostProcessingState.WAITING, path=path, footprint=following.footprint)
        self._tell(operation, waiting)
        self.begin(operation)

    def warn(self) -> None:
        """Say once that a function does not outlive the kernel."""
        if not self._has_warned:
            self._has_warned = True
            warnings.warn(
                "This function runs only if the kernel lives that long; one given as 'package.module:function' "
                "survives a restart.",
                UserWarning,
                stacklevel=_level_of_caller(),
            )

    async def stop(self) -> None:
        """End all of it; the next kernel begins it again."""
        self._is_stopping = True
        tasks = [work.task for work in self._under_way.values() if work.task is not None]
        for work in self._under_way.values():
            if work.gauge is not None:
                work.gauge.cancel()
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)

    def _stop(self, work: _Work) -> None:
        if work.gauge is not None:
            work.gauge.cancel()  # the thread tidies up, and then the task ends
        elif work.task is not None:
            work.task.cancel()

    def _ended(self, operation: DownloadOperation) -> None:
        del self._under_way[operation.guid]
        if not self._is_stopping:
            self.begin(operation)  # it was asked for again while it wound up
        self._runner.settled(operation)

    # ------------------------------------------------------------------------------------------------------ one of them

    async def _follow(self, operation: DownloadOperation, work: _Work) -> None:
        try:
            async with self._turns:
                if not operation.post_processing.is_pending:
                    return  # it was canceled while it waited
                await self._claim(operation)
                plan = plan_of_operation(operation)
                self._tell(operation, self._next(operation, Step.START))
                self._runner.save(operation)
                if plan.unpacks:
                    await self._unpack(operation, plan, work)
                if plan.calls:
                    await self._call(operation, plan)
                await self._finish(operation)
        except (UnpackCanceled, asyncio.CancelledError):
            await self._tidy(operation)  # and the state says so already
        except BackgroundTransferError as error:
            await self._tidy(operation)
            self._fail(operation, error)
        except Exception as error:  # a fault of ours must end in a state that can be seen
            log.exception("What follows the download %s broke", operation.guid)
            self._fail(operation, PostProcessingFailed(f"An internal error ended it: {type(error).__name__}."))

    async def _claim(self, operation: DownloadOperation) -> None:
        """Have the lease, which the operation of an earlier kernel has not."""
        acquired = await asyncio.wrap_future(self._runner.state.acquire_one(operation.guid))
        if acquired is None:
            raise PostProcessingFailed("Another kernel has taken it over.")
        operation.own(acquired.row.epoch, is_disputed=not acquired.was_proven_dead)

    async def _tidy(self, operation: DownloadOperation) -> None:
        """Remove what was not given its name; not where the next kernel goes on with it."""
        if self._is_stopping:
            return
        try:
            await _in_thread(discard_unpacking, operation)
        except BackgroundTransferError as error:
            log.warning("A private folder was left behind: %s", error)

    async def _unpack(self, operation: DownloadOperation, plan: Plan, work: _Work) -> None:
        """Unpack, unless a run before this one did."""
        replaces = folders_to_replace(self._runner.registry, operation)
        order = order_of_operation(operation, plan, replaces=replaces)
        path = operation.post_processing.path
        if path is not None and await _in_thread(Path(path).exists):
            return
        prepared = await self._prepare(operation, order, plan, work)
        if isinstance(prepared, Prepared):
            work.is_publishing = True
            try:
                name = await asyncio.shield(_in_thread(publish, prepared, order))
            finally:
                work.is_publishing = False
            footprint: tuple[int, int, int] | None = prepared.footprint
        else:
            name, footprint = prepared, operation.post_processing.footprint
        done = replace(operation.post_processing, path=str(name), prepared=None, footprint=footprint)
        await self._record(operation, done)
        self._tell(operation, done)

    async def _prepare(self, operation: DownloadOperation, order: Order, plan: Plan, work: _Work) -> Prepared | Path:
        """Return what is ready to get its name, or the name that it has from a run that did not live to record it."""
        identity = operation.post_processing.prepared
        if identity is not None:
            published = await _in_thread(find_published, target_of(order), identity)
            kept: Path | Prepared | None = published or await _in_thread(still_prepared, order, identity)
            if kept is not None:
                return kept
        work.gauge = await _in_thread(_gauge_of, order, plan)
        try:
            unpacking = _in_thread(prepare, order, work.gauge)
            while not unpacking.done():
                await asyncio.wait({unpacking}, timeout=TICK)
                self._tell_how_far(operation, work.gauge)
            prepared = unpacking.result()
            work.gauge.check()  # canceled behind the last byte
        finally:
            work.gauge = None
        ready = replace(operation.post_processing, prepared=prepared.identity, footprint=prepared.footprint)
        await self._record(operation, ready)
        return prepared

    async def _call(self, operation: DownloadOperation, plan: Plan) -> None:
        """Call the function with the path of what is there."""
        unpacked = operation.post_processing.path
        path = Path(unpacked) if unpacked is not None else operation.result_file or operation.destination
        function: Callable[..., Any] | None = operation.post_process
        if plan.has_callable and function is None:
            raise PostProcessingFailed(
                "The function that was to be called ended with its kernel.",
                hint="Run download() with it again: the file is not fetched again.",
            )
        what = plan.function or getattr(function, "__qualname__", type(function).__name__)
        try:
            called = function if function is not None else await _in_thread(load_function, plan.function)
            operation.post_process_outcome = await _in_thread(called, path)
            operation.post_process_called = called
        except Exception as error:
            text = redact(f"{type(error).__name__}: {error}"[:_LONGEST_ERROR], operation.secrets.values())
            operation.post_process_error = error
            raise PostProcessingFailed(f"{what} failed with {display.plain(text).rstrip('.')}.") from error

    async def _finish(self, operation: DownloadOperation) -> None:
        done = self._next(operation, Step.COMPLETE)
        await self._record(operation, done)
        self._tell(operation, done)

    def _fail(self, operation: DownloadOperation, error: BackgroundTransferError) -> None:
        if self._is_stopping or not operation.post_processing.is_pending:
            return
        said = " ".join(filter(None, (redact(error.message, operation.secrets.values()), error.hint)))
        self._tell(operation, self._next(operation, Step.FAIL, error=said, prepared=None))
        self._runner.save(operation)

    # ---------------------------------------------------------------------------------------------------------- telling

    def _next(self, operation: DownloadOperation, step: Step, **values: Any) -> PostProcessing:
        now = operation.post_processing
        state = advance(now.state, step, name=display.title(operation))
        return replace(replace(now, state=state, error=""), **values)

    def _tell_how_far(self, operation: DownloadOperation, gauge: Gauge) -> None:
        now = operation.post_processing
        if not now.is_running:
            return
        seen = replace(
            now,
            bytes_done=gauge.bytes_done,
            bytes_total=gauge.bytes_total,
            members_done=gauge.members_done,
            members_total=gauge.members_total,
        )
        if seen != now:
            self._tell(operation, seen)

    def _tell(self, operation: DownloadOperation, value: PostProcessing) -> None:
        old = operation.post_processing
        self._runner.publish(PostProcessingChanged(operation_id=operation.guid, old=old, new=value))

    async def _record(self, operation: DownloadOperation, value: PostProcessing) -> None:
        """Make it durable before it is told; what another kernel took over in the meantime is not ours to finish."""
        record = record_of(operation, {"post_processing": value.to_record()})
        epoch = operation.durable.epoch
        written = self._runner.state.update(operation.guid, epoch=epoch, at_once=True, record=record)
        if not await asyncio.wrap_future(written):
            raise PostProcessingFailed("Another kernel has taken it over.")


def _has_called(operation: DownloadOperation, plan: dict[str, Any], function: Callable[..., Any] | None) -> bool:
    """Whether this kernel has what the function of a plan gives."""
    if plan["has_callable"]:
        return operation.post_process_called is function
    before = operation.options.get(KEPT_AS, {})
    is_same = before.get("function") == plan["function"] and not before.get("has_callable")
    return is_same and (not plan["function"] or operation.post_process_called is not None)


def _level_of_caller() -> int:
    """Return the level, as warnings count from whoever asks, of the first code that is not this package's."""
    frame, level = inspect.currentframe(), 0
    while frame is not None and str(frame.f_globals.get("__name__")).startswith("bgdl_jupyter"):
        frame, level = frame.f_back, level + 1
    return level


def _gauge_of(order: Order, plan: Plan) -> Gauge:
    folder = next(each for each in target_of(order).parents if each.exists())
    size, ratio, members = plan.limits
    try:
        reserve = Reserve().of(shutil.disk_usage(folder).total)
        limits = Limits(max_size=size, max_ratio=ratio, max_members=members, leave_free=reserve)
        return Gauge(order.archive, folder, limits)
    except OSError as error:
        raise PostProcessingFailed(f"The file {order.archive.name!r} cannot be read: {error.strerror}.") from error


def _in_thread(function: Callable[..., T], *arguments: object) -> asyncio.Future[T]:
    """
    Run something that blocks on a thread of its own, which does not keep the process from ending.

    Canceled, it does not wait: what came of it is forgotten.
    """
    outcome: Future[T] = Future()
    work = functools.partial(_run, outcome, function, *arguments)
    threading.Thread(target=work, name="bgdl-post-processing", daemon=True).start()
    return asyncio.wrap_future(outcome)


def _run(outcome: Future[T], function: Callable[..., T], *arguments: object) -> None:
    if not outcome.set_running_or_notify_cancel():
        return
    try:
        result = function(*arguments)
    except (StopIteration, SystemExit, KeyboardInterrupt, GeneratorExit) as error:
        # These would end the loop of whoever waits, or mean something else there.
        outcome.set_exception(RuntimeError(f"{type(error).__name__}: {error}"))
    except BaseException as error:  # noqa: BLE001 (it belongs to whoever waits)
        outcome.set_exception(error)
    else:
        outcome.set_result(result)

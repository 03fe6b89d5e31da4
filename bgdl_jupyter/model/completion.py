"""
Completion groups: something that is done once when all operations of a downloader are final.

A trigger that is a text or a list of arguments is kept in the state file once it is enabled, and runs in whichever
kernel sees the last operation end; it is forgotten there before it runs, so that a crash cannot make it run twice. The
state file is the user's own: one that others may write to is refused before anything is read from it.
"""

from __future__ import annotations

import asyncio
import inspect
import logging
import os
import subprocess
import threading
import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final, cast
from uuid import uuid4

from bgdl_jupyter.errors import BackgroundTransferError, InvalidRequest, InvalidTransferState
from bgdl_jupyter.events import OperationRemoved, OperationsAdded, PostProcessingChanged, StatusChanged
from bgdl_jupyter.model.host import host
from bgdl_jupyter.model.named_functions import check_name, load_function

if TYPE_CHECKING:
    from collections.abc import Iterable
    from uuid import UUID

    from bgdl_jupyter.events import Event
    from bgdl_jupyter.model.operation import DownloadOperation
    from bgdl_jupyter.model.runner import Runner

log = logging.getLogger(__name__)

Trigger = Callable[..., object] | str | Sequence[str]

KIND: Final = "completion"
_SHOWN_OF_OUTPUT: Final = 2000


class BackgroundTransferCompletionGroup:
    """
    Does something once when all operations of its downloader are final.

    ``Windows.Networking.BackgroundTransfer.BackgroundTransferCompletionGroup``.

    Parameters
    ----------
    trigger:
        A function; the name of one as ``"package.module:function"``; or a program and its arguments as a list, which
        no shell sees. A function is called with the list of operations (or with nothing, if it takes nothing) where
        users' callbacks run. A program finds the numbers of operations in ``BGDL_COMPLETED``, ``BGDL_FAILED`` and
        ``BGDL_CANCELED``. What goes wrong in it is logged.

    Raises
    ------
    InvalidRequest
        It is none of the three.

    Examples
    --------
    >>> group = BackgroundTransferCompletionGroup(["make", "report"])
    >>> reported = BackgroundDownloader(group)
    >>> reported.download("https://data.example/2001.nc", "data/")
    >>> group.enable()
    """

    def __init__(self, trigger: Trigger) -> None:
        self.trigger = _checked(trigger)
        self._batches: set[str] = set()
        self._application = ""
        self._runner: Runner | None = None
        self._is_enabled = False
        self._lock = threading.Lock()

    @property
    def is_enabled(self) -> bool:
        """Whether `enable` was called."""
        return self._is_enabled

    def enable(self) -> None:
        """
        Let the trigger run once all operations are final; from now on no operation can be added.

        Warns once, here, that a function does not outlive the kernel.

        Raises
        ------
        InvalidTransferState
            It is enabled already, or no downloader has made an operation with it.
        """
        with self._lock:
            if self._is_enabled:
                raise InvalidTransferState("The completion group is enabled already; it fires once.")
            if self._runner is None:
                raise InvalidTransferState("The completion group has no operations yet; create them, then enable it.")
            self._is_enabled = True
        if callable(self.trigger):
            warnings.warn(
                "This function runs only if the kernel lives that long; a trigger given as 'package.module:function' "
                "or as a list of arguments survives a restart.",
                UserWarning,
                stacklevel=2,
            )
        self._runner.completions.enable(self.trigger, frozenset(self._batches), self._application)

    def include(self, batch_id: str, runner: Runner, application: str) -> None:
        """Wait for the operations of a batch, too; raises `InvalidTransferState` once it is enabled."""
        with self._lock:
            if self._is_enabled:
                raise InvalidTransferState(
                    "The completion group of this downloader is enabled, and takes no further operations.",
                    hint="Make another BackgroundDownloader with a new completion group.",
                )
            self._batches.add(batch_id)
            self._runner, self._application = runner, application

    def __repr__(self) -> str:
        kind = "function" if callable(self.trigger) else "name" if isinstance(self.trigger, str) else "program"
        return f"<{type(self).__name__} trigger={kind} is_enabled={self._is_enabled}>"


def _checked(trigger: object) -> Trigger:
    if isinstance(trigger, str):
        return check_name(trigger)
    if inspect.iscoroutinefunction(trigger):
        raise InvalidRequest("A trigger is a plain function; one that starts with `async` would never be awaited.")
    if callable(trigger):
        return trigger
    if isinstance(trigger, list | tuple) and trigger and all(isinstance(each, str) for each in trigger) and trigger[0]:
        return tuple(trigger)
    raise InvalidRequest("A trigger is a function, 'package.module:function', or a program and its arguments.")


class _Enabled:
    """A completion group that waits for its operations; ``batches`` names them."""

    def __init__(self, key: str, application: str, trigger: Trigger, batches: frozenset[str]) -> None:
        self.key = key
        self.application = application
        self.trigger = trigger
        self.batches = batches
        self.is_recorded = not callable(trigger)
        self.unfinished: set[UUID] = set()

    def to_record(self) -> dict[str, Any]:
        trigger = self.trigger if isinstance(self.trigger, str) else list(cast("Sequence[str]", self.trigger))
        return {"kind": KIND, "trigger": trigger, "batches": sorted(self.batches)}

    @classmethod
    def from_record(cls, key: str, application: str, record: Mapping[str, Any]) -> _Enabled:
        trigger, batches = _checked(record["trigger"]), record["batches"]
        if not isinstance(batches, list) or not all(isinstance(each, str) for each in batches):
            raise InvalidRequest("The batches are no list of names.")
        return cls(key, application, trigger, frozenset(batches))


class Completions:
    """The enabled completion groups of this process; belongs to the engine's loop, but for `enable`."""

    def __init__(self, runner: Runner) -> None:
        self._runner = runner
        self._enabled: dict[str, _Enabled] = {}
        self._holds = 0
        runner.events.subscribe(self._hear, OperationsAdded, StatusChanged, OperationRemoved, PostProcessingChanged)

    def enable(self, trigger: Trigger, batches: frozenset[str], application: str) -> None:
        """Keep a trigger until its operations are final; returns when it is durable. From any thread."""
        enabled = _Enabled(uuid4().hex, application, trigger, batches)
        if enabled.is_recorded:
            self._runner.state.put_batch(enabled.key, application, enabled.to_record()).result(60.0)
        self._runner.place.call(self._add, enabled)

    def hold(self, application: str, records: Mapping[str, Mapping[str, Any]]) -> None:
        """Take in what an earlier kernel had enabled, and let nothing fire before all operations are there."""
        self._holds += 1
        for key, record in records.items():
            if record.get("kind") != KIND or key in self._enabled:
                continue
            try:
                self._add(_Enabled.from_record(key, application, record))
            except (InvalidRequest, KeyError, TypeError) as error:
                log.warning("A completion group cannot be read and will not fire: %s", error)

    def let_go(self) -> None:
        """End what `hold` began."""
        self._holds -= 1
        self._look()

    def _add(self, enabled: _Enabled) -> None:
        self._enabled[enabled.key] = enabled
        for operation in self._runner.registry.all():
            if operation.batch in enabled.batches and not operation.is_over:
                enabled.unfinished.add(operation.guid)
        self._look()

    def _hear(self, event: Event) -> None:
        if self._enabled:
            match event:
                case StatusChanged(operation_id=operation_id) | PostProcessingChanged(operation_id=operation_id):
                    self._count(operation_id)
                case OperationsAdded(operation_ids=operation_ids):
                    for operation_id in operation_ids:
                        self._count(operation_id)
                case OperationRemoved(operation_id=operation_id):
                    self._leave(operation_id)

    def _count(self, operation_id: UUID) -> None:
        operation = self._runner.registry.find(operation_id)
        if operation is None or operation.is_over:
            self._leave(operation_id)
            return
        for enabled in self._enabled.values():
            if operation.batch in enabled.batches:
                enabled.unfinished.add(operation_id)

    def _leave(self, operation_id: UUID) -> None:
        for enabled in tuple(self._enabled.values()):
            if operation_id in enabled.unfinished:
                enabled.unfinished.discard(operation_id)
                self._look()

    def _look(self) -> None:
        if self._holds:
            return
        for enabled in tuple(self._enabled.values()):
            if not enabled.unfinished:
                del self._enabled[enabled.key]
                self._runner.place.spawn(self._fire(enabled), name="completion group")

    async def _fire(self, enabled: _Enabled) -> None:
        """Run the trigger, unless another kernel of the notebook was first."""
        operations = [each for each in self._runner.registry.all() if each.batch in enabled.batches]
        if enabled.is_recorded:
            try:
                deleted = self._runner.state.delete_batch(enabled.key, enabled.application)
                if not await asyncio.wrap_future(deleted):
                    return
            except BackgroundTransferError as error:
                log.warning("A completion group may fire again in the next kernel: %s", error)
        run_trigger(enabled.trigger, operations)


def run_trigger(trigger: Trigger, operations: Sequence[DownloadOperation]) -> None:
    """Begin what a trigger says, where it holds nobody up; what goes wrong in it is logged."""
    if callable(trigger):
        host().callback_place().post(_call, trigger, list(operations))
    elif isinstance(trigger, str):
        host().callback_place().post(_call_by_name, trigger, list(operations))
    else:
        environment = os.environ | _counts(operations)
        threading.Thread(target=_run, args=(list(trigger), environment), name="bgdl-completion", daemon=True).start()


def _call(function: Callable[..., object], operations: list[DownloadOperation]) -> None:
    try:
        function(*([operations] if _takes_operations(function) else []))
    except Exception:  # a user's function must stop nothing
        log.exception("The trigger of a completion group failed")


def _takes_operations(function: Callable[..., object]) -> bool:
    try:
        inspect.signature(function).bind([])
    except TypeError:
        return False
    except ValueError:  # written in C, and silent about what it takes
        return True
    return True


def _call_by_name(name: str, operations: list[DownloadOperation]) -> None:
    try:
        found = load_function(name)
    except Exception:  # whatever a module does when it is loaded
        log.exception("The trigger %r of a completion group cannot be loaded", name)
        return
    _call(found, operations)


def _counts(operations: Iterable[DownloadOperation]) -> dict[str, str]:
    statuses = [each.standing for each in operations]
    return {
        "BGDL_COMPLETED": str(sum(each.is_success for each in statuses)),
        "BGDL_FAILED": str(sum(each.is_failure for each in statuses)),
        "BGDL_CANCELED": str(sum(each.is_canceled for each in statuses)),
    }


def _run(arguments: list[str], environment: Mapping[str, str]) -> None:
    try:
        ended = subprocess.run(  # noqa: S603 (the user's own program, from the user's own state file, and no shell)
            arguments, env=environment, stdin=subprocess.DEVNULL, capture_output=True, check=False
        )
    except (OSError, ValueError) as error:
        log.error("The trigger %r of a completion group cannot be run: %s", arguments[0], error)  # noqa: TRY400 (no fault of ours)
        return
    if ended.returncode:
        said = ended.stderr.decode(errors="replace")[-_SHOWN_OF_OUTPUT:]
        log.error("The trigger %r of a completion group ended with %d: %s", arguments[0], ended.returncode, said)

"""Taking up again what a kernel left: after a restart, a crash, or the death of another kernel. All of it blocks."""

from __future__ import annotations

import contextlib
import functools
import itertools
import logging
from typing import TYPE_CHECKING, Any, Final

from traitlets import TraitError

from bgdl_jupyter.errors import TransferFailed
from bgdl_jupyter.events import StatusChanged
from bgdl_jupyter.model.by_and_by import in_steps
from bgdl_jupyter.model.light import alike
from bgdl_jupyter.model.operation_state import PAUSING, can_pause
from bgdl_jupyter.model.persistence import refresh
from bgdl_jupyter.model.recollection import Recollection
from bgdl_jupyter.status import Step, advance

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from uuid import UUID

    from bgdl_jupyter.errors import BackgroundTransferError
    from bgdl_jupyter.model.group import BackgroundTransferGroup
    from bgdl_jupyter.model.operation import DownloadOperation
    from bgdl_jupyter.model.runner import Runner
    from bgdl_jupyter.storage.records import Acquired, OperationRow

log = logging.getLogger(__name__)

# Each step of it; all of them together may take as long as there are operations.
_WITHIN: Final = 60.0
# What `_decide` looks at.
_DECIDING: Final = PAUSING | {"status"}


def restore(runner: Runner, application: str, *, on_restore: str = "resume") -> list[DownloadOperation]:
    """
    Take up an application's operations, once in a process; return those that are new here.

    Parameters
    ----------
    application:
        Whose; "*" shows all and takes up none.
    on_restore:
        What becomes of what was running: resume, pause, cancel, or ask (pause, and say so).
    """
    if application == "*":
        return _show(runner, None)
    if not runner.place.call(runner.claim_restoring, application):
        return []
    groups = runner.state.groups(application).result(_WITHIN)
    runner.place.call(_take_groups, runner, application, groups)
    with _holding_alerts(runner, application):
        taken = _take_over_all(runner, application, on_restore)
        # To look at all of them once more is dear where there are very many, and nearly always all were taken.
        is_all = runner.state.count(application).result(_WITHIN) == len(taken)
        shown = [] if is_all else _show(runner, application)
        _take_up_following(runner, shown)
    return taken + shown


@contextlib.contextmanager
def _holding_alerts(runner: Runner, application: str) -> Iterator[None]:
    """Let no batch and no completion group fire before all of its operations are there."""
    records = runner.state.batches(application).result(_WITHIN)
    for each in (runner.batches, runner.completions):
        runner.place.call(each.hold, application, records)
    try:
        yield
    finally:
        for each in (runner.batches, runner.completions):
            runner.place.call(each.let_go)


def take_over(runner: Runner, application: str) -> None:
    """Take up what a dead kernel held."""
    pieces = runner.state.acquire(application)
    first = next(pieces, None)
    if first is not None:
        with _holding_alerts(runner, application):
            _take_over_all(runner, application, "resume", pieces=itertools.chain([first], pieces))


def _take_over_all(
    runner: Runner, application: str, on_restore: str, *, pieces: Iterable[list[Acquired]] | None = None
) -> list[DownloadOperation]:
    """Take over what no living kernel has, piece by piece: the loop, and the leases, live on meanwhile."""
    taken: list[DownloadOperation] = []
    recollection = Recollection(runner)
    take = functools.partial(_take_up, runner, on_restore)
    for piece in runner.state.acquire(application) if pieces is None else pieces:
        with runner.collector.resting(len(piece)):
            # Made here, where nobody waits: on the loop they are only let in.
            made = [_readable(recollection, each.row, is_disputed=not each.was_proven_dead) for each in piece]
            taken += in_steps(runner.place, take, zip(piece, made, strict=True))
    return taken


def look_after(runner: Runner, application: str) -> None:
    """Show what became of the operations that other kernels hold, and take over those whose kernel has died."""
    if runner.place.call(runner.has_restored, application):
        take_over(runner, application)
        _take_up_following(runner, runner.place.call(runner.registry.of_application, application))
    held = runner.place.call(_held_of, runner, application)
    rows = runner.state.rows(operation_ids=held).result(_WITHIN)
    holders = _holders(runner, rows)
    runner.place.call_within(_WITHIN, _refresh_all, runner, held, rows, holders)


def group_of(runner: Runner, application: str, name: str) -> BackgroundTransferGroup:
    """Return the group of this name with the limits that it had, made if there is none."""
    if not runner.place.call(runner.registry.has_group, application, name):
        records = runner.state.groups(application).result(_WITHIN)
        runner.place.call(_take_groups, runner, application, {name: records.get(name, {})})
    return runner.place.call(runner.registry.group, application, name)


def _take_groups(runner: Runner, application: str, groups: Mapping[str, Mapping[str, object]]) -> None:
    for name, record in groups.items():
        try:
            runner.registry.group(application, name, record)
        except TraitError as error:
            log.warning("The limits of the group %r cannot be read and are not kept: %s", name, error)


def _take_up(
    runner: Runner, on_restore: str, acquired: Sequence[tuple[Acquired, DownloadOperation | None]]
) -> list[DownloadOperation]:
    """Let operations in that are ours now, and let those go on that were known here as another kernel's."""
    fresh: list[DownloadOperation] = []
    for each, operation in acquired:
        known = runner.registry.find(each.row.operation_id)
        if known is not None:
            _get_back(runner, known, each.row, is_disputed=not each.was_proven_dead, on_restore=on_restore)
        elif operation is not None:
            fresh.append(operation)
    for values, some in alike(fresh, _DECIDING):
        if values["status"].is_running and not _goes_on(values, on_restore):
            for operation in some:
                _decide(runner, operation, on_restore)
    runner.introduce(fresh, was_restored=True)
    return fresh


def _goes_on(values: Mapping[str, Any], on_restore: str) -> bool:
    """Whether running operations with these values simply run on."""
    return on_restore == "resume" and can_pause(values)


def _readable(recollection: Recollection, row: OperationRow, *, is_disputed: bool = False) -> DownloadOperation | None:
    try:
        return recollection.operation_of(row, is_disputed=is_disputed)
    except ValueError as error:
        log.warning("%s It is left as it is.", error)
        return None


def _get_back(
    runner: Runner, operation: DownloadOperation, row: OperationRow, *, is_disputed: bool, on_restore: str
) -> None:
    """Let an operation that was held by another kernel go on here, for everybody who has it in hands."""
    old = operation.status
    refresh(operation, row, is_disputed=is_disputed)
    operation.let_go()
    _decide(runner, operation, on_restore)
    runner.came_back(operation, old)


def _decide(runner: Runner, operation: DownloadOperation, on_restore: str) -> None:
    """Choose what becomes of an operation that was running; nobody is told yet."""
    if not operation.status.is_running:
        return
    if not operation.can_pause:
        _step(runner, operation, Step.FAIL, error=_interrupted(operation))
    elif on_restore in ("pause", "ask"):
        reason = "restored; resume() lets it go on" if on_restore == "ask" else "paused when it was restored"
        _step(runner, operation, Step.PAUSE, reason=reason)
    elif on_restore == "cancel":
        _step(runner, operation, Step.CANCEL, reason="canceled when it was restored")


def _take_up_following(runner: Runner, operations: Iterable[DownloadOperation]) -> None:
    """Go on with what follows files that are there, where the kernel that did it has ended."""
    for operation in operations:
        if operation.is_held and operation.status.is_success:
            acquired = runner.state.acquire_one(operation.guid).result(_WITHIN)
            if acquired is not None:
                runner.place.call_within(_WITHIN, _follow, runner, operation, acquired)


def _follow(runner: Runner, operation: DownloadOperation, acquired: Acquired) -> None:
    _get_back(runner, operation, acquired.row, is_disputed=not acquired.was_proven_dead, on_restore="resume")


def _interrupted(operation: DownloadOperation) -> TransferFailed:
    """Return the error of a request that must not be sent twice and was under way when its kernel died."""
    return TransferFailed(
        f"The {operation.method} request was interrupted; the server may have carried it out.",
        hint="Check at the server, then retry() sends it again.",
    )


def _step(
    runner: Runner,
    operation: DownloadOperation,
    step: Step,
    *,
    reason: str = "",
    error: BackgroundTransferError | None = None,
) -> None:
    new = advance(operation.status, step, can_pause=operation.can_pause)
    said = str(error) if error is not None else reason
    fact = StatusChanged(operation_id=operation.guid, old=operation.status, new=new, reason=said, error=error)
    operation.apply(fact)
    runner.save(operation)


# ------------------------------------------------------------------------------------------------- what others hold


def _show(runner: Runner, application: str | None) -> list[DownloadOperation]:
    """Show what is final, and what other kernels hold."""
    shown: list[DownloadOperation] = []
    recollection = Recollection(runner)
    for piece in runner.state.stream(application, skips_ours=True):
        holders = _holders(runner, piece)
        with runner.collector.resting(len(piece)):
            made = [(row, operation) for row in piece if (operation := _readable(recollection, row)) is not None]
            shown += in_steps(runner.place, functools.partial(_show_some, runner, holders), made)
    return shown


def _show_some(
    runner: Runner, holders: Mapping[str, str], made: Sequence[tuple[OperationRow, DownloadOperation]]
) -> list[DownloadOperation]:
    shown: list[DownloadOperation] = []
    for row, operation in made:
        if runner.registry.find(row.operation_id) is None:
            if not operation.is_over:
                operation.hold(_holder_of(row, holders))
            shown.append(operation)
    runner.introduce(shown, was_restored=True)
    if any(each.is_held for each in shown):
        runner.held.begin()
    return shown


def _holders(runner: Runner, rows: Iterable[OperationRow]) -> dict[str, str]:
    """Return for each living kernel that holds one of the operations how it is called."""
    examples = {row.owner: row.operation_id for row in rows if row.owner}
    asked = {owner: runner.state.holder(operation_id) for owner, operation_id in examples.items()}
    found = {owner: answer.result(_WITHIN) for owner, answer in asked.items()}
    return {owner: f"kernel {holder.pid} on {holder.host}" for owner, holder in found.items() if holder is not None}


def _holder_of(row: OperationRow, holders: Mapping[str, str]) -> str:
    return holders.get(row.owner or "", f"{row.application}, which no kernel runs now")


def _held_of(runner: Runner, application: str) -> list[UUID]:
    return [each.guid for each in runner.registry.of_application(application) if each.is_held]


def _refresh_all(
    runner: Runner, held: Iterable[UUID], rows: Iterable[OperationRow], holders: Mapping[str, str]
) -> None:
    present = {row.operation_id: row for row in rows}
    for operation_id in held:
        operation, row = runner.registry.find(operation_id), present.get(operation_id)
        if operation is None or not operation.is_held:
            continue
        if row is None:
            runner.forget(operation)
        else:
            _refresh_one(runner, operation, row, holders)


def _refresh_one(runner: Runner, operation: DownloadOperation, row: OperationRow, holders: Mapping[str, str]) -> None:
    """Show what the kernel that holds an operation has recorded of it."""
    old = operation.status
    try:
        refresh(operation, row)
    except ValueError as error:
        log.warning("%s It is shown as it was.", error)
        return
    if operation.is_over:
        operation.let_go()
    else:
        operation.hold(_holder_of(row, holders))
    runner.came_back(operation, old)

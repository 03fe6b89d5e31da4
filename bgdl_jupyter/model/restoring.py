"""Taking up again what a kernel left: after a restart, a crash, or the death of another kernel."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Final

from bgdl_jupyter.model.persistence import operation_from
from bgdl_jupyter.status import Step

if TYPE_CHECKING:
    from bgdl_jupyter.model.operation import DownloadOperation
    from bgdl_jupyter.model.runner import Runner
    from bgdl_jupyter.storage.records import Acquired, OperationRow

log = logging.getLogger(__name__)

_WITHIN: Final = 60.0
#: How often a kernel looks whether one that holds operations of its application has died, in seconds.
LOOK_EVERY: Final = 2.0


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
    acquired = runner.state.acquire(application).result(_WITHIN)
    groups = runner.state.groups(application).result(_WITHIN)
    runner.place.call(_take_groups, runner, application, groups)
    taken = runner.place.call_within(_WITHIN, _take_up, runner, acquired, on_restore)
    shown = _show(runner, application)
    return taken + shown


def take_over(runner: Runner, application: str) -> None:
    """Take up what a dead kernel held; called from a thread of the pool."""
    acquired = runner.state.acquire(application).result(_WITHIN)
    if acquired:
        runner.place.call_within(_WITHIN, _take_up, runner, acquired, "resume")


def _take_groups(runner: Runner, application: str, groups: dict[str, dict[str, object]]) -> None:
    for name, record in groups.items():
        runner.registry.group(application, name, record)


def _take_up(runner: Runner, acquired: list[Acquired], on_restore: str) -> list[DownloadOperation]:
    operations = []
    for each in acquired:
        held = runner.registry.find(each.row.operation_id)
        if held is not None:
            runner.forget(held)
        operation = _readable(runner, each.row, is_disputed=not each.was_proven_dead)
        if operation is not None:
            operations.append(operation)
    for operation in operations:
        _decide(runner, operation, on_restore)
    runner.introduce(operations, was_restored=True)
    return operations


def _readable(runner: Runner, row: OperationRow, *, is_disputed: bool = False) -> DownloadOperation | None:
    try:
        return operation_from(row, runner, is_disputed=is_disputed)
    except ValueError as error:
        log.warning("%s It is left as it is.", error)
        return None


def _decide(runner: Runner, operation: DownloadOperation, on_restore: str) -> None:
    """Choose what becomes of an operation that was running; it is not known to anybody yet."""
    if not operation.status.is_running:
        return
    if not operation.can_pause:
        runner.fail_interrupted(operation)
    elif on_restore in ("pause", "ask"):
        reason = "restored; resume() lets it go on" if on_restore == "ask" else "paused when it was restored"
        runner.step_quietly(operation, Step.PAUSE, reason)
    elif on_restore == "cancel":
        runner.step_quietly(operation, Step.CANCEL, "canceled when it was restored")


def _show(runner: Runner, application: str | None) -> list[DownloadOperation]:
    """Show what is final, and what other live kernels hold."""
    rows = runner.state.rows(application=application).result(_WITHIN)
    holders = {row.owner: runner.state.holder(row.operation_id) for row in rows if not row.is_final and row.owner}
    names = {owner: found.result(_WITHIN) for owner, found in holders.items()}

    def show() -> list[DownloadOperation]:
        shown = []
        for row in rows:
            if runner.registry.find(row.operation_id) is not None:
                continue
            operation = _readable(runner, row)
            if operation is None:
                continue
            holder = names.get(row.owner or "")
            if not row.is_final:
                whom = f"kernel {holder.pid} on {holder.host}" if holder else "no kernel"
                operation.hold(whom if holder else "another application")
            shown.append(operation)
        runner.introduce(shown, was_restored=True)
        return shown

    return runner.place.call_within(_WITHIN, show)

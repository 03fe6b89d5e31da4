"""Removing what an application, or everything of a user, has left: rows, partial files, secrets, the state file."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from bgdl_jupyter.errors import BackgroundTransferError, StorageFailed
from bgdl_jupyter.model.housekeeping import applications, forget_all
from bgdl_jupyter.model.process import current_runner, shut_down
from bgdl_jupyter.model.stores import staging_folder
from bgdl_jupyter.model.unpack_orders import discard_recorded_unpacking
from bgdl_jupyter.storage.leftovers import discard_leftovers
from bgdl_jupyter.storage.spool import discard_body, spool_folder

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bgdl_jupyter.model.operation import DownloadOperation

_WITHIN: Final = 60.0
#: What takes a user's step to the statuses that it leads to needs this long at most, in seconds.
_SETTLED_WITHIN: Final = 10.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Purged:
    """What was removed; ``left`` are sentences about what could not be."""

    operations: int
    partial_files: int
    left: tuple[str, ...] = ()


def purge(application: str | None) -> Purged:
    """
    Remove an application's operations, their partial files and their secrets; finished files stay.

    Parameters
    ----------
    application:
        Whose; None for everything of this user. What another living kernel runs is left, and said so.
    """
    runner = current_runner()
    ours = [each for each in runner.place.call(runner.registry.all) if application in (None, each.application)]
    _cancel_and_wait([each for each in ours if not each.is_held])
    rows = runner.state.purge(application).result(_WITHIN)
    gone = {row.operation_id for row in rows}
    runner.place.call_within(_WITHIN, forget_all, runner, [each for each in ours if each.guid in gone])
    deleted, left = 0, []
    for row in rows:
        try:
            discard_body(runner.bodies.folder, row.operation_id)
            discard_recorded_unpacking(row.record, row.operation_id)
            deleted += discard_leftovers(Path(row.record["directory"]), row.operation_id, row.epoch)
        except (StorageFailed, KeyError, TypeError) as error:
            left.append(f"A private file of {row.operation_id} was left: {error}")
        if row.record.get("secret_names"):
            runner.vault.delete(str(row.operation_id)).result(_WITHIN)
    return Purged(operations=len(rows), partial_files=deleted, left=(*left, *_kept(application)))


def remove_state_file() -> str:
    """
    Delete the state file and its folder, and end the engine of this process; return what was left, and why.

    For the last clean-up before this package is uninstalled.
    """
    state = current_runner().state
    path = state.path
    holders = [holder for each in state.applications().result(_WITHIN) for holder in each.held_by]
    others = [each for each in holders if each.kernel_id != state.kernel_id]
    if path is None or others:
        return "The state file is left: another kernel uses it." if others else ""
    shut_down()
    for suffix in ("", "-wal", "-shm"):
        path.with_name(path.name + suffix).unlink(missing_ok=True)
    for folder in (path.parent / "kernels", spool_folder(path.parent), staging_folder(path.parent)):
        shutil.rmtree(folder, ignore_errors=True)
    left = [each.name for each in path.parent.iterdir()]
    if left:
        return f"Other files are left in {str(path.parent)!r}: {', '.join(left)}."
    path.parent.rmdir()
    return ""


def _kept(application: str | None) -> list[str]:
    kept = [each for each in applications() if application in (None, each.application)]
    return [f"{each.operations} downloads of {each.application} are kept: a kernel runs there." for each in kept]


def _cancel_and_wait(operations: Sequence[DownloadOperation]) -> None:
    outcomes = [each.cancel() for each in operations if not each.is_over]
    if current_runner().place.is_here():
        return  # waiting would stop the loop that ends them
    for outcome in outcomes:
        try:
            outcome.wait(_SETTLED_WITHIN)
        except TimeoutError as error:
            raise BackgroundTransferError(
                f"A transfer does not end within {_SETTLED_WITHIN:g} s; nothing was removed.", hint="Try again later."
            ) from error

"""
What is done to many operations at once, and to what other kernels left in the state file.

Clearing, adopting and taking up; all of it blocks, and belongs on the thread of whoever asks.
"""

from __future__ import annotations

import logging
import time
from pathlib import Path
from typing import TYPE_CHECKING, Final

from bgdl_jupyter.engine.facilities import known_schemes
from bgdl_jupyter.errors import InvalidRequest
from bgdl_jupyter.model.application import present_application
from bgdl_jupyter.model.persistence import operation_from
from bgdl_jupyter.model.process import current_runner, existing_runner
from bgdl_jupyter.model.restoring import group_of, restore, take_over
from bgdl_jupyter.status import Step
from bgdl_jupyter.storage.leftovers import discard_leftovers
from bgdl_jupyter.storage.records import ApplicationSummary
from bgdl_jupyter.uris import split_uri

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from uuid import UUID

    from bgdl_jupyter.model.downloader import BackgroundDownloader
    from bgdl_jupyter.model.far import FarGroup
    from bgdl_jupyter.model.operation import DownloadOperation
    from bgdl_jupyter.model.runner import Runner
    from bgdl_jupyter.storage.records import OperationRow

__all__ = [
    "FORGOTTEN_AFTER",
    "ApplicationSummary",
    "adopt",
    "application_of",
    "applications",
    "clear",
    "far_groups_of",
    "forget_all",
    "forget_far",
    "forgotten_applications",
    "left_of",
    "operations_of",
    "pause_all",
    "take",
    "take_up",
]

log = logging.getLogger(__name__)

_WITHIN: Final = 60.0
_DAY: Final = 24 * 3600.0
#: After how many days without a kernel an application is named as forgotten.
FORGOTTEN_AFTER: Final = 30


def application_of(downloader: BackgroundDownloader) -> str:
    """Return whose downloads a downloader has."""
    return downloader.application or present_application()


def operations_of(downloader: BackgroundDownloader, *, application: str | None = None) -> list[DownloadOperation]:
    """
    Return all operations that were not cleared, in the order of their creation, without counting them as seen.

    ``application`` is another one than the downloader's; "*" stands for all, to look at.
    """
    runner, owner = current_runner(), application or application_of(downloader)
    restore(runner, owner, on_restore=downloader.on_restore)
    operations = runner.place.call(runner.registry.all)
    return [each for each in operations if owner in ("*", each.application)]


def far_groups_of(downloader: BackgroundDownloader) -> list[FarGroup]:
    """Return the groups whose files are fetched elsewhere."""
    runner, owner = current_runner(), application_of(downloader)
    restore(runner, owner, on_restore=downloader.on_restore)
    return [each for each in runner.place.call(runner.registry.far_groups) if each.application == owner]


def forget_far(group: FarGroup) -> None:
    """
    Forget a group that a cluster fetches; its files stay, and what lies beside them.

    Raises
    ------
    InvalidRequest
        It is not over.
    """
    if not group.standing.is_final:
        raise InvalidRequest(f"The group {group.name!r} is not over.", hint="Cancel it first.")
    current_runner().place.call(group.forget)


def take(operations: Iterable[DownloadOperation], step: Step) -> list[DownloadOperation]:
    """Take a user's step with each operation that allows it, in one go; return those."""
    willing = [each for each in operations if step in each.allowed_steps]
    current_runner().take_all(willing, step)
    return willing


def pause_all() -> list[DownloadOperation]:
    """Pause what this process runs, and return it; starts nothing to find out."""
    runner = existing_runner()
    if runner is None:
        return []
    return take(runner.place.call(runner.registry.all), Step.PAUSE)


def clear(operations: Iterable[DownloadOperation]) -> list[DownloadOperation]:
    """Forget final operations and what is left of those that have no file; return them. Finished files stay."""
    runner = current_runner()
    final = [each for each in operations if each.is_over and not each.is_held]
    for operation in final:
        if not operation.status.is_success:
            discard_leftovers(operation.directory, operation.guid, operation.epoch)
        if operation.secret_names:
            runner.vault.delete(str(operation.guid))
    runner.place.call_within(_WITHIN, runner.dismiss, final)
    return final


# ----------------------------------------------------------------------------------------------------- applications


def applications() -> list[ApplicationSummary]:
    """Return what each application has in the state file, by name; those without operations are left out."""
    found = current_runner().state.applications().result(_WITHIN)
    return [each for each in found if each.operations]


def forgotten_applications(summaries: Iterable[ApplicationSummary]) -> list[ApplicationSummary]:
    """Return those that no kernel has run for thirty days."""
    before = time.time() - FORGOTTEN_AFTER * _DAY
    return [each for each in summaries if not each.held_by and (each.last_seen_at or 0.0) < before]


def adopt(downloader: BackgroundDownloader, old: str) -> list[DownloadOperation]:
    """
    Move the downloads of an application here, as after a notebook was renamed; return them.

    Parameters
    ----------
    old:
        The path that the notebook had, or its end.

    Raises
    ------
    InvalidRequest
        There is no such application, several, or it is this one.
    """
    runner, here = current_runner(), application_of(downloader)
    there = _application_named(old, here)
    known = {each.guid for each in operations_of(downloader)}
    runner.state.adopt(there, here).result(_WITHIN)
    runner.place.call_within(_WITHIN, forget_all, runner, _pictures(runner, there))
    for name in runner.state.groups(here).result(_WITHIN):
        group_of(runner, here, name)  # with its limits
    take_over(runner, here)
    _show_final(runner, here)
    return [each for each in operations_of(downloader) if each.guid not in known]


def _application_named(path: str, here: str) -> str:
    names = [each.application for each in applications() if each.application != here]
    whole = str(Path(path).expanduser().absolute())
    exact = [name for name in names if name in (path, whole)]
    matching = exact or [name for name in names if name.endswith("/" + path.lstrip("/"))]
    if len(matching) == 1:
        return matching[0]
    if not matching:
        known = ", ".join(names) or "none"
        raise InvalidRequest(f"No other notebook or folder {path!r} has downloads; those that have: {known}.")
    raise InvalidRequest(f"{path!r} may be one of {', '.join(matching)}; give the whole path.")


def _pictures(runner: Runner, application: str) -> list[DownloadOperation]:
    return [each for each in runner.place.call(runner.registry.all) if each.application == application]


def forget_all(runner: Runner, operations: Sequence[DownloadOperation]) -> None:
    """Drop the pictures of operations whose rows are another's now, or gone; on the engine's loop."""
    for operation in operations:
        runner.forget(operation)


def _show_final(runner: Runner, application: str) -> None:
    rows = runner.state.rows(application=application).result(_WITHIN)
    runner.place.call_within(_WITHIN, _introduce, runner, [(row, False) for row in rows if row.is_final])


def _introduce(runner: Runner, rows: Sequence[tuple[OperationRow, bool]]) -> None:
    operations = []
    for row, is_disputed in rows:
        if runner.registry.find(row.operation_id) is None:
            try:
                operations.append(operation_from(row, runner, is_disputed=is_disputed))
            except ValueError as error:
                log.warning("%s It is left as it is.", error)
    runner.introduce(operations, was_restored=True)


def take_up(operation_ids: Iterable[UUID]) -> list[DownloadOperation]:
    """
    Take up operations that no living kernel has, of any application, and return them; the others are left out.

    Left out, too, is a request that was under way and must not be sent twice: that is for its own application to end.
    """
    runner = current_runner()
    found = []
    for row in runner.state.rows(operation_ids=operation_ids).result(_WITHIN):
        acquired = None if _is_dangerous(row, runner) else runner.state.acquire_one(row.operation_id).result(_WITHIN)
        if acquired is not None:
            found.append((acquired.row, not acquired.was_proven_dead))
    pictures = [runner.registry.find(row.operation_id) for row, _ in found]
    runner.place.call_within(_WITHIN, forget_all, runner, [each for each in pictures if each is not None])
    runner.place.call_within(_WITHIN, _introduce, runner, found)
    taken = [runner.registry.find(row.operation_id) for row, _ in found]
    return [each for each in taken if each is not None]


def _is_dangerous(row: OperationRow, runner: Runner) -> bool:
    try:
        picture = operation_from(row, runner)
    except ValueError as error:
        log.warning("%s It is left as it is.", error)
        return True
    return picture.status.is_running and not picture.can_pause


def left_of(downloader: BackgroundDownloader, uri: str) -> list[UUID]:
    """Return the operations of the same URI that earlier processes of this application have in the state file."""
    public = split_uri(uri, known_schemes()).public
    rows = current_runner().state.rows(application=application_of(downloader)).result(_WITHIN)
    return [row.operation_id for row in rows if row.record.get("requested_uri") == public]

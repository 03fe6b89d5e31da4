"""
What is done to many operations at once, and to what other kernels left in the state file.

Clearing, adopting, purging, taking up and verifying; all of it blocks, and belongs on the thread of whoever asks.
"""

from __future__ import annotations

import asyncio
import logging
import shutil
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final
from uuid import uuid4

from bgdl_jupyter.engine.facilities import known_schemes
from bgdl_jupyter.errors import BackgroundTransferError, InvalidRequest, StorageFailed
from bgdl_jupyter.model.application import present_application
from bgdl_jupyter.model.persistence import operation_from
from bgdl_jupyter.model.process import current_runner, existing_runner, shut_down
from bgdl_jupyter.model.restoring import restore, take_over
from bgdl_jupyter.secret import Secret
from bgdl_jupyter.status import Step
from bgdl_jupyter.storage.digests import new_hash, parse_checksum
from bgdl_jupyter.storage.leftovers import discard_leftovers
from bgdl_jupyter.storage.records import ApplicationSummary
from bgdl_jupyter.uris import split_uri

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from concurrent.futures import Future
    from uuid import UUID

    from bgdl_jupyter.model.downloader import BackgroundDownloader
    from bgdl_jupyter.model.operation import DownloadOperation
    from bgdl_jupyter.model.runner import Runner
    from bgdl_jupyter.storage.records import OperationRow

__all__ = [
    "FORGOTTEN_AFTER",
    "HISTORY",
    "ApplicationSummary",
    "EngineFacts",
    "NetworkFacts",
    "Purged",
    "Verification",
    "adopt",
    "application_of",
    "applications",
    "clear",
    "engine_facts",
    "forget_history",
    "forgotten_applications",
    "left_of",
    "look_at_network",
    "operations_of",
    "pause_all",
    "purge",
    "remove_state_file",
    "take",
    "take_up",
    "vault_works",
    "verify",
]

log = logging.getLogger(__name__)

_WITHIN: Final = 60.0
_DAY: Final = 24 * 3600.0
#: After how many days without a kernel an application is named as forgotten.
FORGOTTEN_AFTER: Final = 30
#: How many days final operations are remembered.
HISTORY: Final = 90
_READ_AT_ONCE: Final = 1 << 20
#: What takes a user's step to the statuses that it leads to needs this long at most, in seconds.
_SETTLED_WITHIN: Final = 10.0


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
    final = [each for each in operations if each.status.is_final and not each.is_held]
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


def forget_history(days: float = HISTORY) -> Future[int]:
    """Remove from the state file what became final longer ago; the result is the number of operations."""
    return current_runner().state.prune(time.time() - days * _DAY)


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
    runner.place.call_within(_WITHIN, _forget_all, runner, _pictures(runner, there))
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


def _forget_all(runner: Runner, operations: Sequence[DownloadOperation]) -> None:
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
    """Take up operations that no living kernel has, of any application, and return them; the others are left out."""
    runner = current_runner()
    found = []
    for operation_id in operation_ids:
        acquired = runner.state.acquire_one(operation_id).result(_WITHIN)
        if acquired is not None:
            found.append((acquired.row, not acquired.was_proven_dead))
    pictures = [runner.registry.find(row.operation_id) for row, _ in found]
    runner.place.call_within(_WITHIN, _forget_all, runner, [each for each in pictures if each is not None])
    runner.place.call_within(_WITHIN, _introduce, runner, found)
    taken = [runner.registry.find(row.operation_id) for row, _ in found]
    return [each for each in taken if each is not None]


def left_of(downloader: BackgroundDownloader, uri: str) -> list[UUID]:
    """Return the operations of the same URI that earlier processes of this application have in the state file."""
    public = split_uri(uri, known_schemes()).public
    rows = current_runner().state.rows(application=application_of(downloader)).result(_WITHIN)
    return [row.operation_id for row in rows if row.record.get("requested_uri") == public]


# ------------------------------------------------------------------------------------------------------------ facts


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineFacts:
    """Where the downloads run and why, and where their state is kept; ``notices`` are sentences for the user."""

    place_kind: str
    place_reason: str
    state_file: Path | None
    is_read_only: bool
    is_in_memory: bool
    notices: tuple[str, ...]
    vault: str


def engine_facts() -> EngineFacts:
    """Return what there is to say about the one engine of this process."""
    runner = current_runner()
    return EngineFacts(
        place_kind=runner.place.kind,
        place_reason=runner.place.reason,
        state_file=runner.state.path,
        is_read_only=runner.state.is_read_only,
        is_in_memory=runner.state.is_in_memory,
        notices=runner.state.notices,
        vault=runner.vault.status,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class NetworkFacts:
    """What the network of the kernel's host costs, who says so, and what the user said ("auto" for nothing)."""

    is_up: bool | None
    cost: str
    reason: str
    override: str


def look_at_network(downloader: BackgroundDownloader) -> NetworkFacts:
    """Look at the network now, and return what is known of it; sends nothing."""
    runner = current_runner()
    if not runner.place.is_here():
        looking = asyncio.run_coroutine_threadsafe(runner.conditions.is_reachable("example.org"), runner.place.loop)
        looking.result(_WITHIN)
    seen = downloader.network_conditions
    override = downloader.network_cost_override.value
    return NetworkFacts(is_up=seen.is_up, cost=seen.cost.value, reason=seen.reason, override=override)


def vault_works() -> bool:
    """Whether what is given to the vault would outlive this process; tried out with an entry that says nothing."""
    vault, name = current_runner().vault, f"trial-{uuid4().hex}"
    is_kept = vault.store(name, Secret("trial")).result(_WITHIN)
    vault.delete(name).result(_WITHIN)
    return is_kept


# ------------------------------------------------------------------------------------------------------------ purge


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
    runner.place.call_within(_WITHIN, _forget_all, runner, [each for each in ours if each.guid in gone])
    deleted, left = 0, []
    for row in rows:
        try:
            deleted += discard_leftovers(Path(row.record["directory"]), row.operation_id, row.epoch)
        except (StorageFailed, KeyError, TypeError) as error:
            left.append(f"A partial file of {row.operation_id} was left: {error}")
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
    shutil.rmtree(path.parent / "kernels", ignore_errors=True)
    left = [each.name for each in path.parent.iterdir()]
    if left:
        return f"Other files are left in {str(path.parent)!r}: {', '.join(left)}."
    path.parent.rmdir()
    return ""


def _kept(application: str | None) -> list[str]:
    kept = [each for each in applications() if application in (None, each.application)]
    return [f"{each.operations} downloads of {each.application} are kept: a kernel runs there." for each in kept]


def _cancel_and_wait(operations: Sequence[DownloadOperation]) -> None:
    outcomes = [each.cancel() for each in operations if not each.status.is_final]
    if current_runner().place.is_here():
        return  # waiting would stop the loop that ends them
    for outcome in outcomes:
        try:
            outcome.wait(_SETTLED_WITHIN)
        except TimeoutError as error:
            raise BackgroundTransferError(
                f"A transfer does not end within {_SETTLED_WITHIN:g} s; nothing was removed.", hint="Try again later."
            ) from error


# ----------------------------------------------------------------------------------------------------------- verify


@dataclass(frozen=True, slots=True, kw_only=True)
class Verification:
    """Whether the file of a completed operation still is what was fetched, and what was compared."""

    operation: DownloadOperation
    is_whole: bool
    says: str


def verify(operation: DownloadOperation) -> Verification:
    """Read the file of a completed operation, and compare its size and, where one is known, its digest."""
    is_whole, says = _compare(operation)
    return Verification(operation=operation, is_whole=is_whole, says=says)


def _compare(operation: DownloadOperation) -> tuple[bool, str]:
    path = operation.result_file
    if path is None or not path.is_file():
        return False, "the file is gone"
    size = path.stat().st_size
    if operation.size is not None and size != operation.size:
        return False, f"it has {size:,} bytes instead of {operation.size:,}"
    expected = operation.digest or operation.checksum
    if not expected:
        return True, "it has the right size; no digest is known"
    wanted = parse_checksum(expected)
    running = new_hash(wanted.algorithm)
    with path.open("rb") as file:
        while chunk := file.read(_READ_AT_ONCE):
            running.update(chunk)
    if running.digest().hex() != wanted.value:
        return False, f"its {wanted.algorithm} is another one than when it was fetched"
    return True, f"its {wanted.algorithm} is right"

"""What must hold after every harm, whatever it was: what the disk may hold at once, and what after the recovery."""

from __future__ import annotations

import contextlib
import json
import sqlite3
from typing import TYPE_CHECKING
from uuid import UUID

from bgdl_jupyter.status import BackgroundTransferStatus as Status
from tests.bench.scenario import CANCELED, OVER, SIZES
from tests.bench.stage import OLD
from tests.servers.content import digest, file_sha256

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from pathlib import Path

    from tests.bench.stage import Run
    from tests.servers.content import Pattern


def at_once(work: Path, contents: Mapping[str, Pattern]) -> Iterator[str]:
    """Yield what is wrong right after the harm: I4, no name holds a part of a file, and what stood there still does."""
    for name in SIZES:
        path = work / name
        if path.exists() and not _is_whole(path, contents[name]) and not (name == OVER and path.read_bytes() == OLD):
            yield f"{name} stands under its name and is not whole"
    if not (work / OVER).exists():
        yield f"what stood at {OVER} is gone"


def still_complete(work: Path, contents: Mapping[str, Pattern], completed: Iterable[list[str]]) -> Iterator[str]:
    """Yield what was reported complete before the harm and is not there after it."""
    for name, *_ in completed:
        if not (work / name).exists() or not _is_whole(work / name, contents[name]):
            yield f"{name} was complete, and is not any more"


def recovered(folder: Path, contents: Mapping[str, Pattern], created: Iterable[list[str]], last: Run) -> Iterator[str]:
    """
    Yield what is wrong after the last recovery.

    Parameters
    ----------
    folder:
        With `work` and `state`.
    created:
        What the scenario was told to be accepted: name, id, and what the state file had to say then.
    last:
        The recovery that nothing disturbed.
    """
    yield from _ended_badly(last)
    rows = dict(_rows(folder))
    for name, operation_id, *notices in created:
        if operation_id not in rows and not notices:  # what is kept in memory alone is said to be
            yield f"the operation of {name} is lost"
    states = dict(rows.values())
    work = folder / "work"
    for name, is_canceled in states.items():
        path = work / name
        if is_canceled:
            if path.exists() and name != OVER:
                yield f"{name} was given up and is there"
        elif not path.exists() or not _is_whole(path, contents[name]):
            yield f"{name} is not there or not whole in the end"
    yield from at_once(work, contents)
    known = {OVER, *states, *(name for name, *_ in created)}
    strangers = sorted({path.name for path in work.iterdir()} - known)
    if strangers:
        yield f"left behind: {', '.join(strangers)}"


def _ended_badly(run: Run) -> Iterator[str]:
    if run.end == "hung":
        yield "it does not come to an end"
    for words in run.said("broke"):
        yield f"it broke: {' '.join(words)}"
    for words in run.said("ended"):
        yield f"not completed: {' '.join(words)}"
    if not run.said("over"):
        yield "it did not get to its end"


def survived_errors(run: Run) -> Iterator[str]:
    """Yield what is wrong with a run that met an error of the disk: a failure that is told is none."""
    if run.end != "over":
        yield f"it {run.end}"
    for words in run.said("broke"):
        yield f"it broke: {' '.join(words)}"
    for name, status, *words in run.said("ended"):
        if status not in ("ERROR", "PAUSED_SYSTEM_POLICY") and name != CANCELED:
            yield f"{name} is {status}, with {' '.join(words)}"


def _is_whole(path: Path, content: Pattern) -> bool:
    return path.stat().st_size == content.size and file_sha256(path) == digest(content).hex()


def _rows(folder: Path) -> Iterator[tuple[str, tuple[str, bool]]]:
    """Yield the operations of the state file: id, and name and whether it was canceled."""
    path = folder / "state" / "state.sqlite3"
    with contextlib.closing(sqlite3.connect(path)) as connection:
        for operation_id, record, status in connection.execute("SELECT operation_id, record, status FROM operations"):
            name = json.loads(record)["requested_uri"].rpartition("/")[2]
            yield str(UUID(bytes=operation_id)), (name, status == Status.CANCELED)

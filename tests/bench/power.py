"""
The power fails, at every moment of the scenario and of a recovery, and leaves the disk in every state that it may.

What a process did to the disk is taken down (`shim.c`), every state that the rules of POSIX allow after a loss of power
is built from that (`disk`), and the recovery is started on each. Records name partial files by their inode; those of
the built files are put into the state file before.
"""

from __future__ import annotations

import contextlib
import json
import random
import shutil
import sqlite3
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from tests.bench import judge
from tests.bench.calls import chosen
from tests.bench.disk import Disk, Effect, History, choices
from tests.bench.results import Family
from tests.bench.scenario import OVER
from tests.bench.stage import OLD, Stage

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from tests.bench.stage import Call

#: Of how many effects that were not certain each is tried alone and left out.
_MOST: Final = 6
_KILLED_AT: Final = 0.7
_STATE: Final = "state/state.sqlite3"


@dataclass(slots=True)
class _Case:
    """A disk to recover from, and what had been promised when the power failed."""

    effects: tuple[Effect, ...]
    facts: tuple[tuple[str, ...], ...]
    place: str

    def said(self, word: str) -> list[list[str]]:
        return [list(each[1:]) for each in self.facts if each[0] == word]


@dataclass(slots=True)
class _Account:
    n: int = 0
    moments: int = 0
    states: int = 0
    failures: list[str] = field(default_factory=list)


def run(count: int | None = None, *, seed: int = 1, first: bool = False) -> Family:
    """Recover from all states, or from ``count`` of them, drawn evenly; ``first`` ends with the first failure."""
    account, draw = _Account(), random.Random(seed)
    with Stage() as stage:
        killed_at: int | None = None
        for _ in range(2):
            with stage.performance() as folder:
                calls = list(_calls(stage, folder, killed_at))
                killed_at = int(len(calls) * _KILLED_AT)
                history = History.of(calls, folder, {f"work/{OVER}": OLD})
                cases = list(_cases(history, calls))
                account.moments += len(history.moments)
                account.states += len(cases)
                for number in chosen(len(cases), None if count is None else count // 2, draw, is_mixed=first):
                    account.n += 1
                    wrong = list(_recover(stage, folder, history, cases[number]))
                    if wrong:
                        account.failures.append(f"{cases[number].place}: {'; '.join(wrong)}")
                    if first and account.failures:
                        break
    return Family(
        name="power",
        title="A loss of power at every moment",
        section="Kills and power loss",
        claim=(
            "What the scenario of five downloads, and a recovery after a kill, did to the disk is taken down call by "
            "call; for every moment the states are built in which a loss of power may leave the disk: writes that were "
            "not synchronised lost, kept, torn or zero, names and renames lost or kept, each alone and each left out. "
            "From every state: what was reported complete is there and whole, no destination holds a part, no "
            "operation that was created is lost, and the recovery ends with every file whole and nothing else left."
        ),
        n=account.n,
        passed=account.n - len(account.failures),
        details={"calls that were taken down": account.moments, "different states of the disk": account.states},
        failures=account.failures[:20],
        command="python -m tests.bench power" + ("" if count is None else f" --count {count}"),
    )


def _calls(stage: Stage, folder: Path, at: int | None) -> Iterator[Call]:
    """Yield the calls of the scenario, or of one that was killed at a call and of the recovery after it."""
    if at is None:
        yield from stage.play("begin", folder, keeps_data=True).calls
        return
    yield from stage.play("begin", folder, at=at, keeps_data=True).calls
    yield from stage.play("recover", folder, keeps_data=True).calls


def _cases(history: History, calls: Sequence[Call]) -> Iterable[_Case]:
    """Return the different states, each with all that was promised at the last moment at which it may arise."""
    cases: dict[tuple[Any, ...], _Case] = {}
    for moment, call in zip(history.moments, calls, strict=True):
        for choice in choices(moment.pending, most=_MOST):
            effects = tuple(sorted((*moment.certain, *choice), key=lambda each: each.number))
            key = tuple((each.number, len(each.data or b""), (each.data or b"\1").count(0)) for each in effects)
            lost = len(moment.pending) - len(choice)
            place = f"after {call.call} of {call.path.rpartition('/')[2] or call.inode!r}, {lost} effects lost"
            cases[key] = _Case(effects, moment.facts, place)
    return cases.values()


def _recover(stage: Stage, folder: Path, history: History, case: _Case) -> Iterator[str]:
    for path in folder.iterdir():
        shutil.rmtree(path)
    disk = history.disk(case.effects)
    inodes = disk.build(folder)
    _rename_inodes(folder, disk, history, inodes)
    contents = stage.contents()
    yield from judge.at_once(folder / "work", contents)
    yield from judge.still_complete(folder / "work", contents, case.said("completed"))
    last = stage.play("recover", folder)
    yield from judge.recovered(folder, contents, case.said("created"), last)


def _rename_inodes(folder: Path, disk: Disk, history: History, inodes: Mapping[int, int]) -> None:
    """Have the records name the files by the inodes that they got; a state file without records is not touched."""
    if not _names_files(folder):
        return
    with contextlib.closing(sqlite3.connect(folder / _STATE, isolation_level=None)) as connection:
        for number, text in connection.execute("SELECT rowid, watermark FROM operations").fetchall():
            record = json.loads(text or "{}")
            if record.get("file"):
                nodes = [each for each in history.inodes.get(record["file"][1], ()) if each in inodes]
                device = folder.stat().st_dev
                record["file"] = [device, inodes[nodes[-1]]] if nodes else [device, 0]
                values = (json.dumps(record), number)
                connection.execute("UPDATE operations SET watermark = ? WHERE rowid = ?", values)


def _names_files(folder: Path) -> bool:
    """Look into a copy, so that it is the package that recovers the state file where nothing has to be changed."""
    with tempfile.TemporaryDirectory() as copy, contextlib.suppress(sqlite3.Error):
        for path in (folder / "state").glob("state.sqlite3*"):
            shutil.copy(path, copy)
        with contextlib.closing(sqlite3.connect(Path(copy) / "state.sqlite3")) as connection:
            records = connection.execute("SELECT watermark FROM operations WHERE watermark IS NOT NULL").fetchall()
            return any(json.loads(record).get("file") for (record,) in records)
    return False

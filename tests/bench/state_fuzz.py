"""
State files in which anything may be: cut anywhere, bits flipped, or edited by somebody who knows how they are made.

The first two are opened as storage does it; the edited ones are given to a kernel, which has to start, to bring all
other operations to their end, and to leave alone what is not ours.
"""

from __future__ import annotations

import contextlib
import random
import shutil
import sqlite3
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from bgdl_jupyter.storage.records import COLUMNS
from bgdl_jupyter.storage.state_file import StateFile
from tests.bench.results import Family, Table
from tests.bench.scenario import CANCELED, PARTS, SIZES
from tests.bench.stage import Stage
from tests.servers.content import digest, file_sha256
from tests.storage.kernel_process import row

if TYPE_CHECKING:
    from collections.abc import Iterator

_APPLICATION: Final = "/a.ipynb"
_WAIT: Final = 20.0
_KILLED_AT: Final = 0.6
_VICTIM: Final = b"not ours\n"
#: What somebody may write into a column; `{victim}` is the path of a file that is not ours.
_VALUES: Final[tuple[Any, ...]] = (
    None, -1, 0, 2**63 - 1, 1.5, float("inf"), "", "x", b"\xff\xfe", "null", "[]", "[" * 100_000, "NaN",
    '{"finished": [[0, 99999999999999999999999]]}', '{"finished": [[-5, 3], [2, 1]], "file": [1, 2], "file_epoch": 1}',
    '{"finished": [[0, 100]], "file": "x", "file_epoch": -7, "restarts": 1e99, "committing": 3, "resource": []}',
    '{"a": 1, "a": 2}', '{"a": "\\ud800"}', '{"a": ' + "9" * 5000 + "}",
    '{"requested_uri": "https://host/a", "result_file": "{victim}", "directory": "{folder}"}',
    '{"requested_uri": "file:///etc/passwd", "result_file": "/dev/null", "directory": "/dev"}',
)  # fmt: skip


def run(count: int = 1000, *, seed: int = 1) -> Family:
    """Open ``count`` damaged files, and half as many edited ones, at most all that are known."""
    draw = random.Random(seed)
    damaged = list(_damaged(count, draw))
    edited = list(_edited(max(1, count // 2), draw))
    rows: list[list[str | int]] = [
        ["cut, or bits flipped", damaged.count(""), len(damaged)],
        ["edited", edited.count(""), len(edited)],
    ]
    return Family(
        name="state_files",
        title="State files that are anything",
        section="Bad input",
        claim=(
            "A state file with 300 operations, cut anywhere or with flipped bits, is opened: what cannot be read is "
            "set aside and kept, and a new operation is taken. Values of all kinds are written into the columns of one "
            "operation, paths that are not ours among them: the kernel starts, all others come to their end, and no "
            "file is touched that is not ours."
        ),
        n=len(damaged) + len(edited),
        passed=damaged.count("") + edited.count(""),
        tables=[Table(columns=("state file", "survived", "of"), rows=rows)],
        failures=[each for each in damaged + edited if each][:20],
        command=f"python -m tests.bench state_files --count {count}",
    )


def _damaged(count: int, draw: random.Random) -> Iterator[str]:
    with tempfile.TemporaryDirectory(prefix="state-") as name:
        sound = Path(name) / "sound" / "state.sqlite3"
        state = StateFile.open(sound, application=_APPLICATION)
        state.insert_many([row(number, record={"text": "x" * 200}) for number in range(1, 301)]).result(_WAIT)
        state.close(_WAIT)
        content = sound.read_bytes()
        for number in range(count):
            folder = Path(name) / str(number)
            folder.mkdir(mode=0o700)
            harmed = content[: draw.randrange(len(content))] if draw.random() < 0.4 else _flipped(content, draw)
            (folder / "state.sqlite3").write_bytes(harmed)
            (folder / "state.sqlite3").chmod(0o600)
            yield _open(folder / "state.sqlite3", harmed, number)
            shutil.rmtree(folder)


def _flipped(content: bytes, draw: random.Random) -> bytes:
    flipped = bytearray(content)
    for _ in range(draw.choice([1, 1, 4, 64])):
        # Every other one in the first pages, which say what all others are.
        place = draw.randrange(len(content) if draw.random() < 0.5 else 8192)
        flipped[place] ^= 1 << draw.randrange(8)
    return bytes(flipped)


def _open(path: Path, harmed: bytes, number: int) -> str:
    """Return what is wrong with how a damaged file was met; empty where nothing is."""
    try:
        state = StateFile.open(path, application=_APPLICATION)
        try:
            state.rows().result(_WAIT)
            state.insert([row(1000)])[0].result(_WAIT)
            kept = [each for each in path.parent.glob("*.corrupt-*") if not each.name.endswith(("-wal", "-shm"))]
        finally:
            state.close(_WAIT)
    except Exception as error:  # noqa: BLE001 (what it is, is what is looked for)
        return f"damaged file {number}: {type(error).__name__}: {error}"
    wrong = [each.name for each in kept if each.read_bytes()[: len(harmed)] != harmed]
    return f"damaged file {number}: what was set aside is not what there was" if wrong and state.path else ""


def _edited(count: int, draw: random.Random) -> Iterator[str]:
    cases = [(column, value) for column in COLUMNS if column != "operation_id" for value in _VALUES]
    draw.shuffle(cases)
    with Stage() as stage:
        with stage.performance() as folder:
            length = len(stage.play("begin", folder).calls)
        for column, value in cases[:count]:
            with stage.performance() as folder:
                stage.play("begin", folder, at=int(length * _KILLED_AT))
                yield "; ".join(_meet(stage, folder, column, value))


def _meet(stage: Stage, folder: Path, column: str, value: Any) -> Iterator[str]:
    """Edit one operation, and yield what is wrong with how the next kernel meets it."""
    what = f"{column} = {value!r:.60}"
    victim = folder / "victim" / "precious.bin"
    victim.parent.mkdir()
    victim.write_bytes(_VICTIM)
    if isinstance(value, str):
        value = value.replace("{victim}", str(victim)).replace("{folder}", str(victim.parent))
    if not _write(folder / "state" / "state.sqlite3", column, value):
        return  # the file itself does not take it
    played = stage.play("recover", folder)
    if played.end != "over" or played.said("broke"):
        yield f"{what}: the kernel {played.end}, {played.said('broke')}"
    if victim.read_bytes() != _VICTIM or len(list(victim.parent.iterdir())) != 1:
        yield f"{what}: a file was touched that is not ours"
    for name in set(SIZES) - {PARTS, CANCELED}:
        path = folder / "work" / name
        if not path.exists() or file_sha256(path) != digest(stage.contents()[name]).hex():
            yield f"{what}: {name} did not come to its end"


def _write(path: Path, column: str, value: Any) -> bool:
    condition = "WHERE record LIKE ?"
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as connection:
        try:
            cursor = connection.execute(f'UPDATE operations SET "{column}" = ? {condition}', (value, f"%{PARTS}%"))  # noqa: S608 (our own names)
        except (sqlite3.IntegrityError, OverflowError):
            return False
        return cursor.rowcount == 1

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
from bgdl_jupyter.storage.schema import VERSION
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
_MOST_FLIPPED: Final = 10_000
_OPERATIONS: Final = 8
#: Sizes in SQLite's files in bytes, and what they may say of themselves (https://sqlite.org/fileformat2.html).
_PAGE: Final = 4096
_PAGES_OF_A_KERNEL: Final = 2
_LAST_SCHEMA_FORMAT: Final = 4
_HEAD_OF_JOURNAL: Final = 32
_HEAD_OF_FRAME: Final = 24
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
    """
    Open damaged files, and edited ones.

    Parameters
    ----------
    count:
        How many are cut, as many of the file as of its journal; from the size of the file on, that is at every byte.
        As many have flipped bits, at most 10,000; half as many are edited, at most all that are known.
    """
    draw = random.Random(seed)
    with tempfile.TemporaryDirectory(prefix="state-") as name:
        sound = _Sound(Path(name))
        step = max(1, len(sound.content) // count)
        cut = [sound.open_cut(size) for size in range(0, len(sound.content), step)]
        step_of_journal = max(1, len(sound.journal) // count)
        sizes = {*range(0, len(sound.journal), step_of_journal), *sound.borders()}
        cut_journal = [sound.open_with_journal(sound.journal[:size], size) for size in sorted(sizes)]
        places = [draw.randrange(len(sound.journal)) for _ in range(min(count, _MOST_FLIPPED))]
        flipped_journal = [sound.open_with_journal(_one_flipped(sound.journal, at, draw), at) for at in places]
    flipped = list(_damaged(min(count, _MOST_FLIPPED), draw))
    edited = list(_edited(max(1, count // 2), draw))
    kinds = {
        f"cut, every {step:,} bytes": cut,
        f"its journal cut, every {step_of_journal:,} bytes and at each border of a page": cut_journal,
        "a bit of its journal flipped": flipped_journal,
        "bits flipped": flipped,
        "edited": edited,
    }
    all_of_them = [each for found in kinds.values() for each in found]
    return Family(
        name="state_files",
        title="State files that are anything",
        section="Bad input",
        claim=(
            "A state file that is cut or has flipped bits is opened: what cannot be read is set aside and kept, and a "
            "new operation is taken. From a damaged journal come all operations that were committed before the place "
            "of the damage, and none is there that was not committed in its order. Values of all kinds are written "
            "into the columns of one operation, paths that are not ours among them: the kernel starts, all others come "
            "to their end, and no file is touched that is not ours."
        ),
        n=len(all_of_them),
        passed=all_of_them.count(""),
        tables=[
            Table(
                columns=("state file", "survived", "of"),
                rows=[[kind, found.count(""), len(found)] for kind, found in kinds.items()],
            )
        ],
        failures=[each for each in all_of_them if each][:20],
        command=f"python -m tests.bench state_files --count {count}",
    )


class _Sound:
    """A state file with some operations, each in a transaction of its own, with its journal and without it."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder / "harmed"
        path = folder / "sound" / "state.sqlite3"
        journal = path.with_name(path.name + "-wal")
        state = StateFile.open(path, application=_APPLICATION)
        self._committed = [journal.stat().st_size]
        for number in range(1, _OPERATIONS + 1):
            state.insert([row(number, record={"text": "x" * 200})])[0].result(_WAIT)
            self._committed.append(journal.stat().st_size)
        self._beginning, self.journal = path.read_bytes(), journal.read_bytes()
        state.close(_WAIT)
        self.content = path.read_bytes()

    def borders(self) -> Iterator[int]:
        """Give the sizes of the journal at which a page, or its head, is just there, and one byte more or less."""
        page = int.from_bytes(self.journal[8:12], "big")
        for frame in range(_HEAD_OF_JOURNAL, len(self.journal), page + _HEAD_OF_FRAME):
            for border in (frame, frame + _HEAD_OF_FRAME):
                yield from (border - 1, border, border + 1)

    def open_cut(self, size: int) -> str:
        """Return what is wrong with how a file is met that ends after so many bytes."""
        harmed = self.content[:size]
        with self._put(harmed, b"") as path:
            return _open(path, harmed, f"cut after {size} bytes")

    def open_with_journal(self, journal: bytes, sound: int) -> str:
        """Return what is wrong with how a file is met whose journal is right in its first bytes alone."""
        what = f"a journal damaged at {sound}"
        with self._put(self._beginning, journal) as path:
            try:
                state = StateFile.open(path, application=_APPLICATION)
                try:
                    found = sorted(each.operation_id.int for each in state.rows().result(_WAIT))
                finally:
                    state.close(_WAIT)
            except Exception as error:  # noqa: BLE001 (what it is, is what is looked for)
                return f"{what}: {type(error).__name__}: {error}"
        least = sum(size <= sound for size in self._committed[1:])
        if found != list(range(1, len(found) + 1)) or len(found) < least:
            return f"{what}: it has the operations {found}, and {least} were committed before"
        return ""

    @contextlib.contextmanager
    def _put(self, content: bytes, journal: bytes) -> Iterator[Path]:
        self._folder.mkdir(mode=0o700)
        path = self._folder / "state.sqlite3"
        for each, inside in ((path, content), (path.with_name(path.name + "-wal"), journal)):
            each.write_bytes(inside)
            each.chmod(0o600)
        try:
            yield path
        finally:
            shutil.rmtree(self._folder)


def _one_flipped(content: bytes, place: int, draw: random.Random) -> bytes:
    flipped = bytearray(content)
    flipped[place] ^= 1 << draw.randrange(8)
    return bytes(flipped)


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
            harmed = _flipped(content, draw)
            (folder / "state.sqlite3").write_bytes(harmed)
            (folder / "state.sqlite3").chmod(0o600)
            yield _open(folder / "state.sqlite3", harmed, f"flipped bits, number {number}")
            shutil.rmtree(folder)


def _flipped(content: bytes, draw: random.Random) -> bytes:
    flipped = bytearray(content)
    for _ in range(draw.choice([1, 1, 4, 64])):
        # Every other one in the first pages, which say what all others are.
        place = draw.randrange(len(content) if draw.random() < 0.5 else 8192)
        flipped[place] ^= 1 << draw.randrange(8)
    return bytes(flipped)


def _open(path: Path, harmed: bytes, what: str) -> str:
    """Return what is wrong with how a damaged file was met; empty where nothing is."""
    try:
        state = StateFile.open(path, application=_APPLICATION)
        try:
            is_kept = path.read_bytes() == harmed if path.exists() else False
            if _is_of_the_future(harmed) and is_kept:
                return "" if state.is_read_only or state.notices else f"{what}: a newer file was taken for ours"
            if state.is_in_memory:
                return f"{what}: no new file was begun"
            state.rows().result(_WAIT)
            state.insert([row(1000)])[0].result(_WAIT)
            aside = [each for each in path.parent.glob("*.corrupt-*") if not each.name.endswith(("-wal", "-shm"))]
        finally:
            state.close(_WAIT)
    except Exception as error:  # noqa: BLE001 (what it is, is what is looked for)
        return f"{what}: {type(error).__name__}: {error}"
    wrong = [each.name for each in aside if not _is_as_it_was(each.read_bytes(), harmed)]
    return f"{what}: what was set aside is not what there was" if wrong else ""


def _is_of_the_future(content: bytes) -> bool:
    """Whether a later version of the package or of SQLite may have written it: such a file is not to be touched."""
    version, schema_format = (int.from_bytes(content[at : at + 4], "big", signed=True) for at in (60, 44))
    return version > VERSION or schema_format > _LAST_SCHEMA_FORMAT


def _is_as_it_was(kept: bytes, harmed: bytes) -> bool:
    """Whether a file is the same but for the two pages in which a kernel entered itself before it met the damage."""
    pages = range(0, len(harmed), _PAGE)
    changed = [at for at in pages if kept[at : at + _PAGE] != harmed[at : at + _PAGE]]
    return kept[: len(harmed)] == harmed or len(changed) <= _PAGES_OF_A_KERNEL


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

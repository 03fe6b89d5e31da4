"""Where the scenario is performed: a folder, a server, the process that forks, and what the shim wrote down."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Self

from tests.bench.scenario import CANCELED, CHECKED, OVER, PARTS, SIZES
from tests.counterparts import require
from tests.servers.content import Pattern, digest
from tests.servers.fault_server import FaultServer
from tests.servers.faults import hold_after
from tests.servers.files import FileSpec

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

ROOT: Final = Path(__file__).parents[2]
#: What stands where a file is to be replaced.
OLD: Final = b"what was there before\n" * 1000
_RATE: Final = 3 * 1024 * 1024
_SECONDS: Final = 75.0
#: Every call is met.
EVERY: Final = -2


@dataclass(frozen=True, slots=True)
class Call:
    """A call that the shim saw, or something that the scenario said (`call` is "note", `words` what)."""

    call: str
    result: int
    error: int
    inode: int
    offset: int
    data: bytes
    path: str
    other: str

    @property
    def words(self) -> list[str]:
        """What the scenario said."""
        return self.path.split("\x1f") if self.call == "note" else []


@dataclass(frozen=True, slots=True)
class Run:
    """How a process ended ("over", "killed", "hung"), and what it did until then."""

    end: str
    calls: Sequence[Call]

    def said(self, word: str) -> list[list[str]]:
        """Return what was said with this word first, without it."""
        return [call.words[1:] for call in self.calls if call.words[:1] == [word]]


class Stage:
    """
    Performs the scenario again and again, each time in a folder of its own.

    A context manager; `server` serves, `folder` is where everything is.

    Parameters
    ----------
    under:
        A program and its arguments that is to run the processes, such as strace.
    """

    def __init__(self, *, under: Sequence[str | Path] = ()) -> None:
        self._under = under
        self._stack = contextlib.ExitStack()
        self._number = 0

    def __enter__(self) -> Self:
        self.folder = Path(self._stack.enter_context(tempfile.TemporaryDirectory(prefix="bench-")))
        self.server = self._stack.enter_context(FaultServer())
        self._forks = self._stack.enter_context(_forking(build_shim(self.folder), self._under))
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def contents(self) -> dict[str, Pattern]:
        """Return what the files of the present performance are."""
        return {name: Pattern(size, seed) for seed, (name, size) in enumerate(SIZES.items(), 1)}

    @contextlib.contextmanager
    def performance(self) -> Iterator[Path]:
        """Give an empty folder for one performance, with an old file in it, and serve its files."""
        self._number += 1
        folder = self.folder / "run"  # the same name each time: traces can be laid beside each other
        (folder / "work").mkdir(parents=True)
        (folder / "work" / OVER).write_bytes(OLD)
        for name, content in self.contents().items():
            faults = (
                (hold_after(content.size // 2, until=f"recovery {self._number}", on=1),) if name == CANCELED else ()
            )
            rate = _RATE if name == PARTS else None
            self.server.put(self._path(name), FileSpec(size=content.size, seed=content.seed, rate=rate, faults=faults))
        try:
            yield folder
        finally:
            for name in SIZES:
                self.server.remove(self._path(name))
            shutil.rmtree(folder)

    def _path(self, name: str) -> str:
        return f"/{self._number}/{name}"

    def play(
        self,
        act: str,
        folder: Path,
        *,
        at: int = -1,
        error: int = 0,
        kinds: str = "",
        keeps_data: bool = False,
    ) -> Run:
        """
        Play "begin" or "recover" in a process of its own.

        Parameters
        ----------
        at:
            Which call is met, from 0; -1 for none, `EVERY` for each.
        error:
            The errno that it fails with; 0 kills the process before it.
        kinds:
            Which calls count, separated by commas; all if empty.
        keeps_data:
            Whether the trace is to hold what was written.
        """
        if act == "recover":  # a file that is never whole would not tell anything
            self.server.events.set(f"recovery {self._number}")
        log = self.folder / "trace"
        log.unlink(missing_ok=True)
        order = {
            "act": act,
            "folder": str(folder),
            "uris": {name: self.server.url(self._path(name)) for name in SIZES},
            "sha256": digest(self.contents()[CHECKED]).hex(),
            "log": str(log),
            "at": at,
            "error": error,
            "kinds": kinds,
            "keeps_data": keeps_data,
            "seconds": _SECONDS,
        }
        return Run(self._forks(order), list(calls_of(log)))


def build_shim(folder: Path) -> Path:
    """Compile the shim, and return the library."""
    library = folder / "shim.so"
    source = Path(__file__).with_name("shim.c")
    subprocess.run([require("gcc"), "-shared", "-fPIC", "-O1", "-o", library, source, "-ldl", "-lpthread"], check=True)
    return library


@contextlib.contextmanager
def _forking(shim: Path, under: Sequence[str | Path]) -> Iterator[Any]:
    """Start the process that forks; give what sends it an order and returns the end."""
    environment = {**os.environ, "LD_PRELOAD": str(shim), "PYTHON_KEYRING_BACKEND": "keyring.backends.fail.Keyring"}
    environment |= {"PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])}
    command = [*under, sys.executable, "-m", "tests.bench.scenario"]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment)
    assert process.stdin is not None
    assert process.stdout is not None
    stdin, stdout = process.stdin, process.stdout

    def send(order: Mapping[str, Any]) -> str:
        stdin.write(json.dumps(order) + "\n")
        stdin.flush()
        return str(json.loads(stdout.readline()))

    try:
        yield send
    finally:
        stdin.close()
        process.wait(10)
        stdout.close()


def calls_of(log: Path) -> Iterator[Call]:
    """Yield what the shim wrote down; a last line that a kill cut off is left out."""
    with log.open("rb") as file:
        while (line := file.readline()).endswith(b"\n"):
            call, result, error, inode, offset, length, path, other = os.fsdecode(line[:-1]).split("\t")
            data = file.read(int(length))
            if file.read(1) != b"\n":
                return
            yield Call(call, int(result), int(error), int(inode), int(offset), data, path, other)

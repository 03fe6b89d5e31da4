"""The same faults, met by the programs and libraries that people download with: facts of one run, today's versions."""

from __future__ import annotations

import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Final

from benchmarks.peers.libraries import PeerEnvironment
from tests.bench.faults.rows import HALF, PATH, End, Mode, Row
from tests.servers.content import file_sha256
from tests.servers.fault_server import FaultServer

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

_NAME: Final = "file.bin"
#: Who has not ended by then would not end by itself.
_PATIENCE: Final = 12.0
_GOES_WITHIN: Final = 2.0
_POOCH: Final = "import pooch, sys; pooch.retrieve(sys.argv[1], None, fname=sys.argv[3], path=sys.argv[2])"
_PARFIVE: Final = """
import sys
from parfive import Downloader
downloader = Downloader(progress=False)
downloader.enqueue_file(sys.argv[1], path=sys.argv[2], filename=sys.argv[3])
sys.exit(1 if downloader.download().errors else 0)
"""
_PYPDL: Final = """
import sys
from pypdl import Pypdl
got = Pypdl().start(sys.argv[1], file_path=sys.argv[2] + "/" + sys.argv[3], display=False, retries=3)
sys.exit(0 if got else 1)
"""


class Came(Enum):
    """What came of it."""

    WHOLE = "whole"
    ERROR = "error"
    WRONG = "**wrong**"
    """It reported success, and the file is none that was served; or there is no file."""
    HANGS = "hangs"

    def is_right(self, end: End) -> bool:
        """Whether it is what has to come of it."""
        return self is (Came.WHOLE if end is End.WHOLE else Came.ERROR)


@dataclass(frozen=True, slots=True, kw_only=True)
class Peer:
    """
    Somebody beside us.

    Attributes
    ----------
    command:
        Makes the command line for a URL and a folder; with True, the one that goes on with what is there.
    resumes:
        Whether it can go on.
    asks:
        The command that tells its version.
    """

    name: str
    command: Callable[[str, Path, bool], Sequence[str | Path]]
    asks: Sequence[str | Path]
    resumes: bool = True

    def version(self) -> str:
        """Return its version, as it says it."""
        said = subprocess.run(self.asks, capture_output=True, text=True, check=False).stdout
        found = re.search(r"\d+(\.\d+)+", said)
        return found[0] if found else "unknown"

    def meet(self, row: Row, mode: Mode) -> Came | None:
        """Let it meet a fault; None where it cannot go on with what it has."""
        if mode is Mode.RESUMED and not self.resumes:
            return None
        spec = row.file_in(mode)
        with tempfile.TemporaryDirectory() as made, FaultServer({PATH: spec, "/end": spec, **row.routes}) as server:
            folder = Path(made)
            if mode is Mode.RESUMED:
                self._begin(server, folder)
            code = self._run(server.url(PATH), folder, resumes=mode is Mode.RESUMED)
            return _what_came(code, folder / _NAME, row, mode)

    def _begin(self, server: FaultServer, folder: Path) -> None:
        """Have half of the file, and be ended."""
        with subprocess.Popen(
            self.command(server.url(PATH), folder, False),
            cwd=folder,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        ) as running:
            server.wait_until(lambda: server.body_bytes_sent(PATH) >= HALF)
            time.sleep(0.5)  # until it has written what it has read: nothing outside tells when
            running.send_signal(signal.SIGINT)
            try:
                running.wait(_GOES_WITHIN)
            except subprocess.TimeoutExpired:
                running.kill()

    def _run(self, url: str, folder: Path, *, resumes: bool) -> int | None:
        try:
            ended = subprocess.run(
                self.command(url, folder, resumes), cwd=folder, capture_output=True, timeout=_PATIENCE, check=False
            )
        except subprocess.TimeoutExpired:
            return None
        return ended.returncode


def _what_came(code: int | None, file: Path, row: Row, mode: Mode) -> Came:
    if code is None:
        return Came.HANGS
    if code != 0:
        return Came.ERROR
    return Came.WHOLE if file.exists() and file_sha256(file) in row.versions_in(mode) else Came.WRONG


def present() -> tuple[list[Peer], list[str]]:
    """Return who is here, and who is not and why."""
    environment = PeerEnvironment()
    missing = [f"{each.name} is not installed" for each in _PROGRAMS if shutil.which(each.name) is None]
    here = [each for each in _PROGRAMS if shutil.which(each.name) is not None]
    here.append(_library("pooch", sys.executable, _POOCH))
    for name, script in (("parfive", _PARFIVE), ("pypdl", _PYPDL)):
        why_not = environment.missing(name)
        if why_not is None:
            here.append(_library(name, environment.python, script))
        else:
            missing.append(f"{name}: {why_not}")
    return here, missing


def _library(name: str, python: str | Path, script: str) -> Peer:
    version = f"import importlib.metadata; print(importlib.metadata.version({name!r}))"
    return Peer(
        name=name,
        command=lambda url, folder, _: [python, "-c", script, url, folder, _NAME],
        asks=[python, "-c", version],
        resumes=False,
    )


_PROGRAMS: Final = (
    Peer(
        name="curl",
        command=lambda url, _, resumes: [
            *("curl", "--silent", "--fail", "--location", "--retry", "3", "--output", _NAME),
            *(("--continue-at", "-") if resumes else ()),
            url,
        ],
        asks=["curl", "--version"],
    ),
    Peer(
        name="wget",
        command=lambda url, _, resumes: [
            *("wget", "--quiet", "--tries=3", f"--output-document={_NAME}"),
            *(("--continue",) if resumes else ()),
            url,
        ],
        asks=["wget", "--version"],
    ),
    Peer(
        name="wget2",
        command=lambda url, _, resumes: [
            *("wget2", "--quiet", "--tries=3", f"--output-document={_NAME}"),
            *(("--continue",) if resumes else ()),
            url,
        ],
        asks=["wget2", "--version"],
    ),
    Peer(
        name="aria2c",
        command=lambda url, _, resumes: [
            *("aria2c", "--quiet", "--no-conf", "--max-tries=3", f"--out={_NAME}", "--max-connection-per-server=4"),
            *("--split=4", "--min-split-size=1M", *(("--continue",) if resumes else ())),
            url,
        ],
        asks=["aria2c", "--version"],
    ),
)

"""The contestants that are Python libraries, each in a process of its own, and ours."""

from __future__ import annotations

import functools
import json
import sqlite3
import subprocess
import sys
import venv
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from benchmarks.peers.base import Column, Job, PeerFailed, run_program
from benchmarks.scratch import ROOT, cache_folder, compiled
from bgdl_jupyter.status import BackgroundTransferStatus

if TYPE_CHECKING:
    from pathlib import Path

#: What is installed for a contestant: its module in `inner`, and the distributions.
_DISTRIBUTIONS: Final = {
    "parfive": ("parfive",),
    "pypdl": ("pypdl",),
    "hf_hub": ("huggingface_hub",),
    "hf_transfer": ("hf_transfer",),
    "obstore": ("obstore",),
    "pycurl": ("pycurl",),
    "pooch": ("pooch",),
}


class PeerEnvironment:
    """A virtual environment with the libraries, made at the first use; what cannot be installed is named."""

    def __init__(self) -> None:
        self._folder = cache_folder() / f"environment-{sys.version_info.major}.{sys.version_info.minor}"
        self._record = self._folder / "contestants.json"

    @property
    def python(self) -> Path:
        """The interpreter."""
        return self._folder / "bin" / "python"

    def missing(self, name: str) -> str | None:
        """Return why a library cannot take part, None when it can; installs it when that was not tried yet."""
        known: dict[str, str | None] = json.loads(self._record.read_text()) if self._record.exists() else {}
        if name not in known:
            known[name] = self._install(name)
            self._record.write_text(json.dumps(known, indent=1))
        return known[name]

    def versions(self) -> dict[str, str]:
        """Return the versions of what is installed."""
        if not self.python.exists():
            return {}
        command: list[str | Path] = [self.python, "-m", "pip", "list", "--format=json", "--disable-pip-version-check"]
        listed = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
        wanted = {each for names in _DISTRIBUTIONS.values() for each in names}
        return {each["name"]: each["version"] for each in listed if each["name"].replace("-", "_") in wanted}

    def _install(self, name: str) -> str | None:
        if not self.python.exists():
            venv.create(self._folder, with_pip=True)
        command: list[str | Path] = [
            self.python,
            "-m",
            "pip",
            "install",
            "--quiet",
            "--only-binary=:all:",
            *_DISTRIBUTIONS[name],
        ]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode == 0:
            return None
        words = done.stderr.strip().splitlines()
        return f"cannot be installed: {words[-1] if words else 'pip gave no reason'}"


@functools.cache
def peer_environment() -> PeerEnvironment:
    """Return the one environment."""
    return PeerEnvironment()


@dataclass(frozen=True, slots=True, kw_only=True)
class Library:
    """A library in the environment of the contestants."""

    name: str
    column: Column = "both"

    def missing(self) -> str | None:
        """Return why it cannot take part, None when it can."""
        return peer_environment().missing(self.name)

    def fetch(self, job: Job) -> float:
        """Fetch the files; the time is what the process tells."""
        return _run_inner(peer_environment().python, self.name, job)


@dataclass(frozen=True, slots=True, kw_only=True)
class Sockets:
    """Sockets in a thread, with the interpreter that runs us."""

    name: str = "sockets in a thread"
    column: Column = "both"

    def missing(self) -> None:
        """Return None: it needs nothing."""

    def fetch(self, job: Job) -> float:
        """Fetch one file."""
        return _run_inner(sys.executable, "sockets", job)


@dataclass(frozen=True, slots=True, kw_only=True)
class Ours:
    """
    Ours, by the public calls and with the defaults.

    Attributes
    ----------
    with_sync:
        False makes fsync and fdatasync of the process do nothing, and gives the time to the last byte.
    """

    name: str = "bgdl_jupyter"
    with_sync: bool = True

    @property
    def column(self) -> Column:
        """Its files are durable when it is done, or never."""
        return "durable" if self.with_sync else "last byte"

    def missing(self) -> None:
        """Return None: it is here."""

    def fetch(self, job: Job) -> float:
        """Fetch the files, and see in the state file that all are there."""
        preload = {} if self.with_sync else {"LD_PRELOAD": str(compiled("nosync.c", "-shared", "-fPIC"))}
        seconds = _run_inner(sys.executable, "ours", job, preload)
        check_completed(job.folder / "state" / "bgdl_jupyter" / "state.sqlite3", len(job.urls))
        return seconds


def syncs_seen(job: Job) -> int:
    """Do a job with ours under strace, and return how many calls of fsync and fdatasync it saw."""
    log = job.folder / "strace.log"
    _run_inner("strace", "ours", job, prefix=("-f", "-o", str(log), "-e", "trace=fsync,fdatasync", sys.executable))
    return sum("sync(" in call for call in log.read_text().splitlines())


def check_completed(state_file: Path, count: int) -> None:
    """Raise `PeerFailed` unless the state file says of so many operations, and of no other, that they completed."""
    if not state_file.exists():
        raise PeerFailed(f"left no state file at {state_file.name}")
    connection = sqlite3.connect(state_file)
    try:
        rows = dict(connection.execute("SELECT status, count(*) FROM operations GROUP BY status"))
    finally:
        connection.close()
    if rows != {int(BackgroundTransferStatus.COMPLETED): count}:
        raise PeerFailed(f"left these statuses in the state file, where {count} were to be complete: {rows}")


def _run_inner(
    program: Path | str, module: str, job: Job, more: dict[str, str] | None = None, prefix: tuple[str, ...] = ()
) -> float:
    command = [program, *prefix, "-m", f"benchmarks.peers.inner.{module}"]
    answer = run_program(
        command, job, text=job.to_json(), more={"PYTHONPATH": str(ROOT), **(more or {})}, cwd=job.folder
    )
    return float(json.loads(answer.strip().splitlines()[-1])["seconds"])

"""The contestants that are programs: curl, wget2, aria2, axel, a pipeline, and the floor in C."""

from __future__ import annotations

import itertools
import json
import shutil
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from benchmarks.peers.base import Column, Job, PeerFailed, run_program
from benchmarks.scratch import compiled

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

Command = list["str | Path"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Program:
    """
    A program of the system.

    Attributes
    ----------
    command:
        Makes the command line of a job.
    needs:
        The programs that must be installed.
    """

    name: str
    command: Callable[[Job], Command]
    needs: tuple[str, ...]
    column: Column = "both"

    def missing(self) -> str | None:
        """Return why it cannot take part, None when it can."""
        absent = [name for name in self.needs if shutil.which(name) is None]
        return f"{', '.join(absent)} is not installed" if absent else None

    def fetch(self, job: Job) -> float:
        """Fetch the files; the start of the process is in the time, which is milliseconds."""
        command = self.command(job)
        start = time.perf_counter()
        run_program(command, job, cwd=job.folder)
        return time.perf_counter() - start


@dataclass(frozen=True, slots=True, kw_only=True)
class Floor:
    """
    The loop of recv and pwrite in C.

    Attributes
    ----------
    connections:
        How many connections share one file; None takes those of the job.
    with_rename:
        Whether each file has a temporary name until it is complete.
    """

    name: str = "C floor"
    connections: Callable[[], int] | None = None
    with_rename: bool = False
    column: Column = "both"

    def missing(self) -> str | None:
        """Return why it cannot take part, None when it can."""
        return None if shutil.which("gcc") or shutil.which("cc") else "there is no C compiler"

    def fetch(self, job: Job) -> float:
        """Fetch the files."""
        connections = self.connections() if self.connections else job.connections
        threads = max(1, connections if len(job.urls) == 1 else job.parallel)
        parts = urlsplit(job.urls[0])
        command: Command = [compiled("floor.c"), str(parts.hostname), str(parts.port), str(threads)]
        answer = run_program(command, job, text=self._units(job, connections), cwd=job.folder)
        return float(json.loads(answer)["seconds"])

    def _units(self, job: Job, connections: int) -> str:
        lines = []
        for url, destination, size in zip(job.urls, job.destinations, job.sizes, strict=True):
            path = urlsplit(url).path
            if connections > 1 and len(job.urls) == 1:
                cuts = [size * index // connections for index in range(connections + 1)]
                pairs = itertools.pairwise(cuts)
                lines += [f"{path}\t{destination}\t{start}\t{stop - start}\t0" for start, stop in pairs]
            else:
                lines.append(f"{path}\t{destination}\t0\t{size}\t{2 if self.with_rename else 1}")
        return "\n".join(lines) + "\n"


def _only(job: Job) -> tuple[str, Path]:
    if len(job.urls) != 1:
        raise PeerFailed("takes one file at a time")
    return job.urls[0], job.destinations[0]


def _list(job: Job, line: str) -> Path:
    """Write a list of what to fetch in a program's own form; `{name}` is the file's name alone."""
    path = job.folder / "list"
    pairs = zip(job.urls, job.destinations, strict=True)
    path.write_text("".join(line.format(url=url, path=path, name=path.name) for url, path in pairs))
    return path


def _curl(job: Job) -> Command:
    if len(job.urls) == 1:
        return ["curl", "-s", "-S", "-f", "-o", job.destinations[0], job.urls[0]]
    configuration = _list(job, 'url = "{url}"\noutput = "{path}"\n')
    return ["curl", "-s", "-S", "-f", "-Z", "--parallel-max", str(job.parallel), "-K", configuration]


def _curl_and_sha256(job: Job) -> Command:
    url, destination = _only(job)
    # The status of a pipeline is its last program's: the digest is compared, so a failing curl shows.
    script = 'test "$(curl -s -f "$1" | tee "$2" | sha256sum | cut -c1-64)" = "$3"'
    return ["sh", "-c", script, "sh", url, destination, str(job.sha256)]


def _wget2(job: Job) -> Command:
    common: Command = ["wget2", "-q", "--no-config", "--no-hsts", "--http2=off", "--chunk-size=0"]
    if job.certificate is not None:
        common.append(f"--ca-certificate={job.certificate}")
    if len(job.urls) == 1:
        return [*common, "-O", job.destinations[0], job.urls[0]]
    listed = _list(job, "{url}\n")
    return [*common, f"--max-threads={job.parallel}", "-P", job.destinations[0].parent, "-i", listed]


def aria2(name: str, *, connections: int = 1) -> Program:
    """Return aria2 with so many connections for one file; several files go side by side, as many as the job says."""

    def command(job: Job) -> Command:
        common: Command = ["aria2c", "-q", "--no-conf", "--file-allocation=none", "--allow-overwrite=true"]
        common += [f"-x{connections}", f"-s{connections}", "-k1M", f"-j{job.parallel}"]
        if job.certificate is not None:
            common.append(f"--ca-certificate={job.certificate}")
        if job.sha256 is not None:
            common.append(f"--checksum=sha-256={job.sha256}")
        if len(job.urls) == 1:
            return [*common, "-d", job.destinations[0].parent, "-o", job.destinations[0].name, job.urls[0]]
        return [*common, "-d", job.destinations[0].parent, "-i", _list(job, "{url}\n  out={name}\n")]

    return Program(name=name, command=command, needs=("aria2c",))


def axel(name: str, *, connections: int) -> Program:
    """Return axel with so many connections."""

    def command(job: Job) -> Command:
        url, destination = _only(job)
        return ["axel", "-q", "-n", str(connections), "-o", destination, url]

    return Program(name=name, command=command, needs=("axel",))


CURL = Program(name="curl", command=_curl, needs=("curl",))
CURL_PARALLEL = Program(name="curl -Z", command=_curl, needs=("curl",))
CURL_SHA256 = Program(
    name="curl | tee | sha256sum", command=_curl_and_sha256, needs=("curl", "tee", "sha256sum", "cut")
)
WGET2 = Program(name="wget2", command=_wget2, needs=("wget2",))

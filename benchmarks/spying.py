"""Looks at a running process: what its threads use of the processor, and what they do with the interpreter."""

from __future__ import annotations

import collections
import contextlib
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

import psutil

from benchmarks.report import table

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

_LOOKS_PER_SECOND: Final = 250
_MOST_THREADS: Final = 4
_MOST_LINES: Final = 8
_TIME_LIMIT: Final = 600.0


@contextlib.contextmanager
def spied(pid: int, samples: Path, seconds: float = _TIME_LIMIT) -> Iterator[None]:
    """
    Have py-spy write down what a process does, until that ends or so many seconds are over.

    Raises
    ------
    RuntimeError
        It is missing, or may not trace processes.
    """
    spy = shutil.which("py-spy", path=f"{Path(sys.executable).parent}:/usr/local/bin:/usr/bin")
    if spy is None:
        message = "py-spy is missing; pip install 'bgdl-jupyter[bench]' has it."
        raise RuntimeError(message)
    options = ("--pid", str(pid), "--format", "raw", "--threads", "--gil", "--rate", str(_LOOKS_PER_SECOND))
    command = [spy, "record", *options, "--duration", str(round(seconds)), "--output", str(samples)]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as watching:
        yield
        watching.wait(_TIME_LIMIT)
    if not samples.exists():
        message = "py-spy could not look at the process; it needs the right to trace (see its page on permissions)."
        raise RuntimeError(message)


def times_of(process: psutil.Process) -> dict[int, tuple[float, float]]:
    """Return the seconds of the processor, user and system, that each thread has used; none if the process ended."""
    with contextlib.suppress(psutil.Error):
        return {each.id: (each.user_time, each.system_time) for each in process.threads()}
    return {}


def connections_of(process: psutil.Process, port: int) -> int:
    """Return how many connections to a port a process has; none if it ended."""
    with contextlib.suppress(psutil.Error):
        return sum(bool(each.raddr) and each.raddr.port == port for each in process.net_connections("tcp4"))
    return 0


def server_seconds() -> float:
    """Return the seconds of the processor that our servers have used."""
    spent = 0.0
    for each in psutil.Process().children(recursive=True):
        with contextlib.suppress(psutil.Error):  # one that has just ended is not the server
            if each.name() == "nginx":
                spent += sum(each.cpu_times()[:2])
    return spent


def most_used(threads: Mapping[int, tuple[float, float]]) -> str:
    """Return the times of the threads that used most, as `0.48 + 0.80, 0.09 + 0.85`."""
    used = sorted(threads.values(), key=sum, reverse=True)[:_MOST_THREADS]
    return ", ".join(f"{user:.2f} + {system:.2f}" for user, system in used)


def done_by_threads(samples: Sequence[str], seconds: float) -> str:
    """Return a table of what had the interpreter in so many seconds, by thread."""
    shares: collections.Counter[str] = collections.Counter()
    lines: dict[str, collections.Counter[str]] = collections.defaultdict(collections.Counter)
    for sample in samples:
        stack, count = sample.rsplit(" ", 1)
        thread, *frames = stack.split(";")
        if frames:
            shares[thread] += int(count)
            lines[thread][frames[-1]] += int(count)
    looks = max(1, round(seconds * _LOOKS_PER_SECOND))
    rows = [
        (_name_of(thread), f"{count / looks:.0%}", _most(lines[thread], count))
        for thread, count in shares.most_common(_MOST_THREADS)
    ]
    return table(("thread", "with the interpreter", "doing most, of these samples"), rows)


def _name_of(thread: str) -> str:
    """Return the name behind `thread (4711): name`."""
    return thread.rpartition(": ")[2].strip('"') or thread


def _most(lines: collections.Counter[str], count: int) -> str:
    return ", ".join(f"`{line}` {each / count:.0%}" for line, each in lines.most_common(_MOST_LINES))

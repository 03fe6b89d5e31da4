"""
The command ``python -m benchmarks.profile [W1 W2 W4 W5 W8 W12]``: where the time of ours goes, thread by thread.

Each workload runs twice: once by itself, for the processor time of each thread, and once under py-spy, which looks
every few milliseconds at what the thread that has the interpreter is doing.
"""

from __future__ import annotations

import argparse
import collections
import contextlib
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

import psutil

from benchmarks.peers.base import Job, environment
from benchmarks.report import table
from benchmarks.scratch import ROOT, make_file, scratch_folder, spread
from benchmarks.servers import Nginx, host_address
from benchmarks.sizes import SIZES, Sizes

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

_LOOKS_PER_SECOND: Final = 250
_MOST_THREADS: Final = 4
_MOST_LINES: Final = 8
_TIME_LIMIT: Final = 600.0
_INTRODUCTION: Final = """# Where the time goes

Made by `python -m benchmarks.profile` (with py-spy) on {processors} processors. Processor time is that of a run without
the profiler, in seconds; *with the interpreter* is the share of the samples of another run in which the thread had
Python's lock. What has no share worked in the kernel or in C, or waited.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Course:
    """What is fetched: so many files of a size; by TLS, each from a host of its own, or by another program."""

    title: str
    count: int
    size: int
    by_tls: bool = False
    has_hosts: bool = False
    program: str = "ours"


@dataclass(frozen=True, slots=True)
class Times:
    """Seconds in all, and of the processor: by thread (user, system), and of the server."""

    seconds: float
    threads: Mapping[int, tuple[float, float]]
    server: float


def courses(sizes: Sizes) -> dict[str, Course]:
    """Return what can be looked at, by the names of the benchmarks."""
    return {
        "W1": Course(title="one large file, HTTP", count=1, size=sizes.large),
        "W2": Course(title="one large file, HTTPS", count=1, size=sizes.large, by_tls=True),
        "W4": Course(title="many small files", count=sizes.small_files, size=sizes.small_bytes),
        "W5": Course(title="files of the middle", count=sizes.middle_files, size=sizes.middle_bytes),
        "W8": Course(title="one large file beside a computation", count=1, size=sizes.large, program="busy"),
        "W12": Course(
            title="as many at once as there are files, each from a host of its own",
            count=sizes.transfers[-1],
            size=sizes.fixed_total // sizes.transfers[-1],
            has_hosts=True,
            program="crowd",
        ),
    }


def look(name: str, course: Course, nginx: Nginx, folder: Path) -> str:
    """Return the section about a workload."""
    served = nginx.root / name
    served.mkdir()
    files = [make_file(served / f"{number:05}.bin", course.size) for number in range(course.count)]
    urls = _urls(course, nginx, [f"{name}/{each.name}" for each in files])
    try:
        times = _run(course, _job(folder / "plain", urls, course, nginx), None)
        samples = folder / f"{name}.raw"
        profiled = _run(course, _job(folder / "profiled", urls, course, nginx), samples)
        return _section(name, course, times, profiled, samples.read_text().splitlines())
    finally:
        shutil.rmtree(served)
        for each in ("plain", "profiled"):
            shutil.rmtree(folder / each, ignore_errors=True)


def _urls(course: Course, nginx: Nginx, paths: Sequence[str]) -> list[str]:
    if course.has_hosts:
        return [nginx.plain(path, address=host_address(number)) for number, path in enumerate(paths)]
    return [(nginx.tls if course.by_tls else nginx.plain)(path) for path in paths]


def _job(folder: Path, urls: Sequence[str], course: Course, nginx: Nginx) -> Job:
    destinations = folder / "files"
    destinations.mkdir(parents=True)
    return Job(
        urls=tuple(urls),
        destinations=tuple(destinations / f"{number:05}.bin" for number in range(course.count)),
        sizes=(course.size,) * course.count,
        folder=folder,
        certificate=nginx.certificate if course.by_tls else None,
    )


def _run(course: Course, job: Job, samples: Path | None) -> Times:
    """Run ours to the end, under py-spy if there is a file for its samples."""
    command = [sys.executable, "-m", f"benchmarks.peers.inner.{course.program}"]
    before, start = _server_seconds(), time.perf_counter()
    process = subprocess.Popen(
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        env=environment(job, {"PYTHONPATH": str(ROOT)}),
        cwd=job.folder,
        text=True,
    )
    with process, _watched(process.pid, samples):
        assert process.stdin is not None  # noqa: S101 (it was asked for)
        process.stdin.write(job.to_json())
        process.stdin.close()
        threads = dict(_threads_until_end(process))
    if process.returncode:
        message = f"ours ended with {process.returncode}"
        raise RuntimeError(message)
    return Times(time.perf_counter() - start, threads, _server_seconds() - before)


@contextlib.contextmanager
def _watched(pid: int, samples: Path | None) -> Iterator[None]:
    if samples is None:
        yield
        return
    spy = shutil.which("py-spy", path=f"{Path(sys.executable).parent}:/usr/local/bin:/usr/bin")
    if spy is None:
        message = "py-spy is missing; pip install 'bgdl-jupyter[bench]' has it."
        raise RuntimeError(message)
    options = ("--pid", str(pid), "--format", "raw", "--threads", "--gil", "--rate", str(_LOOKS_PER_SECOND))
    command = [spy, "record", *options, "--duration", str(int(_TIME_LIMIT)), "--output", str(samples)]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as watching:
        yield
        watching.wait(_TIME_LIMIT)
    if not samples.exists():
        message = "py-spy could not look at the process; it needs the right to trace (see its page on permissions)."
        raise RuntimeError(message)


def _threads_until_end(process: subprocess.Popen[str]) -> Iterator[tuple[int, tuple[float, float]]]:
    """Yield what each thread had used when it was looked at, until the process ends; the last is what counts."""
    watched = psutil.Process(process.pid)
    while process.poll() is None:
        with contextlib.suppress(psutil.Error):  # it has just ended
            yield from ((each.id, (each.user_time, each.system_time)) for each in watched.threads())
        time.sleep(0.02)


def _server_seconds() -> float:
    spent = 0.0
    for each in psutil.Process().children(recursive=True):
        with contextlib.suppress(psutil.Error):  # one that has just ended is not the server
            if each.name() == "nginx":
                spent += sum(each.cpu_times()[:2])
    return spent


def _section(name: str, course: Course, times: Times, profiled: Times, samples: Sequence[str]) -> str:
    shares: collections.Counter[str] = collections.Counter()
    lines: dict[str, collections.Counter[str]] = collections.defaultdict(collections.Counter)
    for sample in samples:
        stack, count = sample.rsplit(" ", 1)
        thread, *frames = stack.split(";")
        if frames:
            shares[thread] += int(count)
            lines[thread][frames[-1]] += int(count)
    looks = max(1, round(profiled.seconds * _LOOKS_PER_SECOND))
    rows = [
        (_name_of(thread), f"{count / looks:.0%}", _most(lines[thread], count))
        for thread, count in shares.most_common(4)
    ]
    used = sorted(times.threads.values(), key=sum, reverse=True)[:_MOST_THREADS]
    words = ", ".join(f"{user:.2f} + {system:.2f}" for user, system in used)
    return (
        f"## {name}: {course.title}\n\n"
        f"{course.count:,} of {course.size:,} bytes in {times.seconds:.2f} s, with the interpreter's start "
        f"({profiled.seconds:.2f} s under the profiler). Processor seconds of its threads, user + system: {words}; "
        f"of the server: {times.server:.2f}.\n\n"
        + table(("thread", "with the interpreter", "doing most, of these samples"), rows)
    )


def _name_of(thread: str) -> str:
    """Return the name behind `thread (4711): name`."""
    return thread.rpartition(": ")[2].strip('"') or thread


def _most(lines: collections.Counter[str], count: int) -> str:
    return ", ".join(f"`{line}` {each / count:.0%}" for line, each in lines.most_common(_MOST_LINES))


def main(arguments: Sequence[str] | None = None) -> None:
    """Look at workloads, print what was found, and write it as a page."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.profile", description="Where the time of ours goes.")
    parser.add_argument("workloads", nargs="*", help="W1, W2, W4, W5, W8, W12; all of them without any")
    parser.add_argument("--size", choices=list(SIZES), default="full", help="tiny only shows that everything runs")
    parser.add_argument("--output", type=Path, help="the page to write; none without")
    options = parser.parse_args(arguments)
    known = courses(SIZES[options.size])
    if unknown := [name for name in options.workloads if name not in known]:
        parser.error(f"there is no workload {unknown[0]}; there are {', '.join(known)}")
    parts = [_INTRODUCTION.format(processors=psutil.cpu_count())]
    with scratch_folder() as folder:
        spread(folder)
        (folder / "server").mkdir()
        with Nginx(folder / "server") as nginx:
            for name in options.workloads or known:
                parts.append(look(name, known[name], nginx, folder))
                print(parts[-1], flush=True)
    if options.output is not None:
        options.output.write_text("\n".join(parts), encoding="utf-8")


if __name__ == "__main__":
    main()

"""
The command ``python -m benchmarks.profile [W1 W2 W4 W5 W7 W8 W9 W12]``: where the time of ours goes, by thread.

Each workload runs twice: once by itself, for the processor time of each thread, and once under py-spy, which looks
every few milliseconds at what the thread that has the interpreter is doing.
"""

from __future__ import annotations

import argparse
import contextlib
import functools
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Final

import psutil

from benchmarks.kernel import percentile, running_kernel
from benchmarks.notebook import END, PREPARE, feel, flood
from benchmarks.peers.base import Job, environment
from benchmarks.scratch import ROOT, emptied, make_file, scratch_folder, spread
from benchmarks.servers import ADDRESS, Nginx, host_address, line
from benchmarks.sizes import SIZES, Sizes
from benchmarks.spying import connections_of, done_by_threads, most_used, server_seconds, spied, times_of
from benchmarks.workloads import ROUND_TRIP, Setting

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

_LOOK_EVERY: Final = 0.02
_KERNEL: Final = "W9"
_INTRODUCTION: Final = """# Where the time goes

Made by `python -m benchmarks.profile` (with py-spy) on {processors} processors. Processor time is that of a run without
the profiler, in seconds; *with the interpreter* is the share of the samples of another run in which the thread had
Python's lock. What has no share worked in the kernel or in C, or waited.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Course:
    """What is fetched: so many files of a size; by TLS, from far, each from its own host, or by another program."""

    title: str
    count: int
    size: int
    by_tls: bool = False
    is_far: bool = False
    has_hosts: bool = False
    program: str = "ours"


@dataclass(frozen=True, slots=True)
class Times:
    """
    Seconds in all, and of the processor: by thread (user, system), and of the server.

    ``connections`` has how many there were to the server, and since when.
    """

    seconds: float
    threads: Mapping[int, tuple[float, float]]
    server: float
    connections: Sequence[tuple[float, int]] = ()


def courses(sizes: Sizes) -> dict[str, Course]:
    """Return what can be looked at, by the names of the benchmarks."""
    return {
        "W1": Course(title="one large file, HTTP", count=1, size=sizes.large),
        "W2": Course(title="one large file, HTTPS", count=1, size=sizes.large, by_tls=True),
        "W4": Course(title="many small files", count=sizes.small_files, size=sizes.small_bytes),
        "W5": Course(title="files of the middle", count=sizes.middle_files, size=sizes.middle_bytes),
        "W7": Course(
            title="one file at 20 MB/s for each connection, 50 ms away", count=1, size=sizes.paced, is_far=True
        ),
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
    with emptied(nginx.root / name) as served, contextlib.ExitStack() as stack:
        files = [make_file(served / f"{number:05}.bin", course.size) for number in range(course.count)]
        far = stack.enter_context(line(folder, nginx.paced_port, round_trip=ROUND_TRIP)) if course.is_far else None
        urls = _urls(course, nginx, [f"{name}/{each.name}" for each in files], far)
        with emptied(folder / "plain") as place:
            times = _run(course, _job(place, urls, course, nginx), port=far)
        with emptied(folder / "profiled") as place:
            samples = folder / f"{name}.raw"
            profiled = _run(course, _job(place, urls, course, nginx), samples)
    return _section(name, course, times, profiled, samples.read_text().splitlines())


def _urls(course: Course, nginx: Nginx, paths: Sequence[str], far: int | None) -> list[str]:
    if far is not None:
        return [f"http://{ADDRESS}:{far}/{path}" for path in paths]
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


def _run(course: Course, job: Job, samples: Path | None = None, *, port: int | None = None) -> Times:
    """Run ours to the end, under py-spy if there is a file for its samples; count its connections to a port."""
    command = [sys.executable, "-m", f"benchmarks.peers.inner.{course.program}"]
    before, start = server_seconds(), time.perf_counter()
    process = subprocess.Popen(
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        env=environment(job, {"PYTHONPATH": str(ROOT)}),
        cwd=job.folder,
        text=True,
    )
    threads: dict[int, tuple[float, float]] = {}
    counts: list[tuple[float, int]] = []
    watched = psutil.Process(process.pid)
    with process, spied(process.pid, samples) if samples is not None else contextlib.nullcontext():
        assert process.stdin is not None  # noqa: S101 (it was asked for)
        process.stdin.write(job.to_json())
        process.stdin.close()
        while process.poll() is None:
            threads |= times_of(watched)  # the last is what counts
            if port is not None:
                counts.append((time.perf_counter() - start, connections_of(watched, port)))
            time.sleep(_LOOK_EVERY)
    if process.returncode:
        message = f"ours ended with {process.returncode}"
        raise RuntimeError(message)
    return Times(time.perf_counter() - start, threads, server_seconds() - before, counts)


def _section(name: str, course: Course, times: Times, profiled: Times, samples: Sequence[str]) -> str:
    return (
        f"## {name}: {course.title}\n\n"
        f"{course.count:,} of {course.size:,} bytes in {times.seconds:.2f} s, with the interpreter's start "
        f"({profiled.seconds:.2f} s under the profiler). Processor seconds of its threads, user + system: "
        f"{most_used(times.threads)}; of the server: {times.server:.2f}.\n\n"
        + _changes(times.connections)
        + done_by_threads(samples, profiled.seconds)
    )


def _changes(connections: Sequence[tuple[float, int]]) -> str:
    """Return a sentence that says when there were how many connections."""
    changed = [
        each for before, each in zip(((0.0, 0), *connections), connections, strict=False) if each[1] != before[1]
    ]
    if not changed:
        return ""
    words = ", ".join(f"{count} at {seconds:.2f} s" for seconds, count in changed)
    return f"Connections, as they were counted every {_LOOK_EVERY * 1000:g} ms: {words}.\n\n"


def look_at_kernel(sizes: Sizes, nginx: Nginx, folder: Path) -> str:
    """Return the section about W9: a kernel that gets empty cells while it downloads at full speed."""
    setting, samples = Setting(nginx=nginx, sizes=sizes, folder=folder, runs=1), folder / "kernel.raw"
    with flood(setting) as path, emptied(folder / "kernel") as place, running_kernel(place) as kernel:
        kernel.run(PREPARE)
        process = psutil.Process(kernel.run("import os; print(os.getpid())"))

        def measured() -> tuple[list[float], list[float]]:
            kernel.run(f"operation = bgdl_jupyter.download({nginx.plain(path)!r}, 'flood.bin')\nawait_bytes(operation)")
            return feel(kernel, sizes.round_trips)

        before, served, start = times_of(process), server_seconds(), time.perf_counter()
        felt = measured()
        seconds, served = time.perf_counter() - start, server_seconds() - served
        threads = {key: _more(value, before.get(key, (0.0, 0.0))) for key, value in times_of(process).items()}
        kernel.run(END)
        with spied(process.pid, samples, seconds + 1):
            measured()
        kernel.run(END)
    words = ", ".join(
        f"{name} {median(values) * 1e3:.1f} and {percentile(values, 0.99) * 1e3:.1f} ms"
        for name, values in zip(("an empty cell", "the ticker of the main shell"), felt, strict=True)
    )
    return (
        f"## {_KERNEL}: the notebook at full speed of a download\n\n"
        f"Half and 99 of 100 take no longer than: {words}. In {seconds:.2f} s, processor seconds of the threads of the "
        f"kernel, user + system: {most_used(threads)}; of the server: {served:.2f}.\n\n"
        + done_by_threads(samples.read_text().splitlines(), seconds + 1)
    )


def _more(after: tuple[float, float], before: tuple[float, float]) -> tuple[float, float]:
    return after[0] - before[0], after[1] - before[1]


def looks(sizes: Sizes) -> dict[str, Callable[[Nginx, Path], str]]:
    """Return what makes the section of each workload, in their order."""
    made: dict[str, Callable[[Nginx, Path], str]] = {
        name: functools.partial(look, name, course) for name, course in courses(sizes).items()
    }
    made[_KERNEL] = functools.partial(look_at_kernel, sizes)
    return {name: made[name] for name in sorted(made, key=lambda name: int(name[1:]))}


def main(arguments: Sequence[str] | None = None) -> None:
    """Look at workloads, print what was found, and write it as a page."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.profile", description="Where the time of ours goes.")
    parser.add_argument("workloads", nargs="*", help="W1, W2, W4, W5, W7, W8, W9, W12; all of them without any")
    parser.add_argument("--size", choices=list(SIZES), default="full", help="tiny only shows that everything runs")
    parser.add_argument("--output", type=Path, help="the page to write; none without")
    options = parser.parse_args(arguments)
    sizes = SIZES[options.size]
    known = looks(sizes)
    if unknown := [name for name in options.workloads if name not in known]:
        parser.error(f"there is no workload {unknown[0]}; there are {', '.join(known)}")
    parts = [_INTRODUCTION.format(processors=psutil.cpu_count())]
    with scratch_folder() as folder:
        spread(folder)
        (folder / "server").mkdir()
        with Nginx(folder / "server") as nginx:
            for name in options.workloads or known:
                parts.append(known[name](nginx, folder))
                print(parts[-1], flush=True)
    if options.output is not None:
        options.output.write_text("\n".join(parts), encoding="utf-8")


if __name__ == "__main__":
    main()

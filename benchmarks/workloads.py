"""W1 to W7: the jobs that the contestants do beside us."""

from __future__ import annotations

import contextlib
import functools
import hashlib
import shutil
import subprocess
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from benchmarks.peers.libraries import Library, Ours, Sockets, syncs_seen
from benchmarks.peers.programs import CURL, CURL_PARALLEL, CURL_SHA256, WGET2, Floor, aria2, axel
from benchmarks.race import Course, race
from benchmarks.results import OURS, Result
from benchmarks.scratch import emptied, make_file
from benchmarks.servers import ADDRESS, Nginx, line

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from benchmarks.peers.base import Peer
    from benchmarks.sizes import Sizes

ROUND_TRIP: Final = 0.05
#: Many files go side by side as the defaults of ours have it.
_PARALLEL: Final = 16
#: A connection that carried less only asked, or was given up at once.
_CARRIED: Final = 64 << 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """
    What a workload is given.

    Attributes
    ----------
    nginx:
        The server, running.
    sizes:
        How much.
    folder:
        An empty folder.
    runs:
        How often each contestant runs.
    only:
        The names of the contestants that are wanted beside us; empty for all.
    """

    nginx: Nginx
    sizes: Sizes
    folder: Path
    runs: int
    only: frozenset[str] = frozenset()

    def wanted(self, *peers: Peer) -> list[Peer]:
        """Return ours, in both columns, and those of the peers that are wanted."""
        chosen = [peer for peer in peers if not self.only or peer.name in self.only]
        return [Ours(), Ours(with_sync=False), *chosen]


@contextlib.contextmanager
def _served(setting: Setting, prefix: str, count: int, size: int) -> Iterator[tuple[Path, ...]]:
    # Each workload has a folder of its own: nginx keeps files open, and would serve those of an earlier one.
    with emptied(setting.nginx.root / prefix) as folder:
        yield tuple(make_file(folder / f"{prefix}-{number:05}.bin", size) for number in range(count))


def one_large_file(setting: Setting) -> Result:
    """W1: one large file by plain HTTP."""
    size = setting.sizes.large
    peers = setting.wanted(
        Floor(),
        CURL,
        aria2("aria2 -x8", connections=8),
        WGET2,
        *map(_library, ("obstore", "pycurl", "hf_hub", "pypdl", "parfive", "pooch")),
    )
    with _served(setting, "w1", 1, size) as sources:
        course = Course(sources=sources, url=lambda name: setting.nginx.plain(f"w1/{name}"), connections=1)
        entries = race(peers, course, setting.folder, runs=setting.runs)
        notes = [_durability(course, setting)]
    return Result(workload="W1", title=f"one file of {_amount(size)}, HTTP", entries=entries, notes=notes)


def one_large_file_by_tls(setting: Setting) -> Result:
    """W2: the same by HTTPS."""
    size = setting.sizes.large
    peers = setting.wanted(
        Sockets(),
        CURL,
        aria2("aria2 -x8", connections=8),
        WGET2,
        *map(_library, ("obstore", "pycurl", "hf_hub", "pypdl", "parfive", "pooch")),
    )
    with _served(setting, "w2", 1, size) as sources:
        course = Course(
            sources=sources,
            url=lambda name: setting.nginx.tls(f"w2/{name}"),
            certificate=setting.nginx.certificate,
        )
        entries = race(peers, course, setting.folder, runs=setting.runs)
    return Result(workload="W2", title=f"one file of {_amount(size)}, HTTPS", entries=entries)


def one_large_file_with_digest(setting: Setting) -> Result:
    """W3: the same by HTTP, with a SHA-256 that must agree."""
    size = setting.sizes.large
    peers = setting.wanted(CURL_SHA256, aria2("aria2 -x8", connections=8))
    with _served(setting, "w3", 1, size) as sources:
        with sources[0].open("rb") as file:
            start = time.perf_counter()
            digest = hashlib.file_digest(file, "sha256").hexdigest()
            hashing = time.perf_counter() - start
        course = Course(sources=sources, url=lambda name: setting.nginx.plain(f"w3/{name}"), sha256=digest)
        entries = race(peers, course, setting.folder, runs=setting.runs)
    result = Result(workload="W3", title=f"one file of {_amount(size)}, HTTP, SHA-256 verified", entries=entries)
    if ours := result.durable(OURS):
        result.measures["ours over SHA-256 of the file in memory"] = ours / hashing
    return result


def many_small_files(setting: Setting) -> Result:
    """W4: thousands of small files, 16 at once, from one host."""
    count, size = setting.sizes.small_files, setting.sizes.small_bytes
    peers = setting.wanted(
        Floor(with_rename=True),
        CURL_PARALLEL,
        aria2("aria2 -j16"),
        WGET2,
        *map(_library, ("obstore", "pycurl", "hf_hub", "pypdl", "parfive", "pooch")),
    )
    return _many(setting, peers, "W4", count, size)


def many_middle_files(setting: Setting) -> Result:
    """W5: hundreds of files of the middle."""
    count, size = setting.sizes.middle_files, setting.sizes.middle_bytes
    peers = setting.wanted(
        Floor(with_rename=True),
        CURL_PARALLEL,
        aria2("aria2 -j16"),
        WGET2,
        *map(_library, ("obstore", "pycurl", "hf_hub", "parfive")),
    )
    return _many(setting, peers, "W5", count, size)


def _many(setting: Setting, peers: list[Peer], workload: str, count: int, size: int) -> Result:
    prefix = workload.lower()
    with _served(setting, prefix, count, size) as sources:
        url = functools.partial(_plain_in, setting.nginx, prefix)
        course = Course(sources=sources, url=url, parallel=_PARALLEL)
        entries = race(peers, course, setting.folder, runs=setting.runs)
    title = f"{count:,} files of {_amount(size)}, {_PARALLEL} at once"
    result = Result(workload=workload, title=title, entries=entries)
    for entry in entries:
        for column, seconds in (("durable", result.durable(entry.name)), ("last byte", result.last_byte(entry.name))):
            if seconds is not None:
                result.measures[f"{entry.name}, {column}, files/s"] = count / seconds
    return result


def several_connections(setting: Setting) -> Result:
    """W6: a file that comes at 20 MB/s for each connection."""
    return _paced(setting, "W6", setting.nginx.paced)


def several_connections_far_away(setting: Setting) -> Result:
    """W7: the same behind a line with a round trip of 50 ms."""
    with line(setting.folder, setting.nginx.paced_port, round_trip=ROUND_TRIP) as port:
        result = _paced(setting, "W7", lambda path: f"http://{ADDRESS}:{port}/{path}")
    result.measures["ceiling of the line, MB/s"] = _ceiling_of_line(setting)
    return result


def _paced(setting: Setting, workload: str, url: Callable[[str], str]) -> Result:
    size, nginx = setting.sizes.paced, setting.nginx
    counts: list[int] = []
    sent: list[int] = []

    class Counted(Ours):
        """Ours, whose connections the server counts."""

        def fetch(self, job):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202
            """Fetch, and count."""
            seconds = super().fetch(job)
            counts.append(nginx.connections(least=_CARRIED))
            sent.append(nginx.bytes_sent())
            return seconds

    same = Floor(name="C floor, as many connections", connections=lambda: counts[-1] if counts else 1)
    others = setting.wanted(
        same,
        Floor(name="C floor, 8 connections", connections=lambda: 8),
        Floor(name="C floor, 16 connections", connections=lambda: 16),
        CURL,
        aria2("aria2 -x8", connections=8),
        aria2("aria2 -x16", connections=16),
        axel("axel -n8", connections=8),
        axel("axel -n16", connections=16),
        *map(_library, ("hf_transfer", "parfive", "pypdl")),
    )[1:]
    with _served(setting, workload.lower(), 1, size) as sources:
        course = Course(
            sources=sources,
            url=lambda name: url(f"{workload.lower()}/{name}"),
            connections=_PARALLEL,
            before_each=nginx.forget_connections,
        )
        entries = race([Counted(), *others], course, setting.folder, runs=setting.runs)
    title = f"{_amount(size)} at 20 MB/s for each connection"
    result = Result(workload=workload, title=title, entries=entries)
    if counts:
        result.measures["connections of ours"] = float(counts[-1])
        result.measures["sent to ours, most, over the size of the file"] = max(sent) / size
    return result


def _ceiling_of_line(setting: Setting) -> float:
    """Return what the line lets through at most, in MB/s: the floor on 16 connections to the server without a pace."""
    size = setting.sizes.paced
    with (
        _served(setting, "ceiling", 1, size) as sources,
        line(setting.folder, setting.nginx.plain_port, round_trip=ROUND_TRIP) as port,
    ):
        course = Course(sources=sources, url=lambda name: f"http://{ADDRESS}:{port}/ceiling/{name}")
        floor = Floor(connections=lambda: _PARALLEL)
        (entry,) = race([floor], course, setting.folder, runs=1)
    return size / entry.last_byte[0] / 1e6 if entry.last_byte else 0.0


def _durability(course: Course, setting: Setting) -> str:
    """Say whether ours syncs what it writes, as strace sees it in a run of its own."""
    if shutil.which("strace") is None:
        return "strace is not installed: that ours syncs was not checked."
    with emptied(setting.folder / "traced") as place:
        try:
            count = syncs_seen(course.job(place))
        except subprocess.SubprocessError as error:
            return f"strace could not run: {error}"
    if count == 0:
        raise RuntimeError("Ours did not call fsync or fdatasync at all: what it does is not durable.")
    return f"strace saw {count} calls of fsync and fdatasync in a run of ours."


def _library(name: str) -> Peer:
    return Library(name=name)


def _plain_in(nginx: Nginx, prefix: str, name: str) -> str:
    return nginx.plain(f"{prefix}/{name}")


def _amount(size: int) -> str:
    for unit, bytes_ in (("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)):
        if size >= bytes_:
            return f"{size / bytes_:g} {unit}"
    return f"{size} B"

"""Contestants do the same job, one after the other, in an order that turns around; every file is looked at."""

from __future__ import annotations

import filecmp
import logging
import shutil
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from benchmarks.peers.base import Job, Peer, PeerFailed
from benchmarks.results import Entry
from benchmarks.scratch import emptied, sync, warm_memory

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Course:
    """
    What is to be fetched.

    Attributes
    ----------
    sources:
        The files as the server has them.
    url:
        Makes the URL of a file's name.
    parallel, connections, sha256, certificate:
        As `Job` has them.
    before_each:
        Called before each run.
    """

    sources: tuple[Path, ...]
    url: Callable[[str], str]
    parallel: int = 1
    connections: int = 1
    sha256: str | None = None
    certificate: Path | None = None
    before_each: Callable[[], object] | None = None

    @property
    def total(self) -> int:
        """The bytes of all files."""
        return sum(path.stat().st_size for path in self.sources)

    def job(self, folder: Path) -> Job:
        """Return the job with destinations in a folder."""
        destinations = folder / "files"
        destinations.mkdir()
        return Job(
            urls=tuple(self.url(path.name) for path in self.sources),
            destinations=tuple(destinations / path.name for path in self.sources),
            sizes=tuple(path.stat().st_size for path in self.sources),
            folder=folder,
            parallel=self.parallel,
            connections=self.connections,
            sha256=self.sha256,
            certificate=self.certificate,
        )


def race(peers: Sequence[Peer], course: Course, folder: Path, *, runs: int) -> list[Entry]:
    """
    Let each contestant do the job so many times; one that is missing or fails is named in its entry.

    Parameters
    ----------
    peers:
        The contestants; two of one name share an entry.
    course:
        The job.
    folder:
        Where the files go; each run's are deleted after it.
    runs:
        How often.
    """
    entries = {peer.name: Entry(name=peer.name, trouble=peer.missing()) for peer in peers}
    for run in range(runs):
        for peer in peers if run % 2 == 0 else peers[::-1]:
            entry = entries[peer.name]
            if entry.trouble is None:
                _run_one(peer, course, folder, entry, is_first=run == 0)
    return list(entries.values())


def _run_one(peer: Peer, course: Course, folder: Path, entry: Entry, *, is_first: bool) -> None:
    with emptied(folder / "run") as place:
        warm_memory(place, course.total)
        _read_through(course.sources)
        if course.before_each is not None:
            course.before_each()
        job = course.job(place)
        try:
            seconds = peer.fetch(job)
            _check(job, course.sources, also_contents=is_first)
        except PeerFailed as error:
            entry.trouble = str(error)
            log.warning("%s: %s", peer.name, error)
            return
        _note(peer, entry, job, seconds)


def _note(peer: Peer, entry: Entry, job: Job, seconds: float) -> None:
    if peer.column != "durable":
        entry.last_byte.append(seconds)
    if peer.column == "both":
        start = time.perf_counter()
        sync(list(job.destinations))
        seconds += time.perf_counter() - start
    if peer.column != "last byte":
        entry.durable.append(seconds)
    log.info("%-26s %-9s %8.3f s", peer.name, peer.column, seconds)


def _read_through(paths: Sequence[Path]) -> None:
    """Have the server's files in the page cache, for everybody."""
    for path in paths:
        with path.open("rb", buffering=0) as source, open("/dev/null", "wb") as sink:  # noqa: PTH123 (no path, a device)
            shutil.copyfileobj(source, sink, 1 << 20)


def _check(job: Job, sources: Sequence[Path], *, also_contents: bool) -> None:
    for destination, source, size in zip(job.destinations, sources, job.sizes, strict=True):
        if not destination.exists():
            raise PeerFailed(f"said that it was done, and {destination.name} is not there")
        if destination.stat().st_size != size:
            raise PeerFailed(f"{destination.name} has {destination.stat().st_size:,} bytes and not {size:,}")
        if also_contents and not filecmp.cmp(destination, source, shallow=False):
            raise PeerFailed(f"{destination.name} is not what the server has")

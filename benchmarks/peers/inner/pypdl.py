"""pypdl: aiohttp, several connections for one file."""

# mypy: disable-error-code="import-not-found,import-untyped"
# (the library is installed in the environment of the contestants only)
from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import pypdl

from benchmarks.peers.inner.stopwatch import measure

if TYPE_CHECKING:
    from benchmarks.peers.base import Job


def fetch(job: Job) -> None:
    """Fetch the files."""
    pairs = zip(job.urls, job.destinations, strict=True)
    tasks = [{"url": url, "file_path": str(destination)} for url, destination in pairs]
    downloader = pypdl.Pypdl(max_concurrent=job.parallel, logger=logging.getLogger("pypdl"))
    downloader.start(tasks=tasks, multisegment=job.connections > 1, segments=job.connections, display=False, block=True)


if __name__ == "__main__":
    measure(fetch)

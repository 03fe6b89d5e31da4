"""parfive: aiohttp, several connections for one file."""

# mypy: disable-error-code="import-not-found,import-untyped"
# (the library is installed in the environment of the contestants only)
from __future__ import annotations

import parfive

from benchmarks.peers.base import Job, PeerFailed
from benchmarks.peers.inner.stopwatch import measure


def fetch(job: Job) -> None:
    """Fetch the files."""
    settings = parfive.SessionConfig(file_progress=False)
    downloader = parfive.Downloader(
        max_conn=job.parallel, max_splits=job.connections, progress=False, overwrite=True, config=settings
    )
    for url, destination in zip(job.urls, job.destinations, strict=True):
        downloader.enqueue_file(url, path=str(destination.parent), filename=destination.name)
    results = downloader.download()
    if results.errors:
        raise PeerFailed(str(results.errors[0]))


if __name__ == "__main__":
    measure(fetch)

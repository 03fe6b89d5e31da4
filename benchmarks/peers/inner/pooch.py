"""pooch: requests in a loop, and a SHA-256 of each file that is there."""

# mypy: disable-error-code="import-not-found,import-untyped"
# (the library is installed in the environment of the contestants only)
from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import pooch

from benchmarks.peers.inner.stopwatch import measure

if TYPE_CHECKING:
    from benchmarks.peers.base import Job


def fetch(job: Job) -> None:
    """Fetch the files one after the other: it has nothing else."""
    for url, destination in zip(job.urls, job.destinations, strict=True):
        known = f"sha256:{job.sha256}" if job.sha256 else None
        pooch.retrieve(url, known_hash=known, fname=destination.name, path=destination.parent)


if __name__ == "__main__":
    logging.getLogger("pooch").setLevel(logging.ERROR)
    pooch.get_logger().setLevel("ERROR")
    measure(fetch)

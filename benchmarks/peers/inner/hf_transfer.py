"""hf_transfer: Rust, many connections for one file, in pieces of 10 MiB."""

# mypy: disable-error-code="import-not-found,import-untyped"
# (the library is installed in the environment of the contestants only)
from __future__ import annotations

from typing import TYPE_CHECKING

import hf_transfer

from benchmarks.peers.inner.stopwatch import measure

if TYPE_CHECKING:
    from benchmarks.peers.base import Job


def fetch(job: Job) -> None:
    """Fetch one file."""
    (url,), (destination,) = job.urls, job.destinations
    hf_transfer.download(url, str(destination), max_files=job.connections, chunk_size=10 << 20)


if __name__ == "__main__":
    measure(fetch)

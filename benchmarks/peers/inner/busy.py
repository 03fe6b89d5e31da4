"""Ours beside a computation in pure Python, as beside a cell."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

from benchmarks.peers.inner.stopwatch import measure
from bgdl_jupyter import download

if TYPE_CHECKING:
    from benchmarks.peers.base import Job

importlib.import_module("bgdl_jupyter.transport.http")


def fetch(job: Job) -> None:
    """Compute until the file is there."""
    operation = download(job.urls[0], job.destinations[0])
    while not operation.is_over:
        sum(range(10_000))
    operation.wait()


if __name__ == "__main__":
    measure(fetch)

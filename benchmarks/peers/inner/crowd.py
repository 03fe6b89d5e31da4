"""Ours with as many transfers at once as there are files."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

from benchmarks.peers.inner.stopwatch import measure
from bgdl_jupyter import BackgroundDownloader

if TYPE_CHECKING:
    from benchmarks.peers.base import Job

importlib.import_module("bgdl_jupyter.transport.http")


def fetch(job: Job) -> None:
    """Fetch all of them at once."""
    pairs = zip(job.urls, job.destinations, strict=True)
    manifest = [{"uri": url, "destination": destination} for url, destination in pairs]
    downloader = BackgroundDownloader(max_parallel=len(manifest))
    downloader.download_many(manifest, group="benchmark").wait().raise_for_errors()


if __name__ == "__main__":
    measure(fetch)

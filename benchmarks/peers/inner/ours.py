"""Ours: the public calls that a notebook makes, with their defaults."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

from benchmarks.peers.inner.stopwatch import measure
from bgdl_jupyter import download, download_many

if TYPE_CHECKING:
    from benchmarks.peers.base import Job

# Loaded by the first download in a process; imports are not part of what is measured, of nobody.
importlib.import_module("bgdl_jupyter.transport.http")


def fetch(job: Job) -> None:
    """Fetch one file as an operation, many as a group."""
    if len(job.urls) == 1:
        checked = {"sha256": job.sha256} if job.sha256 else {}
        download(job.urls[0], job.destinations[0], **checked).wait()
        return
    pairs = zip(job.urls, job.destinations, strict=True)
    manifest = [{"uri": url, "destination": destination} for url, destination in pairs]
    download_many(manifest, group="benchmark").wait().raise_for_errors()


if __name__ == "__main__":
    measure(fetch)

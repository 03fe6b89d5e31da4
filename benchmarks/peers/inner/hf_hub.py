"""huggingface_hub: its loop over the chunks of a response, files side by side in threads as its snapshots do."""

# mypy: disable-error-code="import-not-found,import-untyped"
# (the library is installed in the environment of the contestants only)
from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from huggingface_hub.file_download import http_get
from huggingface_hub.utils import disable_progress_bars

from benchmarks.peers.inner.stopwatch import measure

if TYPE_CHECKING:
    from pathlib import Path

    from benchmarks.peers.base import Job


def fetch(job: Job) -> None:
    """Fetch the files."""
    with ThreadPoolExecutor(job.parallel) as pool:
        list(pool.map(_fetch_one, job.urls, job.destinations, job.sizes))


def _fetch_one(url: str, destination: Path, size: int) -> None:
    incomplete = destination.with_name(f"{destination.name}.incomplete")
    with incomplete.open("wb") as file:
        http_get(url, file, expected_size=size)
    incomplete.replace(destination)


if __name__ == "__main__":
    disable_progress_bars()
    measure(fetch)

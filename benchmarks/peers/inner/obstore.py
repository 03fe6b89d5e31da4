"""obstore: object_store in Rust, its stream written to a file."""

# mypy: disable-error-code="import-not-found,import-untyped"
# (the library is installed in the environment of the contestants only)
from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import obstore
from obstore.store import HTTPStore

from benchmarks.peers.inner.stopwatch import measure

if TYPE_CHECKING:
    from pathlib import Path

    from benchmarks.peers.base import Job

_CHUNK = 4 << 20


def fetch(job: Job) -> None:
    """Fetch the files; one by the blocking calls, many by the awaitable ones."""
    parts = urlsplit(job.urls[0])
    options = {"allow_http": True, "timeout": "600s"}
    if job.certificate is not None:
        options["root_certificate"] = job.certificate.read_text()
    store = HTTPStore.from_url(f"{parts.scheme}://{parts.netloc}", client_options=options)
    paths = [urlsplit(url).path.lstrip("/") for url in job.urls]
    if len(paths) == 1:
        _fetch_one(store, paths[0], job.destinations[0])
    else:
        asyncio.run(_fetch_many(store, paths, job))


def _fetch_one(store: HTTPStore, path: str, destination: Path) -> None:
    with destination.open("wb") as file:
        for chunk in obstore.get(store, path).stream(min_chunk_size=_CHUNK):
            file.write(chunk)


async def _fetch_many(store: HTTPStore, paths: list[str], job: Job) -> None:
    slots = asyncio.Semaphore(job.parallel)

    async def one(path: str, destination: Path) -> None:
        async with slots:
            result = await obstore.get_async(store, path)
            with destination.open("wb") as file:
                async for chunk in result.stream(min_chunk_size=_CHUNK):
                    file.write(chunk)

    await asyncio.gather(*(one(*pair) for pair in zip(paths, job.destinations, strict=True)))


if __name__ == "__main__":
    measure(fetch)

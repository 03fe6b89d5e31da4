"""pycurl: libcurl's multi interface, each file by its own write callback."""

# mypy: disable-error-code="import-not-found,import-untyped"
# (the library is installed in the environment of the contestants only)
from __future__ import annotations

from contextlib import ExitStack
from typing import IO, Any

import pycurl

from benchmarks.peers.base import Job, PeerFailed
from benchmarks.peers.inner.stopwatch import measure

_BUFFER = 512 << 10


def fetch(job: Job) -> None:
    """Fetch the files, at most `job.parallel` at once."""
    multi = pycurl.CurlMulti()
    waiting = list(zip(job.urls, job.destinations, strict=True))[::-1]
    free = [pycurl.Curl() for _ in range(min(job.parallel, len(waiting)))]
    files: dict[Any, IO[bytes]] = {}
    with ExitStack() as stack:
        stack.callback(multi.close)
        while waiting or files:
            while waiting and free:
                url, destination = waiting.pop()
                curl = free.pop()
                files[curl] = destination.open("wb")
                _prepare(curl, url, files[curl], job)
                multi.add_handle(curl)
            _, running = multi.perform()
            free += _finished(multi, files)
            if running:
                multi.select(1.0)


def _prepare(curl: pycurl.Curl, url: str, file: IO[bytes], job: Job) -> None:
    curl.setopt(pycurl.URL, url)
    curl.setopt(pycurl.WRITEDATA, file)
    curl.setopt(pycurl.BUFFERSIZE, _BUFFER)
    curl.setopt(pycurl.FAILONERROR, 1)
    if job.certificate is not None:
        curl.setopt(pycurl.CAINFO, str(job.certificate))


def _finished(multi: pycurl.CurlMulti, files: dict[Any, IO[bytes]]) -> list[Any]:
    _, succeeded, failed = multi.info_read()
    if failed:
        raise PeerFailed(str(failed[0][2]))
    for curl in succeeded:
        multi.remove_handle(curl)
        files.pop(curl).close()
    return list(succeeded)


if __name__ == "__main__":
    measure(fetch)

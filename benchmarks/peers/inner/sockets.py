"""A socket in a thread: recv_into one buffer and pwrite, over TLS where the URL says so; what Python can do at best."""

from __future__ import annotations

import http.client
import os
import ssl
import threading
from urllib.parse import urlsplit

from benchmarks.peers.base import Job, PeerFailed
from benchmarks.peers.inner.stopwatch import measure

_BUFFER = 1 << 20


def fetch(job: Job) -> None:
    """Fetch one file in a thread."""
    thread = threading.Thread(target=_fetch_one, args=(job,))
    thread.start()
    thread.join()
    if job.destinations[0].stat().st_size != job.sizes[0]:
        raise PeerFailed("the file is not complete")


def _fetch_one(job: Job) -> None:
    response = _respond(job)
    buffer = memoryview(bytearray(_BUFFER))
    file = os.open(job.destinations[0], os.O_WRONLY | os.O_CREAT, 0o644)
    offset = 0
    while got := response.readinto(buffer):
        os.pwrite(file, buffer[:got], offset)
        offset += got
    os.close(file)


def _respond(job: Job) -> http.client.HTTPResponse:
    parts = urlsplit(job.urls[0])
    if parts.scheme == "https":
        trusted = ssl.create_default_context(cafile=job.certificate)
        connection: http.client.HTTPConnection = http.client.HTTPSConnection(parts.netloc, context=trusted)
    else:
        connection = http.client.HTTPConnection(parts.netloc)
    connection.request("GET", parts.path)
    return connection.getresponse()


if __name__ == "__main__":
    measure(fetch)

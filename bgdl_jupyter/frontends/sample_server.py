"""
Sample data from a small web server on this machine, for the notebooks and `jupyter bgdl demo`.

It knows ranges (RFC 9110 14) and strong ETags, and sends no faster than it is told, so that bars can be seen moving::

    with SampleServer({"ocean.nc": 120_000_000}, rate=20_000_000) as server:
        download(server.url("ocean.nc"), sha256=server.sha256("ocean.nc"))

``python -m bgdl_jupyter.frontends.sample_server RATE NAME=SIZE …`` serves until its standard input ends.
"""

from __future__ import annotations

import functools
import hashlib
import http.server
import json
import random
import re
import sys
import threading
import time
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final, Self

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from socketserver import BaseServer

_BLOCK: Final = 1 << 20
_PIECE: Final = 1 << 16
_RANGE: Final = re.compile(r"bytes=(\d+)-(\d*)")


class SampleServer:
    """
    Serves files of made-up bytes on the loopback address, on threads of its own, until `close`.

    Parameters
    ----------
    sizes:
        The files: names and numbers of bytes.
    rate:
        Bytes per second for each file, however many connections it comes over.

    Attributes
    ----------
    refusals:
        Statuses that a file is answered with in place of its bytes; may be changed at any time.
    sent:
        How many bytes of each file went out, those that went twice counted twice.
    received:
        The bodies that were sent to the server, oldest first.
    """

    def __init__(self, sizes: Mapping[str, int], *, rate: int, port: int = 0) -> None:
        self.sizes = dict(sizes)
        self.refusals: dict[str, int] = {}
        self.sent = dict.fromkeys(sizes, 0)
        self.received: list[bytes] = []
        self._paces = {name: _Pace(rate) for name in sizes}
        self._server = _Server(self, port)
        self._thread = threading.Thread(target=self._server.serve_forever, name="sample-server", daemon=True)
        self._thread.start()

    def url(self, name: str = "") -> str:
        """Return the URL of a file."""
        return f"http://127.0.0.1:{self._server.server_port}/{name}"

    def pieces(self, name: str, start: int = 0, stop: int | None = None) -> Iterator[memoryview]:
        """Yield the bytes of a file from ``start`` to ``stop``."""
        block = _block(name)
        stop = self.sizes[name] if stop is None else stop
        while start < stop:
            offset = start % _BLOCK
            piece = block[offset : offset + min(_PIECE, stop - start)]
            yield piece
            start += len(piece)

    def sha256(self, name: str) -> str:
        """Return the SHA-256 of a file in hexadecimal."""
        digest = hashlib.sha256()
        for piece in self.pieces(name):
            digest.update(piece)
        return digest.hexdigest()

    def wait_for_turn(self, name: str, count: int) -> None:
        """Block until so many more bytes of the file may be sent, and count them."""
        self._paces[name].wait(count)
        self.sent[name] += count

    def close(self) -> None:
        """Stop serving."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


@functools.cache
def _block(name: str) -> memoryview:
    return memoryview(random.Random(name).randbytes(_BLOCK))  # noqa: S311 (made-up data)


class _Pace:
    """Lets bytes through at a rate, for all connections together."""

    def __init__(self, rate: int) -> None:
        self._rate = rate
        self._lock = threading.Lock()
        self._free_at = 0.0

    def wait(self, count: int) -> None:
        with self._lock:
            now = time.monotonic()
            begin = max(now, self._free_at)
            self._free_at = begin + count / self._rate
        time.sleep(begin - now)


class _Server(http.server.ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 64

    def __init__(self, samples: SampleServer, port: int) -> None:
        self.samples = samples
        super().__init__(("127.0.0.1", port), _Handler)

    def handle_error(self, request: Any, client_address: Any) -> None:
        # A client that pauses hangs up in the middle of a body.
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: BaseServer

    @property
    def _samples(self) -> SampleServer:
        assert isinstance(self.server, _Server)  # noqa: S101 (it is made for that server alone)
        return self.server.samples

    def do_HEAD(self) -> None:
        """Answer with the head alone."""
        self._answer(with_body=False)

    def do_GET(self) -> None:
        """Answer with a file or a range of it."""
        self._answer(with_body=True)

    def do_POST(self) -> None:
        """Take a body, and answer with a file of JSON that says what came."""
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self._samples.received.append(body)
        says = json.dumps({"bytes": len(body), "sha256": hashlib.sha256(body).hexdigest()}).encode()
        self._head(HTTPStatus.OK, {"Content-Length": str(len(says)), "Content-Type": "application/json"})
        self.wfile.write(says)

    def _answer(self, *, with_body: bool) -> None:
        name = self.path.lstrip("/").partition("?")[0]
        refusal = self._samples.refusals.get(name, None if name in self._samples.sizes else HTTPStatus.NOT_FOUND)
        if refusal is not None:
            self._head(refusal, {"Content-Length": "0"})
            return
        size = self._samples.sizes[name]
        etag = f'"{name}-{size}"'
        start, stop, status = self._range(size, etag)
        headers = {"ETag": etag, "Accept-Ranges": "bytes", "Content-Type": "application/octet-stream"}
        if status is HTTPStatus.PARTIAL_CONTENT:
            headers["Content-Range"] = f"bytes {start}-{stop - 1}/{size}"  # inclusive on the wire
        elif status is HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE:
            headers["Content-Range"] = f"bytes */{size}"
        self._head(status, {**headers, "Content-Length": str(stop - start)})
        if with_body:
            for piece in self._samples.pieces(name, start, stop):
                self._samples.wait_for_turn(name, len(piece))
                self.wfile.write(piece)

    def _range(self, size: int, etag: str) -> tuple[int, int, HTTPStatus]:
        match = _RANGE.fullmatch(self.headers.get("Range") or "")
        if match is None or self.headers.get("If-Range", etag) != etag:
            return 0, size, HTTPStatus.OK
        start, last = int(match[1]), int(match[2] or size - 1)
        if start >= size:
            return 0, 0, HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE
        return start, min(last + 1, size), HTTPStatus.PARTIAL_CONTENT

    def _head(self, status: int, headers: Mapping[str, str]) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Say nothing: the notebook is what is to be read."""


def main(arguments: list[str]) -> None:
    """Serve ``RATE NAME=SIZE …``; print the address, and end when the standard input ends."""
    rate, *files = arguments
    sizes = {name: int(size) for name, _, size in (each.partition("=") for each in files)}
    with SampleServer(sizes, rate=int(rate)) as server:
        sys.stdout.write(f"{server.url()}\n")
        sys.stdout.flush()
        sys.stdin.read()


if __name__ == "__main__":
    main(sys.argv[1:])

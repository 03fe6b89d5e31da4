"""A client that shows what is on the wire: every byte, and how the connection ended."""

from __future__ import annotations

import socket
import ssl
from dataclasses import dataclass
from typing import Literal, Self
from urllib.parse import urlsplit


@dataclass(frozen=True, slots=True)
class Received:
    """What came, and what came after it."""

    data: bytes
    ending: Literal["fin", "reset", "close_notify", "cut", "open"]

    @property
    def head(self) -> bytes:
        """Everything before the first blank line."""
        return self.data.partition(b"\r\n\r\n")[0]

    @property
    def body(self) -> bytes:
        """Everything behind the first blank line."""
        return self.data.partition(b"\r\n\r\n")[2]

    @property
    def status(self) -> int:
        """The number in the status line."""
        return int(self.data[9:12])

    def header(self, name: str) -> str | None:
        """Return the first value of a header."""
        for line in self.head.decode("latin-1").split("\r\n")[1:]:
            key, _, value = line.partition(": ")
            if key.lower() == name.lower():
                return value
        return None


class RawClient:
    """One connection to the host of a URL."""

    def __init__(self, url: str, *, tls: ssl.SSLContext | None = None, timeout: float = 5.0) -> None:
        parts = urlsplit(url)
        host = parts.hostname or ""
        self._path = parts.path
        self._timeout = timeout
        self._sock = socket.create_connection((host, parts.port or 80), timeout=timeout)
        if tls is not None:
            self._sock = tls.wrap_socket(self._sock, server_hostname=host, suppress_ragged_eofs=False)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._sock.close()

    def send(self, data: bytes) -> None:
        """Send bytes as they are."""
        self._sock.sendall(data)

    def get(self, *headers: str, method: str = "GET", path: str | None = None) -> None:
        """Send a request without a body."""
        lines = [f"{method} {path or self._path} HTTP/1.1", "Host: files.test", *headers, "", ""]
        self.send("\r\n".join(lines).encode("latin-1"))

    def answer(self) -> Received:
        """Receive one answer that has a Content-Length."""
        begun = self.receive(until=b"\r\n\r\n")
        missing = int(begun.header("Content-Length") or 0) - len(begun.body)
        rest = self.receive(until=missing)
        return Received(begun.data + rest.data, rest.ending)

    def begin(self, size: int) -> Received:
        """Receive a head and the first `size` bytes of its body, or more."""
        begun = self.receive(until=b"\r\n\r\n")
        rest = self.receive(until=size - len(begun.body))
        return Received(begun.data + rest.data, rest.ending)

    def is_silent(self, seconds: float = 0.1) -> bool:
        """Whether the connection stays open and nothing comes for so long."""
        return self.receive(timeout=seconds) == Received(b"", "open")

    def receive(self, *, until: int | bytes | None = None, timeout: float | None = None) -> Received:
        """Receive until the end, until so many bytes, these bytes, or `timeout` seconds of silence."""
        self._sock.settimeout(self._timeout if timeout is None else timeout)
        data = bytearray()
        while not _enough(data, until):
            try:
                piece = self._sock.recv(1 << 16)
            except TimeoutError:
                return Received(bytes(data), "open")
            except ssl.SSLEOFError:
                return Received(bytes(data), "cut")
            except ConnectionResetError:
                return Received(bytes(data), "reset")
            if not piece:
                return Received(bytes(data), "close_notify" if isinstance(self._sock, ssl.SSLSocket) else "fin")
            data += piece
        return Received(bytes(data), "open")


def _enough(data: bytearray, until: int | bytes | None) -> bool:
    if isinstance(until, int):
        return len(data) >= until
    return until is not None and until in data


def fetch(url: str, *headers: str, method: str = "GET", tls: ssl.SSLContext | None = None) -> Received:
    """Make one request on a connection of its own and receive until its end."""
    with RawClient(url, tls=tls) as client:
        client.get("Connection: close", *headers, method=method)
        return client.receive()

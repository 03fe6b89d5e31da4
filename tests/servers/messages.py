"""Requests as they arrived, and what was answered: the facts that tests assert."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl, urlsplit

if TYPE_CHECKING:
    from tests.servers.wire import Wire

_MAX_HEAD = 1 << 20
_ONE_RANGE = re.compile(r"bytes=(\d*)-(\d*)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """One request, headers in the order and the spelling in which they came."""

    number: int
    """From 1, counted per path."""
    connection: int
    peer: str
    method: str
    target: str
    version: str
    headers: tuple[tuple[str, str], ...]
    body: bytes = b""

    @property
    def path(self) -> str:
        """The target without its query."""
        return urlsplit(self.target).path

    @property
    def query(self) -> dict[str, str]:
        """The parameters of the query."""
        return dict(parse_qsl(urlsplit(self.target).query, keep_blank_values=True))

    def header(self, name: str) -> str | None:
        """Return the first value of a header."""
        return next(iter(self.header_values(name)), None)

    def header_values(self, name: str) -> list[str]:
        """Return every value of a header."""
        return [value for key, value in self.headers if key.lower() == name.lower()]

    @property
    def keeps_alive(self) -> bool:
        """Whether the client wants the connection to stay."""
        options = (self.header("Connection") or "").lower()
        return "keep-alive" in options if self.version == "HTTP/1.0" else "close" not in options

    def asked_range(self, size: int) -> tuple[int, int] | None:
        """
        Return the half-open range that was asked for, cut to `size`; None when there is no single range.

        Start not below stop means that it cannot be satisfied (RFC 9110, 14.1.2).
        """
        match = _ONE_RANGE.fullmatch((self.header("Range") or "").strip())
        if match is None or not any(match.groups()):
            return None
        first, last = match.groups()
        if not first:
            return max(0, size - int(last)), size
        return int(first), min(int(last) + 1, size) if last else size


@dataclass(slots=True, kw_only=True)
class Exchange:
    """A request and what became of it. Written by the server while it answers."""

    request: Request
    status: int | None = None
    bytes_sent: int = 0
    """Everything that was handed to the kernel, head included."""
    ranges_sent: list[tuple[int, int]] = field(default_factory=list)
    """Half-open ranges of the file whose bytes were handed to the kernel."""
    is_finished: bool = False
    """Whether the whole answer was sent, its faults included."""

    @property
    def body_bytes_sent(self) -> int:
        """Bytes of the file that were sent, a repeated one counted again."""
        return sum(stop - start for start, stop in self.ranges_sent)


class MessageReader:
    """Takes requests off a connection."""

    def __init__(self, wire: Wire) -> None:
        self._wire = wire
        self._buffer = bytearray()

    async def head(self) -> bytes | None:
        """Return the next head with its blank line; None when the client has ended."""
        while (end := self._buffer.find(b"\r\n\r\n")) < 0:
            if len(self._buffer) > _MAX_HEAD or not await self._more():
                return None
        return self._take(end + 4)

    async def body(self, headers: tuple[tuple[str, str], ...]) -> bytes:
        """Return the body that the headers announce. Raises `ConnectionError` when it stays short."""
        fields = {name.lower(): value for name, value in headers}
        if fields.get("expect", "").lower() == "100-continue":
            await self._wire.send(b"HTTP/1.1 100 Continue\r\n\r\n")
        if "chunked" in fields.get("transfer-encoding", "").lower():
            return await self._chunks()
        return await self._exactly(int(fields.get("content-length", "0")))

    def rest(self) -> bytes:
        """Return what came behind the last request, for another protocol to begin with."""
        return self._take(len(self._buffer))

    async def _chunks(self) -> bytes:
        body = bytearray()
        while size := int((await self._line()).split(b";")[0], 16):
            body += await self._exactly(size)
            await self._line()
        while await self._line():
            continue
        return bytes(body)

    async def _line(self) -> bytes:
        while (end := self._buffer.find(b"\r\n")) < 0:
            await self._need_more()
        return self._take(end + 2)[:-2]

    async def _exactly(self, size: int) -> bytes:
        while len(self._buffer) < size:
            await self._need_more()
        return self._take(size)

    async def _need_more(self) -> None:
        if not await self._more():
            raise ConnectionError("the request ended early")

    async def _more(self) -> bool:
        received = await self._wire.receive()
        self._buffer += received
        return bool(received)

    def _take(self, size: int) -> bytes:
        taken = bytes(self._buffer[:size])
        del self._buffer[:size]
        return taken


def parse_head(head: bytes, *, connection: int, peer: str) -> Request:
    """Read a head into a request that has no number and no body yet. Raises `ValueError` on anything else."""
    first, *lines = head.decode("latin-1").removesuffix("\r\n\r\n").split("\r\n")
    method, target, version = first.split(" ")
    pairs = (line.partition(":") for line in lines)
    headers = tuple((name, value.strip(" \t")) for name, _, value in pairs)
    return Request(
        number=0, connection=connection, peer=peer, method=method, target=target, version=version, headers=headers
    )

"""What the tests of FTP have in common: a sink that can lag or refuse, and one call for a whole exchange."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from bgdl_jupyter.transport.base import Request
from bgdl_jupyter.uris import split_uri

if TYPE_CHECKING:
    from collections.abc import Awaitable

    from bgdl_jupyter.resource import Answer
    from bgdl_jupyter.transport.base import Framing
    from bgdl_jupyter.transport.ftp import FtpTransport

_ROOM = 70_001


class Collector:
    """
    A sink into memory.

    With `lags`, every piece has to be waited for; `refusal` is raised at the first piece.
    """

    def __init__(self, *, lags: bool = False, refusal: Exception | None = None) -> None:
        self.body = bytearray()
        self.most_unfinished = 0
        self._lags = lags
        self._refusal = refusal
        self._unfinished = 0
        self._room = memoryview(bytearray(_ROOM))
        self._grew = asyncio.Event()

    def get_buffer(self) -> memoryview:
        return self._room

    def received(self, count: int) -> Awaitable[None] | None:
        return self.write(self._room[:count])

    def write(self, data: bytes | bytearray | memoryview) -> Awaitable[None] | None:
        assert len(data) > 0
        if self._refusal is not None:
            raise self._refusal
        self.body += data
        self._grew.set()
        self._unfinished += 1
        self.most_unfinished = max(self.most_unfinished, self._unfinished)
        if self._lags:
            return self._finish()
        self._unfinished -= 1
        return None

    async def until(self, count: int) -> None:
        """Return when so many bytes have come."""
        async with asyncio.timeout(10):
            while len(self.body) < count:
                self._grew.clear()
                await self._grew.wait()

    async def _finish(self) -> None:
        for _ in range(3):
            await asyncio.sleep(0)
        self._unfinished -= 1


@dataclass(frozen=True, slots=True)
class Fetched:
    """What came of an exchange."""

    answer: Answer
    framing: Framing
    body: bytes


def request_for(uri: str, **options: Any) -> Request:
    """Return a request for an FTP URI."""
    return Request(uri=split_uri(uri, frozenset({"ftp", "ftps"})), **options)


async def fetch(
    transport: FtpTransport, uri: str, *, sink: Collector | None = None, limit: int | None = None, **options: Any
) -> Fetched:
    """Ask, and receive the body."""
    sink = sink or Collector()
    async with transport.open(request_for(uri, **options)) as exchange:
        framing = await exchange.receive(sink, limit=limit)
        return Fetched(exchange.answer, framing, bytes(sink.body))

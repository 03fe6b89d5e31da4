"""
A cable that can be bad, as data: a TCP proxy before any server.

```python
with TcpProxy(("127.0.0.1", server.listener.port), Link(reset_after=100_000)) as cable:
    fetch(f"http://{cable.authority}/a")
    cable.pull()  # nothing passes, nothing ends
    cable.plug_in()
```
"""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

from tests.servers.listener import Listener
from tests.servers.relay import both_ways, connect
from tests.servers.wire import Gone, Wire

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

_QUEUE = 256
_TICKS_PER_SECOND = 50


@dataclass(frozen=True, slots=True, kw_only=True)
class Link:
    """What happens to the bytes of one connection. Byte counts are of the direction to the client."""

    delay: float = 0.0
    """Seconds that each byte takes, in each direction."""
    piece: int | None = None
    """Bytes per packet."""
    rate: int | None = None
    """Bytes per second."""
    flip: int | None = None
    """Offset of a byte that arrives with all its bits inverted."""
    reset_after: int | None = None
    cut_after: int | None = None


class TcpProxy:
    """Carries connections to `target`, each over `link`, or over `links[n]` for the n-th (from 1)."""

    def __init__(
        self,
        target: tuple[str, int],
        link: Link | None = None,
        *,
        links: Mapping[int, Link] | None = None,
        host: str = "127.0.0.1",
    ) -> None:
        self.link = Link() if link is None else link
        """For the connections to come; may be set at any time."""
        self._links = dict(links or {})
        self._target = target
        self._wires: set[Wire] = set()
        self._plugged_in = asyncio.Event()
        self._plugged_in.set()
        self.bytes_down = 0
        """Bytes that were passed to clients."""
        self.listener = Listener(self._converse, host=host)

    @property
    def authority(self) -> str:
        """Host and port as they stand in a URL."""
        return self.listener.authority

    def pull(self) -> None:
        """Pull the cable: no byte passes in either direction, no connection ends; new ones open and are silent."""
        self.listener.call(self._plugged_in.clear)

    def plug_in(self) -> None:
        """Let bytes pass again, also those that waited."""
        self.listener.call(self._plugged_in.set)

    def cut_all(self) -> None:
        """End all present connections with RST."""
        self.listener.call(self._reset_all)

    async def until(self, predicate: Callable[[], bool], timeout: float = 10.0) -> None:
        """Wait, without blocking the loop, until the predicate holds. Raises `TimeoutError`."""
        await self.listener.until(predicate, timeout)

    def __enter__(self) -> Self:
        self.listener.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.listener.stop()

    async def _converse(self, near: Wire) -> None:
        link = self._links.get(near.number, self.link)
        await self._plugged_in.wait()
        far = await connect(*self._target)
        self._wires.add(near)
        try:
            up = _Direction(self, near, far, Link(delay=link.delay, piece=link.piece))
            down = _Direction(self, far, near, link, is_down=True)
            await both_ways(near, far, up.run(), down.run())
        finally:
            self._wires.discard(near)

    async def passable(self) -> None:
        """Wait while the cable is pulled."""
        await self._plugged_in.wait()

    def count(self, size: int) -> None:
        """Record bytes that were passed to a client."""
        with self.listener.changed:
            self.bytes_down += size
            self.listener.changed.notify_all()

    def _reset_all(self) -> None:
        for wire in list(self._wires):
            wire.reset_now()


class _Direction:
    """One direction of one connection: a reader that stamps what it gets, a writer that passes it on in time."""

    def __init__(self, proxy: TcpProxy, source: Wire, target: Wire, link: Link, *, is_down: bool = False) -> None:
        self._proxy = proxy
        self._source = source
        self._target = target
        self._link = link
        self._is_down = is_down
        self._queue: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue(_QUEUE)
        self._passed = 0

    async def run(self) -> None:
        reading = asyncio.ensure_future(self._read())
        try:
            await self._write()
        finally:
            reading.cancel()

    async def _read(self) -> None:
        received = b"x"
        while received:
            try:
                received = await self._source.receive()
            except ConnectionError:
                received = b""
            await self._queue.put((time.monotonic() + self._link.delay, received))

    async def _write(self) -> None:
        while True:
            due, data = await self._queue.get()
            await asyncio.sleep(max(0.0, due - time.monotonic()))
            if not data:
                self._target.half_close()
                return
            width = self._width(len(data))
            for start in range(0, len(data), width):
                await self._pass_on(data[start : start + width])

    async def _pass_on(self, data: bytes) -> None:
        await self._proxy.passable()
        limits = [limit for limit in (self._link.reset_after, self._link.cut_after) if limit is not None]
        rest = min(limits) - self._passed if limits else len(data)
        data = self._flipped(data[:rest])
        await self._target.send(data)
        self._passed += len(data)
        if self._is_down:
            self._proxy.count(len(data))
        if limits and self._passed >= min(limits):
            await self._end()
        if self._link.rate:
            await asyncio.sleep(len(data) / self._link.rate)

    async def _end(self) -> None:
        if self._link.reset_after is not None and self._passed >= self._link.reset_after:
            await self._target.reset()
        else:
            await self._target.cut()
        raise Gone("the link ended")

    def _flipped(self, data: bytes) -> bytes:
        at = -1 if self._link.flip is None else self._link.flip - self._passed
        if not 0 <= at < len(data):
            return data
        return data[:at] + bytes([data[at] ^ 0xFF]) + data[at + 1 :]

    def _width(self, size: int) -> int:
        if self._link.piece is not None:
            return self._link.piece
        return max(1, self._link.rate // _TICKS_PER_SECOND) if self._link.rate else size

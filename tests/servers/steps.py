"""
The alphabet of scripts: each step is a frozen value that knows how to perform itself on a stage.

A new thing to do on the wire is one more dataclass with a `perform`.
"""

from __future__ import annotations

import asyncio
import time
from concurrent.futures import Future
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Protocol

from tests.servers.content import Content, Literal

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.servers.messages import Exchange
    from tests.servers.wire import Wire

_TICKS_PER_SECOND = 25
_SHORT = 0.25  # seconds; looking whether the client is there costs more than such a sleep


class Events:
    """Named events between a test and the scripts of a server, usable from any thread and loop."""

    def __init__(self) -> None:
        self._futures: dict[str, Future[None]] = {}

    def set(self, name: str) -> None:
        """Let everybody who waits for the name go on, now and later."""
        future = self._future(name)
        if not future.done():
            future.set_result(None)

    def is_set(self, name: str) -> bool:
        """Whether the event has happened."""
        return self._future(name).done()

    def wait(self, name: str, timeout: float = 10.0) -> None:
        """Block until the event happens. Raises `TimeoutError`."""
        self._future(name).result(timeout)

    async def reached(self, name: str) -> None:
        """Wait, on any loop, until the event happens."""
        # Shielded: cancelling one who waits must not cancel the event.
        await asyncio.shield(asyncio.wrap_future(self._future(name)))

    def _future(self, name: str) -> Future[None]:
        return self._futures.setdefault(name, Future())


@dataclass(slots=True)
class Stage:
    """What a script works on: the connection, the record of the exchange, the events of the server."""

    wire: Wire
    exchange: Exchange | None
    events: Events

    def count(self, size: int) -> None:
        """Record bytes that were handed to the kernel."""
        if self.exchange is not None:
            self.exchange.bytes_sent += size

    async def pause(self, seconds: float) -> None:
        """Wait. Raises `Gone` when the other side ends a long pause."""
        if seconds > _SHORT:
            await self.wire.unless_gone(asyncio.sleep(seconds))
            return
        self.wire.push()
        if seconds > 0:
            await asyncio.sleep(seconds)

    def count_file(self, start: int, stop: int) -> None:
        """Record a range of the file that was handed to the kernel."""
        if self.exchange is None or start == stop:
            return
        ranges = self.exchange.ranges_sent
        if ranges and ranges[-1][1] == start:
            ranges[-1] = (ranges[-1][0], stop)
        else:
            ranges.append((start, stop))


class Step(Protocol):
    """One thing to do on a connection."""

    async def perform(self, stage: Stage) -> None:
        """Do it. Raises `ConnectionError` when the other side has gone."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Send:
    """
    Send a range of some content.

    With `rate`, at so many bytes a second; with `piece`, in packets of so many bytes with `pause` seconds between.
    """

    content: Content
    start: int
    stop: int
    of_file: bool = False
    rate: int | None = None
    piece: int | None = None
    pause: float = 0.0

    @property
    def size(self) -> int:
        """How many bytes it sends."""
        return self.stop - self.start

    async def perform(self, stage: Stage) -> None:
        """Send."""
        began = time.monotonic()
        width = self._width()
        for start in range(self.start, self.stop, width):
            stop = min(start + width, self.stop)
            await self._send(stage, start, stop)
            if stop < self.stop:
                due = began + (stop - self.start) / self.rate - time.monotonic() if self.rate else self.pause
                await stage.pause(due)

    def _width(self) -> int:
        if self.piece is not None:
            return self.piece
        if self.rate is not None:
            return max(1, self.rate // _TICKS_PER_SECOND)
        return max(1, self.size)

    async def _send(self, stage: Stage, start: int, stop: int) -> None:
        position = start

        def count(size: int) -> None:
            nonlocal position
            stage.count(size)
            if self.of_file:
                stage.count_file(position, position + size)
            position += size

        for view in self.content.pieces(start, stop):
            await stage.wire.send(view, count=count)


def raw(data: bytes) -> Send:
    """Send these bytes as they are."""
    return Send(content=Literal(data), start=0, stop=len(data))


@dataclass(frozen=True, slots=True)
class Repeat:
    """Send the same bytes again and again; without `times` until the client goes."""

    data: bytes
    times: int | None = None

    async def perform(self, stage: Stage) -> None:
        """Send."""
        done = 0
        while self.times is None or done < self.times:
            await stage.wire.send(self.data, count=stage.count)
            done += 1
            await asyncio.sleep(0)  # an endless answer must let the server be stopped


@dataclass(frozen=True, slots=True)
class Pause:
    """Send nothing for some seconds."""

    seconds: float

    async def perform(self, stage: Stage) -> None:
        """Wait."""
        await stage.pause(self.seconds)


@dataclass(frozen=True, slots=True)
class WaitFor:
    """Send nothing until the test sets the event."""

    event: str

    async def perform(self, stage: Stage) -> None:
        """Wait."""
        await stage.wire.unless_gone(stage.events.reached(self.event))


@dataclass(frozen=True, slots=True)
class Announce:
    """Set an event, for the test to see how far the script is."""

    event: str

    async def perform(self, stage: Stage) -> None:
        """Set it."""
        stage.events.set(self.event)


@dataclass(frozen=True, slots=True)
class Stall:
    """Keep the connection open and send nothing until the client goes."""

    async def perform(self, stage: Stage) -> None:
        """Wait."""
        never: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        await stage.wire.unless_gone(never)


@dataclass(frozen=True, slots=True)
class HalfClose:
    """Send FIN and keep reading."""

    async def perform(self, stage: Stage) -> None:
        """Shut the sending side."""
        stage.wire.half_close()


class Ended(Exception):
    """The script has ended the connection."""


@dataclass(frozen=True, slots=True)
class Close:
    """End in order: under TLS with a close_notify."""

    async def perform(self, stage: Stage) -> None:
        """Close. Raises `Ended`."""
        await stage.wire.close()
        raise Ended


@dataclass(frozen=True, slots=True)
class Cut:
    """End with FIN; under TLS without a close_notify."""

    async def perform(self, stage: Stage) -> None:
        """Close. Raises `Ended`."""
        await stage.wire.cut()
        raise Ended


@dataclass(frozen=True, slots=True)
class Reset:
    """End with RST."""

    async def perform(self, stage: Stage) -> None:
        """Close. Raises `Ended`."""
        await stage.wire.reset()
        raise Ended


Script = tuple[Step, ...]


async def perform(script: Script, stage: Stage) -> None:
    """Perform the steps in order. Raises `Ended` when one of them ends the connection."""
    for step in script:
        await step.perform(stage)


def size_of(script: Sequence[Step]) -> int:
    """Return how many bytes the script sends, endless repetition aside."""
    return sum(step.size for step in script if isinstance(step, Send))


def take(script: Script, size: int) -> Script:
    """Return the script up to its first `size` bytes; a negative size counts from the end."""
    rest = size if size >= 0 else max(0, size_of(script) + size)
    taken: list[Step] = []
    for step in script:
        if isinstance(step, Send):
            if step.size > rest:
                taken.append(replace(step, stop=step.start + rest))
                return tuple(taken)
            rest -= step.size
        taken.append(step)
    return tuple(taken)


def drop(script: Script, size: int) -> Script:
    """Return the script without its first `size` bytes; a negative size counts from the end."""
    rest = size if size >= 0 else max(0, size_of(script) + size)
    dropped: list[Step] = []
    for step in script:
        if isinstance(step, Send):
            skipped = min(rest, step.size)
            rest -= skipped
            dropped.append(replace(step, start=step.start + skipped))
        elif rest == 0:
            dropped.append(step)
    return tuple(dropped)


def split(script: Script, size: int, between: Script) -> Script:
    """Return the script with other steps put in after its first `size` bytes."""
    return (*take(script, size), *between, *drop(script, size))

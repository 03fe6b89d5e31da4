"""A body on its way into memory, which becomes that of a partial file where it comes too slowly."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final, Self

if TYPE_CHECKING:
    from collections.abc import Awaitable
    from contextlib import AbstractAsyncContextManager
    from types import TracebackType

    from bgdl_jupyter.engine.middle_bodies import MiddleBodies
    from bgdl_jupyter.transport.base import Exchange, Framing, Sink

#: What is not whole after so many seconds is written as it comes, so that a crash does not cost more than that.
LATE: Final = 0.5


class Coming:
    """
    Receives one body; is the sink of its exchange, and an exchange for whoever goes on with it.

    Parameters
    ----------
    exchange, opening:
        The open exchange, and what ends it.
    bodies, block:
        Where the memory is from, and goes back to.
    """

    has_sent_body = False

    def __init__(
        self,
        exchange: Exchange,
        opening: AbstractAsyncContextManager[Exchange],
        *,
        bodies: MiddleBodies,
        block: bytearray,
    ) -> None:
        self.answer = exchange.answer
        self.origin = exchange.origin
        self._exchange = exchange
        self._opening = opening
        self._bodies = bodies
        self._block: bytearray | None = block
        self._room = memoryview(block)
        self._filled = 0
        self._sink: Sink | None = None
        loop = asyncio.get_running_loop()
        self._begun_at = loop.time()
        self._is_decided = loop.create_future()
        self._receiving: asyncio.Task[Framing] = loop.create_task(exchange.receive(self))
        self._receiving.add_done_callback(self._decide)

    @property
    def body(self) -> memoryview:
        """What has come into memory."""
        return self._room[: self._filled]

    async def comes_soon(self) -> bool:
        """Return whether the body is whole; False as soon as it is late or has failed."""
        await self._is_decided
        return self._receiving.done() and self._receiving.exception() is None

    @property
    def framing(self) -> Framing:
        """How the end of a whole body was known."""
        return self._receiving.result()

    def tick(self, now: float, *, is_limited: bool) -> None:
        """Find out whether it is late, which it is at once where bytes are to be held back; ``now`` is the loop's."""
        if is_limited or now - self._begun_at >= LATE:
            self._decide()

    def _decide(self, _: object = None) -> None:
        if not self._is_decided.done():
            self._is_decided.set_result(None)

    # As the sink of the exchange

    def get_buffer(self) -> memoryview:
        """Return room for the next bytes."""
        return self._room[self._filled :] if self._sink is None else self._sink.get_buffer()

    def received(self, count: int) -> Awaitable[None] | None:
        """Take bytes that were put into the room."""
        if self._sink is not None:
            return self._sink.received(count)
        self._filled += count
        return None

    def write(self, data: bytes | bytearray | memoryview) -> Awaitable[None] | None:
        """Take a copy of bytes."""
        if self._sink is not None:
            return self._sink.write(data)
        self._room[self._filled : self._filled + len(data)] = data
        self._filled += len(data)
        return None

    # As an exchange

    async def receive(self, sink: Sink, *, limit: int | None = None) -> Framing:
        """Deliver what has come, then what comes; raises what it ends with."""
        assert limit is None  # noqa: S101 (all of it was asked for)
        try:
            wait = sink.write(self.body)
            self._sink = sink
            self.give_back()
            if wait is not None:
                await wait
            return await self._receiving
        finally:
            await self.break_off()

    async def break_off(self) -> None:
        """Receive nothing more."""
        if not self._receiving.done():
            self._receiving.cancel()
            await asyncio.wait({self._receiving})
        if not self._receiving.cancelled():
            self._receiving.exception()  # taken, so that it is not reported as lost

    def give_back(self) -> None:
        """Give the memory back; may be repeated."""
        block, self._block = self._block, None
        if block is not None:
            self._room, self._filled = memoryview(b""), 0
            self._bodies.give_back(block)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.break_off()
        self.give_back()
        await self._opening.__aexit__(kind, error, traceback)

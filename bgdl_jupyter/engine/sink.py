"""Where the bytes of an exchange go: through one buffer, past the limits, to their offset in the partial file."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from bgdl_jupyter.errors import ResourceChanged, TransferFailed
from bgdl_jupyter.storage.writer import BUFFER_SIZE

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Generator

    from bgdl_jupyter.engine.rate_limit import CombinedLimiter
    from bgdl_jupyter.engine.receipts import Receipts
    from bgdl_jupyter.storage.digests import RunningDigest
    from bgdl_jupyter.storage.partial_file import PartialFile
    from bgdl_jupyter.storage.writer import Writer

# What is left of a buffer when it is handed on early: smaller reads would cost more than the buffer saves.
_SLACK: Final = 64 * 1024


class OverlapMismatch(ResourceChanged):
    """The bytes before our end are others at the server: what we have belongs to another version."""


class MemorySink:
    """Collects a small body, which the committer writes together with others."""

    def __init__(self, size: int, limiter: CombinedLimiter) -> None:
        self._buffer = memoryview(bytearray(max(size, 1)))
        self._limiter = limiter
        self.received_bytes = 0

    @property
    def body(self) -> memoryview:
        """What has come."""
        return self._buffer[: self.received_bytes]

    def get_buffer(self) -> memoryview:
        """Return the room that is left."""
        return self._buffer[self.received_bytes :]

    def received(self, count: int) -> Awaitable[None] | None:
        """Count bytes that were put into the room."""
        self.received_bytes += count
        return self._limiter.take(count)

    def write(self, data: bytes | bytearray | memoryview) -> Awaitable[None] | None:
        """Copy bytes into the room."""
        self.get_buffer()[: len(data)] = data
        return self.received(len(data))


class PartialFileSink:
    """
    Writes one body into the partial file, from ``position`` on.

    Parameters
    ----------
    skipped:
        How many bytes at first are there already, and dropped.
    expected:
        What the file holds behind these, as far as it is to be compared; these bytes are not written again either.
    stop:
        Where the body is to end for us, None for wherever it ends; may be lowered while it arrives.
    took:
        Called on the loop with the number of bytes that a buffer will bring when it is full, and with negative
        numbers for what it did not bring, and for what is in the file.
    wrote:
        Called on the loop with the bounds of bytes that are in the file.
    pressure:
        Gives what to wait for before more is taken, None when nothing.
    """

    def __init__(
        self,
        file: PartialFile,
        *,
        position: int,
        skipped: int,
        stop: int | None,
        expected: bytes,
        writer: Writer,
        receipts: Receipts,
        digest: RunningDigest | None,
        limiter: CombinedLimiter,
        took: Callable[[int], None],
        wrote: Callable[[int, int], None],
        pressure: Callable[[], asyncio.Future[None] | None],
    ) -> None:
        self._file = file
        self._expected = expected
        self._overlap = bytearray(len(expected))
        self._overlapped = 0
        self._writer = writer
        self._receipts = receipts
        self._digest = digest
        self._limiter = limiter
        self._took = took
        self._wrote = wrote
        self._pressure = pressure
        self._buffer: memoryview | None = None
        self._filled = 0
        self._reserved = 0
        self._offset = position + skipped + len(expected)
        self._skip = skipped
        self.written_to = self._offset
        self.piece = BUFFER_SIZE
        self._loop = asyncio.get_running_loop()
        self._unwritten = 0
        self._idle: asyncio.Future[None] | None = None
        self._error: BaseException | None = None
        self.stop = stop
        self.received_bytes = 0
        self.is_held_back = False
        self.reached_stop = self._loop.create_future()

    @property
    def position(self) -> int:
        """Where the next byte belongs."""
        return self._offset + self._filled

    def get_buffer(self) -> memoryview:
        """Return room for the next bytes."""
        if self._skip:
            return memoryview(bytearray(min(self._skip, _SLACK)))
        if self._overlapped < len(self._expected):
            return memoryview(self._overlap)[self._overlapped :]
        if self._buffer is None:
            self._buffer, self._filled = self._writer.buffer(), 0
            self._reserved = min(self.piece, len(self._buffer))
            self._took(self._reserved)
        stop, most = max(self.piece, self._filled + _SLACK), self._limiter.most_at_once
        return self._buffer[self._filled : stop if most is None else min(stop, self._filled + most)]

    def received(self, count: int) -> Awaitable[None] | None:
        """Take bytes that were put into the room."""
        self.received_bytes += count
        if self._skip:
            self._skip -= count
            return self._limiter.take(count)
        if self._overlapped < len(self._expected):
            self._overlapped += count
            if self._overlapped == len(self._expected) and self._overlap != self._expected:
                return self._fail(OverlapMismatch("The bytes before our end are others at the server now."))
            return self._limiter.take(count)
        self._filled += count
        if self.stop is not None and self.position >= self.stop:
            return self._stop_here()
        if self._buffer is not None and min(self.piece, len(self._buffer)) - self._filled < _SLACK:
            self._hand_on(wakes=False)  # more is to come, and brings the loop here again
        return self._hold_back(count)

    def write(self, data: bytes | bytearray | memoryview) -> Awaitable[None] | None:
        """Copy bytes in; what they wait for together is returned."""
        waits: Awaitable[None] | None = None
        view = memoryview(data)
        while view:
            room = self.get_buffer()
            count = min(len(room), len(view))
            room[:count] = view[:count]
            wait = self.received(count)
            waits = _both(waits, wait)
            view = view[count:]
        return waits

    def _hold_back(self, count: int) -> Awaitable[None] | None:
        limit = self._limiter.take(count)
        self._receipts.take_in()
        room = self._writer.room()
        durable = self._pressure()
        if self._error is not None:
            return self._fail(self._error)
        if limit is None and room is None and durable is None:
            return None
        return _Waits(self, limit, asyncio.wrap_future(room) if room is not None else None, durable)

    async def wait_for(self, *waits: Awaitable[None] | None) -> None:
        """Wait until more may be taken; raises what went wrong meanwhile."""
        self.is_held_back = True
        try:
            with self._receipts.awaited():
                for wait in waits:
                    if wait is not None:
                        # The room and the watermark are shared with others: leaving must not cancel them.
                        await (asyncio.shield(wait) if isinstance(wait, asyncio.Future) else wait)
        finally:
            self.is_held_back = False
        if self._error is not None:
            raise self._error

    def _fail(self, error: BaseException) -> Awaitable[None]:
        self._error = error
        return _Waits(self)

    def _stop_here(self) -> Awaitable[None]:
        assert self.stop is not None  # noqa: S101 (the caller looked)
        surplus = self.position - self.stop
        self._filled -= surplus
        self.flush()
        if not self.reached_stop.done():
            self.reached_stop.set_result(None)
        return self._loop.create_future()  # nothing more is wanted: whoever reads is canceled

    def flush(self) -> None:
        """Hand on what is in the buffer, and hear of it as soon as it is written."""
        self._hand_on(wakes=True)

    def _hand_on(self, *, wakes: bool) -> None:
        if self._buffer is None:
            return
        buffer, filled, offset = self._buffer, self._filled, self._offset
        self._buffer, self._filled = None, 0
        self._took(filled - self._reserved)
        if not filled:
            self._writer.give_back(buffer)
            return
        self._offset += filled
        self._unwritten += 1
        bounds = offset, offset + filled
        self._writer.write(
            self._file,
            offset,
            buffer[:filled],
            digest=self._digest,
            done=lambda error: self._receipts.post(partial(self._written, bounds), error, wakes=wakes),
        )

    def _written(self, bounds: tuple[int, int], error: BaseException | None) -> None:
        self._unwritten -= 1
        self._took(bounds[0] - bounds[1])
        if error is not None:
            self._error = self._error or error
        else:
            self.written_to = bounds[1]
            self._wrote(*bounds)
        if self._unwritten == 0 and self._idle is not None and not self._idle.done():
            self._idle.set_result(None)

    async def drain(self) -> None:
        """
        Return when everything that was taken is in the file.

        Raises
        ------
        StorageFailed
            The disk refused.
        """
        self.flush()
        with self._receipts.awaited():
            while self._unwritten:
                self._idle = self._loop.create_future()
                await self._idle
        if isinstance(self._error, TransferFailed):
            raise self._error


class _Waits:
    """What `received` gives: silent when it is dropped, as a coroutine would not be."""

    __slots__ = ("_sink", "_waits")

    def __init__(self, sink: PartialFileSink, *waits: Awaitable[None] | None) -> None:
        self._sink = sink
        self._waits = waits

    def __await__(self) -> Generator[Any, None, None]:
        return self._sink.wait_for(*self._waits).__await__()


class _Both:
    """One wait after the other; silent when it is dropped, too."""

    __slots__ = ("_first", "_second")

    def __init__(self, first: Awaitable[None], second: Awaitable[None]) -> None:
        self._first = first
        self._second = second

    def __await__(self) -> Generator[Any, None, None]:
        yield from self._first.__await__()
        yield from self._second.__await__()


def _both(first: Awaitable[None] | None, second: Awaitable[None] | None) -> Awaitable[None] | None:
    if first is None or second is None:
        return second if first is None else first
    return _Both(first, second)

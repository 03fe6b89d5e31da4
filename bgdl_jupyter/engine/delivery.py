"""The body of one exchange on its way into the partial file, watched for stalls."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bgdl_jupyter.engine.progress import StallWatch
from bgdl_jupyter.engine.sink import PartialFileSink
from bgdl_jupyter.engine.small_body import SmallBody, is_small, stall_error
from bgdl_jupyter.errors import IntegrityFailed, ProtocolViolation, RangesNotSupported
from bgdl_jupyter.storage.disk import free_space, no_space
from bgdl_jupyter.transport.base import Framing
from bgdl_jupyter.web_error_status import WebErrorStatus

if TYPE_CHECKING:
    from collections.abc import Callable

    from bgdl_jupyter.engine.facilities import Facilities
    from bgdl_jupyter.engine.holding import Holding
    from bgdl_jupyter.engine.order import Options
    from bgdl_jupyter.engine.rate_limit import CombinedLimiter
    from bgdl_jupyter.ranges import ByteRange
    from bgdl_jupyter.resource import Resource
    from bgdl_jupyter.transport.base import Exchange


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivered:
    """How a body ended: ``position`` is behind its last byte, ``was_cut`` when we wanted no more of it."""

    position: int
    framing: Framing
    was_cut: bool = False
    small_body: memoryview | None = None


def check_acceptable(resource: Resource, options: Options) -> None:
    """
    Refuse what the user does not want, before a byte is written.

    Raises
    ------
    TransferFailed
        Too large, of another type, without a length or without ranges where these are required.
    """
    length = resource.length
    if options.max_size is not None and length is not None and length > options.max_size:
        raise IntegrityFailed(f"The file has {length:,} bytes, more than max_size ({options.max_size:,}).", hint="")
    if options.require_length and length is None:
        raise ProtocolViolation(
            "The server does not say how long the file is, and require_length is set.",
            web_error_status=WebErrorStatus.MISSING_CONTENT_LENGTH_SUPPORT,
        )
    if options.expect_type is not None and not _has_type(resource, options.expect_type):
        raise IntegrityFailed(f"The file is of type {resource.content_type}, not {options.expect_type}.", hint="")
    if options.is_random_access_required:
        _check_random_access(resource)


def _has_type(resource: Resource, expected: str) -> bool:
    sent = (resource.content_type or "").partition(";")[0].strip().lower()
    kind, _, sub = expected.lower().partition("/")
    return sent == expected.lower() or (sub in ("", "*") and sent.partition("/")[0] == kind)


def _check_random_access(resource: Resource) -> None:
    if resource.length is None:
        raise RangesNotSupported(
            "Random access needs a length, and the server gives none.",
            web_error_status=WebErrorStatus.MISSING_CONTENT_LENGTH_SUPPORT,
        )
    if not resource.accepts_ranges or resource.validator is None:
        raise RangesNotSupported("Random access needs ranges and a validator, and the server does not offer them.")


class Delivery:
    """Receives one body."""

    def __init__(
        self,
        exchange: Exchange,
        holding: Holding,
        *,
        facilities: Facilities,
        limiter: CombinedLimiter,
        options: Options,
    ) -> None:
        self._exchange = exchange
        self._holding = holding
        self._facilities = facilities
        self._limiter = limiter
        self._options = options
        self._sink: PartialFileSink | None = None
        self._stall: StallWatch | None = None
        self._begun_at = 0.0
        self._small: SmallBody | None = None
        self._stalled: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    async def run(self, *, position: int, gap: ByteRange, wrote: Callable[[int, int], None]) -> Delivered:
        """
        Receive the body whose first byte belongs at ``position``; the bytes before ``gap.start`` are compared.

        Raises
        ------
        TransferFailed
            The body broke off, stalled, or the disk refused; what had come is in the file.
        """
        if self._is_small(position):
            return await self._receive_small()
        file = await self._holding.open_file()
        await self._check_room(position)
        before = max(0, gap.start - position)
        # A cache that aligns its parts to blocks may send megabytes from before our end: they are not compared, and
        # nothing can be where another connection has yet to write.
        overlap = min(before, self._options.overlap, self._holding.written.contiguous_before(gap.start))
        skipped = before - overlap
        expected = await self._facilities.run(file.read, position + skipped, overlap) if overlap else b""
        self._sink = PartialFileSink(
            file,
            position=position,
            skipped=skipped,
            stop=gap.stop or self._ceiling(),
            expected=expected,
            writer=self._facilities.writer,
            receipts=self._facilities.receipts,
            digest=self._holding.digest,
            limiter=self._limiter,
            took=self._holding.took,
            wrote=wrote,
            pressure=self._holding.pressure,
        )
        now = self._begun_at = asyncio.get_running_loop().time()
        self._stall = StallWatch(now, window=self._options.stall_timeout, least=self._options.stall_bytes)
        delivered = await self._receive(self._sink)
        self._check_size(delivered.position)
        return delivered

    def _ceiling(self) -> int | None:
        """Return where a body that does not say how long it is has become too long."""
        most = self._options.max_size
        return None if most is None or self._holding.length is not None else most + 1

    def _check_size(self, size: int) -> None:
        most = self._options.max_size
        if most is not None and size > most:
            raise IntegrityFailed(f"The file has more bytes than max_size ({most:,}).", hint="")

    def _is_small(self, position: int) -> bool:
        return position == 0 and not self._holding.written and is_small(self._exchange.answer)

    async def _receive_small(self) -> Delivered:
        length = self._holding.length or 0
        self._small = small = SmallBody(self._limiter, self._options)
        framing = await small.receive(self._exchange, length)
        return Delivered(position=length, framing=framing, small_body=small.body)

    async def _check_room(self, position: int) -> None:
        length = self._holding.length
        if length is None or self._holding.file is None:
            return
        free = await self._facilities.run(free_space, self._holding.file.path.parent)
        missing = length - max(position, self._holding.written.total)
        if missing + self._options.disk_reserve > free:
            raise no_space(missing, free)

    async def _receive(self, sink: PartialFileSink) -> Delivered:
        receiving = asyncio.ensure_future(self._exchange.receive(sink))
        try:
            await asyncio.wait({receiving, sink.reached_stop, self._stalled}, return_when=asyncio.FIRST_COMPLETED)
            if receiving.done():
                return Delivered(position=await self._position_of(sink), framing=receiving.result())
            if self._stalled.done():
                raise stall_error(self._options)
            return Delivered(position=sink.position, framing=Framing.LENGTH, was_cut=True)
        finally:
            receiving.cancel()
            await asyncio.wait({receiving})
            await sink.drain()
            _retrieve(receiving)

    async def _position_of(self, sink: PartialFileSink) -> int:
        await sink.drain()
        return sink.position

    @property
    def connections(self) -> int:
        """One."""
        return 1

    @property
    def has_begun(self) -> bool:
        """Whether the body is on its way into the file."""
        return self._sink is not None

    @property
    def position(self) -> int:
        """Where the next byte belongs."""
        return self._sink.position if self._sink is not None else 0

    @property
    def written_to(self) -> int:
        """Up to where its bytes are in the file; between here and `position` they are on their way."""
        return self._sink.written_to if self._sink is not None else 0

    @property
    def rate(self) -> float:
        """Bytes per second since the body began."""
        if self._sink is None:
            return 0.0
        elapsed = asyncio.get_running_loop().time() - self._begun_at
        return self._sink.received_bytes / elapsed if elapsed > 0 else 0.0

    @property
    def stop(self) -> int | None:
        """Where the body is to end for us; may be brought nearer, when another connection takes the rest."""
        return self._sink.stop if self._sink is not None else None

    @stop.setter
    def stop(self, stop: int) -> None:
        if self._sink is not None:
            self._sink.stop = stop

    def use_pieces(self, size: int) -> None:
        """Hand on what comes in pieces of so many bytes (see `Holding.piece_for`)."""
        if self._sink is not None:
            self._sink.piece = size

    def stop_now(self) -> None:
        """Take no more of the body."""
        if self._sink is not None and not self._sink.reached_stop.done():
            self._sink.reached_stop.set_result(None)

    def tick(self, now: float, *, flushes: bool) -> None:
        """Look for a stall; hand on what waits in a buffer for more."""
        if self._small is not None:
            self._small.tick(now)
        sink, stall = self._sink, self._stall
        if sink is None or stall is None:
            return
        if stall.look(now, sink.received_bytes, is_held_back=sink.is_held_back) and not self._stalled.done():
            self._stalled.set_result(None)
        if flushes:
            sink.flush()


def _retrieve(task: asyncio.Future[Framing]) -> None:
    """Take the outcome of a task that nobody waits for any longer, so that it is not reported as lost."""
    if not task.cancelled():
        task.exception()

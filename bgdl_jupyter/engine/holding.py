"""
What we hold of a resource: the partial file, the ranges in it, and the version they are ranges of.

The order of effects is here: bytes are written, then made durable (``fdatasync``), and only then recorded. What is
recorded is therefore always there; what is there beyond it is fetched again.
"""

from __future__ import annotations

import asyncio
import logging
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

from bgdl_jupyter.engine.order import Durable, Journal, LeaseLost, Order
from bgdl_jupyter.engine.progress import Pace
from bgdl_jupyter.engine.segments import next_range_for
from bgdl_jupyter.errors import StorageFailed
from bgdl_jupyter.ranges import EMPTY, ByteRange, RangeSet
from bgdl_jupyter.resource import Kept, range_to_ask
from bgdl_jupyter.storage.digests import RunningDigest, strongest
from bgdl_jupyter.storage.folder import Folder
from bgdl_jupyter.storage.leftovers import discard_leftovers
from bgdl_jupyter.storage.partial_file import (
    PartialFile,
    PartialFileExists,
    PartialFileLost,
    discard_partial_file,
    partial_name,
)
from bgdl_jupyter.storage.publishing import find_published
from bgdl_jupyter.storage.writer import BUFFER_SIZE

if TYPE_CHECKING:
    from uuid import UUID

    from bgdl_jupyter.engine.facilities import Facilities
    from bgdl_jupyter.resource import Resource
    from bgdl_jupyter.storage.descriptor import FileIdentity

log = logging.getLogger(__name__)

# The promise is max(8 MiB, 0.1 s of transfer), 5 s. Recording begins at half of it, so that bytes still come while the
# disk takes in those before.
_ALLOWED_BYTES: Final = 8 * 1024 * 1024
_ALLOWED_SECONDS_OF_TRANSFER: Final = 0.1
_RECORD_AFTER: Final = 4.0
_LEAST_PIECE: Final = 256 * 1024


class Holding:
    """The bytes of one operation, for the time of one transfer; everything here runs on the engine's loop."""

    def __init__(self, order: Order, durable: Durable, *, facilities: Facilities, journal: Journal) -> None:
        self._order = order
        self._durable = durable
        self._facilities = facilities
        self._journal = journal
        self._recording: asyncio.Task[None] | None = None
        self._recorded_at = time.monotonic()
        self._failure: BaseException | None = None
        self._on_their_way = 0
        self._relief: asyncio.Future[None] | None = None
        self._pressed_at = 0.0
        self._held_back = 0.0
        self.file: PartialFile | None = None
        self.written = durable.finished
        self._synced = durable.finished.total
        self.resource: Resource | None = None
        self.expected_digest = order.digest
        self.digest = RunningDigest(order.digest.algorithm) if order.digest else None
        if durable.resource is not None:
            self.adopt(durable.resource)
        self.rate = 0.0
        self._pace = Pace(time.monotonic())

    @property
    def length(self) -> int | None:
        """The size of the whole, None while it is unknown."""
        return self.resource.length if self.resource else None

    @property
    def is_whole(self) -> bool:
        """Whether every byte has been written."""
        return self.length is not None and self.written.covers(self.length)

    @property
    def durable(self) -> Durable:
        """What the state file knows."""
        return self._durable

    async def begin(self) -> Path | None:
        """
        Take up the partial file of the last transfer; return the path if the file already got its name.

        A partial file that is gone, or is not the one that was recorded, means beginning from nothing.
        """
        if self._durable.file is None:
            return None
        published = await self._facilities.run(self._find_published)
        if published is not None:
            return published
        try:
            self.file = await self._facilities.run(self._reopen)
        except PartialFileLost as error:
            log.info("Begins from nothing: %s", error)
            await self._forget()
        else:
            await self._take_possession()
        return None

    async def _take_possession(self) -> None:
        """Record a file that came from another epoch, then remove the one that it was copied from."""
        assert self.file is not None  # noqa: S101 (it was just opened)
        recorded = self._durable
        await self._facilities.run(self.file.truncate, recorded.finished.stop)
        if recorded.file_epoch == recorded.epoch:
            return
        await self._remember(self._present())
        if recorded.file is not None and recorded.file != self.file.identity:
            old = self._order.directory / partial_name(self._order.operation_id, recorded.file_epoch)
            await self._facilities.run(discard_partial_file, old, recorded.file)

    def _find_published(self) -> Path | None:
        recorded = self._durable
        if recorded.committing is None or recorded.file is None or self._order.publisher is not None:
            return None
        order = self._order
        # A kernel that died while it took the file over leaves a name of an epoch in between.
        private = [partial_name(order.operation_id, each) for each in range(recorded.file_epoch, recorded.epoch + 1)]
        folder = Path(recorded.committing).parent
        path = find_published(folder, recorded.file, size=recorded.finished.total, private=private)
        if path is not None:  # who gave the name may not have lived to drop the private one
            for name in private:
                discard_partial_file(order.directory / name, recorded.file)
        return path

    def _reopen(self) -> PartialFile:
        recorded = self._durable
        assert recorded.file is not None  # noqa: S101 (the caller looked)
        order, least = self._order, recorded.finished.stop
        if recorded.file_epoch == recorded.epoch:
            return PartialFile.reopen(
                order.directory, order.operation_id, recorded.epoch, identity=recorded.file, at_least=least
            )
        return PartialFile.take_over(
            order.directory,
            order.operation_id,
            recorded.file_epoch,
            recorded.epoch,
            identity=recorded.file,
            at_least=least,
            copy=recorded.is_disputed,
        )

    async def open_file(self) -> PartialFile:
        """Return the partial file, made now if there is none."""
        if self.file is None:
            self.file = await self._facilities.run(self._create_file)
            await self._remember(self._present())
        return self.file

    def _create_file(self) -> PartialFile:
        with Folder(self._order.directory, is_made=True) as folder:
            return create_file(folder, self._order.operation_id, self._durable)

    def adopt(self, resource: Resource) -> None:
        """Take the resource as the one that the bytes belong to, and its digest as the one to check."""
        self.resource = resource
        if self._order.digest is None:
            self.expected_digest = strongest(resource.digests)
            self.digest = RunningDigest(self.expected_digest.algorithm) if self.expected_digest else None

    async def start_over(self, *, counts: bool = True) -> None:
        """Give up all bytes; the record goes first, so that no crash can mix two versions."""
        await self.finish_recording()
        restarts = self._durable.restarts + (1 if counts else 0)
        await self._remember(replace(self._durable.forgotten(), restarts=restarts, file=self._identity()))
        self.resource, self.written, self._synced = None, EMPTY, 0
        self.expected_digest = self._order.digest
        if self.digest:
            self.digest.rewind()
        if self.file is not None:
            await self._facilities.run(self.file.truncate, 0)

    def turn_to(self, source: int) -> None:
        """
        Go on from another place that has the file.

        Under a known digest the bytes stay, whatever that place calls its version; else its validator must agree.
        """
        self._durable = replace(self._durable, source=source)
        if self.expected_digest is not None and self.resource is not None:
            self.resource = replace(self.resource, validator=None)

    def continue_as(self, resource: Resource) -> Resource:
        """Take the version of another place as that of the bytes, which fit so far and have a digest to prove it."""
        assert self.resource is not None  # noqa: S101 (there are bytes)
        self.resource = replace(self.resource, validator=resource.validator, actual_uri=resource.actual_uri)
        return self.resource

    async def _forget(self) -> None:
        self.resource, self.written, self._synced = None, EMPTY, 0
        await self._remember(self._durable.forgotten())

    def kept_from(self, position: int) -> Kept:
        """Return what the decision needs to know about going on at ``position``."""
        resource = self.resource
        return Kept(
            position=position,
            length=resource.length if resource else None,
            validator=resource.validator if resource else None,
            has_digest=self.expected_digest is not None,
            restarts=self._durable.restarts,
            trusts_unverified=self._order.options.trusts_unverified,
        )

    def first_gap(self, wanted: int | None) -> ByteRange:
        """Return the first missing range, or the one that somebody waits for; its stop is 0 where it is open."""
        if self.length is None:
            return ByteRange(self.written.contiguous_from(0), 0)
        gaps = self.written.missing(self.length)
        chosen = next_range_for(wanted, gaps, smallest=1) if wanted is not None else None
        start, stop = chosen or (gaps[0] if gaps else (self.length, self.length))
        return ByteRange(start, 0 if stop == self.length else stop)

    def overlap_before(self, gap: ByteRange, kept: Kept) -> ByteRange | None:
        """Return what is to be compared before the gap; None where the whole has to be asked for."""
        options = self._order.options
        if not options.may_ask_for_parts:
            return None
        return range_to_ask(kept, overlap=min(options.overlap, self.written.contiguous_before(gap.start)))

    def learn_length(self, length: int) -> None:
        """Take note of how long the whole is."""
        assert self.resource is not None  # noqa: S101 (an answer was accepted)
        self.resource = replace(self.resource, length=length)

    def took(self, count: int) -> None:
        """Take note of room that bytes on their way into the file may fill, or with a negative number of less of it."""
        self._on_their_way += count

    def wrote(self, start: int, stop: int) -> None:
        """Take note of bytes that are in the file; begins to record when enough came together."""
        self.written = self.written.add(start, stop)
        self._pace.count(stop - start, time.monotonic(), held_back=self.held_back)
        if self._behind() >= self._allowance() // 2:
            self._record_soon()

    def tick(self, now: float) -> None:
        """Record what is older than a few seconds."""
        if now - self._recorded_at >= _RECORD_AFTER and self._behind() > 0:
            self._record_soon()

    def pressure(self) -> asyncio.Future[None] | None:
        """Return what to wait for while too much is not durable; raises what went wrong with recording."""
        if self._failure is not None:
            raise self._failure
        # What is on its way, and the buffers that connections are filling, will be behind, too.
        if self._behind() + self._on_their_way + BUFFER_SIZE <= self._allowance():
            return None
        self._record_soon()
        if self._relief is None or self._relief.done():
            self._relief = asyncio.get_running_loop().create_future()
            self._pressed_at = time.monotonic()
        return self._relief

    @property
    def held_back(self) -> float:
        """Seconds in all during which bytes waited until others were durable."""
        is_pressed = self._relief is not None and not self._relief.done()
        return self._held_back + (time.monotonic() - self._pressed_at if is_pressed else 0.0)

    def _relieve(self) -> None:
        if self._relief is not None and not self._relief.done():
            self._held_back = self.held_back
            self._relief.set_result(None)

    def _behind(self) -> int:
        return self.written.total - self._durable.finished.total

    def _allowance(self) -> int:
        return max(_ALLOWED_BYTES, int(self._pace.rate * _ALLOWED_SECONDS_OF_TRANSFER))

    def piece_for(self, connections: int) -> int:
        """Return how much each of so many connections is to hand on at once: not more than the watermark can follow."""
        return max(_LEAST_PIECE, min(BUFFER_SIZE, self._allowance() // (4 * connections)))

    def _record_soon(self) -> None:
        if self._recording is None and self._failure is None:
            self._recording = self._facilities.place.spawn(self._record(), name="watermark")

    async def _record(self) -> None:
        """Record until little is left; while one watermark is recorded, what came since is made durable already."""
        loop, recording = asyncio.get_running_loop(), None
        try:
            while self.written.total > self._synced:
                written = await self._sync()
                if recording is not None:
                    await recording
                recording = loop.create_task(self._record_as_durable(written))
                if not self._has_much_to_sync():
                    await recording
                    if not self._has_much_to_sync():
                        break
        except (StorageFailed, LeaseLost) as error:
            self._failure = error
        finally:
            if recording is not None:
                await asyncio.gather(recording, return_exceptions=True)
            self._recording = None
            self._relieve()

    def _has_much_to_sync(self) -> bool:
        return self.written.total - self._synced >= self._allowance() // 2

    async def _sync(self) -> RangeSet:
        """Make durable what is written, and return what that is."""
        assert self.file is not None  # noqa: S101 (bytes were written)
        written = self.written
        await self._facilities.sync(self.file)
        self._synced = written.total
        return written

    async def _record_as_durable(self, written: RangeSet) -> None:
        """Record what is durable by now; never before."""
        await self._remember(replace(self._present(), finished=written))
        self._recorded_at = time.monotonic()
        self._relieve()

    def _present(self) -> Durable:
        epoch = self._durable.epoch
        return replace(self._durable, resource=self.resource, file=self._identity(), file_epoch=epoch)

    def _identity(self) -> FileIdentity | None:
        return self.file.identity if self.file else None

    async def _remember(self, durable: Durable) -> None:
        await self._journal.remember(self._order.operation_id, durable)
        self._durable = durable

    async def finish_recording(self) -> None:
        """Return when nothing is being recorded; raises what went wrong with it."""
        if self._recording is not None:
            await asyncio.wait([self._recording])
        if self._failure is not None:
            raise self._failure

    async def settle(self) -> None:
        """Make everything that was written durable, and close the file."""
        try:
            await self.finish_recording()
            if self.file is not None and self._behind() > 0:
                await self._record_as_durable(await self._sync())
        finally:
            self.close()

    def close(self) -> None:
        """Close the partial file."""
        if self.file is not None:
            self.file.close()
            self.file = None

    async def discard_file(self) -> None:
        """Delete the partial file: its bytes are where they were to go."""
        if self.file is not None:
            await self._facilities.run(self.file.discard)
            self.file = None

    async def announce(self, place: str) -> None:
        """Record which place is about to get the file."""
        await self._remember(replace(self._present(), finished=self.written, committing=place))

    def ready_to_commit(self, place: str) -> Durable:
        """Return the record that announces the commit."""
        return replace(self._present(), finished=self.written, committing=place)


def create_file(folder: Folder, operation_id: UUID, durable: Durable) -> PartialFile:
    """Make an empty partial file in an open folder; for the threads of the pool."""
    epoch = durable.epoch
    if durable.file is not None:
        return PartialFile.create_in(folder, operation_id, epoch)
    # A kernel that died before its first record left one that nobody knows anything about.
    if epoch > 1:
        discard_leftovers(folder.path, operation_id, epoch - 1)
    try:
        return PartialFile.create_in(folder, operation_id, epoch)
    except PartialFileExists:
        discard_leftovers(folder.path, operation_id, epoch)
    return PartialFile.create_in(folder, operation_id, epoch)

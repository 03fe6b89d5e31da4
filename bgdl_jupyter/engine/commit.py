"""
Gives whole and verified files their names, many in one turn.

The order: the bytes are synchronised, the commit is announced in the state file, the names are
given, the directories are synchronised, the completion is recorded, and only then told. 64 files, or those that come
within 20 ms, share the two transactions and the directories; twice as many do where they come faster than that.
"""

from __future__ import annotations

import asyncio
import logging
import time
from pathlib import Path
from typing import TYPE_CHECKING, Final

from bgdl_jupyter.engine.naming import prepare_all, publish_all
from bgdl_jupyter.engine.order import LeaseLost
from bgdl_jupyter.errors import BackgroundTransferError, StorageFailed
from bgdl_jupyter.events import DestinationChosen
from bgdl_jupyter.storage.descriptor import Footprint
from bgdl_jupyter.storage.disk import most_descriptors, sync_directory

if TYPE_CHECKING:
    from collections.abc import Callable

    from bgdl_jupyter.engine.facilities import Facilities
    from bgdl_jupyter.engine.finished import Finished

log = logging.getLogger(__name__)

_ENOUGH: Final = 64
_MOST_TOGETHER: Final = 2 * _ENOUGH
# Each keeps a descriptor until it has its name: those of a batch have this part of all that there may be.
_OF_DESCRIPTORS: Final = 8
# While the names of one batch are recorded, and those of another given, the bytes of the next become durable.
_AT_ONCE: Final = 3
# Two that write at once wait for each other at the interpreter and at the folder, unless it is the disk they wait for:
# where it takes more seconds for each file, beside those that it may take for any.
_SLOW_DISK: Final = 0.003
_ONE_SYNC: Final = 0.05
_WAIT_FOR_OTHERS: Final = 0.02


class Committer:
    """Commits in batches, of which a few are under way at a time."""

    def __init__(self, facilities: Facilities) -> None:
        self._facilities = facilities
        self._waiting: list[Finished] = []
        self._most = _most_together()
        self._running = False
        self._has_room = asyncio.Semaphore(_AT_ONCE)
        self._may_write = asyncio.Semaphore(1)
        self._disk_is_slow = False
        self._is_full: asyncio.Event | None = None
        self._pending = 0
        self._idle: asyncio.Future[None] | None = None

    @property
    def is_crowded(self) -> bool:
        """Whether so many files wait that no more should be fetched meanwhile."""
        return len(self._waiting) >= 2 * self._most

    async def commit(self, finished: Finished) -> None:
        """
        Return when the file has its name and that is durable.

        Cancelling waits for the rename: if it won, the file is complete.

        Raises
        ------
        StorageFailed, DestinationExists
            The file could not get its name; the partial file is kept.
        LeaseLost
            Another kernel owns the operation.
        """
        done = _Settled(loop=asyncio.get_running_loop())
        self.hand_over(finished, done.settle)
        await unhindered(done)

    def hand_over(self, finished: Finished, ended: Callable[[BaseException | None], None]) -> None:
        """Do as `commit` does, and call ``ended`` with None or the error in place of returning."""
        finished.ended = ended
        self._pending += 1
        self._waiting.append(finished)
        if not self.is_crowded:
            finished.make_room()
        if self._is_full is not None and len(self._waiting) >= _ENOUGH:
            self._is_full.set()
        if not self._running:
            self._running = True
            self._facilities.place.spawn(self._work(), name="commit")

    async def finish(self) -> None:
        """Return when nothing is under way any more."""
        while self._pending:
            self._idle = asyncio.get_running_loop().create_future()
            await self._idle

    async def finish_published(self, finished: Finished) -> None:
        """Record a file that got its name just before its kernel died."""
        await self._facilities.run(sync_directory, Path(finished.place).parent)
        finished.footprint = await self._facilities.run(Footprint.at, finished.place)
        completed = finished.completed()
        await self._facilities.journal.remember_completed([completed])
        finished.publish(completed)

    async def _work(self) -> None:
        try:
            while self._waiting:
                await self._gather()
                await self._has_room.acquire()
                most = self._most = _most_together()
                batch, self._waiting = self._waiting[:most], self._waiting[most:]
                for each in batch if self.is_crowded else batch + self._waiting:
                    each.make_room()
                self._facilities.place.spawn(self._commit_batch(batch), name="commit of a batch")
        finally:
            self._running = False

    async def _gather(self) -> None:
        if len(self._waiting) >= _ENOUGH:
            return
        self._is_full = asyncio.Event()
        try:
            async with asyncio.timeout(_WAIT_FOR_OTHERS):
                await self._is_full.wait()
        except TimeoutError:
            return  # nobody else came in time
        finally:
            self._is_full = None

    async def _commit_batch(self, whole: list[Finished]) -> None:
        batch = whole
        try:
            await self._prepare(batch)
            batch = _without_failed(batch)
            await self._announce(batch)
            batch = _without_failed(batch)
            await self._facilities.run(publish_all, batch)
            await self._record(_without_failed(batch))
        except (BackgroundTransferError, OSError) as error:
            for entry in batch:
                entry.fail(error)
        finally:
            self._has_room.release()
            for entry in whole:
                # The loop is being shut down: whoever waits must be told, or would wait for ever.
                entry.fail(StorageFailed("The commit was interrupted."))
            self._pending -= len(whole)
            if self._idle is not None and not self._pending and not self._idle.done():
                self._idle.set_result(None)

    async def _prepare(self, batch: list[Finished]) -> None:
        """Have the bytes of a batch on the disk: of one at a time, or of two where the disk is slow."""
        await self._may_write.acquire()
        begun = time.monotonic()
        try:
            await self._facilities.run(prepare_all, batch)
        finally:
            was_slow, elapsed = self._disk_is_slow, time.monotonic() - begun
            self._disk_is_slow = elapsed > _ONE_SYNC + _SLOW_DISK * len(batch)
            for _ in range(1 + self._disk_is_slow - was_slow):
                self._may_write.release()

    async def _announce(self, batch: list[Finished]) -> None:
        named = [entry for entry in batch if entry.is_ours]
        others = [entry for entry in batch if not entry.is_ours]
        await asyncio.gather(self._announce_named(named), self._name(others))

    async def _announce_named(self, batch: list[Finished]) -> None:
        if not batch:
            return
        records = [(entry.operation_id, entry.announcement()) for entry in batch]
        for entry, is_ours in zip(batch, await self._facilities.journal.remember_all(records), strict=True):
            if not is_ours:
                entry.failure = LeaseLost()

    async def _name(self, batch: list[Finished]) -> None:
        """Reserve names for files that were so small that there was no need to before."""
        if not batch:
            return
        records = [(entry.operation_id, entry.announcement(), Path(entry.place)) for entry in batch]
        for entry, path in zip(batch, await self._facilities.journal.name_all(records), strict=True):
            if path is None:
                entry.failure = LeaseLost()
                continue
            entry.place, entry.is_ours = str(path), True
            entry.publish(DestinationChosen(operation_id=entry.operation_id, path=str(path)))

    async def _record(self, batch: list[Finished]) -> None:
        completed = [each.completed() for each in batch]
        if completed:
            await self._facilities.journal.remember_completed(completed)
        for entry, fact in zip(batch, completed, strict=True):
            entry.publish(fact)
            entry.end()


def _most_together() -> int:
    return max(1, min(_MOST_TOGETHER, most_descriptors() // _OF_DESCRIPTORS))


def _without_failed(batch: list[Finished]) -> list[Finished]:
    """Tell those that failed, and return the others; on the loop, for futures belong to it."""
    for entry in batch:
        if entry.failure is not None:
            entry.fail(entry.failure)
    return [entry for entry in batch if entry.failure is None]


class _Settled(asyncio.Future[None]):
    """A future that those who wait for it cannot cancel; a cancellation reaches them when it is done."""

    def cancel(self, msg: object = None) -> bool:  # noqa: ARG002 (asyncio's signature)
        """Refuse."""
        return False

    def settle(self, error: BaseException | None) -> None:
        """Have the outcome."""
        if error is None:
            self.set_result(None)
        else:
            self.set_exception(error)


async def unhindered(future: asyncio.Future[None]) -> None:
    """Wait to the end even when canceled meanwhile; then the outcome decides, and a completed file is no cancel."""
    canceled: asyncio.CancelledError | None = None
    while not future.done():
        try:
            # A shield costs more than the commit of a small file.
            await (future if isinstance(future, _Settled) else asyncio.shield(future))
        except asyncio.CancelledError as error:
            canceled = error
        except Exception:  # noqa: BLE001 (raised below, from where it is awaited)
            break
    if canceled is not None and future.exception() is not None:
        raise canceled
    future.result()

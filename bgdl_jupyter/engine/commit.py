"""
Gives whole and verified files their names, many in one turn.

The order: the bytes are synchronised, the commit is announced in the state file, the names are
given, the directories are synchronised, the completion is recorded, and only then told. 64 files, or those that come
within 20 ms, share the two transactions and the directories; twice as many do where they come faster than that.
"""

from __future__ import annotations

import asyncio
import logging
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from bgdl_jupyter.engine.holding import create_file
from bgdl_jupyter.engine.order import LeaseLost
from bgdl_jupyter.errors import BackgroundTransferError, StorageFailed
from bgdl_jupyter.events import Completed, DestinationChosen
from bgdl_jupyter.status import CreationCollisionOption
from bgdl_jupyter.storage.descriptor import Footprint
from bgdl_jupyter.storage.disk import most_descriptors, sync_directory
from bgdl_jupyter.storage.folder import Folder

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from uuid import UUID

    from bgdl_jupyter.engine.facilities import Facilities
    from bgdl_jupyter.engine.holding import Holding
    from bgdl_jupyter.engine.order import Durable, Order
    from bgdl_jupyter.events import Event
    from bgdl_jupyter.status import Integrity
    from bgdl_jupyter.storage.partial_file import PartialFile

log = logging.getLogger(__name__)

_ENOUGH: Final = 64
_MOST_TOGETHER: Final = 2 * _ENOUGH
# Each keeps a descriptor until it has its name: those of a batch have this part of all that there may be.
_OF_DESCRIPTORS: Final = 8
# While the names of one batch are recorded, the bytes of the next become durable.
_AT_ONCE: Final = 2
_WAIT_FOR_OTHERS: Final = 0.02
_REPLACE: Final = CreationCollisionOption.REPLACE_EXISTING


@dataclass(slots=True, kw_only=True, eq=False)
class Finished:
    """
    A file that has all its bytes, on its way to its name.

    ``place`` is the path that it is to get; where that is not ``is_ours`` yet, it gets one like it. ``holding``
    has the bytes where they are not all in ``small_body``, and ``is_written`` tells whether those are in ``file``
    already. ``failure``, ``footprint`` and
    ``path`` are what came of it; ``ended`` is called with None when that is recorded and told, or with the error.
    """

    order: Order
    durable: Durable
    place: str
    is_ours: bool
    small_body: memoryview | None
    size: int
    integrity: Integrity
    digest: str | None
    publish: Callable[[Event], None]
    holding: Holding | None = None
    file: PartialFile | None = None
    is_written: bool = False
    ended: Callable[[BaseException | None], None] | None = None
    path: Path | None = None
    footprint: Footprint | None = None
    failure: BaseException | None = None

    @property
    def operation_id(self) -> UUID:
        """Whose it is."""
        return self.order.operation_id

    @property
    def held(self) -> Holding:
        """What holds its bytes, where they are not all in ``small_body``."""
        assert self.holding is not None  # noqa: S101 (a transfer made it)
        return self.holding

    def announcement(self) -> Durable:
        """Return what the state file is to know before the file gets its name."""
        if self.small_body is None:
            return self.held.ready_to_commit(self.place)
        assert self.file is not None  # noqa: S101 (it was just written)
        return self.durable.announced(self.size, self.file.identity, self.place)

    def completed(self, path: Path | str | None = None) -> Completed:
        """Return the fact that the file has its name, or is at this URL."""
        return Completed(
            operation_id=self.order.operation_id,
            path=str(path or self.path or self.place),
            size=self.size,
            integrity=self.integrity,
            digest=self.digest,
            footprint=self.footprint,
        )

    def close(self) -> None:
        """Close the file; may be repeated."""
        if self.holding is not None:
            self.holding.close()
        if self.file is not None:
            self.file.close()

    def fail(self, error: BaseException) -> None:
        """Let whoever waits know that it has failed, unless it has ended before."""
        if self.ended is not None:
            if self.small_body is not None and self.file is not None:
                self.file.close()  # of the others something is still to be made durable
            self.end(error)

    def end(self, error: BaseException | None = None) -> None:
        """Let whoever waits know that it has ended."""
        ended, self.ended = self.ended, None
        if ended is not None:
            ended(error)


class Committer:
    """Commits in batches, of which a few are under way at a time."""

    def __init__(self, facilities: Facilities) -> None:
        self._facilities = facilities
        self._waiting: list[Finished] = []
        self._most = _most_together()
        self._running = False
        self._has_room = asyncio.Semaphore(_AT_ONCE)
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
            await self._facilities.run(_prepare_all, batch)
            batch = _without_failed(batch)
            await self._announce(batch)
            batch = _without_failed(batch)
            await self._facilities.run(_publish_all, batch)
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


# ------------------------------------------------------------------------------------------- in the threads of the pool


def _prepare_all(batch: list[Finished]) -> None:
    """
    Have all bytes on the disk.

    Every file begins to be written back before the first is waited for: the journal of the file system then takes in
    all of them at once, and the waits after the first cost next to nothing.
    """
    for entries in by_folder(batch):
        is_made = any(entry.small_body is not None for entry in entries)
        attempt(entries, _prepare, is_made=is_made)


def _publish_all(batch: list[Finished]) -> None:
    for entries in by_folder(batch):
        attempt(entries, _publish)


def by_folder(batch: list[Finished]) -> Iterable[list[Finished]]:
    """Return them sorted by the folders that they are made in."""
    folders: dict[Path, list[Finished]] = {}
    for entry in batch:
        folders.setdefault(entry.order.directory, []).append(entry)
    return folders.values()


def attempt(
    entries: list[Finished], function: Callable[[Folder, list[Finished]], None], *, is_made: bool = False
) -> None:
    """Do something with files of one folder, which is opened once; what fails for it fails for each of them."""
    try:
        with Folder(entries[0].order.directory, is_made=is_made) as folder:
            function(folder, entries)
    except (BackgroundTransferError, OSError) as error:
        for entry in entries:
            entry.failure = entry.failure or error


def each(folder: Folder, entries: list[Finished], function: Callable[[Folder, Finished], None]) -> None:
    """Do something with each file; one that fails takes no other with it."""
    for entry in entries:
        if entry.failure is None:
            try:
                function(folder, entry)
            except (BackgroundTransferError, OSError) as error:
                entry.failure = error


def _prepare(folder: Folder, entries: list[Finished]) -> None:
    each(folder, entries, write_back)
    each(folder, entries, _make_durable)


def write_back(folder: Folder, entry: Finished) -> None:
    """Write a body that is in memory into a file of its own, and have the system begin to write that back."""
    if entry.small_body is None or entry.is_written:
        return
    if entry.file is None:
        entry.file = create_file(folder, entry.operation_id, entry.durable)
    else:  # left by a commit that was announced and did not come to its end
        entry.file.truncate(0)
    entry.file.fill(entry.small_body)
    entry.is_written = True


def _make_durable(_: Folder, entry: Finished) -> None:
    assert entry.file is not None  # noqa: S101 (it was just written)
    entry.file.sync()


def _publish(folder: Folder, entries: list[Finished]) -> None:
    each(folder, entries, _give_name)
    folder.sync()


def _give_name(folder: Folder, entry: Finished) -> None:
    file, order = entry.file, entry.order
    assert file is not None  # noqa: S101 (it was prepared)
    # At the last moment: the announcement may have waited long for a disk with room.
    entry.footprint = file.check(entry.size, folder=folder)
    is_plain = entry.holding is None and order.collision is not _REPLACE and not order.replaces
    if not (is_plain and file.take_name(os.path.basename(entry.place), folder)):  # noqa: PTH119 (for every small file)
        entry.path = file.publish(Path(entry.place), order.collision, replaces=order.replaces, folder=folder)
    entry.close()

"""
Gives whole and verified files their names, many in one turn.

The order: the bytes are synchronised, the commit is announced in the state file, the names are
given, the directories are synchronised, the completion is recorded, and only then told. Up to 64 files, or those that
come within 20 ms, share the two transactions and the directories.
"""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from bgdl_jupyter.engine.order import LeaseLost
from bgdl_jupyter.errors import BackgroundTransferError, StorageFailed
from bgdl_jupyter.events import Completed, DestinationChosen
from bgdl_jupyter.storage.descriptor import Footprint
from bgdl_jupyter.storage.disk import sync_directory
from bgdl_jupyter.storage.folder import Folder

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path
    from uuid import UUID

    from bgdl_jupyter.engine.facilities import Facilities
    from bgdl_jupyter.engine.holding import Holding
    from bgdl_jupyter.engine.order import Durable, Order
    from bgdl_jupyter.events import Event
    from bgdl_jupyter.status import Integrity

log = logging.getLogger(__name__)

_MOST_TOGETHER: Final = 64
_CROWDED: Final = 4 * _MOST_TOGETHER
# While the names of one batch are recorded, the bytes of the next become durable.
_AT_ONCE: Final = 2
_WAIT_FOR_OTHERS: Final = 0.02


@dataclass(frozen=True, slots=True, kw_only=True)
class Finished:
    """
    A file that has all its bytes and no name yet.

    ``destination`` is the name that it is to get; where that is not ``is_ours`` yet, it gets one like it.
    """

    order: Order
    holding: Holding
    destination: Path
    is_ours: bool
    small_body: memoryview | None
    size: int
    integrity: Integrity
    digest: str | None
    publish: Callable[[Event], None]

    def announcement(self) -> Durable:
        """Return what the state file is to know before the file gets its name."""
        if self.small_body is not None:
            return self.holding.small_to_commit(self.destination, self.size)
        return self.holding.ready_to_commit(self.destination)

    def completed(self, path: Path | str, footprint: Footprint | None = None) -> Completed:
        """Return the fact that the file has this name, or is at this URL."""
        return Completed(
            operation_id=self.order.operation_id,
            path=str(path),
            size=self.size,
            integrity=self.integrity,
            digest=self.digest,
            footprint=footprint,
        )


@dataclass(slots=True, eq=False)
class _Entry:
    finished: Finished
    done: asyncio.Future[None]
    path: Path | None = None
    footprint: Footprint | None = None
    failure: Exception | None = None

    @property
    def operation_id(self) -> UUID:
        return self.finished.order.operation_id

    def fail(self, error: BaseException) -> None:
        if not self.done.done():
            self.done.set_exception(error)


class Committer:
    """Commits in batches, of which a few are under way at a time."""

    def __init__(self, facilities: Facilities) -> None:
        self._facilities = facilities
        self._waiting: list[_Entry] = []
        self._running = False
        self._has_room = asyncio.Semaphore(_AT_ONCE)
        self._is_full: asyncio.Event | None = None

    @property
    def is_crowded(self) -> bool:
        """Whether so many files wait that no more should be fetched meanwhile."""
        return len(self._waiting) >= _CROWDED

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
        entry = _Entry(finished, _Settled(loop=asyncio.get_running_loop()))
        self._waiting.append(entry)
        if self._is_full is not None and len(self._waiting) >= _MOST_TOGETHER:
            self._is_full.set()
        if not self._running:
            self._running = True
            self._facilities.place.spawn(self._work(), name="commit")
        await unhindered(entry.done)

    async def finish_published(self, finished: Finished) -> None:
        """Record a file that got its name just before its kernel died."""
        await self._facilities.run(sync_directory, finished.destination.parent)
        completed = finished.completed(
            finished.destination, await self._facilities.run(Footprint.at, finished.destination)
        )
        await self._facilities.journal.remember_completed([completed])
        finished.publish(completed)

    async def _work(self) -> None:
        try:
            while self._waiting:
                await self._gather()
                await self._has_room.acquire()
                batch, self._waiting = self._waiting[:_MOST_TOGETHER], self._waiting[_MOST_TOGETHER:]
                self._facilities.place.spawn(self._commit_batch(batch), name="commit of a batch")
        finally:
            self._running = False

    async def _gather(self) -> None:
        if len(self._waiting) >= _MOST_TOGETHER:
            return
        self._is_full = asyncio.Event()
        try:
            async with asyncio.timeout(_WAIT_FOR_OTHERS):
                await self._is_full.wait()
        except TimeoutError:
            return  # nobody else came in time
        finally:
            self._is_full = None

    async def _commit_batch(self, batch: list[_Entry]) -> None:
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
            for entry in batch:
                # The loop is being shut down: whoever waits must be told, or would wait for ever.
                entry.fail(StorageFailed("The commit was interrupted."))

    async def _announce(self, batch: list[_Entry]) -> None:
        named = [entry for entry in batch if entry.finished.is_ours]
        others = [entry for entry in batch if not entry.finished.is_ours]
        await asyncio.gather(self._announce_named(named), self._name(others))

    async def _announce_named(self, batch: list[_Entry]) -> None:
        if not batch:
            return
        records = [(entry.operation_id, entry.finished.announcement()) for entry in batch]
        for entry, is_ours in zip(batch, await self._facilities.journal.remember_all(records), strict=True):
            if not is_ours:
                entry.failure = LeaseLost()

    async def _name(self, batch: list[_Entry]) -> None:
        """Reserve names for files that were so small that there was no need to before."""
        if not batch:
            return
        records = [(entry.operation_id, entry.finished.announcement(), entry.finished.destination) for entry in batch]
        for entry, path in zip(batch, await self._facilities.journal.name_all(records), strict=True):
            if path is None:
                entry.failure = LeaseLost()
                continue
            entry.finished = replace(entry.finished, destination=path, is_ours=True)
            entry.finished.publish(DestinationChosen(operation_id=entry.operation_id, path=str(path)))

    async def _record(self, batch: list[_Entry]) -> None:
        completed = [each.finished.completed(each.path or each.finished.destination, each.footprint) for each in batch]
        if completed:
            await self._facilities.journal.remember_completed(completed)
        for entry, fact in zip(batch, completed, strict=True):
            entry.finished.publish(fact)
            entry.done.set_result(None)


def _without_failed(batch: list[_Entry]) -> list[_Entry]:
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


def _prepare_all(batch: list[_Entry]) -> None:
    """
    Have all bytes on the disk.

    Every file begins to be written back before the first is waited for: the journal of the file system then takes in
    all of them at once, and the waits after the first cost next to nothing.
    """
    for entries in _by_folder(batch):
        is_made = any(entry.finished.small_body is not None for entry in entries)
        _attempt(entries, _prepare, is_made=is_made)


def _publish_all(batch: list[_Entry]) -> None:
    for entries in _by_folder(batch):
        _attempt(entries, _publish)


def _by_folder(batch: list[_Entry]) -> Iterable[list[_Entry]]:
    folders: dict[Path, list[_Entry]] = {}
    for entry in batch:
        folders.setdefault(entry.finished.order.directory, []).append(entry)
    return folders.values()


def _attempt(entries: list[_Entry], function: Callable[[Folder, list[_Entry]], None], *, is_made: bool = False) -> None:
    """Do something with files of one folder, which is opened once; what fails for it fails for each of them."""
    try:
        with Folder(entries[0].finished.order.directory, is_made=is_made) as folder:
            function(folder, entries)
    except (BackgroundTransferError, OSError) as error:
        for entry in entries:
            entry.failure = entry.failure or error


def _each(folder: Folder, entries: list[_Entry], function: Callable[[Folder, _Entry], None]) -> None:
    """Do something with each file; one that fails takes no other with it."""
    for entry in entries:
        if entry.failure is None:
            try:
                function(folder, entry)
            except (BackgroundTransferError, OSError) as error:
                entry.failure = error


def _prepare(folder: Folder, entries: list[_Entry]) -> None:
    _each(folder, entries, _write_back)
    _each(folder, entries, _make_durable)


def _write_back(folder: Folder, entry: _Entry) -> None:
    holding, body = entry.finished.holding, entry.finished.small_body
    if body is not None:
        if holding.file is None:
            holding.file = holding.create_file(folder)
        else:  # left by a commit that was announced and did not come to its end
            holding.file.truncate(0)
        holding.file.write(body, 0)
        holding.file.begin_to_sync()


def _make_durable(folder: Folder, entry: _Entry) -> None:
    """Wait for the bytes, and check once more that it is the file we wrote."""
    file = entry.finished.holding.file
    assert file is not None  # noqa: S101 (it was just written)
    file.sync()
    entry.footprint = file.check(entry.finished.size, folder=folder)


def _publish(folder: Folder, entries: list[_Entry]) -> None:
    _each(folder, entries, _give_name)
    folder.sync()


def _give_name(folder: Folder, entry: _Entry) -> None:
    finished = entry.finished
    file = finished.holding.file
    assert file is not None  # noqa: S101 (it was prepared)
    order = finished.order
    entry.path = file.publish(finished.destination, order.collision, replaces=order.replaces, folder=folder)
    finished.holding.close()

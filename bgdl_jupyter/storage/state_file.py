"""
The state file: what survives the kernel.

On disk, all of it for this user alone::

    state.sqlite3            every operation, group, batch and setting of the user (with -wal and -shm while it is used)
    state.sqlite3.corrupt-…  a damaged one that was set aside; never deleted by us
    kernels/<id>             one file a living kernel, locked by it

Every method may be called from any thread and returns at once; results come as `concurrent.futures.Future`, resolved
when they are durable. Nothing else in a process may open or close the file: that would drop SQLite's locks on it.
"""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Any, Final

from bgdl_jupyter.errors import StateFileError
from bgdl_jupyter.storage import changes, queries
from bgdl_jupyter.storage.application_records import ApplicationRecords
from bgdl_jupyter.storage.commits import FLUSH_INTERVAL, CommitThread
from bgdl_jupyter.storage.leases import START, Cursor
from bgdl_jupyter.storage.record_texts import UnreadableRow
from bgdl_jupyter.storage.records import (
    COLUMNS,
    Acquired,
    ApplicationSummary,
    Holder,
    OperationRow,
    RowConflict,
)
from bgdl_jupyter.storage.store import Store

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
    from concurrent.futures import Future
    from pathlib import Path
    from uuid import UUID

    from bgdl_jupyter.storage.commits import Work

__all__ = [
    "Acquired",
    "ApplicationSummary",
    "Holder",
    "OperationRow",
    "RowConflict",
    "StateFile",
    "StateFileError",
    "UnreadableRow",
]

_LOCK_TIMEOUT: Final = 5.0
_HEARTBEAT: Final = 5.0
_ROWS_AT_ONCE: Final = 5000
_ACQUIRED_AT_ONCE: Final = 4000
_PIECE_TIMEOUT: Final = 60.0


class StateFile(ApplicationRecords):
    """
    The state file as one kernel uses it; made by `open` or `in_memory`.

    Every future raises `StateFileError` where the file cannot be used, and nothing was changed then. Updates alone are
    kept and tried again as long as the kernel lives; `notices` says so.
    """

    def __init__(self, store: Store, *, flush_interval: float = FLUSH_INTERVAL) -> None:
        self._store = store
        self._commits = CommitThread(store, flush_interval=flush_interval)
        self._position_lock = threading.Lock()
        self._position = 0
        if not store.is_read_only:
            self._position = self._commits.submit(queries.last_position, is_read=True).result()

    @classmethod
    def open(
        cls,
        path: Path,
        *,
        application: str,
        clock: Callable[[], float] = time.time,
        lock_timeout: float = _LOCK_TIMEOUT,
        flush_interval: float = FLUSH_INTERVAL,
        heartbeat: float = _HEARTBEAT,
    ) -> StateFile:
        """
        Open the state file, made where it is missing; blocks until it is there or `lock_timeout` is over.

        A file that cannot be had in that time is replaced by memory until it can (`is_in_memory`, `notices`); a damaged
        one is set aside; one of a newer version is only read (`is_read_only`).

        Parameters
        ----------
        path:
            The file; its folder is this package's own and is made private.
        application:
            What this kernel runs.
        clock:
            Gives seconds since 1970.
        lock_timeout, flush_interval, heartbeat:
            Seconds: to wait for locks, to put updates together, between signs of life.

        Raises
        ------
        StateFileError
            The folder or the file belongs to somebody else, or others may write to it.
        """
        store = Store(path, application=application, clock=clock, lock_timeout=lock_timeout, heartbeat=heartbeat)
        return cls(store, flush_interval=flush_interval)

    @classmethod
    def in_memory(cls, *, application: str, clock: Callable[[], float] = time.time) -> StateFile:
        """Return a state that ends with the process."""
        return cls(Store(None, application=application, clock=clock, lock_timeout=0.0, heartbeat=_HEARTBEAT))

    @property
    def path(self) -> Path | None:
        """Where the file is, or will be; None for memory alone."""
        return self._store.path

    @property
    def kernel_id(self) -> str:
        """The name of this kernel as an owner."""
        return self._store.kernel_id

    @property
    def is_read_only(self) -> bool:
        """Whether the file is of a newer version of this package."""
        return self._store.is_read_only

    @property
    def is_in_memory(self) -> bool:
        """Whether the state would not survive the kernel now."""
        return self._store.is_in_memory

    @property
    def notices(self) -> tuple[str, ...]:
        """What the user should know, as sentences."""
        return tuple(self._store.notices.values())

    @property
    def identity_key(self) -> bytes:
        """32 random bytes that belong to the file, for `uris.identity`."""
        return self._store.identity_key

    @property
    def is_behind(self) -> bool:
        """Whether so many changes wait to be written that who has very many more should wait; cheap."""
        return self._commits.is_behind

    # ------------------------------------------------------------------------------------------------ operations

    def next_position(self) -> int:
        """Return a place in the order behind all others."""
        with self._position_lock:
            self._position += 1
            return self._position

    def insert(self, rows: Iterable[OperationRow]) -> list[Future[None]]:
        """
        Store new operations in one transaction; this kernel becomes their owner, with epoch 1.

        Returns
        -------
        list[Future[None]]
            One a row. `RowConflict` says what is in the way of that row; the others are stored all the same.
        """
        given = list(rows)
        return self._commits.submit_for_each(self._insertion(given), len(given))

    def insert_many(self, rows: Iterable[OperationRow]) -> Future[list[Exception | None]]:
        """Do as `insert` does, with one future for all: cheaper for very many."""
        return self._commits.submit(self._insertion(list(rows)))

    def _insertion(self, rows: list[OperationRow]) -> Work[list[Exception | None]]:
        owner = self.kernel_id
        return lambda connection: queries.insert_all(connection, rows, owner)

    def update(
        self, operation_id: UUID, *, epoch: int | None = None, at_once: bool = False, **columns: Any
    ) -> Future[bool]:
        """
        Set columns of an operation.

        Parameters
        ----------
        operation_id:
            Which one.
        epoch:
            Set them only if this kernel still has the lease of this epoch; None to set them in any case.
        at_once:
            Commit now, together with all that waits; else within a quarter of a second, together with other updates.
        **columns:
            Fields of `OperationRow`; dicts are given away.

        Returns
        -------
        Future[bool]
            False: the lease is lost, or the operation does not exist. `RowConflict` where an operation that is to be
            live again is in the way of another.
        """
        return self._commits.update(operation_id, epoch, columns, at_once=at_once)

    def update_many(self, updates: Sequence[tuple[UUID, int | None, Mapping[str, Any]]]) -> Future[list[bool]]:
        """Update many operations at once, in one transaction: id, epoch and columns of each; all or none on error."""
        for _, _, columns in updates:
            changes.check_columns(columns)

        owner = self.kernel_id
        return self._commits.submit(lambda connection: changes.update_all(connection, updates, owner), is_kept=True)

    def update_first(
        self, updates: Sequence[tuple[UUID, int, Callable[[], Iterator[dict[str, Any]]]]]
    ) -> Future[list[dict[str, Any] | None]]:
        """
        Update many operations in one transaction, each with the first columns that are in nobody's way.

        Parameters
        ----------
        updates:
            Id and epoch of each, and what gives the columns to try, best first; called on the thread that commits.

        Returns
        -------
        Future[list[dict[str, Any] | None]]
            The columns that were set; None where the lease is lost. `RowConflict` where all are in somebody's way.
        """

        def update_each(connection: sqlite3.Connection) -> list[dict[str, Any] | None]:
            return [
                changes.update_first(connection, operation_id, choices(), (self.kernel_id, epoch))
                for operation_id, epoch, choices in updates
            ]

        return self._commits.submit(update_each, is_kept=True)

    def rows(
        self,
        application: str | None = None,
        group: str | None = None,
        *,
        live_only: bool = False,
        operation_ids: Iterable[UUID] | None = None,
        limit: int | None = None,
    ) -> Future[list[OperationRow]]:
        """Return operations in their order; None for any application or group. Unreadable ones are set aside."""
        if operation_ids is None:
            searches = [queries.where(application, group, live_only=live_only)]
        else:
            searches = list(queries.by_ids(operation_ids))

        def read(connection: sqlite3.Connection) -> list[OperationRow]:
            return [row for search in searches for row in self._select(connection, *search, limit=limit)]

        return self._commits.submit(read, is_read=True)

    def stream(
        self, application: str | None = None, *, live_only: bool = False, skips_ours: bool = False
    ) -> Iterator[list[OperationRow]]:
        """
        Yield what `rows` returns, some thousand at a time; the next are read while these are used.

        ``skips_ours`` leaves out those that this kernel has and that are not final.
        """
        condition, parameters = queries.where(application, None, live_only=live_only)
        if skips_ours:
            condition, parameters = f"{condition} AND (is_final OR +owner IS NOT ?)", [*parameters, self.kernel_id]

        def read_after(position: int, key: bytes) -> Future[list[OperationRow]]:
            behind = f"{condition} AND (position > ? OR (position = ? AND operation_id > ?))"
            values = [*parameters, position, position, key]
            return self._commits.submit(
                lambda connection: self._select(connection, behind, values, limit=_ROWS_AT_ONCE), is_read=True
            )

        coming = read_after(-1, b"")
        while rows := coming.result():
            coming = read_after(rows[-1].position, rows[-1].operation_id.bytes)
            yield rows

    def _select(
        self, connection: sqlite3.Connection, condition: str, parameters: Sequence[Any], *, limit: int | None
    ) -> list[OperationRow]:
        rows, unreadable = queries.select(connection, condition, parameters, limit=limit)
        if unreadable and not self.is_read_only:
            self._set_aside(unreadable)
        return rows

    def _set_aside(self, unreadable: list[tuple[int, str]]) -> None:
        def move(connection: sqlite3.Connection) -> None:
            for number, reason in unreadable:
                queries.set_row_aside(connection, number, reason, self._store.now())

        self._store.note_unreadable(len(unreadable))
        self._commits.submit(move)

    def column_values(
        self, *names: str, application: str | None = None, live_only: bool = False
    ) -> Future[list[tuple[Any, ...]]]:
        """Return some columns of many operations as they are stored (ids as bytes, records as JSON text), unchecked."""
        wrong = set(names) - set(COLUMNS)
        if wrong or not names:
            raise ValueError(f"no such columns: {', '.join(sorted(wrong))}")
        condition, parameters = queries.where(application, None, live_only=live_only)
        return self._commits.submit(
            lambda connection: queries.column_values(connection, names, condition, parameters), is_read=True
        )

    def delete(self, operation_ids: Iterable[UUID]) -> Future[int]:
        """Delete operations; their number."""
        ids = list(operation_ids)
        return self._commits.submit(lambda connection: queries.delete(connection, ids))

    def expired(self, before: float) -> Future[list[OperationRow]]:
        """Return the operations that became final before a time (seconds since 1970)."""
        return self._commits.submit(
            lambda connection: self._select(connection, "is_final AND final_at < ?", (before,), limit=None),
            is_read=True,
        )

    def prune(self, before: float) -> Future[int]:
        """Delete operations that became final before a time (seconds since 1970); their number."""
        return self._commits.submit(lambda connection: queries.prune(connection, before))

    # ------------------------------------------------------------------------------------------------ leases

    def acquire(self, application: str, *, timeout: float = _PIECE_TIMEOUT) -> Iterator[list[Acquired]]:
        """
        Take over all live operations of an application that no living kernel has; blocks while it is iterated.

        They come in their order, some thousand at a time, each piece in a transaction of its own: heartbeats and
        updates go on in between. Whoever ends between two pieces has taken the first ones, and leaves them, and those
        that it did not come to, to the next.

        Parameters
        ----------
        timeout:
            Seconds that one piece may take.

        Raises
        ------
        TimeoutError
            A piece took longer; what came before is ours.
        """
        coming: Future[tuple[list[Acquired], Cursor | None]] | None = self._acquire_behind(application, START)
        while coming is not None:
            acquired, last = coming.result(timeout)
            coming = None if last is None else self._acquire_behind(application, last)
            if acquired:
                yield acquired

    def _acquire_behind(self, application: str, after: Cursor) -> Future[tuple[list[Acquired], Cursor | None]]:
        def take(connection: sqlite3.Connection) -> tuple[list[Acquired], Cursor | None]:
            if after == START:
                self._note_position(queries.last_position(connection, application))
            now = self._store.now()
            return self._store.leases.acquire(connection, application, now, after=after, limit=_ACQUIRED_AT_ONCE)

        return self._commits.submit(take)

    def acquire_one(self, operation_id: UUID) -> Future[Acquired | None]:
        """Take over one operation, final or not; None where a living kernel has it or it does not exist."""
        return self._commits.submit(
            lambda connection: self._store.leases.acquire_one(connection, operation_id, self._store.now())
        )

    def _note_position(self, position: int) -> None:
        """Let what is created from now on be behind a place."""
        with self._position_lock:
            self._position = max(self._position, position)

    def release(self, operation_ids: Iterable[UUID] | None = None) -> Future[int]:
        """Give up the leases of operations, None for all; their number."""
        ids = None if operation_ids is None else list(operation_ids)
        return self._commits.submit(lambda connection: self._store.leases.release(connection, ids))

    def holder(self, operation_id: UUID) -> Future[Holder | None]:
        """Return the kernel, perhaps this one, that has an operation; None where nobody alive has."""
        return self._commits.submit(
            lambda connection: self._store.leases.holder(connection, operation_id, self._store.now()), is_read=True
        )

    def changed(self) -> Future[bool]:
        """Tell whether another kernel wrote since this was last asked; cheap."""
        return self._commits.changed()

    # ------------------------------------------------------------------------------------------------ the end

    def flush(self, timeout: float | None = None) -> bool:
        """Write what waits, in ``timeout`` seconds; tell whether it is written."""
        return self._commits.flush(timeout)

    def close(self, timeout: float | None = None) -> bool:
        """Write what waits, give up all leases and close; tell whether that was done in ``timeout`` seconds."""
        return self._commits.close(timeout)

"""
One thread, one transaction for all that came together.

Writes are queued; the thread takes all that are there and commits them at once. Each runs in a savepoint of its own,
so that one that fails does not take the others with it. Futures are resolved after the commit: what is told is durable.
Updates that may wait are put together per operation and written a few times a second. While the file cannot be written,
updates are kept and tried again; everything else fails, for nothing may be accepted that would be lost.
"""

from __future__ import annotations

import itertools
import logging
import os
import sqlite3
import threading
import time
import weakref
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Generic, TypeVar

from bgdl_jupyter.errors import StateFileError
from bgdl_jupyter.storage import changes
from bgdl_jupyter.storage.schema import is_damage

if TYPE_CHECKING:
    from uuid import UUID

    from bgdl_jupyter.storage.store import Store

log = logging.getLogger(__name__)

T = TypeVar("T")
#: A step inside the transaction.
Work = Callable[[sqlite3.Connection], T]

#: Seconds that an update may wait for others.
FLUSH_INTERVAL: Final = 0.25
_RETRY_INTERVAL: Final = 1.0
# Each that waits takes some kilobytes.
_MANY: Final = 10_000
# What is wrong with the file, not with one statement.
_TROUBLE: Final = frozenset(
    {
        sqlite3.SQLITE_BUSY,
        sqlite3.SQLITE_CANTOPEN,
        sqlite3.SQLITE_CORRUPT,
        sqlite3.SQLITE_FULL,
        sqlite3.SQLITE_IOERR,
        sqlite3.SQLITE_LOCKED,
        sqlite3.SQLITE_NOMEM,
        sqlite3.SQLITE_NOTADB,
        sqlite3.SQLITE_PERM,
        sqlite3.SQLITE_PROTOCOL,
        sqlite3.SQLITE_READONLY,
    }
)


@dataclass(slots=True, eq=False)
class _Write(Generic[T]):
    """Something to be done; ``is_kept`` when it is tried again as long as the file cannot be written."""

    work: Work[T]
    futures: list[Future[T]]
    is_read: bool = False
    is_kept: bool = False
    #: Of an update: the operation, the epoch of its lease, and what will be set, which grows until it is taken.
    update: tuple[UUID, int | None, dict[str, Any]] | None = None


class CommitThread(threading.Thread):
    """
    The thread that commits.

    Parameters
    ----------
    store:
        The connection and its care; used by this thread alone from now on.
    flush_interval:
        Seconds that an update may wait for others.
    """

    # A debugger lets it run on while a cell stands at a breakpoint, as it does the kernel's own threads.
    pydev_do_not_trace = True
    is_pydev_daemon_thread = True

    def __init__(self, store: Store, *, flush_interval: float = FLUSH_INTERVAL) -> None:
        super().__init__(name="bgdl-state", daemon=True)
        self._store = store
        self._flush_interval = flush_interval
        self._changed = threading.Condition()
        self._queue: list[_Write[Any]] = []
        self._updates: dict[tuple[UUID, int | None], _Write[bool]] = {}
        self._due: float | None = None
        self._is_in_trouble = False
        self._is_ending = False
        self._is_forked = False
        self._revision = -1
        self._was_changed = False
        self._mark_children()
        self.start()

    # ------------------------------------------------------------------------------------------------ queueing

    @property
    def is_behind(self) -> bool:
        """Whether so much waits that who has much more should wait; never where nothing can be written."""
        return len(self._queue) > _MANY and not self._is_in_trouble

    def submit(self, work: Work[T], *, is_read: bool = False, is_kept: bool = False) -> Future[T]:
        """
        Have something done in the next transaction.

        Raises
        ------
        StateFileError
            It cannot be: read-only, closed, or a forked copy of the process.
        """
        future: Future[T] = Future()
        self._enqueue(_Write(work, [future], is_read=is_read, is_kept=is_kept))
        return future

    def submit_for_each(self, work: Work[list[Any]], count: int) -> list[Future[None]]:
        """Have something done that gives ``count`` outcomes, exceptions or None, each for a future of its own."""
        futures: list[Future[None]] = [Future() for _ in range(count)]
        together: Future[list[Any]] = Future()
        together.add_done_callback(lambda done: _resolve_each(futures, done))
        self._enqueue(_Write(work, [together]))
        return futures

    def _enqueue(self, write: _Write[Any]) -> None:
        self._refuse_what_cannot_be(is_read=write.is_read)
        with self._changed:
            self._queue.append(write)
            # What comes later must not be put together with what came before this.
            self._updates.clear()
            self._wake(0.0)

    def update(
        self, operation_id: UUID, epoch: int | None, columns: Mapping[str, Any], *, at_once: bool
    ) -> Future[bool]:
        """Set columns of an operation, together with other updates of it that still wait."""
        changes.check_columns(columns)
        self._refuse_what_cannot_be(is_read=False)
        future: Future[bool] = Future()
        key = (operation_id, epoch)
        with self._changed:
            write = self._updates.get(key)
            if write is None or write.update is None:
                write = self._updates[key] = self._new_update(operation_id, epoch, dict(columns))
                self._queue.append(write)
            else:
                write.update[2].update(columns)
            write.futures.append(future)
            self._wake(0.0 if at_once else self._flush_interval)
        return future

    def _new_update(self, operation_id: UUID, epoch: int | None, columns: dict[str, Any]) -> _Write[bool]:
        lease = None if epoch is None else (self._store.kernel_id, epoch)
        return _Write(
            lambda connection: changes.update(connection, operation_id, columns, lease),
            [],
            is_kept=True,
            update=(operation_id, epoch, columns),
        )

    def _refuse_what_cannot_be(self, *, is_read: bool) -> None:
        if self._is_forked:
            raise StateFileError("This process is a forked copy; downloads belong to its parent.")
        if self._is_ending:
            raise StateFileError("The state file was closed.")
        if self._store.is_read_only and not is_read:
            raise StateFileError(
                "The state file is of a newer version of bgdl_jupyter and is not written.", hint="Upgrade bgdl_jupyter."
            )

    def _wake(self, seconds: float) -> None:
        due = time.monotonic() + seconds
        if self._due is None or due < self._due:
            self._due = due
            self._changed.notify_all()

    def flush(self, timeout: float | None = None) -> bool:
        """Write what waits, within ``timeout`` seconds; tell whether it is done."""
        try:
            self.submit(lambda _: None, is_read=True).result(timeout)
        except (TimeoutError, StateFileError):
            return False
        return not self._is_in_trouble

    def close(self, timeout: float | None = None) -> bool:
        """Write what waits, give up the leases and end; tell whether that was done in ``timeout`` seconds."""
        if self._is_forked:
            return True
        with self._changed:
            self._is_ending = True
            self._wake(0.0)
            self._changed.notify_all()
        if threading.current_thread() is not self:
            self.join(timeout)
        return not self.is_alive()

    # ------------------------------------------------------------------------------------------------ committing

    def run(self) -> None:
        """Commit until closed."""
        while not self._is_ending:
            batch = self._take()
            try:
                self._store.tend()
            except Exception:
                log.exception("The state file could not be tended")
            self._commit(batch)
        self._commit(self._take())
        self._fail(self._queue, StateFileError("The state file was closed before it could be written."))
        self._store.close()

    def _take(self) -> list[_Write[Any]]:
        """Wait until something is due; return everything that is queued, or nothing where only the store is due."""
        with self._changed:
            while not self._is_ending and not self._is_due():
                pause = self._store.seconds_until_due()
                if self._due is not None:
                    pause = min(pause, max(0.0, self._due - time.monotonic()))
                if pause <= 0:
                    break
                self._changed.wait(pause)
            if not self._is_ending and not self._is_due():
                return []
            batch, self._queue, self._due = self._queue, [], None
            self._updates.clear()
            return batch

    def _is_due(self) -> bool:
        return self._due is not None and self._due <= time.monotonic()

    def _commit(self, batch: list[_Write[Any]]) -> None:
        if not batch:
            return
        outcomes: list[Any] | None = None
        try:
            outcomes = self._attempt(batch)
        except sqlite3.Error as error:
            if not is_damage(error):
                self._postpone(batch, error)
                return
            outcomes = self._attempt_again(batch)
        except Exception as error:  # the thread must live: others wait for it
            log.exception("A transaction failed")
            self._fail(batch, error)
            return
        if outcomes is not None:
            self._tell(batch, outcomes)

    def _attempt_again(self, batch: list[_Write[Any]]) -> list[Any] | None:
        self._store.recover()
        try:
            return self._attempt(batch)
        except sqlite3.Error as error:
            self._postpone(batch, error)
            return None

    def _attempt(self, batch: list[_Write[Any]]) -> list[Any]:
        """Do everything in one transaction; return what came of each, values and exceptions."""
        connection = self._store.connection
        only_reads = all(write.is_read for write in batch)
        connection.execute("BEGIN" if only_reads else "BEGIN IMMEDIATE")
        try:
            outcomes = self._do_all(connection, batch)
            if not only_reads:
                self._count(connection)
            connection.execute("COMMIT")
        except BaseException:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            raise
        return outcomes

    def _do_all(self, connection: sqlite3.Connection, batch: list[_Write[Any]]) -> list[Any]:
        """Do everything in its order; updates that follow each other together: each statement waits for the GIL."""
        outcomes: list[Any] = []
        for are_updates, some in itertools.groupby(batch, lambda write: write.update is not None):
            writes = list(some)
            together = self._update_all(connection, writes) if are_updates and len(writes) > 1 else None
            outcomes += together or [_in_savepoint(connection, write.work) for write in writes]
        return outcomes

    def _update_all(self, connection: sqlite3.Connection, writes: list[_Write[Any]]) -> list[bool] | None:
        """Do updates at once; None where one of them cannot be done, and nothing was."""
        updates = [write.update for write in writes if write.update is not None]
        owner = self._store.kernel_id
        done = _in_savepoint(connection, lambda connection: changes.update_all(connection, updates, owner))
        return None if isinstance(done, Exception) else done

    def _count(self, connection: sqlite3.Connection) -> None:
        """Count the transaction, and see whether somebody else did since our last one."""
        (revision,) = connection.execute("SELECT value FROM meta WHERE name = 'revision'").fetchone()
        self._was_changed |= self._revision not in (-1, revision)
        self._revision = revision + 1
        connection.execute("UPDATE meta SET value = ? WHERE name = 'revision'", (self._revision,))

    def changed(self) -> Future[bool]:
        """Tell whether another kernel wrote since this was last asked."""

        def look(connection: sqlite3.Connection) -> bool:
            (revision,) = connection.execute("SELECT value FROM meta WHERE name = 'revision'").fetchone()
            was_changed = self._was_changed or self._revision not in (-1, revision)
            self._was_changed, self._revision = False, revision
            return was_changed

        return self.submit(look, is_read=True)

    def _tell(self, batch: list[_Write[Any]], outcomes: list[Any]) -> None:
        if self._is_in_trouble and not all(write.is_read for write in batch):
            self._is_in_trouble = False
            self._store.report_trouble(None)
        for write, outcome in zip(batch, outcomes, strict=True):
            _resolve(write.futures, outcome)

    def _postpone(self, batch: list[_Write[Any]], error: sqlite3.Error) -> None:
        """Keep the updates for another attempt, still answer what only reads, refuse the rest."""
        reads = [write for write in batch if write.is_read]
        refusal = StateFileError(f"The state file cannot be used: {error}.", hint="Nothing was changed; try again.")
        refusal.__cause__ = error
        if len(reads) == len(batch):
            self._fail(reads, refusal)
            return
        self._is_in_trouble = True
        self._store.report_trouble(error)
        self._store.look_after_file()
        kept = [write for write in batch if write.is_kept]
        with self._changed:
            self._queue = [*kept, *self._queue]
            if kept:
                self._due = time.monotonic() + _RETRY_INTERVAL
        self._fail([write for write in batch if not (write.is_kept or write.is_read)], refusal)
        self._commit(reads)

    def _fail(self, batch: list[_Write[Any]], error: Exception) -> None:
        for write in batch:
            _resolve(write.futures, error)

    # ------------------------------------------------------------------------------------------------ forks

    def _mark_children(self) -> None:
        become_inert = weakref.WeakMethod(self._become_inert)

        def in_child() -> None:
            if (mark := become_inert()) is not None:
                mark()

        os.register_at_fork(after_in_child=in_child)

    def _become_inert(self) -> None:
        self._is_forked = True
        self._store.become_inert()


def _in_savepoint(connection: sqlite3.Connection, work: Work[Any]) -> Any:
    """Do one thing and return its result or its exception; what is wrong with the file is raised."""
    connection.execute("SAVEPOINT one")
    try:
        result = work(connection)
    except sqlite3.Error as error:
        if getattr(error, "sqlite_errorcode", 0) & 0xFF in _TROUBLE:
            raise
        result = error
    except Exception as error:  # noqa: BLE001 (it belongs to whoever waits)
        result = error
    if isinstance(result, Exception):
        connection.execute("ROLLBACK TO one")
    connection.execute("RELEASE one")
    return result


def _resolve(futures: list[Future[Any]], outcome: object) -> None:
    for future in futures:
        if not future.set_running_or_notify_cancel():
            continue
        if isinstance(outcome, BaseException):
            future.set_exception(outcome)
        else:
            future.set_result(outcome)


def _resolve_each(futures: list[Future[None]], together: Future[list[Any]]) -> None:
    error = together.exception()
    outcomes = [error] * len(futures) if error is not None else together.result()
    for future, outcome in zip(futures, outcomes, strict=True):
        _resolve([future], outcome)

"""
Which database the state is in at the moment: the file, or memory as long as the file cannot be had.

A store belongs to the thread that commits; only opening happens elsewhere, on a thread that may hang with its disk
without holding up anybody.
"""

from __future__ import annotations

import ctypes
import logging
import sqlite3
import threading
import time
from concurrent.futures import Future
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from bgdl_jupyter.errors import StateFileError
from bgdl_jupyter.storage.kernels import Kernel, KernelFile, new_kernel_id
from bgdl_jupyter.storage.leases import Leases
from bgdl_jupyter.storage.salvage import carry_over, copy_tables, set_aside
from bgdl_jupyter.storage.schema import (
    UNREADABLE,
    Damaged,
    Database,
    identity_key,
    memory_database,
    open_database,
)

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

log = logging.getLogger(__name__)

_ATTEMPTS: Final = 3
# What opening may take beyond the wait for a lock, in seconds.
_GRACE: Final = 1.0


@dataclass(frozen=True, slots=True)
class _Opened:
    database: Database
    kernel_file: KernelFile | None
    notice: str | None = None


class Store:
    """
    A connection to the state, and this kernel's place in it.

    Parameters
    ----------
    path:
        The state file; None for memory alone.
    application:
        What this kernel runs.
    clock:
        Seconds since 1970.
    lock_timeout:
        Seconds to wait for the file before going on in memory.
    heartbeat:
        Seconds between two heartbeats, and between two attempts to get at the file.
    """

    def __init__(
        self,
        path: Path | None,
        *,
        application: str,
        clock: Callable[[], float],
        lock_timeout: float,
        heartbeat: float,
    ) -> None:
        self.path = path
        self.kernel_id = new_kernel_id()
        self.notices: dict[str, str] = {}
        self._application = application
        self._clock = clock
        self._lock_timeout = lock_timeout
        self._interval = heartbeat
        self._due = time.monotonic() + heartbeat
        self._opening: Future[_Opened] | None = None
        self._kernel_file: KernelFile | None = None
        self._use(self._open_first())
        self.identity_key = identity_key(self.connection)

    # ------------------------------------------------------------------------------------------------ opening

    def _open_first(self) -> _Opened:
        if self.path is None:
            return _Opened(memory_database(), None)
        opening = self._begin_opening()
        try:
            opened = opening.result(self._lock_timeout + _GRACE)
        except TimeoutError:
            self._opening = opening
            return self._in_memory("it does not answer")
        except StateFileError:
            raise
        except Exception as error:  # noqa: BLE001 (whatever is in the file, downloads must be possible)
            return self._in_memory(_reason(error))
        self._note("salvaged", opened.notice)
        if opened.database.is_read_only:
            self._note("newer", f"{self.path} is of a newer version of bgdl_jupyter and only read; upgrade to use it.")
        return opened

    def _in_memory(self, reason: str) -> _Opened:
        self._note(
            "memory",
            f"The state file {self.path} cannot be used ({reason}); downloads are kept in memory and would not survive "
            "a restart of the kernel. It is tried again every few seconds.",
        )
        return _Opened(memory_database(), None)

    def _begin_opening(self) -> Future[_Opened]:
        opening: Future[_Opened] = Future()
        opening.set_running_or_notify_cancel()
        threading.Thread(target=self._open, args=(opening,), name="bgdl-state-opening", daemon=True).start()
        return opening

    def _open(self, opening: Future[_Opened]) -> None:
        try:
            opening.set_result(self._open_file())
        except BaseException as error:  # noqa: BLE001 (it belongs to whoever waits)
            opening.set_exception(error)

    def _open_file(self) -> _Opened:
        """Open the file; a damaged one is set aside, and what is readable of it carried over."""
        assert self.path is not None  # noqa: S101 (a store in memory opens none)
        notice = None
        for _ in range(_ATTEMPTS):
            identity = _identity(self.path)
            try:
                database = open_database(self.path, timeout=self._lock_timeout)
            except Damaged as error:
                log.warning("The state file %s is damaged: %s", self.path, error)
                aside = set_aside(self.path, identity, now=self._clock())
                notice = self._salvage(aside) if aside is not None else notice
                continue
            return _Opened(database, None if database.is_read_only else self._present_kernel_file(), notice)
        raise sqlite3.OperationalError("the state file is damaged again and again")

    def _present_kernel_file(self) -> KernelFile:
        """Return our file, made where there is none (any more)."""
        assert self.path is not None  # noqa: S101 (as above)
        present = self._kernel_file
        if present is not None and present.is_there():
            return present
        return KernelFile(self.path.parent / "kernels", self.kernel_id)

    def _salvage(self, aside: Path) -> str:
        assert self.path is not None  # noqa: S101 (as above)
        database = open_database(self.path, timeout=self._lock_timeout)
        try:
            carried = carry_over(aside, database.connection)
        except UNREADABLE as error:
            log.warning("Nothing could be carried over from %s: %s", aside, error)
            carried = 0
        finally:
            database.connection.close()
        return f"The state file was damaged and is kept as {aside}; {carried} operations could be read and are here."

    def _use(self, opened: _Opened) -> None:
        if self._kernel_file is not None and self._kernel_file is not opened.kernel_file:
            self._kernel_file.drop()
        self._database = opened.database
        self._kernel_file = opened.kernel_file
        has_lock = opened.kernel_file is not None and opened.kernel_file.is_locked
        now = self._clock()
        me = Kernel.this_one(application=self._application, has_lock=has_lock, now=now, kernel_id=self.kernel_id)
        self.leases = Leases(me, opened.kernel_file)
        if opened.database.is_read_only:
            return
        try:
            self._in_transaction(lambda: self.leases.register(self.connection, now))
        except sqlite3.Error as error:
            log.debug("Registered with the next heartbeat: %s", error)
            self._due = time.monotonic()

    # ------------------------------------------------------------------------------------------------ state

    @property
    def connection(self) -> sqlite3.Connection:
        """Where the state is now."""
        return self._database.connection

    @property
    def is_read_only(self) -> bool:
        """Whether the file is of a newer version."""
        return self._database.is_read_only

    @property
    def is_in_memory(self) -> bool:
        """Whether the state would be lost with the process."""
        return self._database.identity is None

    def now(self) -> float:
        """Return the time, in seconds since 1970."""
        return self._clock()

    def _note(self, kind: str, sentence: str | None) -> None:
        """Say something to the user, None to take it back."""
        notices = {name: text for name, text in self.notices.items() if name != kind}
        if sentence is not None:
            notices[kind] = sentence
            if self.notices.get(kind) != sentence:
                log.warning("%s", sentence)
        self.notices = notices

    def note_unreadable(self, count: int) -> None:
        """Tell the user that single records could not be read."""
        self._note("unreadable", f"{count} records of {self.path} could not be read and were set aside in it.")

    # ------------------------------------------------------------------------------------------------ tending

    def seconds_until_due(self) -> float:
        """Return when `tend` wants to be called."""
        return max(0.0, self._due - time.monotonic())

    def tend(self) -> None:
        """Write the heartbeat, see whether the file is still the file, and go on in it when it can be had again."""
        if self._opening is not None and self._opening.done():
            self._end_opening(self._opening)
        if self.seconds_until_due() > 0:
            return
        self._due = time.monotonic() + self._interval
        if self.path is None or self.is_read_only:
            return
        self.look_after_file()
        if not self.is_in_memory:
            self._beat()

    def look_after_file(self) -> None:
        """Begin to open the file anew where it is not the one that we have open."""
        if self.path is None or self._opening is not None:
            return
        if self.is_in_memory or _identity(self.path) != self._database.identity:
            self._opening = self._begin_opening()

    def _end_opening(self, opening: Future[_Opened]) -> None:
        self._opening = None
        try:
            opened = opening.result()
        except Exception as error:  # noqa: BLE001 (whatever it is, the present state goes on)
            log.debug("The state file still cannot be opened: %r", error)
            return
        if opened.database.is_read_only:
            self._abandon(opened)
            return
        try:
            count = copy_tables(self.connection, opened.database.connection)
        except sqlite3.Error as error:
            log.warning("The state file cannot take over what is in memory: %s", error)
            self._abandon(opened)
            return
        log.info("The state file %s is in use, %d operations were brought along", self.path, count)
        self.connection.close()
        self._note("memory", None)
        self._note("salvaged", opened.notice or self.notices.get("salvaged"))
        self._use(opened)

    def _abandon(self, opened: _Opened) -> None:
        opened.database.connection.close()
        if opened.kernel_file is not None and opened.kernel_file is not self._kernel_file:
            opened.kernel_file.remove()

    def _abandon_late(self, opening: Future[_Opened]) -> None:
        """Close what was opened after nobody waited any more."""
        if opening.exception() is None:
            self._abandon(opening.result())

    def _beat(self) -> None:
        # A heartbeat need not survive a power loss; without the fsync the disk may sleep.
        eased = self._database.uses_log
        try:
            if eased:
                self.connection.execute("PRAGMA synchronous = NORMAL")
            self._in_transaction(lambda: self.leases.beat(self.connection, self._clock()))
        except sqlite3.Error as error:
            log.debug("No heartbeat: %s", error)
        finally:
            if eased:
                self.connection.execute("PRAGMA synchronous = FULL")

    def _in_transaction(self, function: Callable[[], None]) -> None:
        self.connection.execute("BEGIN IMMEDIATE")
        try:
            function()
            self.connection.execute("COMMIT")
        except BaseException:
            if self.connection.in_transaction:
                self.connection.execute("ROLLBACK")
            raise

    def recover(self) -> None:
        """Set the file aside, which was found damaged, and go on in a new one, or in memory."""
        if self.path is None:
            return
        identity = self._database.identity
        self.connection.close()
        try:
            aside = set_aside(self.path, identity, now=self._clock())
            if aside is not None:
                self._note("salvaged", self._salvage(aside))
            opened = self._open_file()
        except Exception as error:  # noqa: BLE001 (as in the beginning)
            opened = self._in_memory(_reason(error))
        self._use(opened)

    def report_trouble(self, error: sqlite3.Error | None) -> None:
        """Tell the user that nothing can be written, None that it can be again."""
        if error is None:
            self._note("trouble", None)
        else:
            self._note(
                "trouble",
                f"The state file cannot be written ({error}); what happens is kept in memory and written when it can.",
            )

    def close(self) -> None:
        """Give up all leases and close the file."""
        try:
            if not self.is_read_only:
                self._in_transaction(lambda: self.leases.leave(self.connection))
        except sqlite3.Error as error:
            log.debug("Could not take leave: %s", error)
        self.connection.close()
        if self._kernel_file is not None:
            self._kernel_file.remove()
            self._kernel_file = None
        if self._opening is not None:
            self._opening.add_done_callback(self._abandon_late)

    def become_inert(self) -> None:
        """
        In a forked child: drop the lock, and never close the connection.

        The lock would outlive the parent. Closing would write the parent's log from here, by what this copy believes
        of it; so the connection is kept from ever being collected.
        """
        if self._kernel_file is not None:
            self._kernel_file.drop()
        ctypes.pythonapi.Py_IncRef(ctypes.py_object(self._database.connection))


def _identity(path: Path) -> tuple[int, int] | None:
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_dev, status.st_ino


def _reason(error: Exception) -> str:
    return getattr(error, "strerror", None) or str(error)

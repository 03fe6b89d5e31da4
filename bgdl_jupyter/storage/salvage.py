"""
What happens to a state file that cannot be read: it is set aside, never deleted, and what is readable is carried over.

On disk afterwards::

    state.sqlite3                                the new one
    state.sqlite3.corrupt-20260102T030405Z       the old one (with -wal and -shm, where it had them)
"""

from __future__ import annotations

import contextlib
import fcntl
import logging
import os
import sqlite3
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from bgdl_jupyter.storage.private_files import PRIVATE_FILE
from bgdl_jupyter.storage.schema import RECORD_TABLES, UNREADABLE, lenient_text

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

log = logging.getLogger(__name__)

_COMPANIONS: Final = ("-wal", "-shm", "-journal")
_WAIT: Final = 5.0
#: The tables that are carried over; those that tell of running kernels are among them.
CARRIED: Final = ("operations", *RECORD_TABLES, "applications", "kernels", "quarantine")


def set_aside(path: Path, identity: tuple[int, int] | None, *, now: float) -> Path | None:
    """
    Rename a damaged state file; return its new path, or None where another kernel has done it already.

    Parameters
    ----------
    identity:
        Device and inode of the file that was found damaged, None to take whatever is there.
    path, now:
        Where it is, and the time for its name.
    """
    lock = path.with_name(f"{path.name}.lock")
    with _one_at_a_time(lock), contextlib.suppress(FileNotFoundError):
        status = path.lstat()
        if identity is not None and (status.st_dev, status.st_ino) != identity:
            return None
        aside = _free_name(path, now)
        # The companions first: a log beside a new file would be taken for its own.
        for companion in _COMPANIONS:
            with contextlib.suppress(FileNotFoundError):
                path.with_name(path.name + companion).rename(aside.with_name(aside.name + companion))
        path.rename(aside)
        return aside
    return None


def _free_name(path: Path, now: float) -> Path:
    try:
        stamp = datetime.fromtimestamp(now, UTC).strftime("%Y%m%dT%H%M%SZ")
    except (ValueError, OverflowError, OSError):  # a clock that is far off
        stamp = "unknown-time"
    names = (path.with_name(f"{path.name}.corrupt-{stamp}{f'-{number}' if number else ''}") for number in range(1000))
    return next(name for name in names if not name.exists())


@contextlib.contextmanager
def _one_at_a_time(path: Path) -> Iterator[None]:
    """Keep two kernels from setting aside each other's new file; where locks do not work the inode has to do."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, PRIVATE_FILE)
    try:
        deadline = time.monotonic() + _WAIT
        while time.monotonic() < deadline:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                time.sleep(0.01)
            except OSError:
                break
            else:
                break
        yield
    finally:
        os.close(descriptor)


def carry_over(damaged: Path, target: sqlite3.Connection) -> int:
    """Copy what can be read of a damaged file into an empty one; return how many operations that are."""
    # Without a log there is nobody to agree with, and SQLite need not put anything beside the file.
    has_log = damaged.with_name(f"{damaged.name}-wal").exists()
    uri = f"{damaged.absolute().as_uri()}?mode=ro{'' if has_log else '&immutable=1'}"
    source = sqlite3.connect(uri, uri=True, timeout=1.0)
    source.text_factory = lenient_text
    try:
        # So the tables can be read that are described right where another is not.
        source.execute("PRAGMA writable_schema = ON")
        count = copy_tables(source, target)
        with contextlib.suppress(*UNREADABLE):
            _carry_key(source, target)
    finally:
        source.close()
    return count


def copy_tables(source: sqlite3.Connection, target: sqlite3.Connection) -> int:
    """Copy all rows that can be read and are not in the way of others; return how many operations that are."""
    target.execute("BEGIN IMMEDIATE")
    try:
        counts = {table: _carry_table(source, target, table) for table in CARRIED}
        target.execute("COMMIT")
    except BaseException:
        if target.in_transaction:
            target.execute("ROLLBACK")
        raise
    return counts["operations"]


def _carry_key(source: sqlite3.Connection, connection: sqlite3.Connection) -> None:
    row = source.execute("SELECT value FROM meta WHERE name = 'identity_key'").fetchone()
    if row is not None and type(row[0]) is bytes and len(row[0]) == 32:  # noqa: PLR2004 (the length of our keys)
        connection.execute("UPDATE meta SET value = ? WHERE name = 'identity_key'", row)


def _carry_table(source: sqlite3.Connection, connection: sqlite3.Connection, table: str) -> int:
    columns = [row[1] for row in connection.execute(f"PRAGMA table_info({table})")]
    names = ", ".join(f'"{name}"' for name in columns)
    marks = ", ".join("?" * len(columns))
    carried = 0
    for row in _readable_rows(source, table, names):
        with contextlib.suppress(sqlite3.Error):  # a row that breaks a rule of the tables is left in the old file
            cursor = connection.execute(f"INSERT OR IGNORE INTO {table} ({names}) VALUES ({marks})", row)  # noqa: S608 (our own names)
            carried += cursor.rowcount
    return carried


def _readable_rows(source: sqlite3.Connection, table: str, names: str) -> Iterator[tuple[Any, ...]]:
    """Yield rows from the start to the first damage, then from the end to the last one."""
    order = "rowid" if table in ("operations", "quarantine") else "1"
    for direction in ("ASC", "DESC"):
        try:
            yield from source.execute(f"SELECT {names} FROM {table} ORDER BY {order} {direction}")  # noqa: S608 (as above)
        except UNREADABLE as error:
            log.debug("Reading %s %s ended: %s", table, direction, error)
        else:
            return

"""
The tables of the state file, their version, and how the file is opened.

A file of a newer version is opened for reading only, and nothing of it is changed. On a local disk a write-ahead log
is used; where other machines may use the same file, the rollback journal. Every commit is durable before it returns.
"""

from __future__ import annotations

import os
import secrets
import sqlite3
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from bgdl_jupyter.storage.private_files import is_on_network, make_private_directory, make_private_file
from bgdl_jupyter.storage.records import COLUMNS

if TYPE_CHECKING:
    from pathlib import Path

#: The version of the tables that this package writes.
VERSION: Final = 1
_APPLICATION_ID: Final = 0x4247444C  # "BGDL"
# Small files are read through at the start; in large ones damage shows when it is met.
_CHECKED_WHOLE: Final = 8 << 20
_KEY_BYTES: Final = 32
#: What reading a damaged file raises; SQLite's message may repeat what is damaged, and that need not be text.
UNREADABLE: Final = (sqlite3.Error, UnicodeDecodeError)

_TABLES: Final = """
CREATE TABLE meta (name TEXT PRIMARY KEY, value) WITHOUT ROWID;
CREATE TABLE operations (
    operation_id BLOB PRIMARY KEY,
    application TEXT NOT NULL,
    "group" TEXT NOT NULL,
    identity TEXT NOT NULL,
    destination_key TEXT,
    status INTEGER NOT NULL,
    is_final INTEGER NOT NULL,
    was_seen INTEGER NOT NULL,
    position INTEGER NOT NULL,
    created_at REAL NOT NULL,
    final_at REAL,
    batch TEXT,
    record TEXT NOT NULL,
    resource TEXT,
    watermark TEXT,
    owner TEXT,
    epoch INTEGER NOT NULL
);
CREATE UNIQUE INDEX one_live_identity ON operations (application, identity) WHERE NOT is_final;
CREATE UNIQUE INDEX one_live_destination ON operations (destination_key)
    WHERE NOT is_final AND destination_key IS NOT NULL;
CREATE INDEX of_application ON operations (application, position);
CREATE INDEX of_owner ON operations (owner) WHERE owner IS NOT NULL;
CREATE TABLE groups (
    application TEXT NOT NULL, name TEXT NOT NULL, record TEXT NOT NULL, PRIMARY KEY (application, name)
) WITHOUT ROWID;
CREATE TABLE batches (
    application TEXT NOT NULL, name TEXT NOT NULL, record TEXT NOT NULL, PRIMARY KEY (application, name)
) WITHOUT ROWID;
CREATE TABLE settings (
    application TEXT NOT NULL, name TEXT NOT NULL, record TEXT NOT NULL, PRIMARY KEY (application, name)
) WITHOUT ROWID;
CREATE TABLE applications (application TEXT PRIMARY KEY, last_seen_at REAL NOT NULL) WITHOUT ROWID;
CREATE TABLE kernels (
    kernel_id TEXT PRIMARY KEY,
    application TEXT NOT NULL,
    host TEXT NOT NULL,
    boot_id TEXT NOT NULL,
    pid_namespace TEXT NOT NULL,
    pid INTEGER NOT NULL,
    started TEXT NOT NULL,
    has_lock INTEGER NOT NULL,
    since REAL NOT NULL,
    heartbeat REAL NOT NULL
) WITHOUT ROWID;
CREATE TABLE quarantine (source TEXT NOT NULL, reason TEXT NOT NULL, at REAL NOT NULL, content TEXT NOT NULL);
"""

#: The tables of named records.
RECORD_TABLES: Final = ("groups", "batches", "settings")
#: What leads from a version to the next; the index is the version before.
MIGRATIONS: Final[tuple[str, ...]] = (_TABLES,)


class Damaged(Exception):
    """The file is no state file, or its contents contradict themselves."""


@dataclass(frozen=True, slots=True)
class Database:
    """An open state file; ``identity`` is device and inode, None in memory."""

    connection: sqlite3.Connection
    is_read_only: bool = False
    uses_log: bool = False
    identity: tuple[int, int] | None = None


def open_database(path: Path, *, timeout: float) -> Database:
    """
    Open the state file, made private, and of the present version where it was of an older one.

    Parameters
    ----------
    path:
        The file; its folder is made.
    timeout:
        Seconds to wait for a lock, also later.

    Raises
    ------
    Damaged
        The file cannot be read; it was not touched.
    StateFileError
        The folder or the file cannot be trusted.
    OSError, sqlite3.OperationalError
        It cannot be had now.
    """
    make_private_directory(path.parent)
    make_private_file(path)
    try:
        return _open(path, timeout)
    except UnicodeDecodeError as error:  # SQLite's message repeats what is damaged
        raise Damaged("the tables are described by what is no text") from error
    except sqlite3.DatabaseError as error:
        if is_damage(error):
            raise Damaged(str(error)) from error
        raise


def is_damage(error: sqlite3.Error) -> bool:
    """Whether SQLite says that the file is not what it should be."""
    code = getattr(error, "sqlite_errorcode", None)
    return code is not None and code & 0xFF in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)


def _open(path: Path, timeout: float) -> Database:
    if _version_of(path, timeout) > VERSION:
        return _open_newer(path, timeout)
    connection = _connect(path, timeout)
    try:
        uses_log = _set_journal(connection, path, timeout)
        migrate(connection)
        _check(connection, path)
        _try_to_write(connection, path)
    except BaseException:
        connection.close()
        raise
    return Database(connection, uses_log=uses_log, identity=_identity(path))


def _open_newer(path: Path, timeout: float) -> Database:
    """Open a file of a newer version to read it; one that cannot be read is not touched either (S4)."""
    connection = _connect(path, timeout, is_read_only=True)
    try:
        identity_key(connection)
    except (Damaged, *UNREADABLE) as error:
        connection.close()
        raise sqlite3.OperationalError(f"it is of a newer version of bgdl_jupyter and not readable: {error}") from error
    return Database(connection, is_read_only=True, identity=_identity(path))


def _identity(path: Path) -> tuple[int, int]:
    status = path.stat()
    return status.st_dev, status.st_ino


def _version_of(path: Path, timeout: float) -> int:
    """Return the version without a change to the file: a connection that may write would, when it is closed."""
    connection = _connect(path, timeout, is_read_only=True)
    try:
        return int(connection.execute("PRAGMA user_version").fetchone()[0])
    except sqlite3.OperationalError as error:
        # A journal of a crash waits to be rolled back, which a reader cannot do: then it is none of a newer version
        # that we could harm, and an ordinary connection looks again.
        if error.sqlite_errorcode & 0xFF in (sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN):
            return 0
        raise
    finally:
        connection.close()


def _connect(path: Path, timeout: float, *, is_read_only: bool = False) -> sqlite3.Connection:
    target = f"{path.absolute().as_uri()}?mode={'ro' if is_read_only else 'rw'}"
    connection = sqlite3.connect(target, uri=True, timeout=timeout, isolation_level=None, check_same_thread=False)
    connection.text_factory = lenient_text
    connection.execute("PRAGMA trusted_schema = OFF")  # nothing in the file may call a function
    return connection


def lenient_text(raw: bytes) -> str | bytes:
    """Return a text, or its bytes where they are none: one flipped bit must not hide all other rows."""
    try:
        return raw.decode()
    except UnicodeDecodeError:
        return raw


def _set_journal(connection: sqlite3.Connection, path: Path, timeout: float) -> bool:
    wanted = "delete" if is_on_network(path) else "wal"
    deadline = time.monotonic() + timeout
    while True:
        try:
            (present,) = connection.execute(f"PRAGMA journal_mode = {wanted}").fetchone()
        except sqlite3.OperationalError as error:
            # SQLite does not wait for this lock by itself; another kernel is just doing the same.
            if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or time.monotonic() > deadline:
                raise
            time.sleep(0.01)
        else:
            break
    # With a rollback journal, EXTRA also makes the removal of the journal durable, which is the commit.
    connection.execute(f"PRAGMA synchronous = {'FULL' if present == 'wal' else 'EXTRA'}")
    return bool(present == "wal")


def memory_database() -> Database:
    """Return empty tables in memory."""
    connection = sqlite3.connect(":memory:", isolation_level=None, check_same_thread=False)
    migrate(connection)
    return Database(connection)


def migrate(connection: sqlite3.Connection) -> None:
    """Bring the tables to the present version, or raise `Damaged` where they are somebody else's."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        version = _migratable_version(connection)
        for script in MIGRATIONS[version:]:
            for statement in script.split(";"):
                connection.execute(statement)
        if version == 0:
            key = secrets.token_bytes(_KEY_BYTES)
            connection.execute("INSERT INTO meta VALUES ('identity_key', ?), ('revision', 0)", (key,))
        if version < VERSION:
            connection.execute(f"PRAGMA user_version = {VERSION}")
            connection.execute(f"PRAGMA application_id = {_APPLICATION_ID}")
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


def _migratable_version(connection: sqlite3.Connection) -> int:
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    if version > VERSION:
        raise sqlite3.OperationalError("the file was just taken over by a newer version")
    if version == 0 and connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]:
        raise Damaged("the file holds tables of something else")
    return int(version)


def _check(connection: sqlite3.Connection, path: Path) -> None:
    """Raise `Damaged` for tables that are not ours or contradict themselves."""
    if connection.execute("PRAGMA application_id").fetchone()[0] != _APPLICATION_ID:
        raise Damaged("the file belongs to another program")
    try:
        found = tuple(row[1] for row in connection.execute("PRAGMA table_info(operations)"))
        key = identity_key(connection)
        revision = connection.execute("SELECT value FROM meta WHERE name = 'revision'").fetchone()
    except sqlite3.OperationalError as error:
        if error.sqlite_errorcode & 0xFF == sqlite3.SQLITE_ERROR:  # no such table
            raise Damaged(str(error)) from error
        raise
    if set(found) != set(COLUMNS) or len(key) != _KEY_BYTES or revision is None or type(revision[0]) is not int:
        raise Damaged("the tables have another shape")
    if path.stat().st_size <= _CHECKED_WHOLE:
        (verdict,) = connection.execute("PRAGMA quick_check(1)").fetchone()
        if verdict != "ok":
            raise Damaged(str(verdict))


def _try_to_write(connection: sqlite3.Connection, path: Path) -> None:
    """Write and take it back; raise `Damaged` for a file that says it were read-only, and is not."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        connection.execute("UPDATE meta SET value = value + 1 WHERE name = 'revision'")
    except sqlite3.OperationalError as error:
        if error.sqlite_errorcode & 0xFF == sqlite3.SQLITE_READONLY and os.access(path, os.W_OK):
            raise Damaged("its format is none that can be written") from error
        raise
    finally:
        if connection.in_transaction:
            connection.execute("ROLLBACK")


def identity_key(connection: sqlite3.Connection) -> bytes:
    """Return the random key of this file; raises `Damaged` where it is none."""
    row = connection.execute("SELECT value FROM meta WHERE name = 'identity_key'").fetchone()
    if row is None or type(row[0]) is not bytes:
        raise Damaged("the key is missing")
    return bytes(row[0])

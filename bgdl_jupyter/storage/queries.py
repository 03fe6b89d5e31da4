"""What is asked of the tables of operations and of named records, as functions of a connection inside a transaction."""

from __future__ import annotations

import contextlib
import itertools
import sqlite3
from typing import TYPE_CHECKING, Any, Final, Literal
from uuid import UUID

from bgdl_jupyter.storage.record_texts import UnreadableRow, decode_record, encode_record
from bgdl_jupyter.storage.records import (
    COLUMNS,
    OperationRow,
    RowConflict,
    RowReader,
    loaded_text,
    stored,
    stored_row,
    stored_text,
)
from bgdl_jupyter.storage.schema import RECORD_TABLES

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

# The names come from the dataclass and from the schema; every value is a parameter.
#: All columns.
NAMES: Final = ", ".join(f'"{name}"' for name in COLUMNS)
_INSERT: Final = f"INSERT INTO operations ({NAMES}) VALUES ({', '.join('?' * len(COLUMNS))})"  # noqa: S608 (above)
_SELECT: Final = f"SELECT {NAMES} FROM operations"  # noqa: S608 (above)
# Behind the columns, where the number of the row is before them.
_END: Final = 1 + len(COLUMNS)
# What a row that cannot be stored raises: a broken rule of the tables, or a value that is none for SQLite or JSON.
_WRONG_ROW: Final = (
    sqlite3.IntegrityError,
    sqlite3.InterfaceError,
    sqlite3.ProgrammingError,
    ValueError,
    TypeError,
    OverflowError,
)
# So many rows come so rarely that they may have more memory, in KiB.
_MANY: Final = 1000
_MEMORY: Final = 16_000
# SQLite takes at least 999 parameters.
_IDS_AT_ONCE: Final = 500


def insert(connection: sqlite3.Connection, row: OperationRow, owner: str) -> None:
    """
    Insert an operation with a first lease.

    Raises
    ------
    RowConflict
        Another one is in the way.
    """
    try:
        connection.execute(_INSERT, stored_row(row, owner=owner, epoch=1))
    except sqlite3.IntegrityError:
        _raise_conflict(connection, ("operation_id = ?", (row.operation_id.bytes,)), "operation")
        raise_conflicts(connection, row.operation_id, row.application, row.identity, row.destination_key)
        raise


def insert_all(connection: sqlite3.Connection, rows: Sequence[OperationRow], owner: str) -> list[Exception | None]:
    """Insert many operations with a first lease; return for each what was wrong with it, or None."""
    connection.execute("SAVEPOINT many")
    with _much_memory(connection) if len(rows) >= _MANY else contextlib.nullcontext():
        try:
            # Much faster, and nearly always there is no conflict.
            connection.executemany(_INSERT, (stored_row(row, owner=owner, epoch=1) for row in rows))
        except _WRONG_ROW:
            connection.execute("ROLLBACK TO many")
            outcomes = [_outcome_of_insert(connection, row, owner) for row in rows]
        else:
            outcomes = [None] * len(rows)
    connection.execute("RELEASE many")
    return outcomes


@contextlib.contextmanager
def _much_memory(connection: sqlite3.Connection) -> Iterator[None]:
    """Let pages stay in memory while very many rows are inserted: half of the indexes are hit at random."""
    (usual,) = connection.execute("PRAGMA cache_size").fetchone()
    connection.execute(f"PRAGMA cache_size = {-_MEMORY}")
    try:
        yield
    finally:
        connection.execute(f"PRAGMA cache_size = {usual:d}")


def _outcome_of_insert(connection: sqlite3.Connection, row: OperationRow, owner: str) -> Exception | None:
    try:
        insert(connection, row, owner)
    except (RowConflict, *_WRONG_ROW) as error:
        return error
    return None


def raise_conflicts(
    connection: sqlite3.Connection, operation_id: UUID, application: str, identity: str, destination_key: str | None
) -> None:
    """Raise `RowConflict` where another live operation has the same identity or destination."""
    others = "NOT is_final AND operation_id != ?", (operation_id.bytes,)
    same_identity = stored_text(application), stored_text(identity)
    _raise_conflict(
        connection, (f"{others[0]} AND application = ? AND identity = ?", (*others[1], *same_identity)), "identity"
    )
    same_destination = (stored("destination_key", destination_key),)
    _raise_conflict(
        connection, (f"{others[0]} AND destination_key = ?", (*others[1], *same_destination)), "destination"
    )


def _raise_conflict(
    connection: sqlite3.Connection,
    search: tuple[str, tuple[Any, ...]],
    kind: Literal["operation", "identity", "destination"],
) -> None:
    condition, parameters = search
    found = connection.execute(
        f'SELECT operation_id, application, "group" FROM operations WHERE {condition}',  # noqa: S608 (above)
        parameters,
    ).fetchone()
    if found is not None:
        operation_id, application, group = found
        raise RowConflict(
            kind=kind,
            operation_id=UUID(bytes=operation_id),
            application=loaded_text(application),
            group=loaded_text(group),
        ) from None


def select(
    connection: sqlite3.Connection,
    condition: str,
    parameters: Sequence[Any],
    *,
    limit: int | None = None,
) -> tuple[list[OperationRow], list[tuple[int, str]]]:
    """
    Return the operations that meet a condition, in their order, and the unreadable ones as row number and reason.

    The caller sets the latter aside where it may write.
    """
    return read(stored_rows(connection, condition, parameters, limit=limit))


def stored_rows(
    connection: sqlite3.Connection,
    condition: str,
    parameters: Sequence[Any],
    *,
    limit: int | None = None,
    columns: str = NAMES,
) -> list[tuple[Any, ...]]:
    """
    Return the stored values of the operations that meet a condition, in their order, as `read` takes them.

    ``columns`` may compute others than the stored values, and have more of them behind.
    """
    limited = "" if limit is None else f" LIMIT {int(limit)}"
    search = f"SELECT rowid, {columns} FROM operations WHERE {condition} ORDER BY position, operation_id{limited}"  # noqa: S608 (above)
    lenient, connection.text_factory = connection.text_factory, str
    try:
        return connection.execute(search, parameters).fetchall()
    except sqlite3.OperationalError as error:
        if hasattr(error, "sqlite_errorcode"):  # it comes from SQLite, and not from a text that is none
            raise
    finally:
        connection.text_factory = lenient
    return connection.execute(search, parameters).fetchall()


def read(found: Iterable[tuple[Any, ...]]) -> tuple[list[OperationRow], list[tuple[int, str]]]:
    """Return the operations that stored values describe, and the unreadable ones as row number and reason."""
    rows: list[OperationRow] = []
    unreadable: list[tuple[int, str]] = []
    reader = RowReader()
    for values in found:
        try:
            rows.append(reader.row(values[1:_END]))
        except UnreadableRow as error:
            unreadable.append((values[0], str(error)))
    return rows, unreadable


def column_values(
    connection: sqlite3.Connection, names: Sequence[str], condition: str, parameters: Sequence[Any]
) -> list[tuple[Any, ...]]:
    """Return some columns as they are stored, in the order of the operations."""
    columns = ", ".join(f'"{name}"' for name in names)
    return connection.execute(
        f"SELECT {columns} FROM operations WHERE {condition} ORDER BY position",  # noqa: S608 (checked by the caller)
        parameters,
    ).fetchall()


def where(application: str | None, group: str | None, *, live_only: bool) -> tuple[str, list[Any]]:
    """Return the condition for the operations of an application and a group; None for any."""
    conditions, parameters = ["1"], []
    for name, value in (("application", application), ("group", group)):
        if value is not None:
            conditions.append(f'"{name}" = ?')
            parameters.append(stored_text(value))
    if live_only:
        conditions.append("NOT is_final")
    return " AND ".join(conditions), parameters


def by_ids(operation_ids: Iterable[UUID]) -> Iterator[tuple[str, list[Any]]]:
    """Yield conditions that together meet the operations of these ids."""
    ids = iter(operation_ids)
    while some := [each.bytes for each in itertools.islice(ids, _IDS_AT_ONCE)]:
        yield f"operation_id IN ({', '.join('?' * len(some))})", list(some)


def set_row_aside(connection: sqlite3.Connection, number: int, reason: str, now: float) -> None:
    """Move a row that cannot be read out of the way, as text."""
    row = connection.execute(f"{_SELECT} WHERE rowid = ?", (number,)).fetchone()
    content = repr(dict(zip(COLUMNS, row, strict=True))) if row else ""
    connection.execute("INSERT INTO quarantine VALUES ('operations', ?, ?, ?)", (reason, now, content))
    connection.execute("DELETE FROM operations WHERE rowid = ?", (number,))


def delete(connection: sqlite3.Connection, operation_ids: Iterable[UUID]) -> int:
    """Delete operations; return how many there were."""
    return sum(
        connection.execute(f"DELETE FROM operations WHERE {condition}", parameters).rowcount  # noqa: S608 (above)
        for condition, parameters in by_ids(operation_ids)
    )


def prune(connection: sqlite3.Connection, before: float) -> int:
    """Delete operations that became final before a time; return how many."""
    return connection.execute("DELETE FROM operations WHERE is_final AND final_at < ?", (before,)).rowcount


def count(connection: sqlite3.Connection, application: str) -> int:
    """Return how many operations an application has."""
    search = "SELECT count(*) FROM operations WHERE application = ?"
    return int(connection.execute(search, (stored_text(application),)).fetchone()[0])


def last_position(connection: sqlite3.Connection, application: str | None = None) -> int:
    """Return the largest position that is in use (None: in any application), 0 where none is."""
    condition, parameters = where(application, None, live_only=False)
    (position,) = connection.execute(
        f"SELECT max(position) FROM operations WHERE {condition}",  # noqa: S608 (above)
        parameters,
    ).fetchone()
    return position if type(position) is int and 0 <= position < 1 << 62 else 0


# ------------------------------------------------------------------------------------------------- named records


def _table(name: str) -> str:
    if name not in RECORD_TABLES:
        raise ValueError(f"no table of records: {name}")
    return name


def put_record(
    connection: sqlite3.Connection, table: str, application: str, name: str, record: Mapping[str, Any]
) -> None:
    """Store a named record of an application, over the one of the same name."""
    connection.execute(
        f"INSERT OR REPLACE INTO {_table(table)} VALUES (?, ?, ?)",  # noqa: S608 (one of our tables)
        (stored_text(application), stored_text(name), encode_record(dict(record))),
    )


def records(
    connection: sqlite3.Connection, table: str, application: str
) -> tuple[dict[str, dict[str, Any]], list[tuple[Any, str]]]:
    """Return the named records of an application, and the unreadable ones as name and reason."""
    readable: dict[str, dict[str, Any]] = {}
    unreadable: list[tuple[Any, str]] = []
    found = connection.execute(
        f"SELECT name, record FROM {_table(table)} WHERE application = ?",  # noqa: S608 (as above)
        (stored_text(application),),
    )
    for name, text in found:
        try:
            readable[loaded_text(name)] = dict(decode_record(text))
        except UnreadableRow as error:
            unreadable.append((name, str(error)))
    return readable, unreadable


def set_record_aside(
    connection: sqlite3.Connection, table: str, application: str, name: object, *, reason: str, now: float
) -> None:
    """Move a record that cannot be read out of the way, as text."""
    key = (stored_text(application), name)
    row = connection.execute(f"SELECT * FROM {_table(table)} WHERE application = ? AND name IS ?", key).fetchone()  # noqa: S608 (as above)
    connection.execute("INSERT INTO quarantine VALUES (?, ?, ?, ?)", (table, reason, now, repr(row)))
    delete_record(connection, table, application, name)


def delete_record(connection: sqlite3.Connection, table: str, application: str, name: object) -> bool:
    """Delete a named record of an application, and tell whether there was one."""
    key = stored_text(name) if isinstance(name, str) else name
    deleted = connection.execute(
        f"DELETE FROM {_table(table)} WHERE application = ? AND name IS ?",  # noqa: S608 (as above)
        (stored_text(application), key),
    )
    return deleted.rowcount > 0

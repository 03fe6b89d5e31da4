"""How columns of operations are changed inside a transaction: of one, of many, and under a lease."""

from __future__ import annotations

import sqlite3
from typing import TYPE_CHECKING, Any

from bgdl_jupyter.storage.queries import raise_conflicts
from bgdl_jupyter.storage.records import CHANGEABLE, RowConflict, loaded_text, stored

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from uuid import UUID


def check_columns(columns: Mapping[str, Any]) -> None:
    """Raise ``ValueError`` for a column that does not exist or that only the state file sets."""
    wrong = columns.keys() - CHANGEABLE
    if wrong:
        raise ValueError(f"not to be set: {', '.join(sorted(wrong))}")


def update(
    connection: sqlite3.Connection, operation_id: UUID, columns: Mapping[str, Any], lease: tuple[str, int] | None
) -> bool:
    """
    Set columns of an operation; with a lease (kernel and epoch) only if it is the present one. Tell whether it was set.

    Raises
    ------
    RowConflict
        The operation would not be final any more, and another one is in the way.
    """
    if not columns:
        return bool(_count(connection, operation_id, lease))
    names = ", ".join(f'"{name}" = ?' for name in columns)
    values = [stored(name, value) for name, value in columns.items()]
    condition, parameters = _of_lease(operation_id, lease)
    try:
        cursor = connection.execute(f"UPDATE operations SET {names} WHERE {condition}", (*values, *parameters))  # noqa: S608 (above)
    except sqlite3.IntegrityError:
        raise_conflicts(connection, operation_id, *_keys_after(connection, operation_id, columns))
        raise
    return cursor.rowcount == 1


def update_all(
    connection: sqlite3.Connection, updates: Sequence[tuple[UUID, int | None, Mapping[str, Any]]], owner: str
) -> list[bool]:
    """Set columns of many operations, each with its epoch as in `update`; tell for each whether it was set."""
    if _update_alike(connection, updates, owner):
        return [True] * len(updates)
    leases = (None if epoch is None else (owner, epoch) for _, epoch, _ in updates)
    return [
        update(connection, operation_id, columns, lease)
        for (operation_id, _, columns), lease in zip(updates, leases, strict=True)
    ]


def _update_alike(
    connection: sqlite3.Connection, updates: Sequence[tuple[UUID, int | None, Mapping[str, Any]]], owner: str
) -> bool:
    """Set the same columns of many operations by one statement; False where not all were set, and any may have been."""
    if not updates:
        return True
    _, epoch, columns = updates[0]
    names, has_lease = columns.keys(), epoch is not None
    if not names or any(each.keys() != names or (of is None) is has_lease for _, of, each in updates):
        return False
    sets = ", ".join(f'"{name}" = ?' for name in names)
    condition = "operation_id = ? AND owner = ? AND epoch = ?" if has_lease else "operation_id = ?"
    rows = (
        (*(stored(name, each[name]) for name in names), key.bytes, *((owner, of) if has_lease else ()))
        for key, of, each in updates
    )
    try:
        done = connection.executemany(f"UPDATE operations SET {sets} WHERE {condition}", rows)  # noqa: S608 (above)
    except sqlite3.IntegrityError:
        return False  # one by one it is found out which
    return done.rowcount == len(updates)


def update_first(
    connection: sqlite3.Connection, operation_id: UUID, choices: Iterator[dict[str, Any]], lease: tuple[str, int]
) -> dict[str, Any] | None:
    """
    Set the first of several sets of columns that is in nobody's way, and return it; None where the lease is lost.

    Raises
    ------
    RowConflict
        All are.
    """
    conflict: RowConflict | None = None
    for columns in choices:
        try:
            return columns if update(connection, operation_id, columns, lease) else None
        except RowConflict as error:
            conflict = error
    assert conflict is not None  # noqa: S101 (there was a choice)
    raise conflict


def _of_lease(operation_id: UUID, lease: tuple[str, int] | None) -> tuple[str, tuple[Any, ...]]:
    if lease is None:
        return "operation_id = ?", (operation_id.bytes,)
    return "operation_id = ? AND owner = ? AND epoch = ?", (operation_id.bytes, *lease)


def _count(connection: sqlite3.Connection, operation_id: UUID, lease: tuple[str, int] | None) -> int:
    condition, parameters = _of_lease(operation_id, lease)
    (count,) = connection.execute(f"SELECT count(*) FROM operations WHERE {condition}", parameters).fetchone()  # noqa: S608 (above)
    return int(count)


def _keys_after(
    connection: sqlite3.Connection, operation_id: UUID, columns: Mapping[str, Any]
) -> tuple[str, str, str | None]:
    """Return application, identity and destination key that an operation would have."""
    names = ("application", "identity", "destination_key")
    found = connection.execute(
        "SELECT application, identity, destination_key FROM operations WHERE operation_id = ?", (operation_id.bytes,)
    ).fetchone()
    application, identity, destination = (columns.get(name, value) for name, value in zip(names, found, strict=True))
    return loaded_text(application), loaded_text(identity), None if destination is None else loaded_text(destination)

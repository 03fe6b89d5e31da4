"""What is asked of the state file about whole applications: what they hold, moving it, removing it."""

from __future__ import annotations

import contextlib
from collections import defaultdict
from typing import TYPE_CHECKING, Any

from bgdl_jupyter.status import BackgroundTransferStatus
from bgdl_jupyter.storage.queries import select
from bgdl_jupyter.storage.record_texts import UnreadableRow, decode_record
from bgdl_jupyter.storage.records import ApplicationSummary, bytes_held, loaded_text, stored_text
from bgdl_jupyter.storage.schema import RECORD_TABLES

if TYPE_CHECKING:
    import sqlite3

    from bgdl_jupyter.storage.leases import Leases
    from bgdl_jupyter.storage.records import OperationRow


def applications(connection: sqlite3.Connection, leases: Leases, now: float) -> list[ApplicationSummary]:
    """Return a summary of each application, by name."""
    counts: dict[str, tuple[int, int]] = {}
    seen: dict[str, float | None] = {}
    for application, total, live, newest in connection.execute(
        "SELECT application, count(*), sum(NOT is_final), max(created_at) FROM operations GROUP BY application"
    ):
        counts[_name(application)] = (total, live)
        seen[_name(application)] = newest  # the kernel that made it may be one of another application
    seen |= {
        _name(application): last
        for application, last in connection.execute("SELECT application, last_seen_at FROM applications")
    }
    held, owners = _bytes_held(connection), _owners(connection)
    living = leases.living(connection, now)
    return [
        ApplicationSummary(
            application=name,
            operations=counts.get(name, (0, 0))[0],
            live=counts.get(name, (0, 0))[1],
            bytes_held=held[name],
            last_seen_at=seen.get(name),
            held_by=tuple(each for each in living if each.application == name or each.kernel_id in owners[name]),
        )
        for name in sorted(seen)
    ]


def _owners(connection: sqlite3.Connection) -> defaultdict[str, set[str]]:
    """Return which kernels have live operations of each application."""
    owners: defaultdict[str, set[str]] = defaultdict(set)
    for application, owner in connection.execute(
        "SELECT DISTINCT application, owner FROM operations WHERE owner IS NOT NULL AND NOT is_final"
    ):
        owners[_name(application)].add(owner)
    return owners


def _name(application: object) -> str:
    try:
        return loaded_text(application)
    except UnreadableRow:
        return "(unreadable)"


def _bytes_held(connection: sqlite3.Connection) -> defaultdict[str, int]:
    held: defaultdict[str, int] = defaultdict(int)
    found = connection.execute("SELECT application, status, watermark FROM operations WHERE watermark IS NOT NULL")
    for application, status, watermark in found:
        with contextlib.suppress(UnreadableRow, ValueError):
            if not BackgroundTransferStatus(status).is_success:
                held[loaded_text(application)] += bytes_held(decode_record(watermark))
    return held


def adopt(connection: sqlite3.Connection, leases: Leases, names: tuple[str, str], now: float) -> int:
    """Give what no living kernel has of the first application to the second; return how many operations that are."""
    free, owners = _free_of(leases.held_elsewhere(connection, names[0], now))
    old, new = map(stored_text, names)
    # What the new application has already stays with the old one.
    moved = connection.execute(
        f"UPDATE OR IGNORE operations SET application = ?, owner = NULL WHERE application = ? AND {free}",  # noqa: S608 (only marks)
        (new, old, *owners),
    ).rowcount
    for table in RECORD_TABLES:
        connection.execute(f"UPDATE OR IGNORE {table} SET application = ? WHERE application = ?", (new, old))  # noqa: S608 (our own names)
    return moved


def purge(connection: sqlite3.Connection, leases: Leases, application: str | None, now: float) -> list[OperationRow]:
    """Remove what no other living kernel has of an application, None for all; return the operations."""
    free, owners = _free_of(leases.held_elsewhere(connection, application, now))
    of_application, name = _of(application)
    parameters = [*name, *owners]
    rows, _ = select(connection, f"{of_application} AND {free}", parameters)
    connection.execute(f"DELETE FROM operations WHERE {of_application} AND {free}", parameters)  # noqa: S608 (only marks)
    if not owners:
        for table in (*RECORD_TABLES, "applications"):
            connection.execute(f"DELETE FROM {table} WHERE {of_application}", name)  # noqa: S608 (our own names)
        if application is None:
            connection.execute("DELETE FROM quarantine")
    return rows


def _of(application: str | None) -> tuple[str, list[Any]]:
    return ("1", []) if application is None else ("application = ?", [stored_text(application)])


def _free_of(owners: list[str]) -> tuple[str, list[str]]:
    """Return the condition for what none of these kernels has; final operations need no kernel."""
    marks = ", ".join("?" * len(owners))
    return f"(is_final OR owner IS NULL OR owner NOT IN ({marks}))", owners

"""
Leases: which kernel runs an operation.

An operation belongs to the kernel that made it, until that kernel is dead, or, elsewhere, silent for a minute. Whoever
takes it gets the next epoch; a writer of an old epoch finds that its updates are refused. All functions run inside a
transaction of the state file, so that two kernels cannot both take one.
"""

from __future__ import annotations

from dataclasses import fields
from typing import TYPE_CHECKING, Any, Final

from bgdl_jupyter.storage.kernels import Coroner, Kernel, KernelFile, Life
from bgdl_jupyter.storage.queries import NAMES, by_ids, read, select, set_row_aside, stored_rows
from bgdl_jupyter.storage.record_texts import UnreadableRow
from bgdl_jupyter.storage.records import COLUMNS, Acquired, loaded_text, stored, stored_text

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterable, Mapping
    from uuid import UUID

    from bgdl_jupyter.storage.records import Holder

#: A place in the order of the operations: position and id.
Cursor = tuple[float, bytes]
#: Before all of them.
START: Final[Cursor] = (-1, b"")

# The columns as they will be for an owner, the first parameter, that takes over; behind them the owner that there is.
_TAKEN: Final = NAMES.replace('"owner", "epoch"', "?, epoch + 1") + ", owner"
# Where a cursor is among these, behind the number of the row.
_CURSOR: Final = (1 + COLUMNS.index("position"), 1 + COLUMNS.index("operation_id"))
_NAMES: Final = tuple(field.name for field in fields(Kernel))
_COLUMNS: Final = ", ".join(_NAMES)
_REGISTER: Final = f"INSERT OR REPLACE INTO kernels ({_COLUMNS}) VALUES ({', '.join('?' * len(_NAMES))})"  # noqa: S608 (our own names)


class Leases:
    """
    The leases as one kernel sees them.

    Parameters
    ----------
    me:
        This kernel.
    file:
        Its file, None where the state is in memory.
    """

    def __init__(self, me: Kernel, file: KernelFile | None) -> None:
        self._me = me
        self._file = file
        self._coroner = Coroner(me, file)

    def register(self, connection: sqlite3.Connection, now: float) -> None:
        """Make this kernel known, and forget those that are dead and own nothing."""
        connection.execute(_REGISTER, [stored(name, getattr(self._me, name)) for name in _NAMES])
        self._note_application(connection, now)
        self._bury(connection, now)

    def beat(self, connection: sqlite3.Connection, now: float) -> None:
        """Write the heartbeat; register anew where somebody forgot us."""
        if self._file is not None:
            self._file.touch()
        cursor = connection.execute("UPDATE kernels SET heartbeat = ? WHERE kernel_id = ?", (now, self._me.kernel_id))
        if cursor.rowcount:
            self._note_application(connection, now)
        else:
            self.register(connection, now)

    def _note_application(self, connection: sqlite3.Connection, now: float) -> None:
        application = stored_text(self._me.application)
        connection.execute("INSERT OR REPLACE INTO applications VALUES (?, ?)", (application, now))

    def _bury(self, connection: sqlite3.Connection, now: float) -> None:
        idle = connection.execute(
            "SELECT kernel_id FROM kernels WHERE NOT EXISTS (SELECT 1 FROM operations WHERE owner = kernel_id)"
        ).fetchall()
        for (kernel_id,) in idle:
            if self._life_of(connection, kernel_id, now) is Life.DEAD:
                connection.execute("DELETE FROM kernels WHERE kernel_id = ?", (kernel_id,))
                if self._file is not None:
                    self._file.remove_other(kernel_id)

    def acquire(
        self, connection: sqlite3.Connection, application: str, now: float, *, after: Cursor = START, limit: int
    ) -> tuple[list[Acquired], Cursor | None]:
        """
        Take live operations of an application that no living kernel has.

        Parameters
        ----------
        after:
            Where the piece begins: behind this place in the order.
        limit:
            How many are looked at.

        Returns
        -------
        tuple
            What was taken, in the order of the operations, and where the next piece begins; None behind the last.
        """
        me, name = self._me.kernel_id, stored_text(application)
        # The plus keeps SQLite from walking through all that an owner has for each piece.
        live = "application = ? AND NOT is_final AND (position, operation_id) > (?, ?)"
        found = stored_rows(
            connection, f"{live} AND +owner IS NOT ?", (me, name, *after, me), limit=limit, columns=_TAKEN
        )
        if not found:
            return [], None
        position, key = (found[-1][place] for place in _CURSOR)
        last: Cursor = position, key
        owners = {owner: self._life_of(connection, owner, now) for owner in {values[-1] for values in found}}
        lives = {owner: life for owner, life in owners.items() if self._may_take(life, application)}
        acquired = self._acquired(connection, found, lives, now)
        for owner in lives:
            connection.execute(
                "UPDATE operations SET owner = ?, epoch = epoch + 1 "  # noqa: S608 (our own conditions)
                f"WHERE {live} AND (position, operation_id) <= (?, ?) AND +owner IS ?",
                (me, name, *after, *last, owner),
            )
        return acquired, last if len(found) == limit else None

    def _acquired(
        self, connection: sqlite3.Connection, found: list[tuple[Any, ...]], lives: Mapping[Any, Life], now: float
    ) -> list[Acquired]:
        """Return what may be taken of the stored values; what of it cannot be read is set aside."""
        acquired: list[Acquired] = []
        for life in set(lives.values()):
            rows, unreadable = read(values for values in found if lives.get(values[-1]) is life)
            for number, reason in unreadable:
                set_row_aside(connection, number, reason, now)
            is_dead = life is Life.DEAD
            acquired += [Acquired(row, row.epoch - 1, is_dead) for row in rows]
        if len(set(lives.values())) > 1:
            acquired.sort(key=lambda each: each.row.position)
        return acquired

    def acquire_one(self, connection: sqlite3.Connection, operation_id: UUID, now: float) -> Acquired | None:
        """Take one operation, final or not; None where it does not exist or a living kernel has it."""
        found = connection.execute(
            "SELECT owner, application FROM operations WHERE operation_id = ?", (operation_id.bytes,)
        ).fetchone()
        if found is None:
            return None
        owner, application = found
        if owner == self._me.kernel_id:
            (row,), _ = select(connection, "operation_id = ?", (operation_id.bytes,))
            return Acquired(row=row, previous_epoch=row.epoch, was_proven_dead=True)
        life = self._life_of(connection, owner, now)
        if not self._may_take(life, loaded_text(application)):
            return None
        values = (operation_id.bytes,)
        taken = stored_rows(connection, "operation_id = ?", (self._me.kernel_id, *values), columns=_TAKEN)
        acquired = self._acquired(connection, taken, {owner: life}, now)
        connection.execute(
            "UPDATE operations SET owner = ?, epoch = epoch + 1 WHERE operation_id = ?", (self._me.kernel_id, *values)
        )
        return acquired[0] if acquired else None

    def _may_take(self, life: Life, application: str) -> bool:
        return life is Life.DEAD or (life is Life.SILENT and application == self._me.application)

    def release(self, connection: sqlite3.Connection, operation_ids: Iterable[UUID] | None) -> int:
        """Give up leases, None for all; return how many."""
        conditions = [("1", [])] if operation_ids is None else by_ids(operation_ids)
        return sum(
            connection.execute(
                f"UPDATE operations SET owner = NULL WHERE owner = ? AND {condition}",  # noqa: S608 (as above)
                (self._me.kernel_id, *parameters),
            ).rowcount
            for condition, parameters in conditions
        )

    def leave(self, connection: sqlite3.Connection) -> None:
        """Give up everything: this kernel ends."""
        self.release(connection, None)
        connection.execute("DELETE FROM kernels WHERE kernel_id = ?", (self._me.kernel_id,))

    def holder(self, connection: sqlite3.Connection, operation_id: UUID, now: float) -> Holder | None:
        """Return the kernel that has an operation and may be alive; None where it is free to be taken."""
        found = connection.execute(
            "SELECT owner FROM operations WHERE operation_id = ?", (operation_id.bytes,)
        ).fetchone()
        kernel = self._kernel(connection, found[0]) if found else None
        if kernel is None or self._coroner.judge(kernel.kernel_id, kernel, now) is Life.DEAD:
            return None
        return kernel.to_holder()

    def living(self, connection: sqlite3.Connection, now: float) -> list[Holder]:
        """Return all kernels that may be alive."""
        kernels = [
            _loaded(values)
            for values in connection.execute(f"SELECT {_COLUMNS} FROM kernels")  # noqa: S608 (our own names)
        ]
        return [
            kernel.to_holder()
            for kernel in kernels
            if self._coroner.judge(kernel.kernel_id, kernel, now) is not Life.DEAD
        ]

    def held_elsewhere(self, connection: sqlite3.Connection, application: str | None, now: float) -> list[str]:
        """Return the ids of the other owners in an application (None: in any) that may be alive."""
        condition, parameters = ("1", ()) if application is None else ("application = ?", (stored_text(application),))
        owners = connection.execute(
            f"SELECT DISTINCT owner FROM operations WHERE owner IS NOT NULL AND NOT is_final AND {condition}",  # noqa: S608 (as above)
            parameters,
        ).fetchall()
        others = [owner for (owner,) in owners if owner != self._me.kernel_id]
        return [owner for owner in others if self._life_of(connection, owner, now) is not Life.DEAD]

    def _life_of(self, connection: sqlite3.Connection, kernel_id: str | None, now: float) -> Life:
        if not isinstance(kernel_id, str):  # nobody, or what a damaged file says
            return Life.DEAD
        return self._coroner.judge(kernel_id, self._kernel(connection, kernel_id), now)

    def _kernel(self, connection: sqlite3.Connection, kernel_id: str | None) -> Kernel | None:
        found = connection.execute(
            f"SELECT {_COLUMNS} FROM kernels WHERE kernel_id = ?",  # noqa: S608 (our own names)
            (kernel_id,),
        ).fetchone()
        return _loaded(found) if found else None


def _loaded(values: tuple[Any, ...]) -> Kernel:
    """Return a kernel; what is not of its type becomes an empty value, which fits no living process."""
    row = dict(zip(_NAMES, values, strict=True))
    return Kernel(
        kernel_id=_text(row["kernel_id"]),
        application=_text(row["application"]),
        host=_text(row["host"]),
        boot_id=_text(row["boot_id"]),
        pid_namespace=_text(row["pid_namespace"]),
        pid=row["pid"] if isinstance(row["pid"], int) else 0,
        started=_text(row["started"]),
        has_lock=row["has_lock"] == 1,
        since=_number(row["since"]),
        heartbeat=_number(row["heartbeat"]),
    )


def _text(value: object) -> str:
    try:
        return loaded_text(value)
    except UnreadableRow:
        return ""


def _number(value: object) -> float:
    return float(value) if isinstance(value, int | float) else 0.0

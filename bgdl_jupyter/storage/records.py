"""
What the state file holds of an operation, as values, and the strict way into them.

Whatever bytes are in the file: a row becomes an `OperationRow` with the right types, or raises `UnreadableRow`, and
then that row alone is set aside. Texts that are not UTF-8 (names of files) are stored as bytes.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import isfinite
from typing import TYPE_CHECKING, Any, Final, Literal, NamedTuple
from uuid import UUID

from bgdl_jupyter.errors import StateFileError
from bgdl_jupyter.status import BackgroundTransferStatus
from bgdl_jupyter.storage.record_texts import RecordReader, UnreadableRow, decode_record, encode_record

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_STATUSES: Final = frozenset(int(status) for status in BackgroundTransferStatus)
_LARGEST: Final = 2**63 - 1
_UUID_BYTES: Final = 16
# Names that many rows have, such as that of their batch, are known so many at a time.
_MOST_TEXTS: Final = 1000


class RowConflict(StateFileError):
    """
    Another operation that is not final has the same identity, destination or id.

    Attributes
    ----------
    kind:
        What is the same.
    operation_id, application, group:
        The other operation.
    """

    def __init__(
        self, *, kind: Literal["identity", "destination", "operation"], operation_id: UUID, application: str, group: str
    ) -> None:
        super().__init__(f"Another operation that is not final has the same {kind}.")
        self.kind = kind
        self.operation_id = operation_id
        self.application = application
        self.group = group


class OperationRow(NamedTuple):
    """
    One operation in the state file: a tuple, since a hundred thousand are made at once.

    Parameters
    ----------
    identity:
        What makes two downloads the same one; unique among the operations of an application that are not final.
    destination_key:
        Where the file goes, None while unknown; unique among all operations of the user that are not final.
    position:
        The place in the order of starting.
    created_at, final_at:
        Seconds since 1970, UTC.
    record, resource, watermark:
        JSON objects; given away to the state file, they must not be changed any more.
    owner, epoch:
        The kernel that has the lease, and how many had it; set by the state file alone.
    """

    operation_id: UUID
    application: str
    group: str
    identity: str
    record: Mapping[str, Any]
    destination_key: str | None = None
    status: int = int(BackgroundTransferStatus.IDLE)
    is_final: bool = False
    was_seen: bool = False
    position: int = 0
    created_at: float = 0.0
    final_at: float | None = None
    batch: str | None = None
    resource: Mapping[str, Any] | None = None
    watermark: Mapping[str, Any] | None = None
    owner: str | None = None
    epoch: int = 1


class Acquired(NamedTuple):
    """A lease that was gained: the row as it is now, the epoch before, and whether the owner before surely is dead."""

    row: OperationRow
    previous_epoch: int
    was_proven_dead: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Holder:
    """A kernel that is alive, or not known to be dead."""

    kernel_id: str
    host: str
    pid: int
    application: str
    since: float
    last_heartbeat: float


@dataclass(frozen=True, slots=True, kw_only=True)
class ApplicationSummary:
    """What one application has in the state file; ``bytes_held`` are in partial files."""

    application: str
    operations: int
    live: int
    bytes_held: int
    last_seen_at: float | None
    held_by: tuple[Holder, ...]


#: The columns of the table, in the order of the fields.
COLUMNS: Final = OperationRow._fields
#: What `update` may set: not the key, not the lease.
CHANGEABLE: Final = frozenset(COLUMNS) - {"operation_id", "owner", "epoch"}
_DICTS: Final = frozenset({"record", "resource", "watermark"})
_STORED_AS_THEY_ARE: Final = frozenset({type(None), int, bool})


def stored(name: str, value: object) -> Any:
    """
    Return the form in which the value of a column is stored.

    Raises
    ------
    TypeError, ValueError
        It cannot be: no JSON, a number that is none.
    """
    if type(value) in _STORED_AS_THEY_ARE:
        return value
    if name in _DICTS:
        return encode_record(value)
    if isinstance(value, str):
        return stored_text(value)
    if isinstance(value, UUID):
        return value.bytes
    if isinstance(value, float) and not isfinite(value):
        raise ValueError(f"{name} is {value}")
    return int(value) if isinstance(value, int) else value


def stored_text(text: str) -> str | bytes:
    """Return a text as SQLite can hold it."""
    if text.isascii():
        return text
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-8", "surrogatepass")
    return text


def loaded_text(value: object) -> str:
    """Return a stored text; raises `UnreadableRow` for what is none."""
    if type(value) is str:
        return value
    if type(value) is bytes:
        try:
            return value.decode("utf-8", "surrogatepass")
        except UnicodeDecodeError as error:
            raise UnreadableRow(f"not a text: {error}") from None
    raise UnreadableRow(f"{type(value).__name__} instead of a text")


def stored_row(row: OperationRow, *, owner: str | None, epoch: int) -> tuple[Any, ...]:
    """Return the values of all columns, with this lease."""
    # Written out, because a hundred thousand rows are stored at once.
    return (
        row.operation_id.bytes,
        stored_text(row.application),
        stored_text(row.group),
        row.identity,
        encode_record(row.record),
        None if row.destination_key is None else stored_text(row.destination_key),
        int(row.status),
        int(row.is_final),
        int(row.was_seen),
        row.position,
        stored("created_at", row.created_at),
        None if row.final_at is None else stored("final_at", row.final_at),
        row.batch,
        None if row.resource is None else encode_record(row.resource),
        None if row.watermark is None else encode_record(row.watermark),
        owner,
        epoch,
    )


class RowReader:
    """Makes operations of stored values, row after row: what most have in common is looked at once and kept once."""

    def __init__(self) -> None:
        self._records = RecordReader()
        self._texts: dict[object, str] = {}

    def row(self, values: Sequence[Any]) -> OperationRow:
        """
        Return the operation that stored values describe, in the order of `COLUMNS`.

        Raises
        ------
        UnreadableRow
            A value has the wrong type, is out of its range, or is no JSON object.
        """
        # By position, because a hundred thousand rows are read at once.
        key, application, group, identity, record, destination_key, status, is_final, was_seen, *others = values
        position, created_at, final_at, batch, resource, watermark, owner, epoch = others
        if type(key) is not bytes or len(key) != _UUID_BYTES:
            raise UnreadableRow("the id is not 16 bytes")
        if type(status) is not int or status not in _STATUSES:
            raise UnreadableRow(f"no such status: {status!r:.40}")
        return OperationRow(
            UUID(bytes=key),
            self._text(application),
            self._text(group),
            identity if type(identity) is str else loaded_text(identity),
            self._records.decode(record),
            None if destination_key is None else loaded_text(destination_key),
            status,
            _boolean(is_final),
            _boolean(was_seen),
            _integer(position),
            created_at if type(created_at) is float and isfinite(created_at) else _time(created_at),
            None if final_at is None else _time(final_at),
            None if batch is None else self._text(batch),
            None if resource is None else decode_record(resource),
            None if watermark is None else decode_record(watermark),
            None if owner is None else self._text(owner),
            _integer(epoch),
        )

    def _text(self, value: object) -> str:
        """Return a stored text that many rows have: one object for all of them."""
        try:
            return self._texts[value]
        except KeyError:
            if len(self._texts) >= _MOST_TEXTS:
                self._texts.clear()
            text = self._texts[value] = loaded_text(value)
            return text


def _integer(value: object) -> int:
    if type(value) is int and 0 <= value <= _LARGEST:
        return value
    raise UnreadableRow(f"{value!r:.40} is not a count")


def _boolean(value: object) -> bool:
    if type(value) is int and 0 <= value <= 1:
        return value == 1
    raise UnreadableRow(f"{value!r:.40} is neither 0 nor 1")


def _time(value: object) -> float:
    if type(value) not in (int, float) or not isfinite(float(value)):  # type: ignore[arg-type]  # checked just before
        raise UnreadableRow(f"{value!r:.40} is not a time")
    return float(value)  # type: ignore[arg-type]  # as above


def bytes_held(watermark: Mapping[str, Any] | None) -> int:
    """Return how many bytes a watermark says are in a partial file; 0 for what it does not say."""
    if not watermark or not watermark.get("file"):
        return 0
    try:
        return sum(int(stop) - int(start) for start, stop in watermark.get("finished", ()))
    except (TypeError, ValueError):
        return 0

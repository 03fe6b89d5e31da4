"""
What the state file holds of an operation, as values, and the strict way into them.

Whatever bytes are in the file: a row becomes an `OperationRow` with the right types, or raises `UnreadableRow`, and
then that row alone is set aside. Texts that are not UTF-8 (names of files) are stored as bytes.
"""

from __future__ import annotations

import functools
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, fields
from json.encoder import encode_basestring_ascii as _quoted
from typing import TYPE_CHECKING, Any, Final, Literal
from uuid import UUID

from bgdl_jupyter.errors import StateFileError
from bgdl_jupyter.status import BackgroundTransferStatus

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_STATUSES: Final = frozenset(int(status) for status in BackgroundTransferStatus)
_LARGEST: Final = 2**63 - 1
_UUID_BYTES: Final = 16


class UnreadableRow(ValueError):
    """A row that does not hold what it should."""


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


@dataclass(frozen=True, slots=True, kw_only=True)
class OperationRow:
    """
    One operation in the state file.

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
    destination_key: str | None = None
    status: int = int(BackgroundTransferStatus.IDLE)
    is_final: bool = False
    was_seen: bool = False
    position: int = 0
    created_at: float = 0.0
    final_at: float | None = None
    batch: str | None = None
    record: Mapping[str, Any]
    resource: Mapping[str, Any] | None = None
    watermark: Mapping[str, Any] | None = None
    owner: str | None = None
    epoch: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Acquired:
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
COLUMNS: Final = tuple(field.name for field in fields(OperationRow))
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
    if isinstance(value, float) and not math.isfinite(value):
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
        None if row.destination_key is None else stored_text(row.destination_key),
        int(row.status),
        int(row.is_final),
        int(row.was_seen),
        row.position,
        stored("created_at", row.created_at),
        None if row.final_at is None else stored("final_at", row.final_at),
        row.batch,
        encode_record(row.record),
        None if row.resource is None else encode_record(row.resource),
        None if row.watermark is None else encode_record(row.watermark),
        owner,
        epoch,
    )


def loaded_row(values: Sequence[Any]) -> OperationRow:
    """
    Return the operation that stored values describe, in the order of `COLUMNS`.

    Raises
    ------
    UnreadableRow
        A value has the wrong type, is out of its range, or is no JSON object.
    """
    # By position, because a hundred thousand rows are read at once.
    key, application, group, identity, destination_key, status, is_final, was_seen, position, *others = values
    created_at, final_at, batch, record, resource, watermark, owner, epoch = others
    if type(key) is not bytes or len(key) != _UUID_BYTES:
        raise UnreadableRow("the id is not 16 bytes")
    if type(status) is not int or status not in _STATUSES:
        raise UnreadableRow(f"no such status: {status!r:.40}")
    return OperationRow(
        operation_id=UUID(bytes=key),
        application=loaded_text(application),
        group=loaded_text(group),
        identity=loaded_text(identity),
        destination_key=None if destination_key is None else loaded_text(destination_key),
        status=status,
        is_final=_boolean(is_final),
        was_seen=_boolean(was_seen),
        position=_integer(position),
        created_at=_time(created_at),
        final_at=None if final_at is None else _time(final_at),
        batch=None if batch is None else loaded_text(batch),
        record=decode_record(record),
        resource=None if resource is None else decode_record(resource),
        watermark=None if watermark is None else decode_record(watermark),
        owner=None if owner is None else loaded_text(owner),
        epoch=_integer(epoch),
    )


def _integer(value: object) -> int:
    if type(value) is not int or not 0 <= value <= _LARGEST:
        raise UnreadableRow(f"{value!r:.40} is not a count")
    return value


def _boolean(value: object) -> bool:
    if type(value) is not int or value not in (0, 1):
        raise UnreadableRow(f"{value!r:.40} is neither 0 nor 1")
    return value == 1


def _time(value: object) -> float:
    if type(value) not in (int, float) or not math.isfinite(float(value)):  # type: ignore[arg-type]  # checked just before
        raise UnreadableRow(f"{value!r:.40} is not a time")
    return float(value)  # type: ignore[arg-type]  # as above


def encode_record(record: object) -> str:
    """Return the text of a JSON object; raises ``TypeError`` or ``ValueError`` for what is none."""
    if type(record) is SplitRecord:
        return record.encoded()
    if not isinstance(record, dict):
        raise TypeError(f"a record is a dict, not {type(record).__name__}")
    # Escaped to ASCII: names of files may hold what is not UTF-8.
    return _ENCODER.encode(record)


class CommonRecord(dict[str, Any]):
    """What many records have in common; never changed, and encoded once."""

    __slots__ = ("_text",)

    def encoded(self) -> str:
        """Return its JSON text."""
        try:
            return self._text
        except AttributeError:
            self._text: str = _ENCODER.encode(self)
            return self._text


class SplitRecord(Mapping[str, Any]):
    """
    A record whose beginning is that of many others.

    Attributes
    ----------
    common:
        The beginning: one object for all records that begin so.
    own:
        The rest.
    """

    __slots__ = ("common", "own")

    def __init__(self, common: dict[str, Any], own: dict[str, Any]) -> None:
        self.common = common
        self.own = own

    def __getitem__(self, name: str) -> Any:
        return self.own[name] if name in self.own else self.common[name]

    def __iter__(self) -> Iterator[str]:
        return iter({**self.common, **self.own})

    def __len__(self) -> int:
        return len(self.common.keys() | self.own.keys())

    def encoded(self) -> str:
        """Return its JSON text, in which the common part comes first and as it is in all others."""
        common = self.common
        text = common.encoded() if isinstance(common, CommonRecord) else _ENCODER.encode(common)
        if not common or not self.own:
            return _ENCODER.encode({**common, SPLIT: None, **self.own})
        return f"{text[:-1]}{_MARK}{_members(self.own)}}}"


def _members(own: dict[str, Any]) -> str:
    """Return the members of a JSON object; texts alone, as a hundred thousand have them, the short way."""
    texts = []
    for name, value in own.items():
        if type(value) is str:
            texts.append(f"{_quoted(name)}:{_quoted(value)}")
        elif value is None:
            texts.append(f"{_quoted(name)}:null")
        else:
            return _ENCODER.encode(own)[1:-1]
    return ",".join(texts)


def split_record(common: dict[str, Any], own: dict[str, Any]) -> SplitRecord:
    """Return a record that is stored so that what it has in common with many is decoded once for all of them."""
    if not own.keys().isdisjoint(common):
        common = {name: value for name, value in common.items() if name not in own}
    return SplitRecord(common, own)


def decode_record(text: object) -> Mapping[str, Any]:
    """Return a stored JSON object; raises `UnreadableRow` for NaN, endless depth and what is no object."""
    if type(text) is not str:
        raise UnreadableRow(f"{type(text).__name__} instead of a record")
    common, mark, own = text.partition(_MARK)
    if not mark:
        return _decode(text)
    try:
        # Where both halves are objects, so is the whole, with the members of both.
        return SplitRecord(_decode_common(f"{common}}}"), _decode(f"{{{own}"))
    except UnreadableRow:  # the mark was within something else
        return _decode(text)


@functools.lru_cache(maxsize=256)
def _decode_common(text: str) -> dict[str, Any]:
    return _decode(text)


def _decode(text: str) -> dict[str, Any]:
    try:
        record = _whole(text)
    except (ValueError, RecursionError) as error:
        raise UnreadableRow(f"not JSON: {error}") from None
    if type(record) is not dict:
        raise UnreadableRow("the record is no object")
    return record


def _whole(text: str) -> Any:
    """Return what a JSON text says: past the search for blanks around it, of which ours have none."""
    if text[:1] != "{":
        return _DECODER.decode(text)
    record, end = _DECODER.raw_decode(text)
    return record if end == len(text) else _DECODER.decode(text)


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is no number")


_ENCODER: Final = json.JSONEncoder(ensure_ascii=True, allow_nan=False, separators=(",", ":"))
#: A member that says nothing: what is behind it differs from record to record.
SPLIT: Final = "own:"
_MARK: Final = f',"{SPLIT}":null,'
_DECODER: Final = json.JSONDecoder(parse_constant=_refuse_constant)


def bytes_held(watermark: Mapping[str, Any] | None) -> int:
    """Return how many bytes a watermark says are in a partial file; 0 for what it does not say."""
    if not watermark or not watermark.get("file"):
        return 0
    try:
        return sum(int(stop) - int(start) for start, stop in watermark.get("finished", ()))
    except (TypeError, ValueError):
        return 0

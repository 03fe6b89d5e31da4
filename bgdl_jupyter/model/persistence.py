"""
Traits to records and back, and the journal that transfers write.

A record is derived from the traits that are tagged ``persist``; nothing here names one of them, but for the outcome
that is recorded before it is told.
"""

from __future__ import annotations

import asyncio
import functools
import itertools
import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from uuid import UUID

from traitlets import TraitError

from bgdl_jupyter.engine.order import Durable, LeaseLost
from bgdl_jupyter.model.masking import masked_durable
from bgdl_jupyter.model.operation import DownloadOperation
from bgdl_jupyter.model.values import BackgroundDownloadProgress
from bgdl_jupyter.post_processing import PostProcessing
from bgdl_jupyter.status import BackgroundTransferStatus, TransferActivity
from bgdl_jupyter.storage.filenames import MOST_NAMES, destination_key, unique_names
from bgdl_jupyter.storage.record_texts import CommonRecord, SplitRecord, split_record

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bgdl_jupyter.events import Completed
    from bgdl_jupyter.model.light import SharedValues
    from bgdl_jupyter.model.runner import Runner
    from bgdl_jupyter.storage.records import OperationRow
    from bgdl_jupyter.storage.state_file import StateFile

log = logging.getLogger(__name__)

_ALWAYS_OWN: Final = frozenset({"requested_uri", "result_file", "directory"})
# Without these there is nothing that could be fetched.
_NEEDED: Final = frozenset({"requested_uri", "directory"})
_PLAIN: Final = frozenset({str, int, float, bool, type(None)})


def record_of(operation: DownloadOperation, later: Mapping[str, Any] | None = None) -> SplitRecord:
    """Return what the state file keeps of the operation's traits: what it has in common with others comes first."""
    persisted = _persisted()
    own = {name: plain(value) for name, value in operation.values.items() if name in persisted}
    return split_record(common_record(operation.shared), {"result_file": None, **own, **(later or {})})


def common_record(shared: SharedValues) -> CommonRecord:
    """Return what is recorded of values that operations have in common."""
    if shared.record is None:
        names = _persisted() - _ALWAYS_OWN
        shared.record = CommonRecord((name, plain(value)) for name, value in shared.items() if name in names)
    return shared.record


def shared_of(values: Mapping[str, Any], status: BackgroundTransferStatus) -> SharedValues:
    """Return what operations of a status have in common that nothing has happened to yet."""
    return DownloadOperation.shared_values(
        {
            **values,
            "status": status,
            "activity": TransferActivity.QUEUED if status.is_running else TransferActivity.NONE,
            "progress": BackgroundDownloadProgress(status=status),
        }
    )


@functools.cache
def _persisted() -> frozenset[str]:
    return frozenset(DownloadOperation.class_trait_names(persist=True))


def plain(value: object) -> Any:
    """Return the JSON form of a value of a trait."""
    if type(value) in _PLAIN:
        return value
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, Path | UUID):
        return str(value)
    if isinstance(value, list | tuple):
        return [plain(each) for each in value]
    if isinstance(value, PostProcessing):
        return value.to_record()
    if isinstance(value, Mapping):
        return {str(name): plain(each) for name, each in value.items()}
    return value


def columns_of(operation: DownloadOperation) -> dict[str, Any]:
    """Return the columns that change in the life of an operation."""
    return status_columns_of(operation) | {"record": record_of(operation)}


def status_columns_of(operation: DownloadOperation) -> dict[str, Any]:
    """Return the columns that a step changes which says nothing more: cheap, since every operation takes one."""
    values = operation.values
    return {
        "status": int(values["status"]),
        "is_final": values["status"].is_final,
        "was_seen": operation.was_seen,
        "position": int(operation.position),
        "final_at": values["final_at"],
    }


def operation_from(row: OperationRow, runner: Runner, *, is_disputed: bool = False) -> DownloadOperation:
    """
    Return the operation that a row describes.

    Raises
    ------
    ValueError
        The record is not one of ours; the message says which part of it.
    """
    try:
        operation = DownloadOperation(runner, _values_of(row))
        _take_columns(operation, row, is_disputed=is_disputed)
    except (TraitError, KeyError, TypeError, ValueError) as error:
        raise ValueError(f"The record of {row.operation_id} cannot be read: {error}") from error
    return operation


def refresh(operation: DownloadOperation, row: OperationRow, *, is_disputed: bool = False) -> None:
    """
    Let an operation that another kernel had show what the state file says of it now.

    Raises
    ------
    ValueError
        The record is not one of ours.
    """
    try:
        operation.load(_values_of(row))
        _take_columns(operation, row, is_disputed=is_disputed)
    except (TraitError, KeyError, TypeError, ValueError) as error:
        raise ValueError(f"The record of {row.operation_id} cannot be read: {error}") from error


def _take_columns(operation: DownloadOperation, row: OperationRow, *, is_disputed: bool) -> None:
    durable = Durable.from_record(row.watermark, epoch=row.epoch, is_disputed=is_disputed)
    operation.keep_columns(row, durable)
    operation.restore_progress()


def _values_of(row: OperationRow) -> dict[str, Any]:
    if not row.record.keys() >= _NEEDED:
        raise ValueError(f"it lacks {', '.join(sorted(_NEEDED - row.record.keys()))}.")
    loads = _loads()
    values: dict[str, Any] = {}
    for name, value in row.record.items():
        if name in loads:  # an older or newer minor version may know others
            load = loads[name]
            values[name] = load(value) if load is not None and value is not None else value
    if BackgroundTransferStatus(row.status).is_running:
        values["status_reason"] = ""  # a step to running is recorded without the reason for the pause before
    return values | {
        "guid": row.operation_id,
        "application": row.application,
        "group": row.group,
        "status": BackgroundTransferStatus(row.status),
        "created_at": row.created_at,
        "final_at": row.final_at,
    }


@functools.cache
def _loads() -> dict[str, Callable[[Any], Any] | None]:
    """Return for each trait that is recorded what its value is made with."""
    traits = DownloadOperation.class_traits(persist=True)
    return {name: trait.metadata.get("load") for name, trait in traits.items()}


class StateJournal:
    """Writes what transfers have to remember into the state file."""

    def __init__(self, state: StateFile, find: Callable[[UUID], DownloadOperation | None]) -> None:
        self._state = state
        self._find = find

    async def remember(self, operation_id: UUID, durable: Durable) -> None:
        """Record the watermark and what it belongs to."""
        record = self._record_of(operation_id, durable)
        written = self._state.update(operation_id, epoch=durable.epoch, at_once=True, watermark=record)
        if not await asyncio.wrap_future(written):
            raise LeaseLost
        self._note(operation_id, durable)

    async def remember_all(self, records: list[tuple[UUID, Durable]]) -> list[bool]:
        """Record many in one transaction; False stands for a lost lease."""
        written = self._state.update_many(
            [(each, durable.epoch, {"watermark": self._record_of(each, durable)}) for each, durable in records]
        )
        ours: list[bool] = await asyncio.wrap_future(written)
        for (operation_id, durable), is_ours in zip(records, ours, strict=True):
            if is_ours:
                self._note(operation_id, durable)
        return ours

    async def name_all(self, records: list[tuple[UUID, Durable, Path]]) -> list[Path | None]:
        """Reserve a name for each and record that it is about to be given; None stands for a lost lease."""
        updates = [
            (operation_id, durable.epoch, functools.partial(self._names_like, operation_id, durable, wanted))
            for operation_id, durable, wanted in records
        ]
        chosen = await asyncio.wrap_future(self._state.update_first(updates))
        paths = [None if columns is None else Path(columns["watermark"]["committing"]) for columns in chosen]
        for (operation_id, durable, _), path in zip(records, paths, strict=True):
            if path is not None:
                self._note(operation_id, replace(durable, committing=str(path)))
        return paths

    def _names_like(self, operation_id: UUID, durable: Durable, wanted: Path) -> Iterator[dict[str, Any]]:
        record = self._record_of(operation_id, durable)
        for path in itertools.islice(unique_names(wanted), MOST_NAMES):
            yield {"destination_key": destination_key(path), "watermark": record | {"committing": str(path)}}

    def _record_of(self, operation_id: UUID, durable: Durable) -> dict[str, Any]:
        operation = self._find(operation_id)
        if operation is None or not operation.has_secrets:
            return durable.to_record()
        return masked_durable(durable, operation.secrets.values()).to_record()

    def _note(self, operation_id: UUID, durable: Durable) -> None:
        operation = self._find(operation_id)
        if operation is not None:
            operation.note_durable(durable)

    async def remember_completed(self, completed: list[Completed]) -> None:
        """Record many final states in one transaction."""
        updates = [(event.operation_id, None, self._completed_columns(event)) for event in completed]
        await asyncio.wrap_future(self._state.update_many(updates))

    def _completed_columns(self, event: Completed) -> dict[str, Any]:
        operation = self._find(event.operation_id)
        if operation is None:
            return {"status": int(BackgroundTransferStatus.COMPLETED), "is_final": True}
        outcome = {
            **operation.placed_at(event.path),
            "integrity": event.integrity.value,
            "digest": event.digest or "",
            "size": event.size,
            "footprint": list(event.footprint or ()),
            "failure": None,
            "status_reason": "",
        }
        return status_columns_of(operation) | {
            "status": int(BackgroundTransferStatus.COMPLETED),
            "is_final": True,
            "final_at": time.time(),
            "record": record_of(operation, outcome),
        }

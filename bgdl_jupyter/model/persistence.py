"""
Traits to records and back, and the journal that transfers write.

A record is derived from the traits that are tagged ``persist``; nothing here names one of them, but for the outcome
that is recorded before it is told.
"""

from __future__ import annotations

import asyncio
import functools
import logging
import time
from collections.abc import Callable, Mapping
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import UUID

from traitlets import TraitError

from bgdl_jupyter.engine.order import Durable, LeaseLost
from bgdl_jupyter.model.masking import masked_durable
from bgdl_jupyter.model.operation import DownloadOperation
from bgdl_jupyter.post_processing import PostProcessing
from bgdl_jupyter.status import BackgroundTransferStatus

if TYPE_CHECKING:
    from bgdl_jupyter.events import Completed
    from bgdl_jupyter.model.runner import Runner
    from bgdl_jupyter.storage.records import OperationRow
    from bgdl_jupyter.storage.state_file import StateFile

log = logging.getLogger(__name__)


def record_of(operation: DownloadOperation) -> dict[str, Any]:
    """Return what the state file keeps of the operation's traits."""
    return {name: plain(getattr(operation, name)) for name in _persisted()}


@functools.cache
def _persisted() -> tuple[str, ...]:
    return tuple(DownloadOperation.class_trait_names(persist=True))


def plain(value: object) -> Any:
    """Return the JSON form of a value of a trait."""
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
    return {
        "status": int(operation.status),
        "is_final": operation.status.is_final,
        "was_seen": operation.was_seen,
        "position": int(operation.position),
        "final_at": operation.final_at,
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
        operation = DownloadOperation(runner, **_values_of(row))
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
    operation.record_durable(Durable.from_record(row.watermark, epoch=row.epoch, is_disputed=is_disputed))
    operation.position = row.position
    operation.batch = row.batch
    operation.epoch = row.epoch
    operation.identity = row.identity
    operation.was_seen = row.was_seen
    operation.was_restored = True
    operation.restore_progress()


def _values_of(row: OperationRow) -> dict[str, Any]:
    traits = DownloadOperation.class_traits(persist=True)
    values: dict[str, Any] = {}
    if BackgroundTransferStatus(row.status).is_running:
        row.record["status_reason"] = ""  # a step to running is recorded without the reason for the pause before
    for name, value in row.record.items():
        if name in traits:  # an older or newer minor version may know others
            load: Callable[[Any], Any] | None = traits[name].metadata.get("load")
            values[name] = load(value) if load is not None and value is not None else value
    return values | {
        "guid": row.operation_id,
        "application": row.application,
        "group": row.group,
        "status": BackgroundTransferStatus(row.status),
        "created_at": row.created_at,
        "final_at": row.final_at,
    }


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

    def _record_of(self, operation_id: UUID, durable: Durable) -> dict[str, Any]:
        operation = self._find(operation_id)
        if operation is None or not operation.secret_names:
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
            **plain(operation.placed_at(event.path)),
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
            "record": record_of(operation) | outcome,
        }

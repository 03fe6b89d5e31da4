"""Operations out of the rows of the state file: what many have in common is looked at once."""

from __future__ import annotations

import functools
from itertools import combinations, permutations
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from bgdl_jupyter.engine.order import Durable
from bgdl_jupyter.model.operation import DownloadOperation
from bgdl_jupyter.model.persistence import operation_from, shared_of
from bgdl_jupyter.storage.record_texts import SplitRecord

if TYPE_CHECKING:
    from bgdl_jupyter.model.light import SharedValues
    from bgdl_jupyter.model.runner import Runner
    from bgdl_jupyter.storage.records import OperationRow

# What an operation that nothing was fetched of has for itself, and what it may have.
_OWN: Final = ("requested_uri", "result_file")
_PERHAPS_OWN: Final = ("checksum", "directory", "status_reason", "failure")
_SHAPES: Final = frozenset(
    names for count in range(5) for more in combinations(_PERHAPS_OWN, count) for names in permutations((*_OWN, *more))
)
# Of these, what is shared all the same.
_SHARED: Final = ("status_reason", "failure")
# Those that stand still do so for few reasons; where each has another one, there is nothing to share.
_MOST_KINDS: Final = 64


class Recollection:
    """Makes operations of many rows."""

    def __init__(self, runner: Runner) -> None:
        self.runner = runner
        # With what they are made of, so that nothing else can come to stand in its place.
        self._directories: dict[str, Path] = {}
        self._known: dict[tuple[object, ...], tuple[dict[str, Any], SharedValues]] = {}

    def operation_of(self, row: OperationRow, *, is_disputed: bool = False) -> DownloadOperation:
        """
        Return the operation that a row describes.

        Raises
        ------
        ValueError
            The record is not one of ours; the message says which part of it.
        """
        record = row.record
        if row.is_final or row.watermark is not None or not isinstance(record, SplitRecord) or not _is_plain(record):
            return operation_from(row, self.runner, is_disputed=is_disputed)
        key = id(record.common), row.application, row.group, row.status, record.own.get("status_reason")
        known = self._known.get(key)
        if known is None:
            if len(self._known) == _MOST_KINDS:
                return operation_from(row, self.runner, is_disputed=is_disputed)
            known = self._known[key] = record.common, self._shared(row, record)
        own = {"guid": row.operation_id, "created_at": row.created_at, **record.own}
        for name in _SHARED:
            own.pop(name, None)
        if own["result_file"] is None:
            del own["result_file"]
        path = own.get("directory")
        if path is not None:
            own["directory"] = self._directories.get(path) or self._directories.setdefault(path, Path(path))
        operation = DownloadOperation.alike(self.runner, own, known[1])
        operation.keep_columns(row, _nothing(row.epoch, is_disputed=is_disputed))
        return operation

    def _shared(self, row: OperationRow, record: SplitRecord) -> SharedValues:
        """Return what operations have in common whose records begin as this one does."""
        own = record.own
        alone = {name: value for name, value in own.items() if name in _SHARED or name not in record.common}
        first = operation_from(row._replace(record=SplitRecord(record.common, alone)), self.runner)
        values = {name: getattr(first, name) for name in (*record.common, *_SHARED) if first.has_trait(name)}
        return shared_of({**values, "application": row.application, "group": row.group}, first.status)


def _is_plain(record: SplitRecord) -> bool:
    own = record.own
    return (
        tuple(own) in _SHAPES
        and ("directory" in own or "directory" in record.common)
        and type(own["requested_uri"]) is str
        and (own["result_file"] is None or type(own["result_file"]) is str)
        and type(own.get("checksum", "")) is str
        and type(own.get("directory", "")) is str
        and type(own.get("status_reason", "")) is str
        and own.get("failure") is None
    )


@functools.lru_cache(maxsize=256)
def _nothing(epoch: int, *, is_disputed: bool) -> Durable:
    """Return what the state file knows of the bytes of an operation that has none."""
    return Durable.from_record(None, epoch=epoch, is_disputed=is_disputed)

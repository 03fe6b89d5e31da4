"""Files that are there already: taken as they are where they are known, or proven, to be what is asked for."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from bgdl_jupyter.events import ActivityChanged, Completed
from bgdl_jupyter.status import CreationCollisionOption, Integrity, TransferActivity
from bgdl_jupyter.storage.digests import new_hash

if TYPE_CHECKING:
    from pathlib import Path

    from bgdl_jupyter.model.draft import Draft
    from bgdl_jupyter.model.operation import DownloadOperation
    from bgdl_jupyter.model.runner import Runner
    from bgdl_jupyter.resource import Digest

_READ_AT_ONCE: Final = 1 << 20


def completed_twin(runner: Runner, application: str, draft: Draft, identity: str) -> DownloadOperation | None:
    """Return the finished operation whose file is what the draft asks for, still there and verified; None else."""
    if draft.values["collision"] is not CreationCollisionOption.OPEN_IF_EXISTS:
        return None
    for operation in runner.registry.finished_as(application, identity):
        if _is_there(operation, draft) and _serves(operation, draft):
            return operation
    return None


def _is_there(operation: DownloadOperation, draft: Draft) -> bool:
    path, wanted = operation.result_file, draft.values["result_file"]
    if path is None or (path != wanted if wanted is not None else path.parent != draft.values["directory"]):
        return False
    return path.is_file() and bool(path.stat().st_size == operation.size)


def _serves(operation: DownloadOperation, draft: Draft) -> bool:
    """Whether a finished file was verified as far as the draft asks."""
    wanted = draft.values["checksum"]
    if wanted:
        return bool(operation.digest == wanted)
    return bool(operation.digest) or operation.integrity is Integrity.LENGTH_AND_VALIDATOR


async def take_as_it_is(runner: Runner, operation: DownloadOperation) -> bool:
    """Complete an operation whose file is there already and has the digest that it must have; tell whether it did."""
    path, digest = operation.result_file, operation.expected_digest
    if operation.collision is not CreationCollisionOption.OPEN_IF_EXISTS or path is None or digest is None:
        return False
    if operation.durable.file is not None or not path.is_file():
        return False
    runner.publish(ActivityChanged(operation_id=operation.guid, activity=TransferActivity.VERIFYING))
    size = await runner.facilities.run(_size_if_right, path, digest)
    if size is None:
        return False
    fact = Completed(
        operation_id=operation.guid, path=str(path), size=size, integrity=Integrity.DIGEST, digest=str(digest)
    )
    # Not to be canceled between the record and the fact: the two would differ.
    await asyncio.shield(_complete(runner, fact))
    return True


async def _complete(runner: Runner, fact: Completed) -> None:
    await runner.journal.remember_completed([fact])
    runner.publish(fact)


def _size_if_right(path: Path, digest: Digest) -> int | None:
    """Return the size of a file that has a digest, None where it has another; blocks."""
    running, size = new_hash(digest.algorithm), 0
    try:
        with path.open("rb") as file:
            while chunk := file.read(_READ_AT_ONCE):
                running.update(chunk)
                size += len(chunk)
    except OSError:
        return None
    return size if running.digest().hex() == digest.value else None

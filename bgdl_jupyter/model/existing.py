"""Files that are there already: taken as they are where they are known, or proven, to be what is asked for."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from bgdl_jupyter.errors import DestinationExists
from bgdl_jupyter.events import ActivityChanged, Completed
from bgdl_jupyter.model.stores import place_of
from bgdl_jupyter.status import CreationCollisionOption, Integrity, TransferActivity
from bgdl_jupyter.storage.digests import new_hash, parse_checksum

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
    return _was_verified(operation)


def _was_verified(operation: DownloadOperation) -> bool:
    return bool(operation.digest) or operation.integrity is Integrity.LENGTH_AND_VALIDATOR


async def take_as_it_is(runner: Runner, operation: DownloadOperation) -> bool:
    """Complete an operation whose file is there already and has the digest that it must have; tell whether it did."""
    if operation.store_url:
        return await _take_from_store(runner, operation)
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


async def _take_from_store(runner: Runner, operation: DownloadOperation) -> bool:
    """Do the same in a store; raises `DestinationExists` before a byte is fetched for nothing."""
    collision = operation.collision
    fails = collision is CreationCollisionOption.FAIL_IF_EXISTS
    is_open = collision is CreationCollisionOption.OPEN_IF_EXISTS
    if operation.destination is None or operation.durable.file is not None or not (fails or is_open):
        return False
    known = None if fails else _proof(runner, operation)
    if is_open and known is None:
        return False
    runner.publish(ActivityChanged(operation_id=operation.guid, activity=TransferActivity.VERIFYING))
    size = await runner.facilities.uploads.run(_find_in_store, operation, known)
    if size is None:
        return False
    if known is None:
        raise DestinationExists(f"{operation.destination!r} exists.")
    fact = Completed(
        operation_id=operation.guid,
        path=operation.store_url,
        size=size,
        integrity=known.integrity,
        digest=str(known.digest) if known.digest else None,
    )
    await asyncio.shield(_complete(runner, fact))
    return True


@dataclass(frozen=True, slots=True, kw_only=True)
class _Proof:
    """What shows that a file in a store is the one that is wanted: our history, or a digest that is read again."""

    integrity: Integrity
    digest: Digest | None
    size: int | None = None


def _proof(runner: Runner, operation: DownloadOperation) -> _Proof | None:
    wanted = operation.expected_digest
    for each in runner.registry.finished_as(operation.application, operation.identity):
        serves = str(wanted) == each.digest if wanted else _was_verified(each)
        if each.store_url == operation.store_url and each.integrity is not None and serves:
            digest = parse_checksum(each.digest) if each.digest else None
            return _Proof(integrity=each.integrity, digest=digest, size=each.size)
    return _Proof(integrity=Integrity.DIGEST, digest=wanted) if wanted is not None else None


def _find_in_store(operation: DownloadOperation, known: _Proof | None) -> int | None:
    place = place_of(operation)
    if known is None:
        return place.find()
    if known.size is not None:
        return place.find(size=known.size)
    return place.find(digest=known.digest)


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

"""Files that are there already: taken as they are where they are known, or proven, to be what is asked for."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from bgdl_jupyter.errors import DestinationExists
from bgdl_jupyter.events import ActivityChanged, Completed
from bgdl_jupyter.model.stores import place_of
from bgdl_jupyter.status import CreationCollisionOption, Integrity, TransferActivity
from bgdl_jupyter.storage.descriptor import Footprint
from bgdl_jupyter.storage.digests import new_hash, parse_checksum

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from bgdl_jupyter.model.draft import Draft
    from bgdl_jupyter.model.operation import DownloadOperation
    from bgdl_jupyter.model.runner import Runner
    from bgdl_jupyter.resource import Digest

_READ_AT_ONCE: Final = 1 << 20
_NOTHING: Final[frozenset[Footprint]] = frozenset()
_ALWAYS_FREE: Final = frozenset(
    {CreationCollisionOption.GENERATE_UNIQUE_NAME, CreationCollisionOption.REPLACE_EXISTING}
)


def completed_twin(runner: Runner, application: str, draft: Draft, identity: str) -> DownloadOperation | None:
    """Return the finished operation whose file is what the draft asks for, still there and verified; None else."""
    if draft.collision is not CreationCollisionOption.OPEN_IF_EXISTS:
        return None
    for operation in runner.registry.finished_as(application, identity):
        if _is_there(operation, draft) and _serves(operation, draft):
            return operation
    return None


def _is_there(operation: DownloadOperation, draft: Draft) -> bool:
    """Whether the file is where the draft wants it, and nobody touched it since it was verified."""
    path, wanted = operation.result_file, draft.path
    if path is None or (path != wanted if wanted is not None else path.parent != draft.directory):
        return False
    footprint = Footprint.at(path)
    return footprint is not None and footprint == _footprint_of(operation)


def _footprint_of(operation: DownloadOperation) -> Footprint | None:
    return Footprint(*operation.footprint) if len(operation.footprint) == len(Footprint._fields) else None


def ours_to_replace(runner: Runner, application: str, identity: str) -> frozenset[Footprint]:
    """Return by what the files are known that we fetched for the same request; one only taken as it was is not ours."""
    finished = runner.registry.finished_as(application, identity)
    if not finished:  # as with nearly all
        return _NOTHING
    fetched = [each for each in finished if each.started_at is not None]
    return frozenset(footprint for each in fetched if (footprint := _footprint_of(each)) is not None)


def refuse_foreign(runner: Runner, application: str, draft: Draft, identity: str) -> None:
    """
    Refuse a download to a file that is there, that we did not write, and that nothing can prove to be the right one.

    Raises
    ------
    DestinationExists
        So it is; with a checksum that is found out when the download starts.
    """
    path = draft.path
    if draft.collision is not CreationCollisionOption.OPEN_IF_EXISTS or path is None:
        return
    has_digest = draft.checksum or draft.common["options"].get("checksum_file")
    footprint = None if has_digest else Footprint.at(path)
    if footprint is not None and footprint not in ours_to_replace(runner, application, identity):
        raise _foreign(path)


def _foreign(path: Path | str | None, *, has_digest: bool = False) -> DestinationExists:
    if has_digest:
        return DestinationExists(f"{str(path)!r} is there with another digest, and is no file of this download.")
    return DestinationExists(
        f"{str(path)!r} is there, and is no file of this download that was left as it came.",
        hint=f"{DestinationExists.hint} A checksum proves whether it is the right one.",
    )


def _serves(operation: DownloadOperation, draft: Draft) -> bool:
    """Whether a finished file was verified as far as the draft asks."""
    wanted, source = draft.checksum, draft.common["options"].get("checksum_file")
    if wanted:
        return bool(operation.digest == wanted)
    if source:  # which says the digest when the download starts
        return bool(operation.digest) and operation.options.get("checksum_file") == source
    return _was_verified(operation)


def _was_verified(operation: DownloadOperation) -> bool:
    return bool(operation.digest) or operation.integrity is Integrity.LENGTH_AND_VALIDATOR


async def check_free(runner: Runner, operation: DownloadOperation, path: Path) -> None:
    """Refuse a name that the server gave where a file has it already that is not ours to replace."""
    footprint = await runner.facilities.looking.footprint(str(path))
    if footprint is None or operation.collision in _ALWAYS_FREE:
        return
    if operation.collision is CreationCollisionOption.FAIL_IF_EXISTS:
        raise DestinationExists(f"{str(path)!r} exists.")
    if footprint not in ours_to_replace(runner, operation.application, operation.identity):
        raise _foreign(path, has_digest=operation.expected_digest is not None)


def path_to_look_at(operation: DownloadOperation) -> str | None:
    """Return where a file may be already that is to be taken as it is; None where there can be none of that kind."""
    values = operation.values
    is_open = values["collision"] is CreationCollisionOption.OPEN_IF_EXISTS
    if not is_open or values["store_url"] or operation.durable.file is not None:
        return None
    path = values["result_file"]
    if path is None:
        return str(operation.directory / operation.name) if values["checksum"] else None
    return str(path)


async def take_as_it_is(
    runner: Runner, operation: DownloadOperation, *, claim: Callable[[Path], Awaitable[bool]]
) -> bool:
    """
    Complete an operation whose file is there already and has the digest that it must have; tell whether it did.

    ``claim`` gives the right to a path; it is asked where the server was to name the file.

    Raises
    ------
    DestinationExists
        A file is there that is another one, and not ours to replace; nothing was fetched.
    """
    values = operation.values
    if values["store_url"]:
        return await _take_from_store(runner, operation)
    digest = operation.expected_digest if values["checksum"] else None
    place = path_to_look_at(operation)
    footprint = await runner.facilities.looking.footprint(place) if place is not None else None
    if place is None or footprint is None:
        return False
    path = Path(place)
    runner.publish(ActivityChanged(operation_id=operation.guid, activity=TransferActivity.VERIFYING))
    is_right = digest is not None and await runner.facilities.run(_has_digest, path, digest)
    if operation.result_file is None and not (is_right and await claim(path)):
        return False
    if not is_right:
        if footprint in ours_to_replace(runner, operation.application, operation.identity):
            return False
        raise _foreign(path, has_digest=digest is not None)
    fact = Completed(
        operation_id=operation.guid,
        path=str(path),
        size=footprint.size,
        integrity=Integrity.DIGEST,
        digest=str(digest),
        footprint=footprint,
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
    runner.publish(ActivityChanged(operation_id=operation.guid, activity=TransferActivity.VERIFYING))
    known = None if fails else _proof(runner, operation)
    size = None if known is None else await runner.facilities.uploads.run(_find_in_store, operation, known)
    if known is None or size is None:
        await _refuse_foreign_object(runner, operation)
        return False
    fact = Completed(
        operation_id=operation.guid,
        path=operation.store_url,
        size=size,
        integrity=known.integrity,
        digest=str(known.digest) if known.digest else None,
    )
    await asyncio.shield(_complete(runner, fact))
    return True


async def _refuse_foreign_object(runner: Runner, operation: DownloadOperation) -> None:
    """Refuse to replace what is in a store, but for what the same request has put there before."""
    finished = runner.registry.finished_as(operation.application, operation.identity)
    is_open = operation.collision is CreationCollisionOption.OPEN_IF_EXISTS
    if is_open and any(each.store_url == operation.store_url for each in finished):
        return
    if await runner.facilities.uploads.run(_find_in_store, operation, None) is None:
        return
    if is_open:
        raise _foreign(operation.destination, has_digest=operation.expected_digest is not None)
    raise DestinationExists(f"{operation.destination!r} exists.")


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


def _has_digest(path: Path, digest: Digest) -> bool:
    """Whether a file has a digest; blocks."""
    running = new_hash(digest.algorithm)
    try:
        with path.open("rb") as file:
            while chunk := file.read(_READ_AT_ONCE):
                running.update(chunk)
    except OSError:
        return False
    return running.digest().hex() == digest.value

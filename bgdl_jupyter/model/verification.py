"""Whether the file of a finished download still is what was fetched."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from bgdl_jupyter.model.stores import place_of
from bgdl_jupyter.storage.digests import new_hash, parse_checksum

if TYPE_CHECKING:
    from bgdl_jupyter.model.operation import DownloadOperation

_READ_AT_ONCE: Final = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Verification:
    """Whether the file of a completed operation still is what was fetched, and what was compared."""

    operation: DownloadOperation
    is_whole: bool
    says: str


def verify(operation: DownloadOperation) -> Verification:
    """Read the file of a completed operation, and compare its size and, where one is known, its digest."""
    is_whole, says = _compare(operation)
    return Verification(operation=operation, is_whole=is_whole, says=says)


def _compare(operation: DownloadOperation) -> tuple[bool, str]:
    if operation.store_url:
        return _compare_in_store(operation)
    path = operation.result_file
    if path is None or not path.is_file():
        return False, "the file is gone"
    size = path.stat().st_size
    if operation.size is not None and size != operation.size:
        return False, f"it has {size:,} bytes instead of {operation.size:,}"
    expected = operation.digest or operation.checksum
    if not expected:
        return True, "it has the right size; no digest is known"
    wanted = parse_checksum(expected)
    running = new_hash(wanted.algorithm)
    with path.open("rb") as file:
        while chunk := file.read(_READ_AT_ONCE):
            running.update(chunk)
    if running.digest().hex() != wanted.value:
        return False, f"its {wanted.algorithm} is another one than when it was fetched"
    return True, f"its {wanted.algorithm} is right"


def _compare_in_store(operation: DownloadOperation) -> tuple[bool, str]:
    place, known = place_of(operation), operation.digest or operation.checksum
    digest = parse_checksum(known) if known else None
    if place.find() is None:
        return False, "the file is gone"
    if place.find(size=operation.size, digest=digest) is None:
        return False, "its size or its digest is another one than when it was fetched"
    return True, f"its {digest.algorithm} is right" if digest else "it has the right size; no digest is known"

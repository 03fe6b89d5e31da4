"""Whether the bytes are those that were promised, and how much of that could be checked."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bgdl_jupyter.status import Integrity
from bgdl_jupyter.storage.digests import new_hash
from bgdl_jupyter.transport.base import Framing

if TYPE_CHECKING:
    from bgdl_jupyter.engine.facilities import Facilities
    from bgdl_jupyter.engine.holding import Holding
    from bgdl_jupyter.resource import Digest, Resource


async def has_right_digest(holding: Holding, facilities: Facilities, small_body: memoryview | None) -> bool:
    """
    Whether the bytes have the digest that is known of them; True where none is.

    Parameters
    ----------
    small_body:
        The whole file where it is not on the disk yet.
    """
    expected, running = holding.expected_digest, holding.digest
    if expected is None or running is None:
        return True
    if small_body is not None:
        return body_has(expected, small_body)
    file = await holding.open_file()
    assert holding.length is not None  # noqa: S101 (the file is whole)
    return await facilities.run(running.finish, file, holding.length) == expected.value


def body_has(expected: Digest, body: memoryview) -> bool:
    """Whether a small body has a digest."""
    hashed = new_hash(expected.algorithm)
    hashed.update(body)
    return hashed.digest().hex() == expected.value


def integrity_of(expected: Digest | None, resource: Resource | None, framing: Framing) -> Integrity:
    """Return what was checked of a file that is whole; ``expected`` is the digest that it was found to have."""
    if expected is not None:
        return Integrity.DIGEST
    if resource is None or framing is Framing.CLOSED:
        return Integrity.NONE
    return Integrity.LENGTH_AND_VALIDATOR if resource.validator else Integrity.LENGTH

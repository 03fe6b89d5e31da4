"""Checksums: what may be asked for, and a hash that grows with the file, in one pass where bytes come in order."""

from __future__ import annotations

import functools
import hashlib
import importlib.util
import re
import threading
from typing import TYPE_CHECKING, Final, Protocol, Self

from bgdl_jupyter.errors import InvalidRequest
from bgdl_jupyter.resource import Digest
from bgdl_jupyter.storage.partial_file import PartialFileLost

if TYPE_CHECKING:
    from collections.abc import Iterable

    from bgdl_jupyter.storage.partial_file import PartialFile

_READ_AT_ONCE: Final = 1 << 20

#: The algorithms that can be checked and the length of their values in hexadecimal digits, the strongest first.
HEXADECIMAL_DIGITS: Final = {
    "sha512": 128,
    "sha3_512": 128,
    "blake2b": 128,
    "sha384": 96,
    "sha3_384": 96,
    "sha256": 64,
    "sha3_256": 64,
    "blake2s": 64,
    "sha224": 56,
    "sha3_224": 56,
    "sha1": 40,
    "md5": 32,
    "crc32c": 8,
}
_OF_HASHLIB: Final = HEXADECIMAL_DIGITS.keys() & hashlib.algorithms_available
_HEXADECIMAL: Final = re.compile("[0-9a-f]+")


class Hash(Protocol):
    """What hashlib and google_crc32c have in common."""

    def update(self, data: bytes | memoryview, /) -> None:
        """Take in bytes."""

    def copy(self) -> Self:
        """Return a hash of the same bytes."""

    def digest(self) -> bytes:
        """Return the value."""


def can_compute(algorithm: str) -> bool:
    """Whether a value of this algorithm can be checked here."""
    if algorithm == "crc32c":
        return importlib.util.find_spec("google_crc32c") is not None
    return algorithm in _OF_HASHLIB


def new_hash(algorithm: str) -> Hash:
    """Return an empty hash; raises ``ValueError`` for what cannot be computed."""
    if not can_compute(algorithm):
        raise ValueError(f"{algorithm} cannot be computed here")
    if algorithm == "crc32c":
        checksum: Hash = importlib.import_module("google_crc32c").Checksum()
        return checksum
    return hashlib.new(algorithm, usedforsecurity=False)


def parse_checksum(text: str) -> Digest:
    """
    Return the digest that a user expects.

    Parameters
    ----------
    text:
        ``algorithm:hexadecimal``, or a bare SHA-256 in hexadecimal. Case and the dash in ``sha-256`` do not matter.

    Raises
    ------
    InvalidRequest
        The algorithm is not known here, or the value cannot be one of its values.
    """
    if not isinstance(text, str):
        raise InvalidRequest(f"A checksum is a str like 'sha256:…', not {type(text).__name__}.")
    name, colon, value = text.strip().rpartition(":")
    algorithm = _canonical(name) if colon else "sha256"
    value = value.strip().lower()
    if not can_compute(algorithm):
        known = ", ".join(each for each in HEXADECIMAL_DIGITS if can_compute(each))
        raise InvalidRequest(f"The checksum algorithm {name[:40]!r} is not known here; known are {known}.")
    digits = HEXADECIMAL_DIGITS[algorithm]
    if len(value) != digits or not _HEXADECIMAL.fullmatch(value):
        raise InvalidRequest(f"A {algorithm} checksum has {digits} hexadecimal digits; this one has not.")
    return Digest(algorithm, value)


@functools.lru_cache(maxsize=64)
def _canonical(name: str) -> str:
    name = name.strip().lower()
    name = re.sub(r"^sha-(?=\d{3}$|1$)", "sha", name)
    return re.sub(r"^sha-?3-", "sha3_", name)


def strongest(digests: Iterable[Digest]) -> Digest | None:
    """Return the digest that proves most among those that can be checked here; None where there is none."""
    order = list(HEXADECIMAL_DIGITS)
    usable = [digest for digest in digests if can_compute(digest.algorithm)]
    return min(usable, key=lambda digest: order.index(digest.algorithm), default=None)


class RunningDigest:
    """
    A hash of a file that is being written; may be fed from any thread.

    Attributes
    ----------
    position:
        How many bytes from the start are hashed.
    """

    def __init__(self, algorithm: str) -> None:
        self.algorithm = algorithm
        self.position = 0
        self._hash = new_hash(algorithm)
        self._lock = threading.Lock()

    def feed(self, offset: int, data: bytes | bytearray | memoryview) -> None:
        """Hash bytes that were written at an offset, as far as they go on where the hash stands."""
        with self._lock:
            known = self.position - offset
            if 0 <= known < len(data):
                fresh = memoryview(data)[known:]
                self._hash.update(fresh)
                self.position += len(fresh)

    def catch_up(self, file: PartialFile, stop: int) -> None:
        """
        Hash what was not fed in order, from the file, up to ``stop``; blocks.

        Raises
        ------
        PartialFileLost
            The file ends before ``stop``.
        StorageFailed
            It cannot be read.
        """
        while (position := self.position) < stop:
            data = file.read(position, min(_READ_AT_ONCE, stop - position))
            if not data:
                raise PartialFileLost(f"{file.path.name!r} ends at {position:,} bytes instead of {stop:,}.")
            self.feed(position, data)

    def finish(self, file: PartialFile, size: int) -> str:
        """Return the value for the first ``size`` bytes in hexadecimal; reads only what was not fed in order."""
        if self.position > size:
            self.rewind()
        self.catch_up(file, size)
        with self._lock:
            return self._hash.copy().digest().hex()

    def rewind(self) -> None:
        """Forget all bytes: the file begins anew."""
        with self._lock:
            self._hash = new_hash(self.algorithm)
            self.position = 0

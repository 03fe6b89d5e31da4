"""
Bytes to serve, computed by offset, so that a file of many gigabytes costs a megabyte of memory.

`Pattern` repeats a pseudo-random block whose length is a prime number: a piece that lands at the offset of another
piece never looks right, whatever power of two lies between them. The same seed with another size is the same file,
longer or shorter.
"""

from __future__ import annotations

import functools
import hashlib
import random
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

PIECE = 1 << 20
PERIOD = 1_048_583  # the first prime above 2**20


class Content(Protocol):
    """A run of bytes that can be read anywhere."""

    @property
    def size(self) -> int:
        """Length in bytes."""

    def pieces(self, start: int, stop: int) -> Iterator[memoryview]:
        """Yield the bytes of the half-open range in pieces of at most 1 MiB."""


@dataclass(frozen=True, slots=True)
class Literal:
    """Bytes that are written out."""

    body: bytes

    @property
    def size(self) -> int:
        """Length in bytes."""
        return len(self.body)

    def pieces(self, start: int, stop: int) -> Iterator[memoryview]:
        """Yield the bytes of the half-open range in pieces of at most 1 MiB."""
        view = memoryview(self.body)
        for position in range(start, stop, PIECE):
            yield view[position : min(position + PIECE, stop)]


@dataclass(frozen=True, slots=True)
class Pattern:
    """Pseudo-random bytes: the same for the same seed, on every machine."""

    size: int
    seed: int = 1

    def pieces(self, start: int, stop: int) -> Iterator[memoryview]:
        """Yield the bytes of the half-open range in pieces of at most 1 MiB."""
        block = _block(self.seed, min(-(-self.size // 4096) * 4096, PERIOD))
        position = start
        while position < stop:
            offset = position % PERIOD
            piece = block[offset : offset + min(PIECE, stop - position)]
            yield piece
            position += len(piece)


@functools.lru_cache(maxsize=8)
def _block(seed: int, length: int) -> memoryview:
    # Rounded up to whole words, else the last bytes would depend on the length.
    block = random.Random(seed).randbytes(-(-length // 4096) * 4096)[:length]
    return memoryview(block + block[:PIECE] if length == PERIOD else block)


def read(content: Content, start: int = 0, stop: int | None = None) -> bytes:
    """Return the half-open range as bytes."""
    return b"".join(content.pieces(start, content.size if stop is None else stop))


def digest(content: Content, algorithm: str = "sha256") -> bytes:
    """Return the digest of all bytes, computed piece by piece and remembered."""
    return _digest(content, algorithm)  # type: ignore[arg-type] # contents are frozen, hence hashable


@functools.lru_cache(maxsize=64)
def _digest(content: Content, algorithm: str) -> bytes:
    running = hashlib.new(algorithm, usedforsecurity=False)
    for piece in content.pieces(0, content.size):
        running.update(piece)
    return running.digest()


def write_file(path: Path, content: Content) -> Path:
    """Write the content to a file and return its path."""
    with path.open("wb") as file:
        for piece in content.pieces(0, content.size):
            file.write(piece)
    return path


def file_sha256(path: Path) -> str:
    """Return the SHA-256 of a file in hexadecimal, read in pieces of 1 MiB."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()

"""Lines that ask for the same, found in any number of lines with little memory: by fingerprints, in buckets on disk."""

from __future__ import annotations

import hashlib
import struct
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple, Self

if TYPE_CHECKING:
    from collections.abc import Iterator

_BUCKETS: Final = 256
_BUFFER: Final = 32 << 10
_RECORD: Final = struct.Struct("<16sQ")


class Repeated(NamedTuple):
    """A line that has the same as an earlier one."""

    line: int
    earlier: int


class Fingerprints:
    """
    What the lines have that must be there once; a context manager, whose files are private and go with it.

    Memory does not grow with the number of lines, but for one bucket of 256 at the end.
    """

    def __init__(self) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="bgdl-lines-")
        self._buffers = [bytearray() for _ in range(_BUCKETS)]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._folder.cleanup()

    def add(self, line: int, text: str) -> None:
        """Take note of what a line has."""
        fingerprint = hashlib.blake2b(text.encode(errors="surrogateescape"), digest_size=16).digest()
        buffer = self._buffers[fingerprint[0]]
        buffer += _RECORD.pack(fingerprint, line)
        if len(buffer) >= _BUFFER:
            self._flush(fingerprint[0])

    def repeated(self) -> Iterator[Repeated]:
        """Give the lines that have what an earlier one has."""
        for bucket in range(_BUCKETS):
            seen: dict[bytes, int] = {}
            for fingerprint, line in _RECORD.iter_unpack(self._content(bucket)):
                earlier = seen.setdefault(fingerprint, line)
                if earlier != line:
                    yield Repeated(line, earlier)

    def _content(self, bucket: int) -> bytes:
        path = self._path(bucket)
        return (path.read_bytes() if path.exists() else b"") + bytes(self._buffers[bucket])

    def _flush(self, bucket: int) -> None:
        with self._path(bucket).open("ab") as file:
            file.write(self._buffers[bucket])
        self._buffers[bucket].clear()

    def _path(self, bucket: int) -> Path:
        return Path(self._folder.name) / str(bucket)

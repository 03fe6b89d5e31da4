"""The bytes of an archive: counted as they are read, decompressed in bounded memory, and bounded in headers."""

from __future__ import annotations

import bz2
import functools
import gzip
import importlib
import io
import lzma
from typing import IO, TYPE_CHECKING, Any, Final, Protocol, cast

from bgdl_jupyter.errors import PostProcessingFailed

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path
    from types import TracebackType

    from bgdl_jupyter.storage.archives.gauge import Gauge

#: What is read at once.
CHUNK: Final = 1 << 20
_FED_AT_ONCE: Final = 128 << 10
#: No dictionary of a sound archive needs more; one that asks for more could take all memory.
_MOST_MEMORY: Final = 256 << 20
_WINDOW_LOG: Final = 27
#: What may come between two members: names and attributes, which are kept in memory.
_MOST_BETWEEN: Final = 16 << 20

_MAGIC: Final[dict[str, bytes]] = {
    "gz": b"\x1f\x8b",
    "bz2": b"BZh",
    "xz": b"\xfd7zXZ\x00",
    "zst": b"\x28\xb5\x2f\xfd",
}
LONGEST_MAGIC: Final = max(map(len, _MAGIC.values()))


class Readable(Protocol):
    """What gives bytes, fewer than asked for only at its end, and may be closed."""

    def read(self, size: int, /) -> bytes:
        """Return the next bytes; none at the end."""

    def close(self) -> None:
        """Let go of what it holds."""


class CountedFile(io.RawIOBase):
    """The archive's own bytes; what is read of them is counted."""

    def __init__(self, path: Path, gauge: Gauge) -> None:
        self._file = path.open("rb", buffering=0)
        self._gauge = gauge

    def readable(self) -> bool:
        """Whether it can be read: it can."""
        return True

    def seekable(self) -> bool:
        """Whether it can be read from anywhere: it can."""
        return True

    def readinto(self, buffer: Any) -> int:
        """Read into a buffer and return how many bytes."""
        count = self._file.readinto(buffer)
        self._gauge.read(count)
        return count

    def seek(self, offset: int, whence: int = 0) -> int:
        """Read on from another place."""
        return self._file.seek(offset, whence)

    def tell(self) -> int:
        """Return the place."""
        return self._file.tell()

    def close(self) -> None:
        """Close the file."""
        self._file.close()
        super().close()


def compression_of(start: bytes) -> str | None:
    """Return how a file is compressed that begins so; None where it is not."""
    return next((name for name, magic in _MAGIC.items() if start.startswith(magic)), None)


def decompressed(file: IO[bytes], compression: str | None) -> Readable:
    """
    Return the bytes that a file stands for.

    Raises
    ------
    PostProcessingFailed
        A library is missing that can read it; the message says which.
    """
    match compression:
        case "gz":
            return cast("Readable", gzip.GzipFile(fileobj=file))
        case "bz2":
            return Framed(file, bz2.BZ2Decompressor)
        case "xz":
            return Framed(file, lzma_decoder(lzma.FORMAT_XZ))
        case "zst":
            return Framed(file, zstd_decoder())
    return file


class _Decoder(Protocol):
    """What decodes one stream of a compressed file, a bounded piece at a time."""

    @property
    def eof(self) -> bool:
        """Whether the stream has ended."""

    @property
    def needs_input(self) -> bool:
        """Whether nothing comes out before more goes in."""

    @property
    def unused_data(self) -> bytes:
        """What came after the end."""

    def decompress(self, data: bytes, max_length: int, /) -> bytes:
        """Return at most so many bytes."""


class Framed:
    """A compressed file of one stream or several behind each other, none of which may be cut off."""

    def __init__(self, file: IO[bytes], new_decoder: Callable[[], _Decoder]) -> None:
        self._file = file
        self._new_decoder = new_decoder
        self._decoder = new_decoder()

    def read(self, size: int, /) -> bytes:
        """Return the next bytes, fewer than asked for only at the end."""
        parts, missing = [], size
        while missing and (part := self._part(missing)):
            parts.append(part)
            missing -= len(part)
        return b"".join(parts)

    def _part(self, size: int) -> bytes:
        while True:
            fed = b""
            if self._decoder.eof:
                fed = self._next_stream()
                if not fed:
                    return b""
                self._decoder = self._new_decoder()
            elif self._decoder.needs_input:
                fed = self._file.read(_FED_AT_ONCE)
                if not fed:
                    raise EOFError("it ends in the middle")
            part = self._decoder.decompress(fed, size)
            if part:
                return part

    def _next_stream(self) -> bytes:
        """Return how the next stream begins, behind the zeros that may lie between; nothing at the end."""
        data = self._decoder.unused_data.lstrip(b"\0")
        while not data and (more := self._file.read(_FED_AT_ONCE)):
            data = more.lstrip(b"\0")
        return data

    def close(self) -> None:
        """Let go of the decoder; the file is its owner's."""
        self._decoder = self._new_decoder()


def lzma_decoder(form: int) -> Callable[[], _Decoder]:
    """Return what makes decoders of a format of `lzma` that take no more memory than a sound file needs."""
    return functools.partial(lzma.LZMADecompressor, form, memlimit=_MOST_MEMORY)


def zstd_decoder() -> Callable[[], _Decoder]:
    """Return what makes decoders of Zstandard; raises `PostProcessingFailed` where its library is missing."""
    for name in ("compression.zstd", "backports.zstd"):  # the first is Python's own from 3.14 on
        try:
            zstd = importlib.import_module(name)
        except ImportError:
            continue
        options = {zstd.DecompressionParameter.window_log_max: _WINDOW_LOG}
        return functools.partial(zstd.ZstdDecompressor, options=options)
    raise PostProcessingFailed(
        "Zstandard files are unpacked by the library backports.zstd, which is not installed.",
        hint="Run: pip install 'bgdl-jupyter[zstd]', then retry().",
    )


class Bounded:
    """
    What `tarfile` reads from: bytes are counted, and what comes between two members is bounded.

    `tarfile` keeps the headers of a member in memory, however long they say they are.
    """

    def __init__(self, stream: Readable, gauge: Gauge, start: bytes = b"") -> None:
        self._stream = stream
        self._gauge = gauge
        self._start = start
        self._left: int | None = None

    def read(self, size: int) -> bytes:
        """Return the next bytes."""
        start, self._start = self._start[:size], self._start[size:]
        data = start + self._stream.read(size - len(start)) if len(start) < size else start
        self._gauge.expand(len(data))
        if self._left is not None:
            self._left -= len(data)
            if self._left < 0:
                raise PostProcessingFailed("The archive has a header of many megabytes; it may be a trap.")
        return data

    def between(self) -> _Between:
        """Bound what is read in a ``with`` block."""
        return _Between(self)

    def bound(self, count: int | None) -> None:
        """Let so many bytes be read; None for any number."""
        self._left = count

    def drain(self) -> None:
        """Read to the end: the checksum of what was compressed stands there."""
        while self.read(CHUNK):
            pass


class _Between:
    def __init__(self, stream: Bounded) -> None:
        self._stream = stream

    def __enter__(self) -> None:
        self._stream.bound(_MOST_BETWEEN)

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        self._stream.bound(None)

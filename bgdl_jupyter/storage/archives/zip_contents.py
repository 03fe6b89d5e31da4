"""What `zipfile` reads without a bound, read with one: the table of contents, and what zlib did not compress."""

from __future__ import annotations

import bz2
import copy
import io
import lzma
import struct
import zipfile
import zlib
from typing import IO, TYPE_CHECKING, Any, Final, cast

from bgdl_jupyter.errors import PostProcessingFailed
from bgdl_jupyter.storage.archives.streams import Framed, lzma_decoder, zstd_decoder

if TYPE_CHECKING:
    from collections.abc import Callable

    from bgdl_jupyter.storage.archives.gauge import Gauge
    from bgdl_jupyter.storage.archives.streams import Readable

#: `zipfile` holds the whole table of contents in memory; a million members with names of 200 bytes have this much.
_MOST_CONTENTS: Final = 256 << 20
#: A line of it (APPNOTE 4.3.12): its signature, and the lengths of the name, the extra field and the comment behind it.
_LINE: Final = struct.Struct("<4s24xHHH12x")
_LINE_STARTS: Final = b"PK\x01\x02"
#: APPNOTE 4.4.5; only Python 3.14 has a name for it.
_ZSTANDARD: Final = 93
_HAS_END_MARK: Final = 0x2
_LZMA_HEADER: Final = struct.Struct("<2xH")
_LZMA_PROPERTIES: Final = 5
_UNKNOWN: Final = (1 << 64) - 1


class ListedFile(io.RawIOBase):
    """
    The file that a `zipfile.ZipFile` opens: its table of contents is counted before it is taken apart.

    The record at the end may say any number of members; what `zipfile` goes by is the table itself.
    """

    def __init__(self, file: IO[bytes], gauge: Gauge) -> None:
        self._file = file
        self._gauge = gauge
        self.is_opening = True

    def readable(self) -> bool:
        """Whether it can be read: it can."""
        return True

    def seekable(self) -> bool:
        """Whether it can be read from anywhere: it can."""
        return True

    def read(self, size: int = -1) -> bytes:
        """Return the next bytes."""
        if self.is_opening and size > _MOST_CONTENTS:
            raise PostProcessingFailed("The archive has a table of contents of many megabytes; it may be a trap.")
        data = self._file.read(size)
        if self.is_opening and data.startswith(_LINE_STARTS):
            self._gauge.expect_members(_count_lines(data))
        return data

    def seek(self, offset: int, whence: int = 0) -> int:
        """Read on from another place."""
        return self._file.seek(offset, whence)

    def tell(self) -> int:
        """Return the place."""
        return self._file.tell()


def _count_lines(contents: bytes) -> int:
    count = at = 0
    while at + _LINE.size <= len(contents):
        signature, *lengths = _LINE.unpack_from(contents, at)
        if signature != _LINE_STARTS:
            break
        count += 1
        at += _LINE.size + sum(lengths)
    return count


def opened_content(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> Readable:
    """
    Return the bytes of a member, which take as much memory as are asked for.

    Raises
    ------
    PostProcessingFailed
        It is compressed in a way that is not read, or a library is missing that can read it.
    """
    match info.compress_type:
        case zipfile.ZIP_STORED | zipfile.ZIP_DEFLATED:
            return cast("Readable", archive.open(info))
        case zipfile.ZIP_BZIP2:
            return _Checked(_as_stored(archive, info), info, bz2.BZ2Decompressor)
        case zipfile.ZIP_LZMA:
            stored = _as_stored(archive, info)
            return _Checked(_Headed(stored, _lzma_header(stored, info)), info, lzma_decoder(lzma.FORMAT_ALONE))
        case method if method == _ZSTANDARD:
            return _Checked(_as_stored(archive, info), info, zstd_decoder())
    raise PostProcessingFailed(
        f"The member {info.filename[:100]!r} is compressed by method {info.compress_type}, which is not read.",
        hint="Stored, deflate, bzip2, LZMA and Zstandard are; unpack it with the program that wrote it.",
    )


def _as_stored(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> IO[bytes]:
    """Return the bytes of a member as they stand in the archive."""
    raw = copy.copy(info)
    raw.compress_type, raw.file_size = zipfile.ZIP_STORED, info.compress_size
    del raw.CRC  # it is that of the content
    return archive.open(raw)


def _lzma_header(stored: IO[bytes], info: zipfile.ZipInfo) -> bytes:
    """Return the header of an ``.lzma`` file for a member's own (APPNOTE 5.8): that format has a bound for memory."""
    start = stored.read(_LZMA_HEADER.size + _LZMA_PROPERTIES)
    if len(start) < _LZMA_HEADER.size + _LZMA_PROPERTIES or _LZMA_HEADER.unpack_from(start) != (_LZMA_PROPERTIES,):
        raise zipfile.BadZipFile(f"the member {info.filename[:100]!r} has no header of LZMA")
    size = _UNKNOWN if info.flag_bits & _HAS_END_MARK else info.file_size
    return start[_LZMA_HEADER.size :] + struct.pack("<Q", size)


class _Headed:
    """A file with other bytes in front."""

    def __init__(self, file: IO[bytes], start: bytes) -> None:
        self._file = file
        self._start = start

    def read(self, size: int) -> bytes:
        start, self._start = self._start[:size], self._start[size:]
        return start or self._file.read(size)

    def close(self) -> None:
        self._file.close()


class _Checked:
    """The content of a member: as long as its archive says, and with the checksum that it says."""

    def __init__(self, stored: IO[bytes] | _Headed, info: zipfile.ZipInfo, new_decoder: Callable[[], Any]) -> None:
        self._stored = stored
        self._content = Framed(cast("IO[bytes]", stored), new_decoder)
        self._info = info
        self._left = info.file_size
        self._checksum = 0

    def read(self, size: int, /) -> bytes:
        """Return the next bytes; raises ``BadZipFile`` where they are not what the archive says."""
        data = self._content.read(min(size, self._left))
        self._left -= len(data)
        self._checksum = zlib.crc32(data, self._checksum)
        is_short = len(data) < size
        if is_short and (self._left or self._checksum != self._info.CRC):
            raise zipfile.BadZipFile(f"the member {self._info.filename[:100]!r} has another length or checksum")
        return data

    def close(self) -> None:
        """Let go of the decoder and of its place in the archive."""
        self._content.close()
        self._stored.close()

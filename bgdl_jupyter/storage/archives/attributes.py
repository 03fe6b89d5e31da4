"""
The attributes of a tar's members (pax), looked at before `tarfile` takes them apart.

Python before 3.11.10 and 3.12.6 searches them in a time that grows by the square of a row of digits, and copies the
rest for each record that says a wrong length: no thread of the process runs meanwhile.
"""

from __future__ import annotations

import re
import tarfile
from typing import IO, Final

from bgdl_jupyter.errors import PostProcessingFailed

#: Bytes of all attributes of one member: the longest that Linux keeps with a file have 64 KiB.
_MOST: Final = 1 << 20
#: As many as a name may have.
_MOST_DIGITS: Final = 255
_TOO_MANY_DIGITS: Final = b"0" * (_MOST_DIGITS + 1)
_DIGITS_ONLY: Final = bytes(0x30 if 0x30 <= each <= 0x39 else 0x20 for each in range(256))  # noqa: PLR2004 (0 to 9)
_LENGTH: Final = re.compile(rb"([0-9]{1,10}) ")
_LINE_END: Final = 0x0A


class Attributes:
    """
    What `tarfile` reads attributes from: the first that it reads are those, and are looked at.

    Parameters
    ----------
    stream:
        Where `tarfile` is.
    size:
        How many bytes they have; padding follows.
    """

    def __init__(self, stream: IO[bytes], size: int) -> None:
        self._stream = stream
        self._size: int | None = size

    def read(self, size: int) -> bytes:
        """
        Return the next bytes.

        Raises
        ------
        PostProcessingFailed
            No honest archive has such attributes.
        tarfile.ReadError
            They are damaged.
        """
        length, self._size = self._size, None
        if length is not None and not 0 <= length <= _MOST:
            raise PostProcessingFailed("The archive has attributes of many kilobytes for a member; it may be a trap.")
        data = self._stream.read(size)
        if length is not None:
            _check(data[:length])
        return data

    def seek(self, position: int) -> int:
        """Read on from another place."""
        return self._stream.seek(position)

    def tell(self) -> int:
        """Return the place."""
        return self._stream.tell()


def _check(data: bytes) -> None:
    """Check that attributes are records as long as they say (POSIX, pax): ``LENGTH NAME=VALUE`` and a line end."""
    if _TOO_MANY_DIGITS in data.translate(_DIGITS_ONLY):
        raise PostProcessingFailed("The archive has a member with attributes of digits without end; it may be a trap.")
    position = 0
    while data[position : position + 1] not in (b"", b"\0"):
        length = _LENGTH.match(data, position)
        end = position + int(length[1]) if length is not None else 0
        if length is None or not length.end() < end <= len(data) or data[end - 1] != _LINE_END:
            raise tarfile.ReadError("an attribute has another length than it says")
        if data.find(b"=", length.end(), end) < 0:
            raise tarfile.ReadError("an attribute has no value")
        position = end

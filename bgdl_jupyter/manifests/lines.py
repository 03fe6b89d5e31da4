"""Lines of texts that may be anything: each bounded, each known by its number."""

from __future__ import annotations

import codecs
import io
from typing import IO, TYPE_CHECKING, Final

from bgdl_jupyter.manifests.entry import BadLine

if TYPE_CHECKING:
    from collections.abc import Iterator

#: The longest line, in bytes: what is longer is no line of a manifest, and is not read into memory.
MAX_LINE: Final = 1 << 20
#: The number of entries that one manifest may have.
MAX_ENTRIES: Final = 1_000_000


def lines_of(file: IO[bytes]) -> Iterator[tuple[int, str | BadLine]]:
    """Give the lines of a text in UTF-8, numbered from 1, without their ends; or what is wrong with one."""
    number = 0
    while chunk := file.readline(MAX_LINE + 1):
        number += 1
        if len(chunk) > MAX_LINE:
            _skip_line(file, chunk)
            yield number, BadLine(line=number, reason=f"the line has more than {MAX_LINE:,} bytes")
            continue
        try:
            text = chunk.removeprefix(codecs.BOM_UTF8 if number == 1 else b"").decode()
        except UnicodeDecodeError:
            yield number, BadLine(line=number, reason="the line is not UTF-8")
            continue
        yield number, text.rstrip("\r\n")


def _skip_line(file: IO[bytes], chunk: bytes) -> None:
    while chunk and not chunk.endswith(b"\n"):
        chunk = file.readline(MAX_LINE)


def head_of(file: IO[bytes], size: int = 64 * 1024) -> bytes:
    """Return the beginning of a file that can be read again from there."""
    head = file.read(size)
    file.seek(0, io.SEEK_SET)
    return head

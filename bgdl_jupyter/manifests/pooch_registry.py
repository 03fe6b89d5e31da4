"""The registry of pooch: a file, its hash and perhaps its URL in each line."""

from __future__ import annotations

import re
import shlex
from typing import IO, TYPE_CHECKING, Final
from urllib.parse import quote

from bgdl_jupyter.manifests.entry import BadLine, ManifestEntry
from bgdl_jupyter.manifests.lines import lines_of

if TYPE_CHECKING:
    from collections.abc import Iterator

_LINE: Final = re.compile(r"""("[^"]+"|'[^']+'|\S+)\s+([\w-]+:)?[0-9A-Fa-f]{8,128}(\s+\S+)?\s*""")
_WITH_HASH, _WITH_URL = 2, 3
# Without one of these, words are what has no space in it, which is found out a hundred times as fast.
_QUOTES: Final = frozenset("'\"\\")


def looks_like_registry(line: str) -> bool:
    """Whether a line is a name, a hash and perhaps a URL."""
    return _LINE.fullmatch(line) is not None


def read_registry(file: IO[bytes], *, base_uri: str | None) -> Iterator[ManifestEntry | BadLine]:
    """Give the files of a registry; ``base_uri`` is where those are that have no URL of their own."""
    for number, line in lines_of(file):
        if isinstance(line, BadLine):
            yield line
        elif line.strip() and not line.lstrip().startswith("#"):
            yield _entry(number, line, base_uri)


def _entry(number: int, line: str, base_uri: str | None) -> ManifestEntry | BadLine:
    try:
        words = shlex.split(line) if _QUOTES & set(line) else line.split()
    except ValueError:
        return BadLine(line=number, reason="a quote has no end")
    if not _WITH_HASH <= len(words) <= _WITH_URL:
        return BadLine(line=number, reason="a line is a file name, its hash and perhaps its URL")
    name, checksum, *own = words
    if not own and not base_uri:
        return BadLine(line=number, reason="the file has no URL of its own; say base_uri=")
    # A name is a path of files, not of a URI: what would be a query or a code in a URI is spelt out.
    uri = own[0] if own else f"{(base_uri or '').rstrip('/')}/{quote(name)}"
    return ManifestEntry(line=number, uri=uri, destination=name, checksums=(checksum,))

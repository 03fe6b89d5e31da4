"""
The input file of aria2, of which a plain list of URIs is one.

A line with URIs (several, with tabs between them, are mirrors of one file), then indented lines with its options. Of
the options those count that say what is fetched, from where, and to where; those that tune aria2 are left alone.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import IO, TYPE_CHECKING, Final

from bgdl_jupyter.manifests.entry import BadLine, ManifestEntry, Unreadable
from bgdl_jupyter.manifests.lines import lines_of

if TYPE_CHECKING:
    from collections.abc import Iterator

# Who reads a list of links does not expect passwords in it; a downloader keeps them in the vault.
_CREDENTIALS: Final = frozenset({"http-user", "http-passwd", "ftp-user", "ftp-passwd"})
_HEADERS: Final = {"referer": "Referer", "user-agent": "User-Agent"}


@dataclass(slots=True)
class _Draft:
    line: int
    uris: list[str]
    out: str | None = None
    folder: str | None = None
    checksums: list[str] = field(default_factory=list)
    headers: dict[str, str] = field(default_factory=dict)
    flaw: str | None = None

    def entry(self) -> ManifestEntry | BadLine:
        if self.flaw is not None:
            return BadLine(line=self.line, reason=self.flaw)
        folder = f"{self.folder.rstrip('/') or '/'}/" if self.folder else ""
        return ManifestEntry(
            line=self.line,
            uri=self.uris[0],
            mirrors=tuple(self.uris[1:]),
            destination=f"{folder}{self.out or ''}" or None,
            checksums=tuple(self.checksums),
            options={"headers": self.headers} if self.headers else {},
        )


def read_aria2(file: IO[bytes]) -> Iterator[ManifestEntry | BadLine]:
    """Give the downloads of an input file of aria2."""
    draft: _Draft | None = None
    for number, line in lines_of(file):
        if isinstance(line, BadLine):
            yield line
            continue
        if not line.strip() or line.startswith("#"):
            continue
        if line[0] in " \t":
            if draft is None:
                yield BadLine(line=number, reason="an option comes before the first URI")
            else:
                _take_option(draft, line.strip())
            continue
        if draft is not None:
            yield draft.entry()
        draft = _Draft(number, [each.strip() for each in line.split("\t") if each.strip()])
    if draft is not None:
        yield draft.entry()


def _take_option(draft: _Draft, line: str) -> None:
    name, _, value = line.partition("=")
    try:
        _set_option(draft, name.strip().lower(), value.strip())
    except Unreadable as error:
        draft.flaw = draft.flaw or str(error)


def _set_option(draft: _Draft, name: str, value: str) -> None:
    if name == "out":
        draft.out = value
    elif name == "dir":
        draft.folder = value
    elif name == "checksum":
        draft.checksums.append(_checksum(value))
    elif name == "header":
        header, content = _header(value)
        draft.headers[header] = content
    elif name in _HEADERS:
        draft.headers[_HEADERS[name]] = value
    elif name in _CREDENTIALS:
        raise Unreadable(f"{name} stands in the file; set server_credential of the downloader instead")


def _checksum(value: str) -> str:
    algorithm, equals, digits = value.partition("=")
    if not equals:
        raise Unreadable("the checksum is not written algorithm=hexadecimal")
    return f"{algorithm.strip()}:{digits.strip()}"


def _header(value: str) -> tuple[str, str]:
    name, colon, content = value.partition(":")
    if not colon or not name.strip():
        raise Unreadable("a header is written 'Name: value'")
    return name.strip(), content.strip()

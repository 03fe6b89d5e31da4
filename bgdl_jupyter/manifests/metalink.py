"""
Metalink 4 (RFC 5854): files with their mirrors, sizes and hashes.

Read as it streams, by expat; a document type, and with it every entity, is refused.
"""

from __future__ import annotations

from typing import IO, TYPE_CHECKING, Final
from xml.parsers import expat

from bgdl_jupyter.manifests.entry import BadLine, ManifestEntry

if TYPE_CHECKING:
    from collections.abc import Iterator

_SPACE: Final = "urn:ietf:params:xml:ns:metalink"
_READ_AT_ONCE: Final = 64 * 1024
_LONGEST_TEXT: Final = 64 * 1024
# What has begun and not ended is scanned from its beginning with every part that is read.
_LONGEST_TOKEN: Final = 1 << 20
_MOST_OF_A_FILE: Final = 1000
_DEEPEST: Final = 64
# RFC 5854, 4.2.16.2: a mirror without a priority comes last.
_LAST: Final = 999_999


class _Refused(Exception):
    """What no Metalink holds."""


def read_metalink(file: IO[bytes], *, schemes: frozenset[str]) -> Iterator[ManifestEntry | BadLine]:
    """Give the files of a Metalink document; mirrors of other schemes than these are left out."""
    reader = _Reader(schemes)
    try:
        while chunk := file.read(_READ_AT_ONCE):
            reader.feed(chunk)
            yield from reader.take()
        reader.feed(b"", is_last=True)
    except expat.ExpatError as error:
        yield from reader.take()
        reason = f"the XML is broken: {expat.ErrorString(error.code)}"
        yield BadLine(line=error.lineno, reason=reason, ends=True)
    except _Refused as error:
        yield from reader.take()
        yield BadLine(line=reader.line, reason=str(error), ends=True)
    else:
        yield from reader.take()


class _Reader:
    """Collects what the elements of a file say, and makes an entry at its end."""

    def __init__(self, schemes: frozenset[str]) -> None:
        self._schemes = schemes
        self._parser = expat.ParserCreate(namespace_separator=" ")
        self._parser.buffer_text = True
        self._parser.StartDoctypeDeclHandler = self._refuse_doctype
        self._parser.StartElementHandler = self._start
        self._parser.EndElementHandler = self._end
        self._parser.CharacterDataHandler = self._text
        self._ready: list[ManifestEntry | BadLine] = []
        self._path: list[str] = []
        self._texts: list[str] = []
        self._length = 0
        self._fed = 0
        self._attributes: dict[str, str] = {}
        self._begin(0, None)

    @property
    def line(self) -> int:
        """Where the parser is."""
        return self._parser.CurrentLineNumber

    def feed(self, chunk: bytes, *, is_last: bool = False) -> None:
        """Read a part of the document."""
        self._parser.Parse(chunk, is_last)
        self._fed += len(chunk)
        if self._fed - max(self._parser.CurrentByteIndex, 0) > _LONGEST_TOKEN:
            raise _Refused(f"a tag or a comment has more than {_LONGEST_TOKEN:,} bytes")

    def take(self) -> list[ManifestEntry | BadLine]:
        """Return the files that have ended since the last call."""
        ready, self._ready = self._ready, []
        return ready

    def _begin(self, line: int, name: str | None) -> None:
        self._line, self._name = line, name
        self._uris: list[tuple[int, str]] = []
        self._hashes: list[str] = []
        self._size: str | None = None

    def _refuse_doctype(self, *_: object) -> None:
        raise _Refused("a document type, and so every entity, is refused")

    def _start(self, tag: str, attributes: dict[str, str]) -> None:
        space, _, name = tag.rpartition(" ")
        name = name if space == _SPACE else tag  # an element of another vocabulary, which means nothing here
        if not self._path and (space, name) != (_SPACE, "metalink"):
            raise _Refused("the document is no Metalink 4 (RFC 5854)")
        self._path.append(name)
        if len(self._path) > _DEEPEST:
            raise _Refused("the elements are nested too deeply")
        self._texts, self._length, self._attributes = [], 0, attributes
        if self._path == ["metalink", "file"]:
            self._begin(self.line, attributes.get("name"))

    def _text(self, text: str) -> None:
        self._length += len(text)
        if self._length > _LONGEST_TEXT:
            raise _Refused("a text is too long")
        self._texts.append(text)

    def _end(self, _: str) -> None:
        if self._path[:2] == ["metalink", "file"]:
            self._take_element(self._path[2:], "".join(self._texts).strip())
        self._path.pop()
        self._texts, self._length = [], 0

    def _take_element(self, place: list[str], text: str) -> None:
        if len(self._uris) + len(self._hashes) > _MOST_OF_A_FILE:
            raise _Refused("a file has too many mirrors or hashes")
        match place:
            case []:
                self._ready.append(self._entry())
            case ["url"]:
                self._uris.append((self._priority(), text))
            case ["hash"]:
                self._hashes.append(f"{self._attributes.get('type', '')}:{text}")
            case ["size"]:
                self._size = text

    def _priority(self) -> int:
        value = self._attributes.get("priority", "")
        return int(value) if value.isascii() and value.isdigit() and len(value) <= len(str(_LAST)) else _LAST

    def _entry(self) -> ManifestEntry | BadLine:
        if not self._name:
            return BadLine(line=self._line, reason="the file has no name")
        uris = [uri for _, uri in sorted(self._uris, key=lambda pair: pair[0])]
        usable = [uri for uri in uris if uri.partition(":")[0].lower() in self._schemes]
        if not usable:
            return BadLine(line=self._line, reason=f"the file has no URL of {', '.join(sorted(self._schemes))}")
        size = self._size
        if size is not None and not (size.isascii() and size.isdigit() and len(size) <= 18):  # noqa: PLR2004 (digits of the largest file)
            return BadLine(line=self._line, reason="the size is no number of bytes")
        return ManifestEntry(
            line=self._line,
            uri=usable[0],
            mirrors=tuple(dict.fromkeys(usable[1:])),
            destination=self._name,
            checksums=tuple(self._hashes),
            options={"max_size": int(size)} if size is not None else {},
        )

"""
What the columns of a table and the keys of a record are called, and what their values mean.

A table may have columns of its own, which are left alone; one whose name is nearly that of a known one is refused,
since a checksum that is misspelt would not be checked.
"""

from __future__ import annotations

import difflib
import functools
import json
import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

from bgdl_jupyter.manifests.entry import BadLine, ManifestEntry, Unreadable

_ALGORITHMS: Final = frozenset(
    """sha512 sha3_512 blake2b sha384 sha3_384 sha256 sha3_256 blake2s sha224 sha3_224 sha1 md5 crc32c""".split()  # noqa: SIM905 (a list of words)
)
_SAME: Final = {"url": "uri", "filename": "destination", "mirror": "mirrors", "header": "headers"}
_NUMBERS: Final = frozenset({"max_size"})
_SWITCHES: Final = frozenset({"sensitive_query"})
_WORDS: Final = frozenset({"cost_policy", "expect_type", "group", "priority"})
_OPTIONS: Final = _NUMBERS | _SWITCHES | _WORDS | {"headers"}
# Whatever a file says, it may not have a file of ours sent, a program run, an archive unpacked, or what stands
# elsewhere replaced: those options are the caller's alone.
_KNOWN: Final = _ALGORITHMS | _OPTIONS | {"uri", "destination", "checksum", "mirrors", "missing"}
_NEAR: Final = 0.8
_TRUE: Final = frozenset({"1", "true", "yes", "y", "t"})
_FALSE: Final = frozenset({"0", "false", "no", "n", "f"})


@functools.lru_cache(maxsize=256)
def canonical(name: str) -> str:
    """Return what a column is called here: ``SHA-256`` is ``sha256``, ``url`` is ``uri``."""
    plain = re.sub(r"[-\s]+", "_", name.strip().lower())
    digits = re.sub(r"^sha_(?=\d{3}$|1$)", "sha", plain)
    return _SAME.get(digits, digits)


@functools.lru_cache(maxsize=256)
def check_name(name: str) -> str:
    """Return the canonical name; raises `Unreadable` for one that is nearly that of a known column."""
    plain = canonical(name)
    near = [] if plain in _KNOWN else difflib.get_close_matches(plain, [*_KNOWN, *_SAME], n=1, cutoff=_NEAR)
    if near:
        raise Unreadable(f"the column {name[:40]!r} is not known; is {near[0]!r} meant?")
    return plain


class Columns:
    """The columns of a table, looked at once."""

    def __init__(self, names: Sequence[object]) -> None:
        self._at: list[tuple[int, str]] = []
        for index, name in enumerate(names):
            plain = check_name(str(name))
            if plain in _KNOWN:
                if any(plain == other for _, other in self._at):
                    raise Unreadable(f"two columns mean {plain!r}; leave one out")
                self._at.append((index, plain))
        if not any(plain == "uri" for _, plain in self._at):
            raise Unreadable("there is no column 'uri'; the first line names the columns")

    @property
    def places(self) -> list[int]:
        """Where the columns stand that mean something."""
        return [index for index, _ in self._at]

    def entry(self, line: int, values: Sequence[object]) -> ManifestEntry | BadLine:
        """Return what a row asks for; a row that is shorter leaves the last columns empty."""
        count = len(values)
        return _entry(line, {name: values[at] for at, name in self._at if at < count and not is_missing(values[at])})


def entry_of_record(line: int, record: Mapping[str, object]) -> ManifestEntry | BadLine:
    """Return what a record with names of its own asks for."""
    try:
        return entry_of(line, _fields_of(record))
    except Unreadable as error:
        return BadLine(line=line, reason=str(error))


def _fields_of(record: Mapping[str, object]) -> dict[str, object]:
    fields: dict[str, object] = {}
    for name, value in record.items():
        plain = check_name(name)
        if plain in fields:
            raise Unreadable(f"two fields mean {plain!r}; leave one out")
        fields[plain] = value
    return fields


def entry_of(line: int, fields: Mapping[str, Any]) -> ManifestEntry | BadLine:
    """Return what the fields of these canonical names ask for; the names that are not known are left alone."""
    given = {name: value for name, value in fields.items() if name in _KNOWN and not is_missing(value)}
    return _entry(line, given)


def _entry(line: int, given: dict[str, Any]) -> ManifestEntry | BadLine:
    """Return what these fields ask for: known ones, none of them empty."""
    try:
        return ManifestEntry(
            line=line,
            uri=_text("uri", given.pop("uri", None)),
            destination=_text("destination", given.pop("destination")) if "destination" in given else None,
            mirrors=texts("mirrors", given.pop("mirrors")) if "mirrors" in given else (),
            missing=texts("missing", given.pop("missing")) if "missing" in given else (),
            checksums=_checksums(given) if given else (),
            options={name: _option(name, value) for name, value in given.items()},
        )
    except Unreadable as error:
        return BadLine(line=line, reason=str(error))


def is_missing(value: object) -> bool:
    """Whether a cell is empty: nothing, a blank text, or what tables write for nothing (not a number, not a time)."""
    if isinstance(value, str):
        return not value or value.isspace()
    if value is None:
        return True
    if isinstance(value, float):
        return value != value  # noqa: PLR0124 (what is not a number is not itself)
    return type(value).__name__ in ("NAType", "NaTType")


def _text(name: str, value: object) -> str:
    if value is None:
        raise Unreadable(f"it has no {name!r}")
    if not isinstance(value, str):
        raise Unreadable(f"{name!r} is a text, not {type(value).__name__}")
    return value.strip()


def texts(name: str, value: object) -> tuple[str, ...]:
    """Return several values of one field: a list, or a text with spaces between them (a URI holds none)."""
    if isinstance(value, str):
        value = _parsed(name, value) if value.lstrip().startswith("[") else value.split()
    if hasattr(value, "tolist"):  # an array out of a table
        value = value.tolist()
    if not isinstance(value, Sequence) or not all(isinstance(each, str) for each in value):
        raise Unreadable(f"{name!r} is a list of texts")
    return tuple(each.strip() for each in value if each.strip())


def _checksums(given: dict[str, Any]) -> tuple[str, ...]:
    found = [_text("checksum", given.pop("checksum"))] if "checksum" in given else []
    for algorithm in sorted(given.keys() & _ALGORITHMS):
        value = _text(algorithm, given.pop(algorithm))
        found.append(value if ":" in value else f"{algorithm}:{value}")
    return tuple(found)


def _option(name: str, value: object) -> object:
    if name == "headers":
        return headers(value)
    if name in _NUMBERS:
        return _number(name, value)
    if name in _SWITCHES:
        return _switch(name, value)
    return value.strip() if isinstance(value, str) else value


def headers(value: object) -> dict[str, str]:
    """Return request headers: a mapping, the JSON text of one, or lines ``Name: value``."""
    if isinstance(value, str):
        value = _parsed("headers", value) if value.lstrip().startswith("{") else _header_lines(value)
    if isinstance(value, Sequence) and not isinstance(value, str):  # what a table makes of a map
        value = _pairs(value)
    if not isinstance(value, Mapping) or not all(
        isinstance(key, str) and isinstance(each, str) for key, each in value.items()
    ):
        raise Unreadable("'headers' is a mapping of names to texts")
    return dict(value)


def _header_lines(text: str) -> dict[str, str]:
    found: dict[str, str] = {}
    for line in text.splitlines():
        name, colon, value = line.partition(":")
        if not colon or not name.strip():
            raise Unreadable("'headers' has lines 'Name: value', or is a JSON object")  # the value may be a secret
        found[name.strip()] = value.strip()
    return found


def _pairs(value: Sequence[Any]) -> dict[Any, Any]:
    try:
        return dict(value)
    except (TypeError, ValueError):
        raise Unreadable("'headers' is a mapping of names to texts") from None


def _parsed(name: str, text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        raise Unreadable(f"the JSON of {name!r} cannot be read") from None  # which may hold a secret


def _number(name: str, value: object) -> int:
    is_whole = isinstance(value, int) or (isinstance(value, float) and value.is_integer())
    if (isinstance(value, str) and re.fullmatch(r"[0-9]{1,18}", value.strip())) or (
        is_whole and not isinstance(value, bool)
    ):
        return int(value)  # type: ignore[call-overload, no-any-return]  # looked at just before
    raise Unreadable(f"{name!r} is a number of bytes")


def _switch(name: str, value: object) -> bool:
    word = str(value).strip().lower()
    if word in _TRUE or word in _FALSE:
        return word in _TRUE
    raise Unreadable(f"{name!r} is yes or no")

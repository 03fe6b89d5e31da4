"""
Records as texts: JSON objects, of which very many begin with the same.

A text whose beginning is that of many others has a mark behind it. What is before the mark is decoded once for all of
them.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Mapping
from json.encoder import encode_basestring_ascii as _quoted
from math import isfinite
from typing import TYPE_CHECKING, Any, Final

from bgdl_jupyter.storage.usual_record import restored, shortened

if TYPE_CHECKING:
    from collections.abc import Iterator


class UnreadableRow(ValueError):
    """A row that does not hold what it should."""


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is no number")


_ENCODER: Final = json.JSONEncoder(ensure_ascii=True, allow_nan=False, separators=(",", ":"))
#: A member that says nothing: what is behind it differs from record to record.
SPLIT: Final = "own:"
_MARK: Final = f',"{SPLIT}":null,'
_DECODER: Final = json.JSONDecoder(parse_constant=_refuse_constant)
_PAIR: Final = [int, int]


def encode_record(record: object) -> str:
    """Return the text of a JSON object; raises ``TypeError`` or ``ValueError`` for what is none."""
    if type(record) is SplitRecord:
        return record.encoded()
    if not isinstance(record, dict):
        raise TypeError(f"a record is a dict, not {type(record).__name__}")
    return f"{{{_members(record)}}}"


class CommonRecord(dict[str, Any]):
    """What many records have in common; never changed, and encoded once, without what is usual."""

    __slots__ = ("_text",)

    def encoded(self) -> str:
        """Return its JSON text."""
        try:
            return self._text
        except AttributeError:
            self._text: str = _ENCODER.encode(shortened(self))
            return self._text


class SplitRecord(Mapping[str, Any]):
    """
    A record whose beginning is that of many others.

    Attributes
    ----------
    common:
        The beginning: one object for all records that begin so.
    own:
        The rest.
    """

    __slots__ = ("common", "own")

    def __init__(self, common: dict[str, Any], own: dict[str, Any]) -> None:
        self.common = common
        self.own = own

    def __getitem__(self, name: str) -> Any:
        return self.own[name] if name in self.own else self.common[name]

    def __iter__(self) -> Iterator[str]:
        return iter({**self.common, **self.own})

    def __len__(self) -> int:
        return len(self.common.keys() | self.own.keys())

    def encoded(self) -> str:
        """Return its JSON text, in which the common part comes first and as it is in all others."""
        common = self.common
        text = common.encoded() if isinstance(common, CommonRecord) else _ENCODER.encode(common)
        if not common or not self.own:
            return _ENCODER.encode({**common, SPLIT: None, **self.own})
        return f"{text[:-1]}{_MARK}{_members(self.own)}}}"


def _members(own: dict[str, Any]) -> str:
    """Return the members of a JSON object; what most of them are, thousands of times, goes a shorter way."""
    texts = []
    for name, value in own.items():
        kind = type(value)
        if kind is str:
            text = _quoted(value)  # to ASCII: names of files may hold what is not UTF-8
        elif value is None:
            text = "null"
        elif kind is int:
            text = str(value)
        elif kind is bool:
            text = "true" if value else "false"
        elif kind is float and isfinite(value):
            text = repr(value)
        elif kind is list:
            text = _list(value)
        else:
            text = _ENCODER.encode(value)
        if type(name) is not str:
            return _ENCODER.encode(own)[1:-1]
        texts.append(f"{_quoted(name)}:{text}")
    return ",".join(texts)


def _list(values: list[Any]) -> str:
    """Return the text of a list: most hold integers, or pairs of them."""
    texts = []
    for value in values:
        if type(value) is int:
            texts.append(str(value))
        elif type(value) is list and [*map(type, value)] == _PAIR:
            texts.append(f"[{value[0]},{value[1]}]")
        else:
            return _ENCODER.encode(values)
    return f"[{','.join(texts)}]"


def split_record(common: dict[str, Any], own: dict[str, Any]) -> SplitRecord:
    """Return a record that is stored so that what it has in common with many is decoded once for all of them."""
    return SplitRecord(common, own)


def decode_record(text: object) -> Mapping[str, Any]:
    """Return a stored JSON object; raises `UnreadableRow` for NaN, endless depth and what is no object."""
    if type(text) is not str:
        raise UnreadableRow(f"{type(text).__name__} instead of a record")
    common, mark, own = text.partition(_MARK)
    if not mark:
        return _decode(text)
    try:
        # Where both halves are objects, so is the whole, with the members of both.
        return SplitRecord(_decode_common(f"{common}}}"), _decode(f"{{{own}"))
    except UnreadableRow:  # the mark was within something else
        return _decode(text)
    except ValueError as error:
        raise UnreadableRow(str(error)) from None


@functools.lru_cache(maxsize=256)
def _decode_common(text: str) -> dict[str, Any]:
    return restored(_decode(text))


def _decode(text: str) -> dict[str, Any]:
    try:
        record = _whole(text)
    except (ValueError, RecursionError) as error:
        raise UnreadableRow(f"not JSON: {error}") from None
    if type(record) is not dict:
        raise UnreadableRow("the record is no object")
    return record


def _whole(text: str) -> Any:
    """Return what a JSON text says: past the search for blanks around it, of which ours have none."""
    if text[:1] != "{":
        return _DECODER.decode(text)
    record, end = _DECODER.raw_decode(text)
    return record if end == len(text) else _DECODER.decode(text)


class RecordReader:
    """Decodes many texts one after the other, as `decode_record` does; most begin as the one before."""

    def __init__(self) -> None:
        self._beginning = ""
        self._common: dict[str, Any] = {}

    def decode(self, text: object) -> Mapping[str, Any]:
        """Return a stored JSON object; raises `UnreadableRow` for what is none."""
        beginning = self._beginning
        if beginning and type(text) is str and text.startswith(beginning):
            try:
                return SplitRecord(self._common, _decode(f"{{{text[len(beginning) :]}"))
            except UnreadableRow:  # the mark was within something else
                return decode_record(text)
        record = decode_record(text)
        if type(record) is SplitRecord and type(text) is str:
            self._beginning, self._common = "".join(text.partition(_MARK)[:2]), record.common
        return record

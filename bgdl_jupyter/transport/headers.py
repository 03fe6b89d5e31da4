"""
What the headers of a response say, as values: pure functions without a socket.

A header that contradicts itself is a `ProtocolViolation` where the framing hangs on it, and counts as absent
everywhere else: nothing here guesses.
"""

from __future__ import annotations

import re
from functools import lru_cache
from http import HTTPStatus
from typing import TYPE_CHECKING, Final

from bgdl_jupyter.errors import ProtocolViolation
from bgdl_jupyter.ranges import ByteRange
from bgdl_jupyter.resource import Answer, ContentRange, Resource, parse_http_date, strong_validator
from bgdl_jupyter.secret import MASK, is_secret_header
from bgdl_jupyter.transport.disposition import suggested_name
from bgdl_jupyter.transport.server_digests import server_digests
from bgdl_jupyter.uris import shown

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    from multidict import MultiMapping

# At most 19 digits: what a file's offset can be; ASCII only, `int` takes other digits, too.
_CONTENT_RANGE: Final = re.compile(r"bytes (?:([0-9]{1,19})-([0-9]{1,19})/(?:([0-9]{1,19})|\*)|\*/([0-9]{1,19}))")
_LENGTH: Final = re.compile(r"[0-9]{1,19}")
_SECONDS: Final = re.compile(r"[0-9]+")
_MAX_SECONDS: Final = 1e12  # past every cap, and still a number that can be shown
# Plain numbers: a member of an enumeration costs more to look up than what it is compared with.
_PARTIAL: Final = int(HTTPStatus.PARTIAL_CONTENT)
_UNSATISFIABLE: Final = int(HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE)
_FIRST_ERROR: Final = int(HTTPStatus.BAD_REQUEST)
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f-\x9f]")

_DROPPED: Final = frozenset({
    "set-cookie",
    "set-cookie2",
    "www-authenticate",
    "proxy-authenticate",
    "authentication-info",
    "proxy-authentication-info",
    "link",
    "refresh",
})  # fmt: skip
_URIS: Final = frozenset({"location", "content-location"})


def read_answer(status: int, headers: MultiMapping[str], actual_uri: str) -> Answer:
    """
    Return what a response says, as far as the resume decision and the user need it.

    Parameters
    ----------
    status:
        The status code.
    headers:
        All header fields; names in any case.
    actual_uri:
        The redacted URI that answered.

    Raises
    ------
    ProtocolViolation
        The length is given twice and differently, or is no number.
    """
    has_content_range = "Content-Range" in headers
    content_range = parse_content_range(headers.getall("Content-Range")) if has_content_range else None
    is_encoded = bool(content_codings(headers))
    length = content_length(headers)
    is_whole = status != _PARTIAL
    resource = Resource(
        actual_uri=actual_uri,
        status_code=status,
        headers=public_headers(headers.items()),
        length=_total(status, length, content_range, is_encoded=is_encoded),
        validator=strong_validator(headers.get("ETag"), headers.get("Last-Modified"), headers.get("Date")),
        accepts_ranges=_accepts_ranges(status, headers),
        content_type=media_type(headers.get("Content-Type")),
        content_encoding=headers.get("Content-Encoding") if is_encoded else None,
        suggested_name=suggested_name(headers.get("Content-Disposition")),
        modified_at=_modified_at(headers.get("Last-Modified")),
        digests=() if is_encoded or is_error(status) else server_digests(headers, is_whole=is_whole),
    )
    return Answer(
        resource=resource,
        status=status,
        content_length=length,
        content_range=content_range,
        has_content_range=has_content_range,
        is_multipart=(resource.content_type or "").startswith("multipart/byteranges"),
        is_encoded=is_encoded,
    )


def is_error(status: int) -> bool:
    """Whether a status is one of an error."""
    return status >= _FIRST_ERROR


def _total(status: int, length: int | None, content_range: ContentRange | None, *, is_encoded: bool) -> int | None:
    """Return the length of the whole resource, decoded; None where it is not known."""
    if is_encoded:
        return None
    if status in (_PARTIAL, _UNSATISFIABLE):
        return content_range.total if content_range else None
    return length


def content_length(headers: MultiMapping[str]) -> int | None:
    """
    Return the length of the body on the wire, None where it is not given or chunks say it (RFC 9112 6.3).

    Raises
    ------
    ProtocolViolation
        The values differ, or one is not a number.
    """
    if "Transfer-Encoding" in headers:
        return None
    given = headers.getall("Content-Length", ())
    if not given:
        return None
    if len(given) == 1 and _LENGTH.fullmatch(given[0]):
        return int(given[0])
    values = {part.strip() for value in given for part in value.split(",")}
    if len(values) > 1:
        raise ProtocolViolation("The server gave several lengths that differ.")
    value = values.pop()
    if not _LENGTH.fullmatch(value):
        raise ProtocolViolation("The server gave a length that is not a number.")
    return int(value)


def content_codings(headers: MultiMapping[str]) -> tuple[str, ...]:
    """Return the content codings in the order in which they were applied, lower case, without identity."""
    if "Content-Encoding" not in headers:
        return ()
    names = (part.strip().lower() for value in headers.getall("Content-Encoding") for part in value.split(","))
    return tuple(name for name in names if name not in ("", "identity"))


def parse_content_range(values: Iterable[str]) -> ContentRange | None:
    """Return the one strictly valid ``Content-Range`` (RFC 9110 14.4); None for anything else."""
    given = tuple(values)
    match = _CONTENT_RANGE.fullmatch(given[0]) if len(given) == 1 else None
    if match is None:
        return None
    first, last, total, unsatisfied = (None if digits is None else int(digits) for digits in match.groups())
    if first is None or last is None:
        return ContentRange(None, unsatisfied)
    if last < first or (total is not None and last >= total):
        return None
    return ContentRange(ByteRange(first, last + 1), total)


def _accepts_ranges(status: int, headers: MultiMapping[str]) -> bool | None:
    if status == _PARTIAL:
        return True
    value = headers.get("Accept-Ranges")
    if value is None:
        return None
    if value == "bytes":
        return True
    units = {unit.strip().lower() for unit in value.split(",")}
    return True if "bytes" in units else False if "none" in units else None


@lru_cache(maxsize=64)
def media_type(value: str | None) -> str | None:
    """Return ``type/subtype`` in lower case, without parameters."""
    return (value.partition(";")[0].strip().lower() or None) if value else None


@lru_cache(maxsize=64)
def _modified_at(value: str | None) -> float | None:
    parsed = parse_http_date(value)
    try:
        return parsed.timestamp() if parsed else None
    except (OverflowError, ValueError, OSError):
        return None


def parse_retry_after(values: Iterable[str], date: str | None) -> float | None:
    """
    Return the seconds until which the server asks not to be asked again (RFC 9110 10.2.3).

    A date counts from the response's own ``Date``, so that a clock that is wrong on either side does no harm; one
    that has passed gives 0. The longest of several valid values counts; None where none is valid.
    """
    waits = [wait for value in values if (wait := _retry_after(value.strip(" \t"), date)) is not None]
    return max(waits, default=None)


def _retry_after(value: str, date: str | None) -> float | None:
    if _SECONDS.fullmatch(value):
        return min(float(value), _MAX_SECONDS)
    until, sent = parse_http_date(value), parse_http_date(date)
    if until is None or sent is None:
        return None
    return max(0.0, (until - sent).total_seconds())


def public_headers(headers: Collection[tuple[str, str]]) -> tuple[tuple[str, str], ...]:
    """Return the header fields that may be shown and stored: secrets masked, cookies and challenges left out."""
    names, values = zip(*headers, strict=True) if headers else ((), ())
    text = "".join(values)
    if _may_all_be_shown(names) and text.isprintable() and text.isascii():  # as of nearly every answer
        return tuple(headers)
    public = []
    for name, value in headers:
        how = _disclosure(name)
        if how == "show" and value.isprintable() and value.isascii():
            public.append((name, value))
        elif how != "drop":
            public.append((name, _public_value(how, value)))
    return tuple(public)


@lru_cache(maxsize=64)
def _may_all_be_shown(names: tuple[str, ...]) -> bool:
    return all(_disclosure(name) == "show" for name in names)


@lru_cache(maxsize=512)
def _disclosure(name: str) -> str:
    """Return how the value of a header of this name may be shown."""
    lower = name.lower()
    if lower in _DROPPED:
        return "drop"
    if lower in _URIS:
        return "redact"
    return "mask" if is_secret_header(lower) else "show"


def _public_value(how: str, value: str) -> str:
    if how == "mask":
        return MASK
    text = shown(value) if how == "redact" else value
    return _CONTROL.sub(" ", text.encode("utf-8", "replace").decode("utf-8"))

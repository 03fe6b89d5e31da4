"""
What a server says is there, and whether it is still what we have: the resume decision R0-R8.

Everything here is a pure function over values. The rules:

* R0 without a strong validator and without a digest nothing is spliced.
* R1 a 206 is usable only when it is a single identity-coded part whose Content-Range, total, length and validator
  agree with what we have; bytes before our end are compared with the disk.
* R2 an unusable 206, or a 200 with a Content-Range: one plain GET from 0; still slice-like: fail.
* R3 a 200: another version, or no ranges: start over with this very body.
* R4 a 416 whose total is what we have goes to the completion check; anything else starts over.
* R8 the overlap is compared; that is the caller's, who has the disk.

R5-R7 (status errors, retries, the tail of a body without length) are in `engine.retry` and `engine.transfer`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from enum import Enum
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final

from bgdl_jupyter.ranges import ByteRange

if TYPE_CHECKING:
    from datetime import datetime

#: How much before the durable end is asked for again and compared.
OVERLAP: Final = 64 * 1024
#: After so many restarts of one operation its server counts as not resumable.
MAX_RESTARTS: Final = 2
# A Last-Modified younger than this against Date may hide a second change in the same second (RFC 9110 8.8.2.2).
_SETTLED_AFTER: Final = 60.0
# The standard has it upper case; a server that writes it small means the same.
_WEAK: Final = ("W/", "w/")


class ValidatorKind(Enum):
    """Where a validator comes from."""

    ETAG = "etag"
    LAST_MODIFIED = "last-modified"
    MODIFICATION_TIME = "mdtm"


@dataclass(frozen=True, slots=True)
class Validator:
    """What tells one version of a resource from another, strongly enough to splice."""

    kind: ValidatorKind
    value: str

    def to_record(self) -> list[str]:
        """Return the JSON form."""
        return [self.kind.value, self.value]

    @classmethod
    def from_record(cls, record: list[str] | None) -> Validator | None:
        """Return the validator of a JSON form; a wrong shape raises ``TypeError`` or ``ValueError``."""
        if record is None:
            return None
        kind, value = record
        return cls(ValidatorKind(kind), _text(value))


@dataclass(frozen=True, slots=True)
class Digest:
    """An expected checksum: ``algorithm`` as hashlib calls it (or ``crc32c``), ``value`` in hexadecimal."""

    algorithm: str
    value: str

    def __str__(self) -> str:
        return f"{self.algorithm}:{self.value}"


@dataclass(frozen=True, slots=True)
class ContentRange:
    """``Content-Range`` (RFC 9110 14.4): ``sent`` is None for ``*``, ``total`` None for an unknown length."""

    sent: ByteRange | None
    total: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Resource:
    """What a URI names at the server. ``actual_uri`` is redacted, ``headers`` without cookies and challenges."""

    actual_uri: str
    status_code: int = 0
    headers: tuple[tuple[str, str], ...] = ()
    length: int | None = None
    validator: Validator | None = None
    accepts_ranges: bool | None = None
    content_type: str | None = None
    content_encoding: str | None = None
    suggested_name: str | None = None
    modified_at: float | None = None
    digests: tuple[Digest, ...] = ()

    def to_record(self) -> dict[str, Any]:
        """Return the JSON form of what must outlive the kernel."""
        return {
            "actual_uri": self.actual_uri,
            "status_code": self.status_code,
            "headers": [list(pair) for pair in self.headers],
            "length": self.length,
            "validator": self.validator.to_record() if self.validator else None,
            "accepts_ranges": self.accepts_ranges,
            "content_type": self.content_type,
            "content_encoding": self.content_encoding,
            "suggested_name": self.suggested_name,
            "modified_at": self.modified_at,
            "digests": [[each.algorithm, each.value] for each in self.digests],
        }

    @classmethod
    def from_record(cls, record: dict[str, Any]) -> Resource:
        """Return the resource of a JSON form; a wrong shape raises ``KeyError``, ``TypeError`` or ``ValueError``."""
        return cls(
            actual_uri=_text(record["actual_uri"]),
            status_code=_count(record["status_code"]),
            headers=tuple((_text(name), _text(value)) for name, value in record["headers"]),
            length=None if record["length"] is None else _count(record["length"]),
            validator=Validator.from_record(record["validator"]),
            accepts_ranges=_flag(record["accepts_ranges"]),
            content_type=_text_or_none(record["content_type"]),
            content_encoding=_text_or_none(record["content_encoding"]),
            suggested_name=_text_or_none(record["suggested_name"]),
            modified_at=None if record["modified_at"] is None else _time(record["modified_at"]),
            digests=tuple(Digest(_text(name), _text(value)) for name, value in record["digests"]),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """One response to one request, as far as the decision needs it."""

    resource: Resource
    status: int
    content_length: int | None = None
    content_range: ContentRange | None = None
    has_content_range: bool = False  # the header was there, parsable or not
    is_multipart: bool = False
    is_encoded: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """What we have of the resource: ``position`` durable bytes from where this request would go on."""

    position: int = 0
    length: int | None = None
    validator: Validator | None = None
    has_digest: bool = False
    restarts: int = 0
    trusts_unverified: bool = False


class Verdict(Enum):
    """What to do with a response."""

    CONTINUE = "go on with this body"
    START_OVER = "take this body from byte 0"
    ASK_UNCONDITIONALLY = "ask for the range once without If-Range"
    ASK_FOR_ALL = "close, and ask for everything"
    CHECK_COMPLETE = "nothing more to fetch, go to the completion check"
    FAIL = "unusable"


@dataclass(frozen=True, slots=True)
class Decision:
    """A verdict, the rule it follows, a reason in words, and the position of the body's first byte."""

    verdict: Verdict
    rule: str
    reason: str
    position: int = 0


def strong_validator(etag: str | None, last_modified: str | None, date: str | None) -> Validator | None:
    """
    Return the validator that proves sameness (RFC 9110 8.8).

    An ETag that is not weak; else a Last-Modified at least 60 s older than the response's Date; else None.
    """
    if etag and not etag.startswith(_WEAK):
        return Validator(ValidatorKind.ETAG, etag)
    modified, sent = parse_http_date(last_modified), parse_http_date(date)
    if last_modified and modified and sent and (sent - modified).total_seconds() >= _SETTLED_AFTER:
        return Validator(ValidatorKind.LAST_MODIFIED, last_modified)
    return None


def parse_http_date(text: str | None) -> datetime | None:
    """Return an HTTP-date as an aware time; None for what is none (RFC 9110 5.6.7)."""
    if not text or not text.isascii():
        return None
    try:
        parsed = parsedate_to_datetime(text)
    except (ValueError, OverflowError, TypeError, IndexError):
        return None
    return parsed if parsed.tzinfo is not None else None


def may_splice(kept: Kept) -> bool:
    """R0: whether what is on disk may be gone on with at all."""
    if kept.position <= 0 or kept.restarts >= MAX_RESTARTS:
        return False
    return kept.validator is not None or kept.has_digest or kept.trusts_unverified


def range_to_ask(kept: Kept, *, overlap: int = OVERLAP) -> ByteRange | None:
    """
    Return the overlap that leads a resuming request, from its first byte to the durable end; None for a plain GET.

    An operation that has everything still asks: a 416 or the overlap proves that it is the same file.
    """
    if not may_splice(kept):
        return None
    return ByteRange(max(0, kept.position - overlap), kept.position)


def decide(kept: Kept, asked: ByteRange | None, answer: Answer, *, was_conditional: bool = True) -> Decision:
    """
    Return what to do with a successful (200, 206) or unsatisfiable (416) response.

    Parameters
    ----------
    kept:
        What we have.
    asked:
        The bytes that the request asked for, None for a plain GET. ``asked.start`` to ``kept.position`` is overlap.
    answer:
        The response.
    was_conditional:
        Whether the request bore If-Range.
    """
    if answer.status == HTTPStatus.PARTIAL_CONTENT:
        return _decide_partial(kept, asked, answer)
    if answer.status == HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE:
        return _decide_unsatisfiable(kept, asked, answer)
    return _decide_whole(kept, asked, answer, was_conditional=was_conditional)


def _decide_partial(kept: Kept, asked: ByteRange | None, answer: Answer) -> Decision:
    if asked is None:
        return Decision(Verdict.FAIL, "R2", "the server sent a part although everything was asked for")
    flaw = _flaw_of_part(kept, asked, answer)
    if flaw:
        return Decision(Verdict.ASK_FOR_ALL, "R2", flaw)
    sent = answer.content_range.sent if answer.content_range else None
    return Decision(Verdict.CONTINUE, "R1", "the part fits", sent.start if sent else asked.start)


def _flaw_of_part(kept: Kept, asked: ByteRange, answer: Answer) -> str:
    """Return what makes a 206 unusable, in words; empty where nothing does."""
    if answer.is_multipart:
        return "the part is wrapped in multipart/byteranges"
    if answer.is_encoded:
        return "the part has a content coding, its offsets cannot be trusted"
    content_range = answer.content_range
    if content_range is None or content_range.sent is None:
        return "the part has no readable Content-Range"
    if answer.content_length is not None and answer.content_length != content_range.sent.length:
        return "Content-Length and Content-Range differ"
    if _is_other_version(kept, answer):
        return "the validator is another one than before"
    return _flaw_of_place(kept, asked, content_range.sent, content_range.total)


def _flaw_of_place(kept: Kept, asked: ByteRange, sent: ByteRange, total: int | None) -> str:
    """Return why the bytes of a 206 do not belong where they are missing, in words; empty where they do."""
    if sent.start > max(asked.start, kept.position):
        return "the part starts behind what was asked for"
    if (total is not None and sent.stop > total) or (total is None and kept.length is None):
        return "the part does not fit into the total"
    if kept.length is not None and (total not in (None, kept.length) or sent.stop > kept.length):
        return "the total is another one than before"
    if sent.stop <= kept.position and kept.position not in (kept.length, total):
        return "the part has nothing that is missing"  # asked again, the server would send the same for ever
    return ""


def _is_other_version(kept: Kept, answer: Answer) -> bool:
    """Whether the answer states a validator, and it is not ours; one that states none may still be the same."""
    ours, theirs = kept.validator, answer.resource.validator
    if ours is None:
        return False
    # The header as it stands: what is too weak to be a validator is still good enough to tell two versions apart.
    stated = _stated(answer.resource, ours.kind)
    if stated is not None:
        return not _is_same(ours, stated)
    return theirs is not None and theirs.kind is ours.kind and theirs != ours


def _stated(resource: Resource, kind: ValidatorKind) -> str | None:
    return next((value for name, value in resource.headers if name.lower() == kind.value), None)


def _is_same(validator: Validator, stated: str) -> bool:
    if validator.kind is ValidatorKind.ETAG:
        return stated[2 if stated.startswith(_WEAK) else 0 :] == validator.value
    ours = parse_http_date(validator.value)
    return ours is not None and ours == parse_http_date(stated)


def _decide_whole(kept: Kept, asked: ByteRange | None, answer: Answer, *, was_conditional: bool) -> Decision:
    if answer.has_content_range:
        verdict = Verdict.FAIL if asked is None else Verdict.ASK_FOR_ALL
        return Decision(verdict, "R2", "a whole answer came with a Content-Range")
    if asked is None or kept.position == 0:
        return Decision(Verdict.START_OVER, "R3", "the body is whole")
    same = kept.validator is not None and answer.resource.validator == kept.validator
    by_etag = same and kept.validator is not None and kept.validator.kind is ValidatorKind.ETAG
    if by_etag and was_conditional and answer.resource.accepts_ranges is not False:
        return Decision(Verdict.ASK_UNCONDITIONALLY, "R3", "the same version was sent whole; If-Range may be ignored")
    reason = "the server does not resume" if same else "the resource changed, or cannot be resumed"
    return Decision(Verdict.START_OVER, "R3", reason)


def _decide_unsatisfiable(kept: Kept, asked: ByteRange | None, answer: Answer) -> Decision:
    if asked is None:
        return Decision(Verdict.FAIL, "R4", "a range was refused that was not asked for")
    stated = answer.content_range
    total = stated.total if stated and stated.sent is None else None
    # A total that was another one before means another version, whatever we have.
    is_all = total is not None and total == kept.position and kept.length in (None, total)
    if is_all and not _is_other_version(kept, answer):
        return Decision(Verdict.CHECK_COMPLETE, "R4", "the server has no byte more than we have")
    return Decision(Verdict.ASK_FOR_ALL, "R4", "the range was refused, and what we have is not all")


# ------------------------------------------------------------------ strict reading of records: nothing is coerced


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError(f"a text is expected, not {type(value).__name__}")
    return value


def _text_or_none(value: object) -> str | None:
    return None if value is None else _text(value)


def _count(value: object) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise TypeError(f"a number of at least 0 is expected, not {type(value).__name__}")
    return value


def _flag(value: object) -> bool | None:
    if value is not None and not isinstance(value, bool):
        raise TypeError(f"true, false or null is expected, not {type(value).__name__}")
    return value


def _time(value: object) -> float:
    if not isinstance(value, int | float) or isinstance(value, bool) or not math.isfinite(value):
        raise TypeError(f"a time is expected, not {type(value).__name__}")
    return float(value)

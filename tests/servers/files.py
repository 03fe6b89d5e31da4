"""
An ordinary, well-behaved file of a web server, and the answers it gives.

`FileSpec` says everything as data; `Fault`s (see `faults`) change the file or the answer for the requests they name.
"""

from __future__ import annotations

import base64
import email.utils
import http
from collections.abc import Callable, Collection
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Literal

from tests.servers import content as contents
from tests.servers.steps import Pause, Script, Send, raw

if TYPE_CHECKING:
    from tests.servers.messages import Request

On = int | Collection[int] | Callable[["Request"], bool] | None
Headers = tuple[tuple[str, str], ...]

_REASONS = {int(status): status.phrase for status in http.HTTPStatus}
_DIGEST_FIELDS: dict[str, tuple[str, str]] = {
    "Repr-Digest": ("sha256", "sha-256=:{}:"),
    "Content-Digest": ("sha256", "sha-256=:{}:"),
    "Digest": ("sha256", "SHA-256={}"),
    "Content-MD5": ("md5", "{}"),
    "x-goog-hash": ("md5", "md5={}"),
}


def applies(on: On, request: Request) -> bool:
    """Whether a rule for these request numbers (or this predicate) covers the request."""
    if on is None:
        return True
    if isinstance(on, int):
        return request.number == on
    if isinstance(on, Collection):
        return request.number in on
    return on(request)


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """A response before it becomes bytes."""

    status: int = 200
    reason: str | None = None
    headers: Headers = ()
    before: Script = ()
    """Steps before the status line."""
    body: Script = ()
    after: Script = ()
    """Steps behind the body; a connection whose script ends here is kept."""
    head_piece: int | None = None
    head_pause: float = 0.0
    verbatim: Script | None = None
    """Performed in place of all of this."""

    def with_header(self, name: str, *values: str) -> Answer:
        """Return the answer with the header replaced, repeated or, without values, left out."""
        kept = tuple(pair for pair in self.headers if pair[0].lower() != name.lower())
        return replace(self, headers=(*kept, *((name, value) for value in values)))

    def script(self) -> Script:
        """Return everything as steps."""
        if self.verbatim is not None:
            return self.verbatim
        return (*self.before, self.head(), *self.body, *self.after)

    def head(self) -> Send:
        """Return the step that sends the status line and the headers."""
        reason = _reason(self.status) if self.reason is None else self.reason
        lines = [f"HTTP/1.1 {self.status} {reason}", *(f"{name}: {value}" for name, value in self.headers), "", ""]
        return replace(raw("\r\n".join(lines).encode("latin-1")), piece=self.head_piece, pause=self.head_pause)


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """Something that goes wrong, for the requests that it names."""

    name: str
    on: On = None
    changes_file: Callable[[FileSpec], FileSpec] | None = field(default=None, repr=False)
    changes_answer: Callable[[Answer, Request, FileSpec], Answer] | None = field(default=None, repr=False)
    answers_before_body: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Limit:
    """No more than so many answers for a path at a time; the next is told to come back."""

    connections: int
    status: int = 429
    retry_after: str | None = "1"

    def answer(self) -> Answer:
        """Return what the one too many is told."""
        return Answer(status=self.status, headers=(("Content-Length", "0"),)).with_header(
            "Retry-After", *(() if self.retry_after is None else (self.retry_after,))
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class FileSpec:
    """
    A file, and how its server treats it. `body` or `size` (with `seed`) says the content.

    `flip_after` requests it becomes another version: `becomes`, or the next seed with other validators.
    """

    body: bytes | None = None
    size: int = 0
    seed: int = 1
    etag: str | None = '"v1"'
    last_modified: datetime | str | None = datetime(2024, 2, 3, 4, 5, 6, tzinfo=UTC)
    date: str | None = None
    """The Date header; None is now."""
    accept_ranges: str | None = "bytes"
    """What is advertised, true or not."""
    serves_ranges: bool = True
    honours_if_range: Literal["always", "ignores it", "never matches"] = "always"
    content_type: str | None = "application/octet-stream"
    content_disposition: str | None = None
    digests: tuple[str, ...] = ()
    """Names of digest headers: Repr-Digest, Content-Digest, Digest, Content-MD5, x-goog-hash."""
    headers: Headers = ()
    methods: frozenset[str] = frozenset({"GET", "HEAD", "POST", "PUT"})
    rate: int | None = None
    """Bytes per second of each connection."""
    latency: float = 0.0
    """Seconds before each answer."""
    limit: Limit | None = None
    flip_after: int | None = None
    becomes: FileSpec | None = None
    faults: tuple[Fault, ...] = ()

    @property
    def content(self) -> contents.Content:
        """The bytes."""
        return contents.Pattern(self.size, self.seed) if self.body is None else contents.Literal(self.body)

    @property
    def sha256(self) -> str:
        """The digest in hexadecimal, computed once per content."""
        return contents.digest(self.content).hex()

    def read(self, start: int = 0, stop: int | None = None) -> bytes:
        """Return a range of the content."""
        return contents.read(self.content, start, stop)

    def next_version(self) -> FileSpec:
        """Return what the file becomes when it flips."""
        if self.becomes is not None:
            return self.becomes
        modified = self.last_modified
        later = modified + timedelta(days=1) if isinstance(modified, datetime) else modified
        etag = None if self.etag is None else self.etag.replace('"v', '"v+')
        return replace(self, seed=self.seed + 1, etag=etag, last_modified=later, flip_after=None)

    def at(self, request: Request) -> FileSpec:
        """Return the file as this request finds it."""
        if self.flip_after is not None and request.number > self.flip_after:
            return self.next_version().at(request)
        spec = self
        for fault in self.faults:
            if fault.changes_file is not None and applies(fault.on, request):
                spec = fault.changes_file(spec)
        return spec

    def reads_body(self, request: Request) -> bool:
        """Whether the body of the request is read before it is answered."""
        return not any(fault.answers_before_body and applies(fault.on, request) for fault in self.faults)

    def answer(self, request: Request) -> Script:
        """Return the script for one request."""
        spec = self.at(request)
        answer = spec.plain_answer(request)
        for fault in spec.faults:
            if fault.changes_answer is not None and applies(fault.on, request):
                answer = fault.changes_answer(answer, request, spec)
        if not request.keeps_alive:
            answer = answer.with_header("Connection", "close")
        return answer.script()

    def plain_answer(self, request: Request) -> Answer:
        """Return what a correct server says (RFC 9110)."""
        before: Script = (Pause(self.latency),) if self.latency else ()
        if request.method not in self.methods:
            allow = ", ".join(sorted(self.methods))
            return Answer(status=405, before=before, headers=(self._date(), ("Allow", allow), ("Content-Length", "0")))
        asked = request.asked_range(self.content.size) if self._range_counts(request) else None
        if asked is None:
            return self._whole(request, before)
        start, stop = asked
        if start >= stop:
            fields = (self._date(), ("Content-Range", f"bytes */{self.content.size}"), ("Content-Length", "0"))
            return Answer(status=416, before=before, headers=fields)
        return Answer(
            status=206,
            before=before,
            headers=(
                *self._fields(stop - start),
                ("Content-Range", f"bytes {start}-{stop - 1}/{self.content.size}"),
            ),
            body=self.slice(start, stop),
        )

    def slice(self, start: int, stop: int) -> Script:
        """Return the step that sends a range of the file at its rate."""
        return (Send(content=self.content, start=start, stop=stop, of_file=True, rate=self.rate),)

    def _whole(self, request: Request, before: Script) -> Answer:
        size = self.content.size
        body = () if request.method == "HEAD" else self.slice(0, size)
        return Answer(before=before, headers=self._fields(size), body=body)

    def _range_counts(self, request: Request) -> bool:
        if not self.serves_ranges or request.method != "GET":
            return False
        validator = request.header("If-Range")
        if validator is None or self.honours_if_range == "ignores it":
            return True
        if self.honours_if_range == "never matches":
            return False
        # A weak validator never matches (RFC 9110, 13.1.5).
        strong = None if self.etag is None or self.etag.startswith("W/") else self.etag
        return validator in {strong, self._modified()}

    def _fields(self, length: int) -> Headers:
        fields = (
            self._date(),
            ("Content-Length", str(length)),
            ("Content-Type", self.content_type),
            ("Accept-Ranges", self.accept_ranges),
            ("ETag", self.etag),
            ("Last-Modified", self._modified()),
            ("Content-Disposition", self.content_disposition),
            *self._digests(length),
            *self.headers,
        )
        return tuple((name, value) for name, value in fields if value is not None)

    def _digests(self, length: int) -> Headers:
        names = [name for name in self.digests if length == self.content.size or name == "Repr-Digest"]
        return tuple((name, _digest_value(self.content, *_DIGEST_FIELDS[name])) for name in names)

    def _date(self) -> tuple[str, str]:
        return ("Date", email.utils.formatdate(usegmt=True) if self.date is None else self.date)

    def _modified(self) -> str | None:
        modified = self.last_modified
        return email.utils.format_datetime(modified, usegmt=True) if isinstance(modified, datetime) else modified


def _digest_value(content: contents.Content, algorithm: str, form: str) -> str:
    return form.format(base64.b64encode(contents.digest(content, algorithm)).decode())


def _reason(status: int) -> str:
    return _REASONS.get(status, "Unknown")


def many_files(count: int, *, size: int) -> dict[str, FileSpec]:
    """Return `count` small files, each with its own content, named /0, /1 and so on."""
    return {f"/{index}": FileSpec(size=size, seed=index + 1) for index in range(count)}

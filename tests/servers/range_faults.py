"""What can go wrong with ranges, as data for `FileSpec.faults`; `on=` as in `faults`."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING

from tests.servers.faults import has_range, set_header
from tests.servers.files import Answer, Fault, FileSpec, On
from tests.servers.steps import raw, size_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.servers.messages import Request

_CONTENT_RANGE = re.compile(r"bytes (\d+)-(\d+)/(\d+)")
_BOUNDARY = "THIS_STRING_SEPARATES"

Slice = tuple[int, int]


def moved_range(move: Callable[[int, int], Slice], *, name: str = "moved_range()", on: On = None) -> Fault:
    """Answer a range with another one, in itself consistent; `move` maps the half-open range."""

    def change(answer: Answer, _request: Request, spec: FileSpec) -> Answer:
        asked = _slice_of(answer)
        if asked is None:
            return answer
        start, stop = move(*asked)
        size = spec.content.size
        start, stop = max(0, start), min(size, stop)
        moved = answer.with_header("Content-Range", f"bytes {start}-{stop - 1}/{size}")
        return replace(moved.with_header("Content-Length", str(stop - start)), body=spec.slice(start, stop))

    return Fault(name=name, on=on, changes_answer=change)


def start_earlier(size: int, *, on: On = None) -> Fault:
    """Begin the 206 `size` bytes before what was asked for (H14)."""
    return moved_range(lambda start, stop: (start - size, stop), name=f"start_earlier({size})", on=on)


def align_to_blocks(size: int, *, on: On = None) -> Fault:
    """Begin and end the 206 at borders of blocks, as some caches do (H14)."""
    return moved_range(
        lambda start, stop: (start // size * size, -(-stop // size) * size), name=f"align_to_blocks({size})", on=on
    )


def start_later(size: int, *, on: On = None) -> Fault:
    """Begin the 206 `size` bytes behind what was asked for (H15)."""
    return moved_range(lambda start, stop: (start + size, stop), name=f"start_later({size})", on=on)


def shorten_range(size: int, *, on: On = None) -> Fault:
    """Answer a range with at most `size` bytes of it, as a server may (H17)."""
    return moved_range(lambda start, stop: (start, min(stop, start + size)), name=f"shorten_range({size})", on=on)


def claim_range(form: str, *, on: On = None) -> Fault:
    """Send this Content-Range whatever the bytes are; `{first}`, `{last}`, `{size}` stand for the right ones (H15)."""

    def change(answer: Answer, _request: Request, spec: FileSpec) -> Answer:
        asked = _slice_of(answer)
        if asked is None:
            return answer
        first, stop = asked
        return answer.with_header("Content-Range", form.format(first=first, last=stop - 1, size=spec.content.size))

    return Fault(name=f"claim_range({form})", on=on, changes_answer=change)


def omit_content_range(*, on: On = None) -> Fault:
    """Send a 206 that does not say which bytes it holds (H16)."""
    return set_header("Content-Range", on=on)


def slice_as_200(*, on: On = None) -> Fault:
    """Send a range with its Content-Range, but with status 200 (H13)."""
    return Fault(name="slice_as_200()", on=on, changes_answer=_as_200)


def _as_200(answer: Answer, _request: Request, _spec: FileSpec) -> Answer:
    return replace(answer, status=200) if answer.status == 206 else answer


def multipart_range(*, on: On = None) -> Fault:
    """Answer one range with multipart/byteranges (H18)."""
    return Fault(name="multipart_range()", on=on, changes_answer=_as_multipart)


def _as_multipart(answer: Answer, _request: Request, spec: FileSpec) -> Answer:
    asked = _slice_of(answer)
    if asked is None:
        return answer
    start, stop = asked
    part = f"--{_BOUNDARY}\r\nContent-Range: bytes {start}-{stop - 1}/{spec.content.size}\r\n\r\n"
    body = (raw(part.encode()), *answer.body, raw(f"\r\n--{_BOUNDARY}--\r\n".encode()))
    bare = answer.with_header("Content-Range").with_header("Content-Length", str(size_of(body)))
    return replace(bare.with_header("Content-Type", f"multipart/byteranges; boundary={_BOUNDARY}"), body=body)


def unasked_range(start: int, stop: int, *, on: On = None) -> Fault:
    """Answer a request without Range with a 206 of this half-open range (H19)."""

    def change(answer: Answer, request: Request, spec: FileSpec) -> Answer:
        if has_range(request) or answer.status != 200:
            return answer
        partial = answer.with_header("Content-Range", f"bytes {start}-{stop - 1}/{spec.content.size}")
        partial = partial.with_header("Content-Length", str(stop - start))
        return replace(partial, status=206, body=spec.slice(start, stop))

    return Fault(name=f"unasked_range({start}, {stop})", on=on, changes_answer=change)


def refuse_range(content_range: str | None, *, on: On = has_range) -> Fault:
    """Answer 416 with this Content-Range, or without one (H29-H31)."""

    def change(answer: Answer, _request: Request, _spec: FileSpec) -> Answer:
        empty = answer.with_header("Content-Length", "0").with_header("Content-Range", *filter(None, [content_range]))
        return replace(empty, status=416, body=())

    return Fault(name=f"refuse_range({content_range})", on=on, changes_answer=change)


def _slice_of(answer: Answer) -> Slice | None:
    value = dict(answer.headers).get("Content-Range", "")
    match = _CONTENT_RANGE.fullmatch(value)
    return (int(match[1]), int(match[2]) + 1) if match else None

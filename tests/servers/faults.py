"""
What can go wrong with an answer, as data to be put into `FileSpec.faults`.

Every fault takes `on`: the number of a request to that path (from 1), several numbers, a predicate over the request,
or None for all. Faults are applied in the order in which they are listed, so that `chunked(1000), cut_after(1500)`
counts the bytes of the chunked form. A new fault is a function of five lines that returns a `Fault`.
"""

from __future__ import annotations

import dataclasses
from dataclasses import replace
from typing import TYPE_CHECKING

from tests.servers import content as contents
from tests.servers.files import Answer, Fault, FileSpec, Headers, On
from tests.servers.steps import (
    Close,
    Cut,
    HalfClose,
    Pause,
    Repeat,
    Reset,
    Script,
    Send,
    Stall,
    Step,
    WaitFor,
    drop,
    raw,
    split,
    take,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.servers.messages import Request


def is_head(request: Request) -> bool:
    """Whether the request is a HEAD."""
    return request.method == "HEAD"


def has_range(request: Request) -> bool:
    """Whether the request asks for a range."""
    return request.header("Range") is not None


def is_resumed(request: Request) -> bool:
    """Whether the request asks for a range that does not begin at 0."""
    return has_range(request) and not (request.header("Range") or "").startswith("bytes=0-")


# The file


def varied(*, on: On = None, **changes: object) -> Fault:
    """Treat the file, for these requests, as if its spec had these values."""
    known = {field.name for field in dataclasses.fields(FileSpec)}
    if unknown := changes.keys() - known:
        message = f"FileSpec has no {sorted(unknown)}"
        raise TypeError(message)
    return Fault(name=f"varied({changes})", on=on, changes_file=lambda spec: replace(spec, **changes))  # type: ignore[arg-type] # checked above


def ignore_range(*, on: On = None) -> Fault:
    """Send the whole file with 200, whatever range was asked for (H12)."""
    return varied(on=on, serves_ranges=False)


def drop_validators(*, on: On = None) -> Fault:
    """Send neither ETag nor Last-Modified (H22)."""
    return varied(on=on, etag=None, last_modified=None)


# The status


def status(
    code: int,
    *,
    reason: str | None = None,
    headers: Headers = (),
    retry_after: str | None = None,
    body: bytes | contents.Content = b"",
    content_type: str = "text/html",
    on: On = None,
) -> Fault:
    """Answer with this status and a body that is not the file."""
    content = contents.Literal(body) if isinstance(body, bytes) else body
    retry = () if retry_after is None else (("Retry-After", retry_after),)
    length = () if code in {204, 304} else (("Content-Length", str(content.size)), ("Content-Type", content_type))

    def change(answer: Answer, request: Request, _spec: FileSpec) -> Answer:
        date = tuple(pair for pair in answer.headers if pair[0] == "Date")
        payload = () if request.method == "HEAD" or not length else (Send(content=content, start=0, stop=content.size),)
        return replace(answer, status=code, reason=reason, headers=(*date, *length, *retry, *headers), body=payload)

    return Fault(name=f"status({code})", on=on, changes_answer=change)


def login_page(*, on: On = None) -> Fault:
    """Answer 200 with a page of HTML in place of the file (H35, N13)."""
    return status(200, body=b"<html>sign in</html>", on=on)


def redirect(to: str | None, *, code: int = 302, on: On = None) -> Fault:
    """Send elsewhere; without `to`, a redirect that says nowhere (H37)."""
    return status(code, headers=() if to is None else (("Location", to),), on=on)


def redirects(count: int, *, to: str, prefix: str = "/hop") -> dict[str, FileSpec]:
    """Return routes /hop1, /hop2 and so on, each leading to the next and the last one to `to` (H38)."""
    places = [*(f"{prefix}{number}" for number in range(2, count + 1)), to]
    return {f"{prefix}{number}": FileSpec(faults=(redirect(place),)) for number, place in enumerate(places, start=1)}


def answer_before_body(code: int, *, then: Step | None = None, on: On = None) -> Fault:
    """Answer without having read the body of the request, then end the connection (H55)."""
    plain = status(code)
    end: Step = Close() if then is None else then

    def change(answer: Answer, request: Request, spec: FileSpec) -> Answer:
        changed = plain.changes_answer(answer, request, spec) if plain.changes_answer else answer
        return replace(changed, after=(end,))

    return Fault(name=f"answer_before_body({code})", on=on, changes_answer=change, answers_before_body=True)


# The head


def set_header(name: str, *values: str, on: On = None) -> Fault:
    """Send this header with these values, repeated if there are several; without values, leave it out."""
    return _answer(f"set_header({name})", on, lambda answer: answer.with_header(name, *values))


def declare_length(length: int | str, *, on: On = None) -> Fault:
    """Announce this Content-Length, whatever the body is, and close behind it (H1, H2)."""
    return _answer(
        f"declare_length({length})",
        on,
        lambda answer: replace(answer.with_header("Content-Length", str(length)), after=(*answer.after, Close())),
    )


def no_length(*, on: On = None) -> Fault:
    """Let the end of the connection be the end of the body (H4-H6)."""
    return _answer("no_length()", on, _delimited_by_close)


def _delimited_by_close(answer: Answer) -> Answer:
    bare = answer.with_header("Content-Length").with_header("Connection", "close")
    return replace(bare, after=(*answer.after, Close()))


def informational(code: int = 103, *, times: int | None = 1, headers: Headers = (), on: On = None) -> Fault:
    """Send interim answers before the final one; with `times=None` without end (H43)."""
    head = contents.read(Answer(status=code, headers=headers).head().content)
    return _answer(
        f"informational({code})", on, lambda answer: replace(answer, before=(*answer.before, Repeat(head, times)))
    )


def trickle_head(*, piece: int = 1, pause: float = 0.3, on: On = None) -> Fault:
    """Send the head in packets of `piece` bytes with `pause` seconds between (H44)."""
    return _answer("trickle_head()", on, lambda answer: replace(answer, head_piece=piece, head_pause=pause))


def extra_headers(count: int, *, size: int = 8, on: On = None) -> Fault:
    """Add `count` headers with values of `size` bytes (H47)."""
    extra = tuple((f"X-Extra-{index}", "x" * size) for index in range(count))
    return _answer(f"extra_headers({count})", on, lambda answer: replace(answer, headers=(*answer.headers, *extra)))


def instead(*script: Step, on: On = None) -> Fault:
    """Perform this script in place of the answer."""
    return _answer("instead()", on, lambda answer: replace(answer, verbatim=script))


# The body on its way


def cut_after(size: int, *, on: On = None) -> Fault:
    """End with FIN after `size` bytes of body (negative: before its end), under TLS without close_notify (H1, H6)."""
    return _ends(f"cut_after({size})", size, Cut(), on)


def close_after(size: int, *, on: On = None) -> Fault:
    """End in order after `size` bytes of body: under TLS with a close_notify (H4)."""
    return _ends(f"close_after({size})", size, Close(), on)


def reset_after(size: int, *, on: On = None) -> Fault:
    """End with RST after `size` bytes of body (H5)."""
    return _ends(f"reset_after({size})", size, Reset(), on)


def stall_after(size: int, *, on: On = None) -> Fault:
    """Send nothing more after `size` bytes of body, and keep the connection open (H46)."""
    return _ends(f"stall_after({size})", size, Stall(), on)


def half_close_after(size: int, *, on: On = None) -> Fault:
    """Send FIN after `size` bytes of body and keep the receiving side open."""
    return _answer(
        f"half_close_after({size})",
        on,
        lambda answer: replace(answer, body=(*take(answer.body, size), HalfClose(), Stall()), after=()),
    )


def hold_after(size: int, *, until: str, on: On = None) -> Fault:
    """Stop after `size` bytes of body until the test sets the event `until`, then go on."""
    return _answer(
        f"hold_after({size}, {until})",
        on,
        lambda answer: replace(answer, body=split(answer.body, size, (WaitFor(until),))),
    )


def hold_head(*, until: str, on: On = None) -> Fault:
    """Send nothing until the test sets the event `until`, then answer."""
    return _answer(f"hold_head({until})", on, lambda answer: replace(answer, before=(*answer.before, WaitFor(until))))


def trickle(*, piece: int = 1, pause: float = 1.0, after: int = 0, on: On = None) -> Fault:
    """Send the body, from byte `after` on, in packets of `piece` bytes with `pause` seconds between (H45)."""

    def slow(script: Script) -> Script:
        return tuple(replace(step, piece=piece, pause=pause) if isinstance(step, Send) else step for step in script)

    def change(answer: Answer) -> Answer:
        return replace(answer, body=(*take(answer.body, after), *slow(drop(answer.body, after))))

    return _answer(f"trickle({piece}, {pause})", on, change)


def surplus(data: bytes, *, after: float = 0.0, on: On = None) -> Fault:
    """Send more behind the body, at once or `after` seconds later: too much data, a second answer (H2, H48)."""
    pause: Script = (Pause(after),) if after else ()
    return _answer(
        f"surplus({len(data)})", on, lambda answer: replace(answer, after=(*pause, raw(data), *answer.after))
    )


def chunked(size: int = 1 << 20, *, on: On = None) -> Fault:
    """Send the body in chunks of `size` bytes, without a Content-Length (H3)."""

    def change(answer: Answer) -> Answer:
        bare = answer.with_header("Content-Length").with_header("Transfer-Encoding", "chunked")
        return replace(bare, body=_chunks(answer.body, size))

    return _answer(f"chunked({size})", on, change)


def _chunks(body: Script, size: int) -> Script:
    steps: list[Step] = []
    for step in body:
        if isinstance(step, Send):
            for start in range(step.start, step.stop, size):
                stop = min(start + size, step.stop)
                steps += (raw(b"%x\r\n" % (stop - start)), replace(step, start=start, stop=stop), raw(b"\r\n"))
        else:
            steps.append(step)
    return (*steps, raw(b"0\r\n\r\n"))


def _ends(name: str, size: int, end: Step, on: On) -> Fault:
    return _answer(name, on, lambda answer: replace(answer, body=(*take(answer.body, size), end), after=()))


def _answer(name: str, on: On, change: Callable[[Answer], Answer]) -> Fault:
    return Fault(name=name, on=on, changes_answer=lambda answer, _request, _spec: change(answer))

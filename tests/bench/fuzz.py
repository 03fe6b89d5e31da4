"""
Bad input, very much of it: what servers, front ends and a damaged disk may say.

A target takes bytes, lets the package read them, and raises where a promise is broken: anything but the errors that
the target may raise, a name that leaves its folder, a command that names a path. Inputs are made from a few good ones
by changing, cutting and joining. The same targets run under atheris, which looks for inputs that take ways not taken
yet: ``python -m tests.bench.coverage_fuzz headers -runs=1000000`` (``pip install atheris``).
"""

from __future__ import annotations

import contextlib
import json
import os
import random
import time
from pathlib import Path
from typing import TYPE_CHECKING, Final

from multidict import CIMultiDict

from bgdl_jupyter.errors import BackgroundTransferError, ProtocolViolation
from bgdl_jupyter.frontends import wire
from bgdl_jupyter.resource import Resource
from bgdl_jupyter.storage.filenames import name_from_uri, safe_name
from bgdl_jupyter.storage.record_texts import UnreadableRow, decode_record
from bgdl_jupyter.transport.authentication import best_digest, parse_challenges
from bgdl_jupyter.transport.disposition import suggested_name
from bgdl_jupyter.transport.headers import parse_content_range, parse_retry_after, read_answer
from bgdl_jupyter.uris import shown, split_uri
from tests.bench.results import Family, Table

if TYPE_CHECKING:
    from collections.abc import Callable

_SCHEMES: Final = frozenset({"http", "https", "ftp", "ftps"})
#: What a single input may take, in seconds of the processor.
_SLOW: Final = 1.0
_DEEP: Final = b"[" * 3000

_HEADERS: Final = (
    b"""Content-Range: bytes 0-99/100
Content-Length: 100
ETag: "v1"
Last-Modified: Sat, 03 Feb 2024 04:05:06 GMT
Date: Sun, 22 Nov 2026 10:00:00 GMT
Accept-Ranges: bytes
Content-Type: application/octet-stream""",
    b"""Retry-After: Sun, 22 Nov 2026 10:00:10 GMT
Date: Sun, 22 Nov 2026 10:00:00 GMT
Content-Range: bytes */100""",
    b"""Retry-After: 120
Content-Encoding: gzip, identity
Transfer-Encoding: chunked
ETag: W/"x\"""",
    b"""Repr-Digest: sha-256=:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=:
Digest: SHA-256=47DEQpj8=
Content-MD5: 1B2M""",
    b"""WWW-Authenticate: Digest realm="a", nonce="n", qop="auth", algorithm=SHA-256, stale=true
WWW-Authenticate: Basic realm="b", charset="UTF-8\"""",
    b"""Content-Disposition: attachment; filename="a.bin"; filename*=UTF-8''%e2%82%ac.bin
x-goog-hash: md5=1B2M2Y8A==""",
)
_NAMES: Final = (
    b"a.bin", b"../../etc/passwd", b"..\\..\\x", b"CON.txt", b"%2e%2e%2fetc", "ü.tar.gz".encode(), b".bashrc", b"x:ads",
    b"http://host/a/b%2Fc;d=e?f#g", "\u202egnp.exe".encode(), b"a" * 300 + b".tar.gz",
)  # fmt: skip
_URIS: Final = (
    b"https://user:pw@host:443/a/../b?token=x&sig=y#f", b"http://[::1]:80/", b"ftp://host/%2Froot", b"http://127.1/",
    b"https://xn--bcher-kva.example/%41", b"HTTP://HOST", b"http:///x", b"http://host:99999/", b"javascript:alert(1)",
)  # fmt: skip
_MESSAGES: Final = (
    b'{"verb": "pause", "operation_id": "3f1c9f0e6d4b4a6e9a0c1d2e3f405162"}',
    b'{"verb": "cancel", "group": "climate"}',
    b'{"verb": "subscribe"}',
    b'{"verb": "dismiss", "operation_id": "batch-1"}',
)
_RECORDS: Final = (
    b'{"requested_uri": "https://host/a", "status_reason": "", "options": {"max_size": null, "x": 1.5}}',
    b'{"finished": [[0, 100]], "file": [1, 2], "file_epoch": 1, "restarts": 0, "committing": null, "resource": null}',
    b'{"uri": "https://host/a", "length": 100, "etag": "\\"v1\\"", "digests": []}',
)


def read_headers(data: bytes) -> None:
    """Read a head: every header that the package looks at."""
    lines = [line.partition(":") for line in data.decode("latin-1").split("\n")]
    headers = CIMultiDict((name.strip() or "X", value.strip()) for name, _, value in lines)
    for status in (200, 206, 416):
        with contextlib.suppress(ProtocolViolation):
            answer = read_answer(status, headers, "https://host/a")
            assert answer.resource.length is None or answer.resource.length >= 0
    part = parse_content_range(headers.getall("Content-Range", ()))
    assert part is None or part.total is None or part.total >= 0
    waits = parse_retry_after(headers.getall("Retry-After", ()), headers.get("Date"))
    assert waits is None or waits >= 0
    best_digest(parse_challenges(headers.getall("WWW-Authenticate", ())), has_body=False)
    name = suggested_name(headers.get("Content-Disposition"))
    if name is not None:
        read_name(name.encode("utf-8", "surrogatepass"))


def read_name(data: bytes) -> None:
    """Make a safe name of one that a server chose: one component, no more than 200 bytes, in its folder."""
    raw = data.decode("utf-8", "surrogateescape")
    for name in (safe_name(raw), safe_name(raw, guards_active=True), name_from_uri(raw)):
        assert name, "empty"
        assert name not in (".", "..")
        assert not set(name) & set("/\\\0\n\r")
        assert len(os.fsencode(name)) <= 200
        assert Path(os.path.normpath(Path("/folder") / name)).parent == Path("/folder")


def read_uri(data: bytes) -> None:
    """Take a URI apart, or refuse it; its secrets are not in what is shown."""
    text = data.decode("utf-8", "surrogateescape")
    try:
        split = split_uri(text, _SCHEMES)
    except BackgroundTransferError:
        return
    shown(split.public)
    assert "@" not in split.public.partition("//")[2].partition("/")[0], "the user is shown"


def read_message(data: bytes) -> None:
    """Understand a message of a front end, or refuse it; a command names at most one thing, and no path."""
    try:
        message = json.loads(data)
    except (ValueError, RecursionError):
        return  # Jupyter itself refuses it
    command = wire.parse_command(message)
    if command is not None:
        assert set(message) <= {"verb", "operation_id", "group"}
        assert sum(each is not None for each in (command.operation_id, command.group, command.alert_id)) <= 1


def read_record(data: bytes) -> None:
    """Load a record of the state file, or say that it cannot be read."""
    try:
        record = decode_record(data.decode("utf-8", "surrogateescape"))
    except UnreadableRow:
        return
    assert isinstance(record, dict)
    try:
        Resource.from_record(record)
    except (KeyError, TypeError, ValueError):
        return  # what its caller knows as unreadable


TARGETS: Final[dict[str, tuple[Callable[[bytes], None], tuple[bytes, ...]]]] = {
    "headers": (read_headers, _HEADERS),
    "names": (read_name, _NAMES),
    "uris": (read_uri, _URIS),
    "messages": (read_message, _MESSAGES),
    "records": (read_record, _RECORDS),
}
#: What breaks readers more often than chance would find it.
_SPITEFUL: Final = (
    b"", b"\0", b"-1", b"1e9", b"99999999999999999999", b"9" * 5000, b"NaN", b"Infinity", "٣".encode(), b"\xff\xfe",
    b"\xed\xa0\x80", b"../", b"%00", b"\r\n", b'"', b"\\", b"null", b"true",
    _DEEP, b"{}", b",,,", b";" * 50, b"=", b"%",
)  # fmt: skip


def changed(seed: bytes, others: tuple[bytes, ...], draw: random.Random) -> bytes:
    """Return an input made from a good one: changed, cut, joined with another, a few times over."""
    data = bytearray(seed)
    for _ in range(draw.randint(1, 6)):
        place = draw.randint(0, len(data))
        end = min(len(data), place + draw.randint(0, 12))
        match draw.randrange(6):
            case 0:
                data[place:end] = draw.randbytes(draw.randint(0, 4))
            case 1:
                data[place:end] = draw.choice(_SPITEFUL)
            case 2:
                del data[place:end]
            case 3:
                data[place:place] = data[place:end] * draw.randint(1, 20)
            case 4:
                other = draw.choice(others)
                data[place:] = other[draw.randint(0, len(other)) :]
            case _:
                data = data[:place] if draw.random() < 0.3 else data
    return bytes(data)


def run(count: int = 100_000, *, seed: int = 1) -> Family:
    """Give every target ``count`` inputs."""
    rows: list[list[str | int]] = []
    failures: list[str] = []
    for name, (target, seeds) in TARGETS.items():
        draw = random.Random(f"{name} {seed}")
        broken = [found for _ in range(count) if (found := _try(target, changed(draw.choice(seeds), seeds, draw)))]
        rows.append([name, count - len(broken), count])
        failures += [f"{name}: {each}" for each in broken[:5]]
    return Family(
        name="bad_input",
        title="Headers, names, URIs, messages and records that are anything",
        section="Bad input",
        claim=(
            "Inputs made from good ones by changing, cutting and joining. Survived means: read, or refused with the "
            "error that says so, within a second; no name leaves its folder, no user is shown, no command names a path."
        ),
        n=count * len(TARGETS),
        passed=sum(int(row[1]) for row in rows),
        tables=[Table(columns=("read", "survived", "of"), rows=rows)],
        failures=failures[:20],
        command=f"python -m tests.bench bad_input --count {count}",
    )


def _try(target: Callable[[bytes], None], data: bytes) -> str:
    """Return how an input broke a target; empty where it did not."""
    began = time.process_time()
    try:
        target(data)
    except Exception as error:  # noqa: BLE001 (what it is, is what is looked for)
        return f"{type(error).__name__}: {error}"[:200] + f" for {data!r:.200}"
    return f"it took long for {data!r:.200}" if time.process_time() - began > _SLOW else ""

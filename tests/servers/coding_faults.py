"""
Content codings that nobody asked for, whole and damaged, as data for `FileSpec.faults`; `on=` as in `faults`.

A file that is gzip and whose ranges are ranges of the coded bytes needs no fault:
`FileSpec(body=gzip.compress(data), headers=(("Content-Encoding", "gzip"),))`.
"""

from __future__ import annotations

import functools
import gzip
import struct
import zlib
from dataclasses import replace
from typing import TYPE_CHECKING, Literal

from tests.servers.files import Answer, Fault, FileSpec, On
from tests.servers.steps import raw

if TYPE_CHECKING:
    from tests.servers.messages import Request

Damage = Literal["none", "cut", "rubbish behind", "wrong checksum", "not gzip"]

_MEGABYTE = 1 << 20
_HEADER = b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\xff"


def coded(data: bytes, *, coding: str = "gzip", on: On = None) -> Fault:
    """Send these bytes as the body with status 200, labelled as coded."""

    def change(answer: Answer, request: Request, _spec: FileSpec) -> Answer:
        labelled = answer.with_header("Content-Encoding", coding).with_header("Content-Length", str(len(data)))
        body = () if request.method == "HEAD" else (raw(data),)
        return replace(labelled.with_header("Content-Range"), status=200, body=body)

    return Fault(name=f"coded({coding})", on=on, changes_answer=change)


def gzipped(damage: Damage = "none", *, on: On = None) -> Fault:
    """Send the whole file with gzip, unasked; the Content-Length is that of the bytes on the wire (H7-H9)."""

    def change(answer: Answer, request: Request, spec: FileSpec) -> Answer:
        fault = coded(damaged(spec.read(), damage))
        return fault.changes_answer(answer, request, spec) if fault.changes_answer else answer

    return Fault(name=f"gzipped({damage})", on=on, changes_answer=change)


def gzipped_slices(*, on: On = None) -> Fault:
    """Send each range with gzip on its own, under a Content-Range of the bytes before coding (H10)."""

    def change(answer: Answer, request: Request, spec: FileSpec) -> Answer:
        start, stop = request.asked_range(spec.content.size) or (0, spec.content.size)
        data = gzip.compress(spec.read(start, stop), mtime=0)
        labelled = answer.with_header("Content-Encoding", "gzip").with_header("Content-Length", str(len(data)))
        return replace(labelled, body=(raw(data),))

    return Fault(name="gzipped_slices()", on=on, changes_answer=change)


def damaged(data: bytes, damage: Damage) -> bytes:
    """Return the data with gzip, and what went wrong with it."""
    whole = gzip.compress(data, mtime=0)
    match damage:
        case "cut":
            return whole[: len(whole) * 2 // 3]
        case "rubbish behind":
            return whole + b"rubbish"
        case "wrong checksum":
            return whole[:-8] + bytes([whole[-8] ^ 1]) + whole[-7:]
        case "not gzip":
            return data
        case "none":
            return whole


@functools.cache
def bomb(megabytes: int) -> bytes:
    """Return about a thousandth of so many megabytes: gzip that decodes to that many zeros (H11)."""
    coder = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    zeros = bytes(_MEGABYTE)
    # The full flush makes every block the same, so that one is coded and the others are copies.
    first = coder.compress(zeros) + coder.flush(zlib.Z_FULL_FLUSH)
    checksum = 0
    for _ in range(megabytes):
        checksum = zlib.crc32(zeros, checksum)
    trailer = struct.pack("<II", checksum, megabytes * _MEGABYTE & 0xFFFFFFFF)
    return _HEADER + first * megabytes + coder.flush() + trailer


def nested_bomb(megabytes: int) -> bytes:
    """Return a bomb that is itself coded, for `coded(..., coding="gzip, gzip")`."""
    return gzip.compress(bomb(megabytes), mtime=0)

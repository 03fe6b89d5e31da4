from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bgdl_jupyter.errors import ProtocolViolation
from bgdl_jupyter.transport.http_head import MAX_HEAD, HeadReader

INTERIM = b"HTTP/1.1 103 Early Hints\r\nLink: <a>\r\n\r\n"
FINAL = b"HTTP/1.1 200 OK\r\nServer: x\r\nContent-Length: 12\r\n\r\n"


def read(data: bytes, cuts: list[int]) -> tuple[HeadReader, int]:
    """Feed the data cut at these places until the head is complete; return where it ended."""
    reader, position = HeadReader(), 0
    edges = sorted({*(cut for cut in cuts if 0 < cut < len(data)), len(data)})
    for edge in edges:
        piece = data[position:edge]
        end = reader.feed(piece)
        position += end
        if reader.is_complete:
            break
        assert end == len(piece)
    return reader, position


@given(st.integers(0, 3), st.lists(st.integers(0, 400), max_size=20), st.binary(max_size=50))
def test_the_end_is_found_however_the_head_is_cut(interims, cuts, body):
    data = INTERIM * interims + FINAL
    reader, end = read(data + body, cuts)
    assert reader.is_complete
    assert end == len(data)
    assert reader.length == 12


def test_bare_line_feeds_end_a_head_too():
    reader, end = read(b"HTTP/1.0 200 OK\nContent-Length: 3\n\nabc", [])
    assert (reader.is_complete, end, reader.length) == (True, 35, 3)


@pytest.mark.parametrize(
    "fields",
    [b"", b"Content-Length: x\r\n", b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n", b"X-Content-Length: 5\r\n"],
)
def test_a_length_that_does_not_count_is_not_told(fields):
    reader, _ = read(b"HTTP/1.1 200 OK\r\n" + fields + b"\r\n", [])
    assert reader.is_complete
    assert reader.length is None


def test_the_bounds_hold_to_the_byte():
    start, end = b"HTTP/1.1 200 OK\r\nX: ", b"\r\n\r\n"
    fitting = start + b"x" * (MAX_HEAD - len(start + end)) + end
    HeadReader().feed(fitting)
    with pytest.raises(ProtocolViolation):
        HeadReader().feed(b"x" + fitting)


def test_heads_are_bounded_together():
    reader = HeadReader()
    reader.feed(b"HTTP/1.1 103 Hi\r\nX: " + b"x" * 40_000 + b"\r\n\r\n")
    with pytest.raises(ProtocolViolation):
        reader.feed(b"HTTP/1.1 103 Hi\r\nX: " + b"x" * 40_000 + b"\r\n\r\n")


def test_the_first_bytes_are_kept_to_name_who_speaks():
    reader = HeadReader()
    reader.feed(b"SSH-2.0-x\r\n")
    assert reader.heard.startswith(b"SSH-")


@given(st.lists(st.binary(min_size=1, max_size=200)))
def test_no_bytes_do_more_than_break_the_protocol(pieces):
    reader = HeadReader()
    try:
        for piece in pieces:
            reader.feed(piece)
    except ProtocolViolation:
        return

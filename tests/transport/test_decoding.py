from __future__ import annotations

import gzip
import zlib
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bgdl_jupyter.errors import DecodingFailed
from bgdl_jupyter.transport.decoding import RATIO_GRACE, Decoder


def decoded(codings: tuple[str, ...], *chunks: bytes) -> bytes:
    decoder = Decoder(codings)
    out = b"".join(piece for chunk in chunks for piece in decoder.feed(chunk))
    decoder.finish()
    return out


def raw_deflate(data: bytes) -> bytes:
    deflater = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    return deflater.compress(data) + deflater.flush()


def encoded(coding: str, data: bytes) -> bytes:
    return zlib.compress(data) if coding == "deflate" else gzip.compress(data)


@given(
    coding=st.sampled_from(["gzip", "x-gzip", "deflate"]),
    data=st.binary(max_size=2000),
    cuts=st.lists(st.integers(0, 2000), max_size=5),
)
def test_what_was_encoded_comes_back_however_it_is_cut(coding, data, cuts):
    coded = encoded(coding, data)
    edges = sorted({0, len(coded), *(cut for cut in cuts if cut < len(coded))})
    chunks = [coded[start:stop] for start, stop in pairwise(edges)]
    assert decoded((coding,), *chunks) == data


@given(st.binary(max_size=500))
def test_deflate_without_its_wrapper_is_understood(data):
    assert decoded(("deflate",), *(bytes([each]) for each in raw_deflate(data))) == data


def test_several_members_of_gzip_are_one_body():
    assert decoded(("gzip",), gzip.compress(b"one") + gzip.compress(b"two")) == b"onetwo"


def test_large_pieces_are_bounded():
    decoder = Decoder(("gzip",))
    assert max(len(piece) for piece in decoder.feed(gzip.compress(bytes(3_000_000)))) <= 256 * 1024


def test_an_empty_body_is_empty():
    assert decoded(("gzip",)) == b""


CODED = gzip.compress(b"some text that is long enough to be cut" * 10)


@pytest.mark.parametrize(
    "data",
    [CODED[:-1], CODED[:10], CODED[:1], CODED + b"rubbish", CODED[:-8] + bytes(8), b"<html>", CODED + b"\x1f\x8b"],
    ids=[
        "cut in the check",
        "cut in the body",
        "one byte",
        "trailing rubbish",
        "bad check",
        "mislabelled",
        "half a member",
    ],
)
def test_a_broken_coding_fails(data):
    with pytest.raises(DecodingFailed):
        decoded(("gzip",), data)


@pytest.mark.parametrize("codings", [("br",), ("zstd",), ("gzip", "gzip"), ("compress",)])
def test_codings_that_nobody_asked_for_and_we_do_not_know_fail(codings):
    with pytest.raises(DecodingFailed, match=codings[0]):
        Decoder(codings)


def test_a_bomb_is_not_unpacked():
    """Past the grace it stops, long before its end."""
    deflater = zlib.compressobj(9, wbits=31)
    bomb = b"".join(deflater.compress(bytes(1 << 20)) for _ in range(80)) + deflater.flush()
    taken: list[int] = []
    with pytest.raises(DecodingFailed, match="too long"):
        taken.extend(len(piece) for piece in Decoder(("gzip",)).feed(bomb))
    assert sum(taken) <= RATIO_GRACE

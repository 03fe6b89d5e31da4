from __future__ import annotations

import hashlib
import importlib.util
import sys
from types import SimpleNamespace
from uuid import uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bgdl_jupyter.errors import InvalidRequest
from bgdl_jupyter.resource import Digest
from bgdl_jupyter.storage.digests import HEXADECIMAL_DIGITS, RunningDigest, can_compute, parse_checksum, strongest
from bgdl_jupyter.storage.partial_file import PartialFile, PartialFileLost

CONTENT = bytes(range(256)) * 8
SHA256 = hashlib.sha256(CONTENT).hexdigest()


@pytest.fixture
def file(tmp_path):
    file = PartialFile.create(tmp_path, uuid4(), 1)
    file.write(CONTENT, 0)
    yield file
    file.discard()


@pytest.mark.parametrize("text", [SHA256, f"sha256:{SHA256}", f"SHA-256:{SHA256.upper()}", f" sha256: {SHA256} "])
def test_a_sha_256_may_be_written_in_several_ways(text):
    assert parse_checksum(text) == Digest("sha256", SHA256)


@pytest.mark.parametrize(
    ("name", "algorithm"),
    [("md5", "md5"), ("sha-1", "sha1"), ("sha3-256", "sha3_256"), ("sha3_512", "sha3_512"), ("blake2b", "blake2b")],
)
def test_other_algorithms_are_named(name, algorithm):
    value = hashlib.new(algorithm, CONTENT).hexdigest()
    assert parse_checksum(f"{name}:{value}") == Digest(algorithm, value)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "x",
        "sha256:",
        "sha256:abc",
        SHA256[:-1],
        SHA256 + "0",
        "g" * 64,
        f"md5:{SHA256}",
        f"rot13:{SHA256}",
        f":{SHA256}",
        f"sha256:{SHA256[:-1]}\n",
        "٣" * 64,
    ],
)
def test_what_cannot_be_a_checksum_is_refused_at_once(text):
    with pytest.raises(InvalidRequest):
        parse_checksum(text)


@given(st.text())
def test_any_text_is_a_checksum_or_refused(text):
    try:
        digest = parse_checksum(text)
    except InvalidRequest:
        return
    assert len(digest.value) == HEXADECIMAL_DIGITS[digest.algorithm]


def test_crc32c_is_known_where_its_library_is(file, monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    with pytest.raises(InvalidRequest, match="crc32c"):
        parse_checksum("crc32c:00000000")

    class Checksum:
        def __init__(self):
            self.value = b""

        def update(self, data):
            self.value += bytes(data)

        def copy(self):
            return self

        def digest(self):
            return self.value[:4]

    monkeypatch.setattr(importlib.util, "find_spec", lambda _: object())
    monkeypatch.setitem(sys.modules, "google_crc32c", SimpleNamespace(Checksum=Checksum))
    assert parse_checksum("crc32c:0a0b0c0d") == Digest("crc32c", "0a0b0c0d")
    running = RunningDigest("crc32c")
    running.feed(0, b"\x0a\x0b\x0c\x0d")
    assert running.finish(file, 4) == "0a0b0c0d"


def test_the_digest_that_proves_most_is_chosen():
    weak, strong, unknown = Digest("md5", "0" * 32), Digest("sha256", "0" * 64), Digest("unixsum", "1")
    assert strongest([weak, unknown, strong]) == strong
    assert strongest([unknown]) is None


@pytest.mark.parametrize("algorithm", [name for name in HEXADECIMAL_DIGITS if can_compute(name)])
def test_every_algorithm_gives_what_hashlib_gives(file, algorithm):
    running = RunningDigest(algorithm)
    running.feed(0, CONTENT[:1000])
    if algorithm != "crc32c":
        assert running.finish(file, len(CONTENT)) == hashlib.new(algorithm, CONTENT).hexdigest()


@given(st.lists(st.tuples(st.integers(0, 2047), st.integers(0, 700)), max_size=20))
def test_the_order_in_which_bytes_come_does_not_change_the_digest(tmp_path_factory, pieces):
    file = PartialFile.create(tmp_path_factory.getbasetemp(), uuid4(), 1)
    file.write(CONTENT, 0)
    running = RunningDigest("sha256")
    for offset, length in pieces:
        running.feed(offset, memoryview(CONTENT)[offset : offset + length])
    assert running.finish(file, len(CONTENT)) == SHA256
    file.discard()


def test_what_was_fed_in_order_is_not_read_again(file, monkeypatch):
    running = RunningDigest("sha256")
    running.feed(0, CONTENT[:1500])
    running.feed(1800, CONTENT[1800:])
    reads = []
    real = PartialFile.read

    def read(self, *where):
        reads.append(where)
        return real(self, *where)

    monkeypatch.setattr(PartialFile, "read", read)
    assert running.finish(file, 2048) == SHA256
    assert reads == [(1500, 548)]
    assert running.finish(file, 2048) == SHA256
    assert len(reads) == 1


def test_a_restarted_file_is_hashed_from_its_start(file):
    running = RunningDigest("sha256")
    running.feed(0, b"another version")
    running.rewind()
    assert running.finish(file, 2048) == SHA256


def test_a_resumed_file_goes_on_in_order_after_catching_up(file):
    running = RunningDigest("sha256")
    running.catch_up(file, 1000)
    running.feed(1000, CONTENT[1000:])
    assert running.position == 2048


def test_a_file_that_became_shorter_has_no_digest(file):
    file.truncate(100)
    with pytest.raises(PartialFileLost, match="ends at 100"):
        RunningDigest("sha256").finish(file, 2048)

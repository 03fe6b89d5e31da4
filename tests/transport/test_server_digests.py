from __future__ import annotations

import base64
import hashlib

import pytest
from multidict import CIMultiDict

from bgdl_jupyter.resource import Digest
from bgdl_jupyter.transport.headers import read_answer
from bgdl_jupyter.transport.server_digests import server_digests

BODY = b"the file"
SHA256 = hashlib.sha256(BODY).digest()
MD5 = hashlib.md5(BODY, usedforsecurity=False).digest()


def text(raw: bytes) -> str:
    return base64.b64encode(raw).decode()


def digests(*headers: tuple[str, str], is_whole: bool = True) -> tuple[Digest, ...]:
    return server_digests(CIMultiDict(headers), is_whole=is_whole)


@pytest.mark.parametrize(
    ("header", "value"),
    [
        ("Repr-Digest", f"sha-256=:{text(SHA256)}:"),
        ("Repr-Digest", f"unixsum=:AAAA:, sha-256=:{text(SHA256)}:;x=1"),
        ("Content-Digest", f"sha-256=:{text(SHA256)}:"),
        ("Digest", f"SHA-256={text(SHA256)}"),
        ("x-amz-checksum-sha256", text(SHA256)),
    ],
)
def test_each_form_of_a_digest_is_understood(header, value):
    assert digests((header, value)) == (Digest("sha256", SHA256.hex()),)


def test_google_sends_two_in_two_lines():
    crc = bytes(4)
    found = digests(("x-goog-hash", f"crc32c={text(crc)}"), ("x-goog-hash", f"md5={text(MD5)}"))
    assert found == (Digest("md5", MD5.hex()), Digest("crc32c", crc.hex()))


def test_the_strongest_comes_first():
    found = digests(("Content-MD5", text(MD5)), ("Repr-Digest", f"sha-256=:{text(SHA256)}:"))
    assert [each.algorithm for each in found] == ["sha256", "md5"]


def test_a_part_has_only_the_digests_of_the_representation():
    part = [("Content-MD5", text(MD5)), ("Content-Digest", f"sha-256=:{text(SHA256)}:")]
    assert digests(*part, is_whole=False) == ()
    assert digests(("Repr-Digest", f"sha-256=:{text(SHA256)}:"), is_whole=False) != ()


@pytest.mark.parametrize(
    "headers",
    [
        (("x-amz-checksum-sha256", text(SHA256) + "-12"),),
        (("x-amz-checksum-sha256", text(SHA256)), ("x-amz-checksum-type", "COMPOSITE")),
        (("x-goog-hash", f"md5={text(MD5)}"), ("x-goog-stored-content-encoding", "gzip")),
        (("Repr-Digest", f"sha-256=:{text(MD5)}:"),),
        (("Content-MD5", "not base64!"),),
        (("ETag", f'"{MD5.hex()}"'),),
    ],
)
def test_what_is_no_digest_of_the_file_is_not_taken_for_one(headers):
    assert digests(*headers) == ()


def test_a_coded_body_has_no_digest_of_the_file():
    headers = CIMultiDict([("Content-Encoding", "gzip"), ("Repr-Digest", f"sha-256=:{text(SHA256)}:")])
    assert read_answer(200, headers, "http://files.test/a").resource.digests == ()

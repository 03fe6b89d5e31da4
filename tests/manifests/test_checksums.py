"""Checksum files of GNU, of BSD and of nobody, and the names that are looked up in them."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bgdl_jupyter.errors import InvalidRequest
from bgdl_jupyter.manifests.checksums import MAX_SIZE, read_checksum_file

if TYPE_CHECKING:
    from pathlib import Path

A, B, C = ("a" * 64, "b" * 64, "c" * 64)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (f"{A}  file.bin\n", f"sha256:{A}"),
        (f"{A} *file.bin\r\n", f"sha256:{A}"),
        (f"# made today\n{A}  ./data/file.bin\n", f"sha256:{A}"),
        (f"SHA256 (file.bin) = {A}\n", f"SHA256:{A}"),
        (f"SHA512-256 (x) = {A}\nMD5 (file.bin) = {'1' * 32}\n", f"MD5:{'1' * 32}"),
        (f"{'1' * 32}  file.bin\n", f"md5:{'1' * 32}"),
        (f"{'1' * 40}  file.bin\n", f"sha1:{'1' * 40}"),
        (f"{A}\n", f"sha256:{A}"),
        (
            f"-----BEGIN PGP SIGNED MESSAGE-----\nHash: SHA256\n\n{A}  file.bin\n-----BEGIN PGP SIGNATURE-----\nxyz=\n",
            f"sha256:{A}",
        ),
    ],
)
def test_the_usual_forms_are_read(text: str, expected: str):
    assert read_checksum_file(text.encode(), "SUMS").checksum_of("/v1/file.bin") == expected


def test_values_that_look_alike_are_told_apart_by_the_name_of_the_file():
    contents = f"{'1' * 128}  file.bin\n".encode()
    assert read_checksum_file(contents, "SHA512SUMS").checksum_of("file.bin").startswith("sha512:")
    assert read_checksum_file(contents, "B2SUMS").checksum_of("file.bin").startswith("blake2b:")


def test_the_longest_end_of_the_path_decides_and_what_is_not_clear_is_refused():
    found = read_checksum_file(f"{A}  x/file.bin\n{B}  y/file.bin\n{C}  only.bin\n".encode(), "SUMS")
    assert found.checksum_of("/pub/x/file.bin") == f"sha256:{A}"
    assert found.checksum_of("/pub/y/file.bin") == f"sha256:{B}"
    assert found.checksum_of("/elsewhere/renamed", "only.bin") == f"sha256:{C}"
    with pytest.raises(InvalidRequest, match=r"'SUMS' names several files 'file\.bin'"):
        found.checksum_of("/pub/z/file.bin")
    with pytest.raises(InvalidRequest, match=r"'SUMS' does not name 'other\.bin'"):
        found.checksum_of("/pub/other.bin")


@pytest.mark.parametrize("contents", [b"", b"<html>\n", b"\xff\xfe\0", b"abc  file\n", b"a" * (MAX_SIZE + 1)])
def test_what_is_no_checksum_file_is_refused(contents: bytes):
    with pytest.raises(InvalidRequest, match=r"no checksum file|more than"):
        read_checksum_file(contents, "SUMS")


def test_what_coreutils_writes_is_read(tmp_path: Path):
    """Also a name with a line break in it, which is written escaped."""
    names = ["plain.bin", "with space.bin", "odd\nname.bin", "back\\slash.bin"]
    for name in names:
        (tmp_path / name).write_text(name)
    for options in ([], ["--binary"], ["--tag"]):
        written = subprocess.run(["sha256sum", *options, *names], cwd=tmp_path, capture_output=True, check=True).stdout
        found = read_checksum_file(written, "SHA256SUMS")
        assert len({found.checksum_of(name) for name in names}) == len(names)


@given(st.binary(max_size=300) | st.text(max_size=200).map(lambda text: f"{A}  {text}".encode(errors="replace")))
def test_whatever_is_in_it_there_is_a_checksum_or_a_refusal(contents: bytes):
    try:
        checksum = read_checksum_file(contents, "SUMS").checksum_of("/x/file.bin")
    except InvalidRequest:
        return
    assert ":" in checksum

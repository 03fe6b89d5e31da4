"""An archive that is damaged or cut off leaves nothing, and says what is wrong."""

from __future__ import annotations

import gzip
import os
import zipfile
from typing import TYPE_CHECKING, Any

import hypothesis
import pytest
from hypothesis import strategies

from bgdl_jupyter.errors import BackgroundTransferError, PostProcessingFailed
from tests.storage.archives import assert_nothing_is_left, sound_tar, sound_zip, unpack, zstd_compressed

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


def cut(path: Path, share: float) -> Path:
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * share)])
    return path


@pytest.mark.parametrize(
    "make",
    [
        lambda folder: cut(sound_tar(folder / "a"), 0.3),
        lambda folder: cut(sound_tar(folder / "a", "w:gz"), 0.8),
        lambda folder: cut(sound_tar(folder / "a", "w:bz2"), 0.8),
        lambda folder: cut(sound_tar(folder / "a", "w:xz"), 0.8),
        lambda folder: cut(sound_zip(folder / "a"), 0.9),
    ],
    ids=["tar", "gz", "bz2", "xz", "zip"],
)
def test_an_archive_that_is_cut_off_leaves_nothing(make: Callable[[Path], Path], tmp_path: Path):
    with pytest.raises(PostProcessingFailed):
        unpack(make(tmp_path))
    assert_nothing_is_left(tmp_path, "a")


def test_a_zstandard_file_that_is_cut_off_is_refused(tmp_path: Path):
    (tmp_path / "a.zst").write_bytes(zstd_compressed(os.urandom(100_000))[:-10])
    with pytest.raises(PostProcessingFailed, match="damaged"):
        unpack(tmp_path / "a.zst")


def test_a_damaged_header_in_the_middle_is_not_taken_for_the_end(tmp_path: Path):
    path = sound_tar(tmp_path / "a.tar")
    data = bytearray(path.read_bytes())
    data[1024 + 100] ^= 0xFF  # in the second header
    path.write_bytes(data)
    with pytest.raises(PostProcessingFailed, match="damaged"):
        unpack(path)


def test_a_flipped_bit_is_found_by_the_checksum(tmp_path: Path):
    for path in (sound_zip(tmp_path / "a.zip", zipfile.ZIP_STORED),):
        data = bytearray(path.read_bytes())
        data[data.index(b"first")] ^= 1
        path.write_bytes(data)
        with pytest.raises(PostProcessingFailed, match="damaged"):
            unpack(path)
    gz = tmp_path / "b.gz"
    gz.write_bytes(gzip.compress(b"x" * 1000)[:-8] + bytes(8))
    with pytest.raises(PostProcessingFailed, match="damaged"):
        unpack(gz)


@hypothesis.settings(max_examples=60)
@hypothesis.given(strategies.binary(max_size=400), strategies.sampled_from(["", "gz", "bz2", "xz", "zip"]))
def test_whatever_the_bytes_are_the_answer_is_a_folder_or_our_error(tmp_path_factory: Any, data: bytes, start: str):
    folder = tmp_path_factory.mktemp("any")
    starts = {"": b"", "gz": b"\x1f\x8b\x08", "bz2": b"BZh9", "xz": b"\xfd7zXZ\x00", "zip": b"PK\x03\x04"}
    (folder / "a").write_bytes(starts[start] + data)
    try:
        unpack(folder / "a")
    except BackgroundTransferError:
        assert_nothing_is_left(folder, "a")

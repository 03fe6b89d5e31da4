"""An archive of any format that is read becomes a folder, or the file that it compresses, and nothing else."""

from __future__ import annotations

import bz2
import gzip
import lzma
import os
import stat
import zipfile
from typing import TYPE_CHECKING, Any

import pytest

from bgdl_jupyter.errors import PostProcessingFailed
from bgdl_jupyter.storage.archives.members import Format, format_of
from bgdl_jupyter.storage.archives.unpacking import name_without_suffix
from tests.storage.archives import (
    CONTENT,
    REPLACE,
    as_method,
    assert_nothing_is_left,
    content_of,
    member,
    sound_tar,
    sound_zip,
    unpack,
    write_tar,
    zstd_compressed,
)

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


@pytest.mark.parametrize(
    ("name", "make"),
    [
        ("data.tar", sound_tar),
        ("data.tar.gz", lambda path: sound_tar(path, "w:gz")),
        ("data.tgz", lambda path: sound_tar(path, "w:gz")),
        ("data.tar.bz2", lambda path: sound_tar(path, "w:bz2")),
        ("data.tar.xz", lambda path: sound_tar(path, "w:xz")),
        ("data.zip", sound_zip),
        ("data.zip", lambda path: sound_zip(path, zipfile.ZIP_LZMA)),
        ("data.zip", lambda path: sound_zip(path, zipfile.ZIP_BZIP2)),
    ],
)
def test_an_archive_becomes_a_folder_named_after_it(name: str, make: Callable[[Path], Path], tmp_path: Path):
    folder = unpack(make(tmp_path / name))
    assert folder == tmp_path / "data"
    assert content_of(folder) == CONTENT
    assert_nothing_is_left(tmp_path, name, "data")


def test_a_zstandard_tar_is_unpacked(tmp_path: Path):
    plain = sound_tar(tmp_path / "plain.tar").read_bytes()
    (tmp_path / "data.tar.zst").write_bytes(zstd_compressed(plain))
    assert content_of(unpack(tmp_path / "data.tar.zst")) == CONTENT


@pytest.mark.parametrize(
    ("suffix", "compress"),
    [("gz", gzip.compress), ("bz2", bz2.compress), ("xz", lzma.compress), ("zst", zstd_compressed)],
)
def test_a_single_compressed_file_becomes_the_file(suffix: str, compress: Callable[[bytes], bytes], tmp_path: Path):
    archive = tmp_path / f"table.csv.{suffix}"
    # Two streams behind each other are one file.
    archive.write_bytes(compress(b"a,b\n" * 1000) + compress(b"c,d\n"))
    path = unpack(archive)
    assert path == tmp_path / "table.csv"
    assert path.read_bytes() == b"a,b\n" * 1000 + b"c,d\n"
    assert unpack(archive, tmp_path / "into") == tmp_path / "into"
    assert content_of(tmp_path / "into") == {"table.csv": b"a,b\n" * 1000 + b"c,d\n"}


def test_what_an_archive_is_is_told_by_its_content(tmp_path: Path):
    assert format_of(sound_zip(tmp_path / "really.tar.gz")) is Format.ZIP
    assert format_of(sound_tar(tmp_path / "download", "w:xz")) is Format.TAR
    assert unpack(tmp_path / "download") == tmp_path / "download.unpacked"


@pytest.mark.parametrize("content", [b"", b"just text\n" * 100, b"7z\xbc\xaf\x27\x1c" + bytes(100)])
def test_what_is_no_archive_is_refused(content: bytes, tmp_path: Path):
    (tmp_path / "file.dat").write_bytes(content)
    with pytest.raises(PostProcessingFailed, match="no archive"):
        unpack(tmp_path / "file.dat")
    assert_nothing_is_left(tmp_path, "file.dat")


@pytest.mark.parametrize(
    ("name", "without"),
    [
        ("a.tar.gz", "a"),
        ("a.TGZ", "a"),
        ("a.csv.xz", "a.csv"),
        ("a.zip", "a"),
        ("a.zip.gz", "a"),
        (".tar", ".tar"),
        ("..zip", "..zip"),
        ("...zip", "...zip"),
        ("...tar.gz", "...tar"),
        ("a", "a"),
        ("gz", "gz"),
    ],
)
def test_the_suffix_of_an_archive_is_left_out(name: str, without: str):
    assert name_without_suffix(name) == without


def test_an_archive_whose_name_would_be_a_folder_above_is_unpacked_beside_itself(tmp_path: Path):
    (tmp_path / "here").mkdir()
    archive = sound_zip(tmp_path / "here" / "...zip")
    assert unpack(archive, collision=REPLACE) == tmp_path / "here" / "...zip.unpacked"
    assert_nothing_is_left(tmp_path / "here", "...zip", "...zip.unpacked")


def test_a_zip_may_be_compressed_by_zstandard(tmp_path: Path):
    content = b"a,b\n" * 1000
    folder = unpack(as_method(tmp_path / "x.zip", 93, zstd_compressed(content), content))
    assert content_of(folder) == {"a": content}


def test_a_zip_that_is_compressed_in_another_way_is_refused_and_says_so(tmp_path: Path):
    with pytest.raises(PostProcessingFailed, match="method 9, which is not read"):
        unpack(as_method(tmp_path / "x.zip", 9, b"x", b"x"))
    assert_nothing_is_left(tmp_path, "x.zip")


def test_an_empty_archive_becomes_an_empty_folder(tmp_path: Path):
    assert content_of(unpack(write_tar(tmp_path / "nothing.tar"))) == {}


def test_times_and_who_may_run_a_program_are_kept_and_nothing_else_of_its_mode(tmp_path: Path):
    archive = write_tar(
        tmp_path / "a.tar",
        member("run", b"#!", mode=0o6755, mtime=1_000_000_000),
        member("open", b"", mode=0o777 | stat.S_ISVTX),
        member("closed", b"x", mode=0o000),
    )
    before = os.umask(0o022)
    try:
        folder = unpack(archive)
    finally:
        os.umask(before)
    modes = {each.name: stat.S_IMODE(each.stat().st_mode) for each in [folder, *folder.iterdir()]}
    assert modes == {"a": 0o755, "run": 0o755, "open": 0o755, "closed": 0o644}
    assert (folder / "run").stat().st_mtime == 1_000_000_000


def test_a_missing_library_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / "a.zst").write_bytes(b"\x28\xb5\x2f\xfd" + bytes(20))

    def missing(name: str) -> Any:
        raise ImportError(name)

    monkeypatch.setattr("bgdl_jupyter.storage.archives.streams.importlib.import_module", missing)
    with pytest.raises(PostProcessingFailed, match=r"bgdl-jupyter\[zstd\]"):
        unpack(tmp_path / "a.zst")

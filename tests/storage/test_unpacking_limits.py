"""What an archive becomes is bounded, on the disk, in memory and in time, by what the user allows."""

from __future__ import annotations

import gzip
import struct
import tarfile
import time
import tracemalloc
import zipfile
from typing import TYPE_CHECKING
from uuid import uuid4

import pytest

from bgdl_jupyter.errors import PostProcessingFailed
from bgdl_jupyter.storage.archives import gauge as gauges
from bgdl_jupyter.storage.archives import zip_contents
from bgdl_jupyter.storage.archives.gauge import Gauge, Limits, UnpackCanceled
from bgdl_jupyter.storage.archives.unpacking import Order, prepare
from tests.storage.archives import (
    GENERATE,
    PLENTY,
    assert_nothing_is_left,
    content_of,
    member,
    sound_tar,
    sound_zip,
    unpack,
    write_tar,
)

if TYPE_CHECKING:
    from pathlib import Path


def test_a_bomb_is_refused_by_its_ratio(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(gauges, "_RATIO_COUNTS_FROM", 1_000_000)
    (tmp_path / "zeros.gz").write_bytes(gzip.compress(bytes(20_000_000)))
    with pytest.raises(PostProcessingFailed, match="times its size"):
        unpack(tmp_path / "zeros.gz", limits=Limits(max_size=10**9, max_ratio=100, max_members=10))
    assert_nothing_is_left(tmp_path, "zeros.gz")


def test_what_becomes_too_large_is_refused(tmp_path: Path):
    few = Limits(max_size=20_000, max_ratio=1000, max_members=10)
    for archive in (sound_tar(tmp_path / "a.tar.gz", "w:gz"), sound_zip(tmp_path / "b.zip")):
        with pytest.raises(PostProcessingFailed, match="unpack_max_size"):
            unpack(archive, limits=few)


def test_too_many_members_are_refused_and_folders_count(tmp_path: Path):
    few = Limits(max_size=10**9, max_ratio=1000, max_members=4)
    deep = write_tar(tmp_path / "a.tar", member("a/b/c/d/e", b""))
    for archive in (deep, sound_zip(tmp_path / "b.zip")):
        with pytest.raises(PostProcessingFailed, match="unpack_max_members"):
            unpack(archive, limits=few)


@pytest.mark.parametrize(("kind", "why"), [(tarfile.XHDTYPE, "attributes"), (tarfile.GNUTYPE_LONGNAME, "header")])
def test_a_header_that_would_fill_the_memory_is_refused(kind: bytes, why: str, tmp_path: Path):
    huge = tarfile.TarInfo("huge")
    huge.type, huge.size = kind, 40 << 20
    with gzip.open(tmp_path / "a.tar.gz", "wb") as file:
        file.write(huge.tobuf(tarfile.USTAR_FORMAT) + bytes(40 << 20))
    with pytest.raises(PostProcessingFailed, match=why):
        unpack(tmp_path / "a.tar.gz")


def attributed_tar(path: Path, attributes: bytes, *, kind: bytes = tarfile.XHDTYPE) -> Path:
    """Write a tar with a file that has these bytes for its attributes."""
    pax = tarfile.TarInfo("pax")
    pax.type, pax.size = kind, len(attributes)
    padded = attributes + bytes(-len(attributes) % 512)
    path.write_bytes(pax.tobuf(tarfile.USTAR_FORMAT) + padded + tarfile.TarInfo("f").tobuf() + bytes(1024))
    return path


@pytest.mark.parametrize("kind", [tarfile.XHDTYPE, tarfile.XGLTYPE])
def test_digits_without_end_do_not_hold_up_the_process(kind: bytes, tmp_path: Path):
    digits = b"1" * 40_000  # seconds for the regular expression of older releases of Python
    record = b"%d comment=%b\n" % (len(digits) + 15, digits)
    for attributes in (digits, record):
        before = time.process_time()
        with pytest.raises(PostProcessingFailed, match="digits"):
            unpack(attributed_tar(tmp_path / "a.tar", attributes, kind=kind))
        assert time.process_time() - before < 1


@pytest.mark.parametrize(
    "attributes",
    [b"5 aa\n" * 2000 + b"11 path=ab\n", b"4 a=" * 2000, b"99 path=a\n", b"no length\n", b"5 a=bc"],
    ids=["no value", "no line end", "too long", "no length", "cut"],
)
def test_attributes_that_are_not_what_they_say_are_damage(attributes: bytes, tmp_path: Path):
    with pytest.raises(PostProcessingFailed, match="damaged"):
        unpack(attributed_tar(tmp_path / "a.tar", attributes))


def test_attributes_of_a_member_are_no_reason_to_refuse(tmp_path: Path):
    name = "1" * 255
    with tarfile.open(tmp_path / "a.tar", "w", format=tarfile.PAX_FORMAT) as archive:
        info = tarfile.TarInfo(name)
        info.pax_headers = {"SCHILY.xattr.user.note": "x" * 60_000, "mtime": "1700000000.123456789"}
        archive.addfile(info)
    assert content_of(unpack(tmp_path / "a.tar")) == {name: b""}


def sparse_tar(path: Path, *, size: int, data: bytes = b"") -> Path:
    """Write a tar with a file of GNU's old sparse format: a hole, and data at its end."""
    info = tarfile.TarInfo("holes")
    info.type, info.size = tarfile.GNUTYPE_SPARSE, len(data)
    header = bytearray(info.tobuf(tarfile.GNU_FORMAT))
    header[386:410] = b"%011o\0%011o\0" % (size - len(data), len(data))
    header[483:495] = b"%011o\0" % size
    header[148:156] = b" " * 8
    header[148:156] = b"%06o\0 " % sum(header)
    path.write_bytes(bytes(header) + data + bytes(-len(data) % 512) + bytes(1024))
    return path


def test_a_file_with_holes_is_unpacked_with_zeros_for_them(tmp_path: Path):
    folder = unpack(sparse_tar(tmp_path / "a.tar", size=3_000_000, data=b"end"))
    assert content_of(folder) == {"holes": bytes(2_999_997) + b"end"}


def test_holes_count_as_what_they_become(tmp_path: Path):
    archive = sparse_tar(tmp_path / "a.tar", size=5_000_000)
    with pytest.raises(PostProcessingFailed, match="unpack_max_size"):
        unpack(archive, limits=Limits(max_size=2_000_000, max_ratio=1000, max_members=10))
    assert_nothing_is_left(tmp_path, "a.tar")


def test_holes_are_no_reason_not_to_end_when_canceled(tmp_path: Path):
    archive = sparse_tar(tmp_path / "a.tar", size=50_000_000)

    class Canceling(Gauge):
        def write(self, count: int) -> None:
            self.cancel()
            super().write(count)

    order = Order(archive=archive, folder=None, collision=GENERATE, operation_id=uuid4())
    with pytest.raises(UnpackCanceled):
        prepare(order, Canceling(archive, tmp_path, PLENTY))
    assert_nothing_is_left(tmp_path, "a.tar")


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_a_member_that_becomes_large_never_is_in_memory_as_a_whole(method: int, tmp_path: Path):
    with zipfile.ZipFile(tmp_path / "a.zip", "w", method) as archive:
        archive.writestr("zeros", bytes(60_000_000))
    tracemalloc.start()
    try:
        with pytest.raises(PostProcessingFailed, match="unpack_max_size"):
            unpack(tmp_path / "a.zip", limits=Limits(max_size=1_000_000, max_ratio=1000, max_members=10))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 25_000_000


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_a_wrong_checksum_or_length_in_a_zip_is_found_whatever_compressed_it(method: int, tmp_path: Path):
    for at in (16, 24):
        data = bytearray(sound_zip(tmp_path / "a.zip", method).read_bytes())
        data[data.index(b"PK\x01\x02") + at] ^= 1
        (tmp_path / "a.zip").write_bytes(data)
        with pytest.raises(PostProcessingFailed, match="damaged"):
            unpack(tmp_path / "a.zip")


def test_the_members_of_a_zip_are_counted_before_its_table_is_taken_apart(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    archive = sound_zip(tmp_path / "a.zip")
    data = bytearray(archive.read_bytes())
    struct.pack_into("<HH", data, len(data) - 14, 1, 1)  # what the end says of them is not believed
    archive.write_bytes(data)
    monkeypatch.setattr(zipfile, "ZipInfo", pytest.fail)
    with pytest.raises(PostProcessingFailed, match="unpack_max_members"):
        unpack(archive, limits=Limits(max_size=10**9, max_ratio=1000, max_members=2))


def test_a_table_of_contents_that_would_fill_the_memory_is_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(zip_contents, "_MOST_CONTENTS", 70_000)
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        for index in range(2):
            info = zipfile.ZipInfo(f"{index}")
            info.comment = bytes(60_000)
            archive.writestr(info, b"")
    with pytest.raises(PostProcessingFailed, match="table of contents"):
        unpack(tmp_path / "a.zip")


def test_attributes_of_all_members_do_not_add_up_in_memory(tmp_path: Path):
    with tarfile.open(tmp_path / "a.tar", "w", format=tarfile.PAX_FORMAT) as archive:
        for index in range(8):
            content = tarfile.TarInfo.create_pax_global_header({f"key{index}": "x" * 20_000})
            assert archive.fileobj is not None
            archive.fileobj.write(content)
            archive.addfile(tarfile.TarInfo(f"f{index}"))
    with pytest.raises(PostProcessingFailed, match="attributes"):
        unpack(tmp_path / "a.tar")


def test_an_attribute_of_all_members_is_no_reason_to_refuse(tmp_path: Path):
    with tarfile.open(tmp_path / "a.tar", "w", format=tarfile.PAX_FORMAT, pax_headers={"comment": "a" * 40}) as archive:
        archive.addfile(tarfile.TarInfo("f"))
    assert content_of(unpack(tmp_path / "a.tar")) == {"f": b""}


def test_some_of_the_disk_stays_free(tmp_path: Path):
    greedy = Limits(max_size=10**12, max_ratio=1000, max_members=10**6, leave_free=1 << 60)
    with pytest.raises(PostProcessingFailed, match="no room"):
        unpack(sound_tar(tmp_path / "a.tar"), limits=greedy)
    assert_nothing_is_left(tmp_path, "a.tar")

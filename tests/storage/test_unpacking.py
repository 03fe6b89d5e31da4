"""Archives are unpacked whole or not at all, and whatever they say stays in their folder."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import os
import stat
import struct
import tarfile
import time
import tracemalloc
import zipfile
import zlib
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import hypothesis
import pytest
from hypothesis import strategies

from bgdl_jupyter.errors import BackgroundTransferError, DestinationExists, PostProcessingFailed, StorageFailed
from bgdl_jupyter.status import CreationCollisionOption
from bgdl_jupyter.storage import publishing
from bgdl_jupyter.storage.archives import gauge as gauges
from bgdl_jupyter.storage.archives import unpacking, zip_contents
from bgdl_jupyter.storage.archives.gauge import Gauge, Limits, UnpackCanceled
from bgdl_jupyter.storage.archives.members import Format, Member, format_of
from bgdl_jupyter.storage.archives.names import parts_of
from bgdl_jupyter.storage.archives.tree import Tree
from bgdl_jupyter.storage.archives.unpacking import (
    Order,
    find_published,
    name_without_suffix,
    prepare,
    private_folder,
    publish,
    still_prepared,
)
from bgdl_jupyter.storage.descriptor import Footprint
from bgdl_jupyter.storage.disk import opened_directory

if TYPE_CHECKING:
    from collections.abc import Callable

CONTENT = {"a.txt": b"first\n", "deep/er/b.bin": bytes(range(256)) * 100, "deep/empty": b""}
PLENTY = Limits(max_size=10**9, max_ratio=1000.0, max_members=10_000)
GENERATE, REPLACE = CreationCollisionOption.GENERATE_UNIQUE_NAME, CreationCollisionOption.REPLACE_EXISTING
FAIL, OPEN = CreationCollisionOption.FAIL_IF_EXISTS, CreationCollisionOption.OPEN_IF_EXISTS


def member(name: str, content: bytes = b"", **fields: Any) -> tuple[tarfile.TarInfo, bytes]:
    info = tarfile.TarInfo(name)
    info.size = len(content)
    for field, value in fields.items():
        setattr(info, field, value)
    return info, content


def link(name: str, target: str, kind: bytes = tarfile.SYMTYPE) -> tuple[tarfile.TarInfo, bytes]:
    return member(name, type=kind, linkname=target)


def write_tar(path: Path, *members: tuple[tarfile.TarInfo, bytes], mode: str = "w") -> Path:
    with tarfile.open(path, mode) as archive:  # type: ignore[call-overload]  # the mode is the test's
        for info, content in members:
            archive.addfile(info, io.BytesIO(content))
    return path


def sound_tar(path: Path, mode: str = "w") -> Path:
    return write_tar(path, *(member(name, content) for name, content in CONTENT.items()), mode=mode)


def sound_zip(path: Path, compression: int = zipfile.ZIP_DEFLATED) -> Path:
    with zipfile.ZipFile(path, "w", compression) as archive:
        for name, content in CONTENT.items():
            archive.writestr(name, content)
    return path


def zstd_compressed(data: bytes) -> bytes:
    zstd = pytest.importorskip("backports.zstd")
    compressed: bytes = zstd.compress(data)
    return compressed


def unpack(
    archive: Path,
    folder: Path | None = None,
    *,
    collision: CreationCollisionOption = GENERATE,
    limits: Limits = PLENTY,
    replaces: Path | None = None,
) -> Path:
    known = Footprint.at(replaces) if replaces is not None else None
    order = Order(
        archive=archive,
        folder=folder,
        collision=collision,
        operation_id=uuid4(),
        replaces=frozenset() if known is None else frozenset({known}),
    )
    return publish(prepare(order, Gauge(archive, archive.parent, limits)), order)


def content_of(folder: Path) -> dict[str, bytes]:
    files = (each for each in folder.rglob("*") if each.is_file())
    return {str(each.relative_to(folder)): each.read_bytes() for each in files}


def assert_nothing_is_left(folder: Path, *archives: str) -> None:
    assert sorted(each.name for each in folder.iterdir()) == sorted(archives)


# --------------------------------------------------------------------------------------------------------- formats


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


def as_method(path: Path, method: int, stored: bytes, content: bytes) -> Path:
    """Write a zip whose only member is compressed in a way that `zipfile` does not write."""
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a", stored)
    data = bytearray(path.read_bytes())
    for signature, at in ((b"PK\x03\x04", 8), (b"PK\x01\x02", 10)):
        start = data.index(signature)
        struct.pack_into("<H", data, start + at, method)
        struct.pack_into("<I", data, start + at + 6, zlib.crc32(content))
        struct.pack_into("<I", data, start + at + 14, len(content))
    path.write_bytes(data)
    return path


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


# ------------------------------------------------------------------------------------------------------ hostile ones


@pytest.mark.parametrize(
    "name",
    [
        "../out",
        "a/../../out",
        "/absolute",
        "//absolute",
        "C:\\out",
        "c:/out",
        "a/..",
        "x\x00y",
        "bad\u202egpj.exe",
        "a\nb",
    ],
)
def test_names_that_lead_out_or_deceive_are_refused(name: str):
    with pytest.raises(PostProcessingFailed):
        parts_of(name)


@hypothesis.given(strategies.text(alphabet="ab./\\:\u202e \x00", max_size=12))
def test_whatever_a_name_is_its_parts_stay_inside(name: str):
    try:
        parts = parts_of(name)
    except PostProcessingFailed:
        return
    assert os.path.normpath(os.path.join("/top", *parts)).startswith("/top")  # noqa: PTH118 (joined as text)


HOSTILE = {
    "traversal": [member("../out", b"x")],
    "traversal inside": [member("a/../../out", b"x")],
    "absolute": [member("/tmp/out", b"x")],  # noqa: S108 (the name that is refused)
    "link upwards": [link("up", "../out")],
    "link to a root": [link("root", "/etc")],
    "link and a file through it": [link("d", "."), member("d/x", b"x")],
    "file and a link over it": [member("x", b"x"), link("x", "y")],
    "chain of links": [member("d/f", b""), link("d/here", "."), link("out", "d/here/../..")],
    "link through a link": [member("d/e/f", b""), link("short", "d/e"), link("out", "short/../../x")],
    "hard link out": [link("same", "../out", tarfile.LNKTYPE)],
    "hard link to a root": [link("same", "/etc/passwd", tarfile.LNKTYPE)],
    "hard link to nothing": [link("same", "not/there", tarfile.LNKTYPE)],
    "hard link to a link": [link("l", "x"), link("same", "l", tarfile.LNKTYPE)],
    "device": [member("null", type=tarfile.CHRTYPE, devmajor=1, devminor=3)],
    "pipe": [member("pipe", type=tarfile.FIFOTYPE)],
    "twice": [member("x", b"1"), member("x", b"2")],
    "file and folder": [member("x", b"1"), member("x/y", b"2")],
    "folder and file": [member("x/y", b"2"), member("x", b"1")],
    "control character": [member("a\x1b[2Jb", b"x")],
    "too long": [member("n" * 300, b"x")],
}


@pytest.mark.parametrize("members", HOSTILE.values(), ids=HOSTILE.keys())
def test_a_hostile_archive_is_refused_whole_and_leaves_nothing(members: Any, tmp_path: Path):
    (tmp_path / "here").mkdir()
    archive = write_tar(tmp_path / "here" / "a.tar", member("good", b"fine"), *members)
    with pytest.raises((PostProcessingFailed, StorageFailed)):
        unpack(archive)
    assert_nothing_is_left(tmp_path / "here", "a.tar")
    assert_nothing_is_left(tmp_path, "here")


def test_links_that_stay_inside_are_made(tmp_path: Path):
    archive = write_tar(
        tmp_path / "a.tar",
        link("latest", "v2/data"),
        link("v2/back", "../v1"),
        member("v1/data", b"old"),
        member("v2/data", b"new"),
        link("v2/same", "v1/data", tarfile.LNKTYPE),
    )
    folder = unpack(archive)
    assert (folder / "latest").read_bytes() == b"new"
    assert (folder / "v2/back/data").read_bytes() == b"old"
    assert (folder / "v2/same").samefile(folder / "v1/data")


def test_a_name_that_differs_in_case_is_another_file_or_a_refusal_never_an_overwriting(tmp_path: Path):
    archive = write_tar(tmp_path / "a.tar", member("Name", b"1"), member("name", b"2"))
    try:
        assert content_of(unpack(archive)) == {"Name": b"1", "name": b"2"}
    except PostProcessingFailed as error:
        assert "for this file system" in str(error)  # noqa: PT017 (one of two right answers)


@pytest.mark.parametrize("name", ["../out", "/out", "a/../../out", "..\\out"])
def test_hostile_names_in_a_zip_are_refused(name: str, tmp_path: Path):
    (tmp_path / "here").mkdir()
    with zipfile.ZipFile(tmp_path / "here" / "a.zip", "w") as archive:
        archive.writestr("good", b"fine")
        archive.writestr(zipfile.ZipInfo(name), b"x")
    with pytest.raises(PostProcessingFailed):
        unpack(tmp_path / "here" / "a.zip")
    assert_nothing_is_left(tmp_path / "here", "a.zip")


@pytest.mark.parametrize(("mode", "target"), [(stat.S_IFLNK, "../../out"), (stat.S_IFIFO, ""), (stat.S_IFCHR, "")])
def test_a_zip_may_hold_neither_links_out_nor_devices(mode: int, target: str, tmp_path: Path):
    info = zipfile.ZipInfo("x")
    info.create_system, info.external_attr = 3, (mode | 0o777) << 16
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr(info, target)
    with pytest.raises(PostProcessingFailed):
        unpack(tmp_path / "a.zip")


def test_a_link_in_a_zip_becomes_a_link(tmp_path: Path):
    info = zipfile.ZipInfo("latest")
    info.create_system, info.external_attr = 3, (stat.S_IFLNK | 0o777) << 16
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("data", b"x")
        archive.writestr(info, "data")
    assert (unpack(tmp_path / "a.zip") / "latest").readlink() == Path("data")


def test_an_encrypted_zip_is_named_as_such(tmp_path: Path):
    data = bytearray(sound_zip(tmp_path / "a.zip", zipfile.ZIP_STORED).read_bytes())
    for signature, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        start = 0
        while (start := data.find(signature, start)) >= 0:
            data[start + offset] |= 1
            start += 4
    (tmp_path / "a.zip").write_bytes(data)
    with pytest.raises(PostProcessingFailed, match="encrypted"):
        unpack(tmp_path / "a.zip")


# ------------------------------------------------------------------------------------------------------------ limits


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


# ----------------------------------------------------------------------------------------------------------- damage


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


# --------------------------------------------------------------------------------------------------------- the name


def test_an_existing_folder_is_left_and_another_name_taken(tmp_path: Path):
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "mine").write_text("mine")
    assert unpack(sound_tar(tmp_path / "a.tar")) == tmp_path / "a (1)"
    assert content_of(tmp_path / "a") == {"mine": b"mine"}


def test_an_empty_folder_is_left_too(tmp_path: Path):
    (tmp_path / "a").mkdir()
    assert unpack(sound_tar(tmp_path / "a.tar")) == tmp_path / "a (1)"
    assert list((tmp_path / "a").iterdir()) == []


def test_failing_on_what_exists_fails_before_anything_is_unpacked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / "a").mkdir()
    monkeypatch.setattr(unpacking, "_unpack", pytest.fail)
    with pytest.raises(DestinationExists):
        unpack(sound_tar(tmp_path / "a.tar"), collision=FAIL)


@pytest.mark.parametrize("has_exchange", [True, False])
def test_an_existing_folder_is_replaced_where_that_was_asked(
    has_exchange: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    if not has_exchange:
        monkeypatch.setattr(publishing, "_NO_EXCLUSIVE_RENAME", range(1000))
        monkeypatch.setattr("ctypes.CDLL", lambda *_, **__: object())
        monkeypatch.setattr(unpacking, "_make_durable", lambda _: None)
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "old").write_text("old")
    assert unpack(sound_tar(tmp_path / "a.tar"), collision=REPLACE, replaces=tmp_path / "a") == tmp_path / "a"
    assert content_of(tmp_path / "a") == CONTENT
    assert_nothing_is_left(tmp_path, "a", "a.tar")


def test_a_folder_that_was_not_unpacked_is_never_replaced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / "a" / "deep").mkdir(parents=True)
    (tmp_path / "a" / "deep" / "thesis.tex").write_text("mine")
    monkeypatch.setattr(unpacking, "_unpack", pytest.fail)
    with pytest.raises(DestinationExists, match="no folder that was unpacked here"):
        unpack(sound_tar(tmp_path / "a.tar"), collision=REPLACE)
    assert content_of(tmp_path / "a") == {"deep/thesis.tex": b"mine"}


def test_a_folder_that_comes_into_being_meanwhile_is_not_replaced_either(tmp_path: Path):
    archive = sound_tar(tmp_path / "a.tar")
    order = Order(archive=archive, folder=None, collision=REPLACE, operation_id=uuid4())
    prepared = prepare(order, Gauge(archive, tmp_path, PLENTY))
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "mine").write_text("mine")
    with pytest.raises(DestinationExists):
        publish(prepared, order)
    assert content_of(tmp_path / "a") == {"mine": b"mine"}


@pytest.mark.parametrize("at", ["a", "a/below"])
def test_the_working_folder_and_one_above_it_are_never_replaced(
    at: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    (tmp_path / "a" / "below").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / at)
    with pytest.raises(DestinationExists, match="working folder"):
        unpack(sound_tar(tmp_path / "a.tar"), collision=REPLACE, replaces=tmp_path / "a")
    assert (tmp_path / "a" / "below").is_dir()


def test_a_folder_that_holds_the_archive_is_never_replaced(tmp_path: Path):
    (tmp_path / "a" / "below").mkdir(parents=True)
    archive = sound_tar(tmp_path / "a" / "below" / "a.tar")
    with pytest.raises(DestinationExists, match="the archive"):
        unpack(archive, tmp_path / "a", collision=REPLACE, replaces=tmp_path / "a")
    assert archive.is_file()


@pytest.mark.parametrize("kind", ["file", "link"])
def test_a_file_or_a_link_is_not_replaced_by_a_folder(kind: str, tmp_path: Path):
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "a").write_text("file") if kind == "file" else (tmp_path / "a").symlink_to("elsewhere")
    with pytest.raises(StorageFailed, match="not replaced"):
        unpack(sound_tar(tmp_path / "a.tar"), collision=REPLACE)
    assert (tmp_path / "a").is_file() or (tmp_path / "a").is_symlink()


def test_what_is_there_already_is_taken_as_it_is_only_if_it_is_the_same(tmp_path: Path):
    archive = sound_tar(tmp_path / "a.tar")
    first = unpack(archive, collision=OPEN)
    inode = first.stat().st_ino
    assert unpack(archive, collision=OPEN) == first
    assert first.stat().st_ino == inode
    (first / "a.txt").write_bytes(b"FIRST\n")
    assert unpack(archive, collision=OPEN) == tmp_path / "a (1)"
    assert (first / "a.txt").read_bytes() == b"FIRST\n"


def test_without_a_rename_that_refuses_a_taken_name_is_still_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(publishing, "_renameat2", lambda: None)
    (tmp_path / "new").mkdir()
    (tmp_path / "old").mkdir()
    with opened_directory(tmp_path) as folder:
        with pytest.raises(FileExistsError):
            publishing.rename_exclusively(folder, "new", tmp_path / "old")
        publishing.rename_exclusively(folder, "new", tmp_path / "other")
    assert (tmp_path / "other").is_dir()


def test_a_folder_that_is_named_is_made_with_those_above_it(tmp_path: Path):
    assert unpack(sound_tar(tmp_path / "a.tar"), tmp_path / "x" / "y") == tmp_path / "x" / "y"
    assert content_of(tmp_path / "x" / "y") == CONTENT


# ------------------------------------------------------------------------------------------------- stopped on the way


def test_while_it_is_unpacked_nothing_has_the_name_and_canceled_nothing_is_left(tmp_path: Path):
    archive = sound_tar(tmp_path / "a.tar")
    order = Order(archive=archive, folder=None, collision=GENERATE, operation_id=uuid4())
    gauge = Gauge(archive, tmp_path, PLENTY)
    seen = []

    class Watching(Gauge):
        def member(self) -> None:
            super().member()
            seen.append((tmp_path / "a").exists())
            if len(seen) == 2:
                self.cancel()

    with pytest.raises(UnpackCanceled):
        prepare(order, Watching(archive, tmp_path, PLENTY))
    assert seen == [False, False]
    assert_nothing_is_left(tmp_path, "a.tar")
    gauge.cancel()
    with pytest.raises(UnpackCanceled):
        prepare(order, gauge)


def test_what_a_crash_left_is_begun_anew_or_found_again(tmp_path: Path):
    archive = sound_tar(tmp_path / "a.tar")
    order = Order(archive=archive, folder=None, collision=GENERATE, operation_id=uuid4())
    half = unpacking.private_folder(tmp_path, order.operation_id)
    (half / "content" / "rubbish").mkdir(parents=True)
    prepared = prepare(order, Gauge(archive, tmp_path, PLENTY))
    assert find_published(tmp_path / "a", prepared.identity) is None
    assert still_prepared(order, prepared.identity) == prepared
    assert still_prepared(order, (0, 0)) is None
    path = publish(prepared, order)
    assert content_of(path) == CONTENT
    assert find_published(tmp_path / "a", prepared.identity) == path
    assert still_prepared(order, prepared.identity) is None


def put_a_link_in_place_of(private: Path, home: Path) -> None:
    """Do what somebody may who can write to the folder beside which an archive is unpacked."""
    private.rename(private.with_name("away"))
    private.symlink_to(home)


def test_who_puts_a_link_in_place_of_the_private_folder_has_nothing_written_elsewhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    home = tmp_path / "home"
    (home / "content").mkdir(parents=True)
    archive = sound_tar(tmp_path / "a.tar")
    order = Order(archive=archive, folder=None, collision=GENERATE, operation_id=uuid4())
    add = Tree.add

    def add_and_swap(tree: Tree, member: Member) -> None:
        add(tree, member)
        private = private_folder(tmp_path, order.operation_id)
        if not private.is_symlink():
            put_a_link_in_place_of(private, home)

    monkeypatch.setattr(Tree, "add", add_and_swap)
    prepared = prepare(order, Gauge(archive, tmp_path, PLENTY))
    with pytest.raises(StorageFailed):
        publish(prepared, order)
    assert list((home / "content").iterdir()) == []
    assert not (tmp_path / "a").exists()


@pytest.mark.parametrize("collision", [GENERATE, REPLACE, FAIL, OPEN])
def test_only_what_was_unpacked_gets_the_name(collision: CreationCollisionOption, tmp_path: Path):
    home, away = tmp_path / "home", tmp_path / "away"
    (home / "content").mkdir(parents=True)
    archive = sound_tar(tmp_path / "a.tar")
    order = Order(archive=archive, folder=None, collision=collision, operation_id=uuid4())
    prepared = prepare(order, Gauge(archive, tmp_path, PLENTY))
    put_a_link_in_place_of(prepared.content.parent, home)
    with pytest.raises(StorageFailed):
        publish(prepared, order)
    prepared.content.parent.unlink()
    home.rename(prepared.content.parent)
    with pytest.raises(StorageFailed, match="not there any more"):
        publish(prepared, order)
    assert not (tmp_path / "a").exists()
    assert content_of(away / "content") == CONTENT


def test_nothing_is_unpacked_into_the_folder_of_another_user(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    archive = sound_tar(tmp_path / "a.tar")
    monkeypatch.setattr(os, "geteuid", lambda: os.getuid() + 1)
    with pytest.raises(StorageFailed, match="another user"):
        unpack(archive)
    assert_nothing_is_left(tmp_path, "a.tar")


def test_the_gauge_tells_how_far_it_is(tmp_path: Path):
    archive = sound_zip(tmp_path / "a.zip")
    gauge = Gauge(archive, tmp_path, PLENTY)
    prepare(Order(archive=archive, folder=None, collision=GENERATE, operation_id=uuid4()), gauge)
    assert gauge.bytes_done == gauge.bytes_total == archive.stat().st_size
    assert (gauge.members_done, gauge.members_total) == (3, 3)
    assert gauge.expanded == sum(map(len, CONTENT.values()))


def test_a_missing_library_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / "a.zst").write_bytes(b"\x28\xb5\x2f\xfd" + bytes(20))

    def missing(name: str) -> Any:
        raise ImportError(name)

    monkeypatch.setattr("bgdl_jupyter.storage.archives.streams.importlib.import_module", missing)
    with pytest.raises(PostProcessingFailed, match=r"bgdl-jupyter\[zstd\]"):
        unpack(tmp_path / "a.zst")

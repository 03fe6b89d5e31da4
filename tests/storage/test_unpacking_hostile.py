"""Whatever the names and links of an archive say, it stays in its folder, or is refused whole."""

from __future__ import annotations

import os
import stat
import tarfile
import zipfile
from pathlib import Path
from typing import Any

import hypothesis
import pytest
from hypothesis import strategies

from bgdl_jupyter.errors import PostProcessingFailed, StorageFailed
from bgdl_jupyter.storage.archives.names import parts_of
from tests.storage.archives import assert_nothing_is_left, content_of, link, member, sound_zip, unpack, write_tar


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

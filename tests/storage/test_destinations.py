"""Destinations: what cannot become a file is refused before anything is written, for one and for very many."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from bgdl_jupyter.errors import InvalidRequest
from bgdl_jupyter.storage.destinations import Destinations, check_destination
from bgdl_jupyter.storage.filenames import destination_key


def test_a_file_that_can_be_made_is_a_destination(tmp_path):
    check_destination(tmp_path / "new" / "folder" / "a.bin")
    (tmp_path / "old.bin").touch()
    check_destination(tmp_path / "old.bin")
    (tmp_path / "link").symlink_to(tmp_path / "nowhere")
    check_destination(tmp_path / "link")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["link", "old.bin"]


@pytest.mark.parametrize(
    "name",
    [
        "folder",
        "file/below",
        "pipe",
        "/dev/null",
        "a\0b",
        "x" * 300,
        "new/" + "x" * 300,
        "dangling/a.bin",
        "..",
        "f/..",
    ],
)
def test_what_cannot_become_a_file_is_refused_before_anything_is_written(tmp_path, name):
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").touch()
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "dangling").symlink_to(tmp_path / "nowhere")
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(InvalidRequest):
        check_destination(tmp_path / name)
    assert sorted(tmp_path.rglob("*")) == before
    many = Destinations()
    if name == "folder":
        assert many.check(str(tmp_path / name))
    elif ".." not in name:  # a path that is not normalised is none for it
        with pytest.raises(InvalidRequest):
            many.check(str(tmp_path / name))


def test_of_many_destinations_each_folder_is_looked_at_once(tmp_path, monkeypatch):
    many = Destinations()
    asked: list[Path] = []

    def note(path: Path, _: int) -> bool:
        asked.append(path)
        return True

    monkeypatch.setattr(os, "access", note)
    for number in range(20):
        assert not many.check(str(tmp_path / "new" / f"{number}.bin"))
    many.check_folder(str(tmp_path / "new"))
    assert asked == [tmp_path]


def test_what_has_a_name_is_told_before_anything_is_written(tmp_path):
    (tmp_path / "old.bin").touch()
    (tmp_path / "link").symlink_to(tmp_path / "nowhere")
    many = Destinations()
    assert [many.check(str(tmp_path / name)) for name in ("old.bin", "link", "new.bin")] == ["file", "file", ""]


def test_a_folder_that_is_asked_for_often_is_listed_once(tmp_path, monkeypatch):
    """Its names are found as its file system may compare them."""
    (tmp_path / "Straße.BIN").touch()
    (tmp_path / "folder").mkdir()
    many = Destinations()
    for number in range(200):
        assert not many.check(str(tmp_path / f"{number}.bin"))
    asked: list[Any] = []
    real = os.stat

    def note(path: Any, **options: Any) -> os.stat_result:
        asked.append(path)
        return real(path, **options)

    monkeypatch.setattr(os, "stat", note)
    assert not many.check(str(tmp_path / "200.bin"))
    assert many.check(str(tmp_path / "folder")) == "folder"
    assert many.check(str(tmp_path / "Straße.BIN")) == "file"
    many.check(str(tmp_path / "STRASSE.bin"))
    assert asked == [str(tmp_path / name) for name in ("folder", "Straße.BIN", "STRASSE.bin")]


def test_the_key_of_a_destination_is_the_same_for_many_and_for_one(tmp_path):
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("real")
    many = Destinations()
    for name in ("link/A.bin", "link/new/deep/É.bin", "real/a.bin", "missing/x"):
        path = tmp_path / name
        many.check(str(path))
        assert many.key(str(path)) == destination_key(path)


def test_a_relative_destination_is_refused():
    with pytest.raises(InvalidRequest, match="not absolute"):
        check_destination(Path("a.bin"))


def test_a_folder_that_cannot_be_written_to_is_refused(tmp_path, monkeypatch):
    """Asked through `os.access`, which also knows of read-only mounts; the tests may run as root."""
    monkeypatch.setattr(os, "access", lambda *_: False)
    with pytest.raises(InvalidRequest, match="cannot be written to"):
        check_destination(tmp_path / "a.bin")

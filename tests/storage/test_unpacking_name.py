"""The name that an unpacked folder gets: a free one, unless what is there is ours or may be replaced."""

from __future__ import annotations

from typing import TYPE_CHECKING
from uuid import uuid4

import pytest

from bgdl_jupyter.errors import DestinationExists, StorageFailed
from bgdl_jupyter.storage import publishing
from bgdl_jupyter.storage.archives import unpacking
from bgdl_jupyter.storage.archives.gauge import Gauge
from bgdl_jupyter.storage.archives.unpacking import Order, prepare, publish
from bgdl_jupyter.storage.disk import opened_directory
from tests.storage.archives import (
    CONTENT,
    FAIL,
    OPEN,
    PLENTY,
    REPLACE,
    assert_nothing_is_left,
    content_of,
    sound_tar,
    unpack,
)

if TYPE_CHECKING:
    from pathlib import Path


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

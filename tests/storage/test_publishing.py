"""A whole file gets its name on whatever file system, and takes it from nobody who was not to lose it."""

from __future__ import annotations

import contextlib
import ctypes
import errno
import os
import stat
from pathlib import Path

import pytest

from bgdl_jupyter.errors import DestinationExists, StorageFailed
from bgdl_jupyter.status import CreationCollisionOption as Collision
from bgdl_jupyter.storage import publishing
from bgdl_jupyter.storage.descriptor import Footprint
from bgdl_jupyter.storage.folder import Folder
from bgdl_jupyter.storage.partial_file import PartialFile
from bgdl_jupyter.storage.publishing import find_published
from tests.storage.partial_files import GUID, failing, names_in


def without_links(monkeypatch):
    failing(monkeypatch, "link", errno.EPERM)


def without_exclusive_renames(monkeypatch):
    without_links(monkeypatch)
    monkeypatch.setattr(publishing, "_NO_EXCLUSIVE_RENAME", frozenset(range(200)))
    monkeypatch.setattr(ctypes, "get_errno", lambda: errno.EINVAL)
    monkeypatch.setattr(publishing, "_RENAME_NOREPLACE", 0xFFFF)


FILE_SYSTEMS = [lambda _: None, without_links, without_exclusive_renames]


@pytest.fixture(params=FILE_SYSTEMS, ids=["links", "exclusive renames", "neither"])
def file_system(request, monkeypatch):
    request.param(monkeypatch)


def test_a_free_name_is_taken(tmp_path, part, file_system):
    assert part.publish(tmp_path / "a.bin", Collision.FAIL_IF_EXISTS) == tmp_path / "a.bin"
    assert names_in(tmp_path) == ["a.bin"]
    assert (tmp_path / "a.bin").read_bytes() == b"0123456789"


def test_a_taken_name_is_left_alone_where_that_was_asked(tmp_path, part, file_system):
    (tmp_path / "a.bin").write_bytes(b"precious")
    with pytest.raises(DestinationExists):
        part.publish(tmp_path / "a.bin", Collision.FAIL_IF_EXISTS)
    assert (tmp_path / "a.bin").read_bytes() == b"precious"
    assert stat.S_IMODE(part.path.stat().st_mode) == 0o600


def test_the_next_free_name_is_chosen(tmp_path, part, file_system):
    (tmp_path / "a.bin").write_bytes(b"precious")
    (tmp_path / "a (1).bin").mkdir()
    (tmp_path / "a (2).bin").symlink_to("nowhere")
    assert part.publish(tmp_path / "a.bin", Collision.GENERATE_UNIQUE_NAME) == tmp_path / "a (3).bin"
    assert (tmp_path / "a.bin").read_bytes() == b"precious"


def test_a_name_that_appears_in_between_is_not_lost(tmp_path, part, file_system):
    """Another program creates the file after we looked and before we publish."""

    def appearing(path, _):
        for name in ("a.bin", "b.bin", "c.bin"):
            if name != "c.bin":
                (tmp_path / name).write_bytes(b"somebody's")
            yield path.with_name(name)

    published = part.publish(tmp_path / "a.bin", Collision.GENERATE_UNIQUE_NAME, names=appearing)
    assert published == tmp_path / "c.bin"
    assert (tmp_path / "a.bin").read_bytes() == (tmp_path / "b.bin").read_bytes() == b"somebody's"


def test_a_file_is_replaced_where_that_was_asked(tmp_path, part):
    (tmp_path / "a.bin").write_bytes(b"old")
    part.publish(tmp_path / "a.bin", Collision.REPLACE_EXISTING)
    assert names_in(tmp_path) == ["a.bin"]
    assert (tmp_path / "a.bin").read_bytes() == b"0123456789"


def test_open_if_exists_replaces_a_file_of_ours_and_no_other(tmp_path, part):
    ours = tmp_path / "a.bin"
    ours.write_bytes(b"old")
    known = Footprint.at(ours)
    ours.write_bytes(b"edited")
    with pytest.raises(DestinationExists):
        part.publish(ours, Collision.OPEN_IF_EXISTS, replaces={known})
    assert ours.read_bytes() == b"edited"
    part.publish(ours, Collision.OPEN_IF_EXISTS, replaces={known, Footprint.at(ours)})
    assert ours.read_bytes() == b"0123456789"
    assert names_in(tmp_path) == ["a.bin"]


def test_a_link_is_replaced_itself(tmp_path, part):
    (tmp_path / "target").write_bytes(b"precious")
    (tmp_path / "a.bin").symlink_to("target")
    part.publish(tmp_path / "a.bin", Collision.REPLACE_EXISTING)
    assert not (tmp_path / "a.bin").is_symlink()
    assert (tmp_path / "target").read_bytes() == b"precious"


@pytest.mark.parametrize("make", [Path.mkdir, os.mkfifo])
def test_a_folder_or_a_pipe_is_not_replaced(tmp_path, part, make):
    make(tmp_path / "a.bin")
    with pytest.raises(StorageFailed, match="not replaced"):
        part.publish(tmp_path / "a.bin", Collision.REPLACE_EXISTING)
    assert part.path.exists()


def test_nothing_is_published_into_a_folder_that_was_swapped(tmp_path):
    folder, elsewhere = tmp_path / "folder", tmp_path / "elsewhere"
    file = PartialFile.create(folder, GUID, 1)
    elsewhere.mkdir()
    folder.rename(tmp_path / "moved")
    folder.symlink_to(elsewhere)
    with pytest.raises(StorageFailed, match="not the one"):
        file.publish(folder / "a.bin", Collision.REPLACE_EXISTING)
    assert names_in(elsewhere) == []
    file.close()


@pytest.mark.parametrize(
    ("call", "collision"), [("link", Collision.FAIL_IF_EXISTS), ("replace", Collision.REPLACE_EXISTING)]
)
def test_an_error_after_it_happened_is_no_error(tmp_path, part, monkeypatch, call, collision):
    """Network file systems answer EIO or EEXIST to a rename that a lost answer had carried out."""
    failing(monkeypatch, call, errno.EIO, happens=True)
    assert part.publish(tmp_path / "a.bin", collision) == tmp_path / "a.bin"
    assert names_in(tmp_path) == ["a.bin"]


def test_an_error_before_it_happened_is_one(tmp_path, part, monkeypatch):
    failing(monkeypatch, "link", errno.EIO)
    with pytest.raises(StorageFailed, match="Input/output error"):
        part.publish(tmp_path / "a.bin", Collision.FAIL_IF_EXISTS)
    assert names_in(tmp_path) == [part.path.name]


@pytest.mark.parametrize("collision", list(Collision))
def test_a_publication_that_was_cut_off_is_repeated(tmp_path, part, collision):
    """Killed between the giving of the name and the dropping of the private one."""
    (tmp_path / "a (1).bin").touch()
    os.link(part.path, tmp_path / "a.bin")
    assert part.publish(tmp_path / "a.bin", collision) == tmp_path / "a.bin"
    assert names_in(tmp_path) == ["a (1).bin", "a.bin"]


def test_a_unique_name_that_was_given_before_the_cut_is_found(tmp_path, part):
    (tmp_path / "a.bin").touch()
    os.link(part.path, tmp_path / "a (1).bin")
    assert part.publish(tmp_path / "a.bin", Collision.GENERATE_UNIQUE_NAME) == tmp_path / "a (1).bin"
    assert names_in(tmp_path) == ["a (1).bin", "a.bin"]


def test_a_publication_that_was_not_recorded_is_found(tmp_path, part):
    (tmp_path / "a.bin").touch()
    path = part.publish(tmp_path / "a.bin", Collision.GENERATE_UNIQUE_NAME)
    assert find_published(tmp_path, part.identity, size=10) == path
    assert find_published(tmp_path, part.identity, size=11) is None
    assert find_published(tmp_path / "gone", part.identity, size=10) is None


@pytest.mark.parametrize("mask", [0o000, 0o022, 0o077])
def test_a_published_file_has_the_mode_that_any_new_file_has(tmp_path, part, umask, mask):
    umask(mask)
    path = part.publish(tmp_path / "a.bin", Collision.FAIL_IF_EXISTS)
    assert stat.S_IMODE(path.stat().st_mode) == 0o666 & ~mask


def test_a_free_name_is_taken_in_few_steps(tmp_path, part, umask):
    umask(0o022)
    with Folder(tmp_path) as folder:
        assert part.take_name("file.bin", folder)
    assert names_in(tmp_path) == ["file.bin"]
    assert stat.S_IMODE((tmp_path / "file.bin").stat().st_mode) == 0o644


def test_a_name_that_somebody_has_is_left_to_the_thorough_way(tmp_path, part):
    (tmp_path / "file.bin").write_bytes(b"mine")
    with Folder(tmp_path) as folder:
        assert not part.take_name("file.bin", folder)
    assert (tmp_path / "file.bin").read_bytes() == b"mine"
    assert stat.S_IMODE(part.path.stat().st_mode) == 0o600


def test_a_link_that_is_made_and_called_failed_is_found_by_the_thorough_way(tmp_path, part, monkeypatch):
    with monkeypatch.context() as patch, Folder(tmp_path) as folder:
        folder.renames_exclusively = False
        failing(patch, "link", errno.EIO, happens=True)
        assert not part.take_name("file.bin", folder)
    assert part.publish(tmp_path / "file.bin", Collision.FAIL_IF_EXISTS) == tmp_path / "file.bin"
    assert names_in(tmp_path) == ["file.bin"]


@pytest.mark.parametrize("number", [errno.EIO, errno.EEXIST])
def test_a_rename_that_happens_and_is_called_failed_has_happened(tmp_path, part, monkeypatch, number):
    really = publishing._rename_at

    def renamed_and_failed(*names, flags):
        really(*names, flags=flags)
        raise OSError(number, "no answer")

    monkeypatch.setattr(publishing, "_rename_at", renamed_and_failed)
    with Folder(tmp_path) as folder:
        assert part.take_name("file.bin", folder)
    assert names_in(tmp_path) == ["file.bin"]


def test_a_file_system_that_cannot_refuse_to_replace_is_asked_once_and_then_gives_links(tmp_path, monkeypatch):
    asked = []

    def refused(*names, **_):
        asked.append(names)
        raise NotImplementedError

    monkeypatch.setattr(publishing, "_rename_at", refused)
    with Folder(tmp_path) as folder:
        for epoch in (1, 2):
            with contextlib.closing(PartialFile.create_in(folder, GUID, epoch)) as file:
                assert file.take_name(f"{epoch}.bin", folder)
    assert names_in(tmp_path) == ["1.bin", "2.bin"]
    assert len(asked) == 1


def test_no_name_is_taken_in_a_folder_that_came_in_the_place_of_another(tmp_path):
    (tmp_path / "a").mkdir()
    file = PartialFile.create(tmp_path / "a", GUID, 1)
    (tmp_path / "a").rename(tmp_path / "b")
    (tmp_path / "a").mkdir()
    with Folder(tmp_path / "a") as folder:
        assert not file.take_name("file.bin", folder)
    file.close()

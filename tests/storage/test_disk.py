"""What a disk is asked: the space it has, whether a folder is written, and the mode of what is made on it."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from bgdl_jupyter.errors import StorageFailed
from bgdl_jupyter.storage.disk import current_umask, free_space, sync_directory
from tests.storage.partial_files import failing


def test_the_umask_is_found_without_the_proc_file_system_too(umask, monkeypatch):
    umask(0o027)
    assert current_umask() == 0o027

    def missing(path):
        raise FileNotFoundError(path)

    monkeypatch.setattr(Path, "read_bytes", missing)
    assert current_umask() == 0o027
    assert umask(0o027) == 0o027


def test_free_space_is_that_of_the_folder_that_will_hold_it(tmp_path):
    free = free_space(tmp_path / "not" / "yet" / "there")
    assert 0 < free <= os.statvfs(tmp_path).f_blocks * os.statvfs(tmp_path).f_frsize


def test_a_folder_that_cannot_be_synchronised_by_its_nature_is_no_error(tmp_path, monkeypatch):
    sync_directory(tmp_path)
    failing(monkeypatch, "fsync", errno.EINVAL)
    sync_directory(tmp_path)


def test_a_folder_that_fails_to_synchronise_is_one(tmp_path, monkeypatch):
    failing(monkeypatch, "fsync", errno.EIO)
    with pytest.raises(StorageFailed, match="synchronise"):
        sync_directory(tmp_path)

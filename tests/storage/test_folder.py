"""A folder that is open stays the one that was opened."""

from __future__ import annotations

from uuid import UUID

import pytest

from bgdl_jupyter.errors import StorageFailed
from bgdl_jupyter.storage.folder import Folder
from bgdl_jupyter.storage.partial_file import PartialFile, PartialFileExists, PartialFileLost

GUID = UUID(int=7)


def test_a_missing_folder_is_made_where_that_was_asked(tmp_path):
    with pytest.raises(StorageFailed, match="open"):
        Folder(tmp_path / "new")
    with Folder(tmp_path / "new" / "deep", is_made=True) as folder:
        assert folder.was_made
    with Folder(tmp_path / "new" / "deep", is_made=True) as folder:
        assert not folder.was_made
        folder.sync()


def test_files_are_made_in_the_folder_that_was_opened(tmp_path):
    (tmp_path / "here").mkdir()
    with Folder(tmp_path / "here") as folder:
        (tmp_path / "here").rename(tmp_path / "moved")
        (tmp_path / "here").mkdir()
        file = PartialFile.create_in(folder, GUID, 1)
        file.write(b"abc", 0)
        file.check(3, folder=folder)
        with pytest.raises(PartialFileLost):
            file.check(3)
    assert list((tmp_path / "here").iterdir()) == []
    assert [each.name for each in (tmp_path / "moved").iterdir()] == [file.path.name]
    file.close()


def test_a_partial_file_that_is_there_already_is_told_apart(tmp_path):
    with Folder(tmp_path) as folder:
        PartialFile.create_in(folder, GUID, 1).close()
        with pytest.raises(PartialFileExists, match="File exists"):
            PartialFile.create_in(folder, GUID, 1)

from __future__ import annotations

import os
from typing import TYPE_CHECKING
from uuid import UUID

from bgdl_jupyter.storage import leftovers
from bgdl_jupyter.storage.leftovers import discard_leftovers
from bgdl_jupyter.storage.partial_file import PartialFile, partial_name

if TYPE_CHECKING:
    from pathlib import Path

GUID = UUID("6f0c2f9d0b5e4d8f9a3c1f0e7d6b5a49")


def test_partial_files_that_nobody_recorded_are_deleted(tmp_path):
    for epoch in (1, 3, 4):
        PartialFile.create(tmp_path, GUID, epoch).close()
    other = PartialFile.create(tmp_path, UUID(int=1), 1)
    other.close()
    assert discard_leftovers(tmp_path, GUID, 3) == 2
    assert {each.name for each in tmp_path.iterdir()} == {partial_name(GUID, 4), other.path.name}


def test_what_is_no_plain_file_of_one_name_is_left_alone(tmp_path):
    (tmp_path / partial_name(GUID, 1)).symlink_to("victim")
    (tmp_path / partial_name(GUID, 2)).mkdir()
    PartialFile.create(tmp_path, GUID, 3).close()
    os.link(tmp_path / partial_name(GUID, 3), tmp_path / "published.bin")
    assert discard_leftovers(tmp_path, GUID, 9) == 0
    assert len(list(tmp_path.iterdir())) == 4


def test_a_folder_that_is_gone_has_none(tmp_path):
    assert discard_leftovers(tmp_path / "gone", GUID, 2) == 0


def test_a_power_loss_does_not_bring_back_what_was_deleted(tmp_path, monkeypatch):
    synced: list[Path] = []
    monkeypatch.setattr(leftovers, "sync_directory", synced.append)
    discard_leftovers(tmp_path, GUID, 2)
    assert synced == []
    PartialFile.create(tmp_path, GUID, 1).close()
    discard_leftovers(tmp_path, GUID, 2)
    assert synced == [tmp_path]

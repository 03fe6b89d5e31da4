"""A partial file is reopened, taken over and checked only as the very file that was recorded, with all its bytes."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from bgdl_jupyter.storage.descriptor import FileIdentity
from bgdl_jupyter.storage.partial_file import PartialFile, PartialFileLost, discard_partial_file, partial_name
from tests.storage.partial_files import GUID, names_in, swap_for_a_copy, swap_for_a_link, swap_for_a_pipe


def reopened(folder: Path, part: PartialFile, at_least: int = 10, epoch: int = 1) -> PartialFile:
    return PartialFile.reopen(folder, GUID, epoch, identity=part.identity, at_least=at_least)


def test_a_recorded_file_is_reopened_with_its_bytes(tmp_path, part):
    part.close()
    record = part.identity.to_record()
    assert FileIdentity.from_record(record) == part.identity
    file = reopened(tmp_path, part)
    assert file.read(0, 10) == b"0123456789"
    file.truncate(4)
    assert file.size == 4
    file.close()


@pytest.mark.parametrize("harm", [Path.unlink, swap_for_a_link, swap_for_a_copy, swap_for_a_pipe])
def test_what_is_not_the_recorded_file_is_not_reopened(tmp_path, part, harm):
    harm(part.path)
    with pytest.raises(PartialFileLost):
        reopened(tmp_path, part)


def test_a_file_that_lost_durable_bytes_is_not_reopened(tmp_path, part):
    with pytest.raises(PartialFileLost, match="10 bytes, 11 were written"):
        reopened(tmp_path, part, at_least=11)


def test_a_folder_that_is_gone_is_a_lost_file(tmp_path, part):
    with pytest.raises(PartialFileLost):
        PartialFile.reopen(tmp_path / "gone", GUID, 1, identity=part.identity, at_least=0)


def taken_over(folder: Path, part: PartialFile, new_epoch: int = 3, *, copy: bool = False) -> PartialFile:
    return PartialFile.take_over(folder, GUID, 1, new_epoch, identity=part.identity, at_least=6, copy=copy)


def test_a_dead_owners_file_is_renamed_to_our_epoch(tmp_path, part):
    file = taken_over(tmp_path, part)
    assert names_in(tmp_path) == [partial_name(GUID, 3)]
    assert file.identity == part.identity
    file.close()


def test_a_take_over_that_was_cut_off_is_repeated(tmp_path, part):
    """The kernel of epoch 2 renamed the file and died before it recorded that."""
    taken_over(tmp_path, part, 2).close()
    file = taken_over(tmp_path, part, 3)
    assert names_in(tmp_path) == [partial_name(GUID, 3)]
    file.close()
    taken_over(tmp_path, part, 3).close()


def test_a_stale_writer_cannot_touch_what_was_copied(tmp_path, part):
    file = taken_over(tmp_path, part, copy=True)
    part.write(b"stale", 0)
    assert file.read(0, 100) == b"012345"
    assert file.identity != part.identity
    assert discard_partial_file(part.path, part.identity)
    with pytest.raises(PartialFileLost):
        part.check(10)
    file.check(6)
    file.close()


def test_a_copy_that_was_cut_off_is_made_anew(tmp_path, part):
    taken_over(tmp_path, part, 2, copy=True).close()
    taken_over(tmp_path, part, 3, copy=True).close()
    assert names_in(tmp_path) == [partial_name(GUID, 1), partial_name(GUID, 3)]
    taken_over(tmp_path, part, 3, copy=True).close()


def test_nothing_is_taken_over_that_is_not_the_recorded_file(tmp_path, part):
    swap_for_a_copy(part.path)
    with pytest.raises(PartialFileLost):
        taken_over(tmp_path, part)
    assert names_in(tmp_path) == [partial_name(GUID, 1), "moved"]


@pytest.mark.parametrize("harm", [Path.unlink, swap_for_a_link, swap_for_a_copy])
def test_a_file_that_was_deleted_or_replaced_while_written_is_noticed(part, harm):
    part.check(10)
    harm(part.path)
    with pytest.raises(PartialFileLost, match="deleted or replaced"):
        part.check(10)


def test_a_file_that_was_cut_is_noticed_before_its_length_is_right_again(part):
    part.truncate(10)
    part.write(b"x" * 10, 10)
    part.truncate(15)
    part.write(b"x" * 5, 15)
    os.truncate(part.path, 12)
    with pytest.raises(PartialFileLost, match="was cut"):
        part.write(b"x" * 5, 20)
    assert part.size == 12


def test_a_file_of_another_length_is_noticed(part):
    part.check(at_least=10)
    os.truncate(part.path, 9)
    with pytest.raises(PartialFileLost):
        part.check(10)
    with pytest.raises(PartialFileLost):
        part.check(at_least=10)

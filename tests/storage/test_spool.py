"""Bodies that are kept so that they can be sent again: private from the first moment, found by their operation."""

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING
from uuid import UUID, uuid4

import pytest

from bgdl_jupyter.errors import StateFileError, StorageFailed
from bgdl_jupyter.storage.spool import SpoolFile, digest_of_body, discard_body, spool_folder, spooled

if TYPE_CHECKING:
    from pathlib import Path

ID = UUID("6f0c2f9d-0b5e-4d8f-9a3c-1f0e7d6b5a49")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return spool_folder(tmp_path / "state")


def spool(folder: Path, *pieces: bytes, operation_id: UUID = ID) -> SpoolFile:
    body = SpoolFile(folder, operation_id)
    for piece in pieces:
        body.write(piece)
    body.finish()
    return body


def test_a_body_has_its_pieces_in_order_and_the_name_of_its_operation(folder: Path):
    assert spool(folder, b"one, ", b"two").path.read_bytes() == b"one, two"
    assert [each.name for each in folder.iterdir()] == [str(ID)]


def test_nobody_else_can_read_a_body_whatever_the_umask(folder: Path):
    before = os.umask(0)
    try:
        path = spool(folder, b"secret").path
    finally:
        os.umask(before)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700


def test_a_body_that_is_there_is_not_written_over(folder: Path):
    spool(folder, b"first")
    with pytest.raises(StorageFailed):
        SpoolFile(folder, ID)
    assert (folder / str(ID)).read_bytes() == b"first"


def test_a_link_in_its_place_is_not_followed(folder: Path, tmp_path: Path):
    spool(folder, b"x", operation_id=uuid4())
    (folder / str(ID)).symlink_to(tmp_path / "elsewhere")
    with pytest.raises(StorageFailed):
        SpoolFile(folder, ID)
    assert not (tmp_path / "elsewhere").exists()


def test_a_folder_that_others_may_write_to_is_not_trusted(folder: Path):
    folder.mkdir(parents=True)
    folder.chmod(0o777)
    with pytest.raises(StateFileError, match="Others may write"):
        SpoolFile(folder, ID)


def test_what_is_discarded_is_gone_and_may_be_discarded_again(folder: Path):
    body = SpoolFile(folder, ID)
    body.write(b"half")
    body.discard()
    assert list(folder.iterdir()) == []
    assert not discard_body(folder, ID)


def test_only_bodies_that_nobody_can_still_be_writing_are_listed(folder: Path):
    assert spooled(folder) == []
    old, young = spool(folder, b"old").path, spool(folder, b"young", operation_id=uuid4()).path
    (folder / "notes.txt").write_text("not ours")
    for path in (old, folder / "notes.txt"):
        os.utime(path, (0, 0))
    assert spooled(folder) == [ID]
    assert set(spooled(folder, older_than=-1)) == {ID, UUID(young.name)}


def test_two_bodies_that_differ_have_two_digests(folder: Path):
    one, other = spool(folder, b"one").path, spool(folder, b"other", operation_id=uuid4()).path
    assert digest_of_body(one) != digest_of_body(other)
    assert digest_of_body(one) == digest_of_body(one)

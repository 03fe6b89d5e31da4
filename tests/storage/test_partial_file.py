"""A partial file is private, written and read where it is said, closed once, and deleted only if it is the one."""

from __future__ import annotations

import errno
import os
import stat
import subprocess
import sys
import threading

import pytest

from bgdl_jupyter.errors import DiskFull, StorageFailed
from bgdl_jupyter.storage import partial_file
from bgdl_jupyter.storage.descriptor import FileIdentity
from bgdl_jupyter.storage.partial_file import PartialFile, discard_partial_file, partial_name
from tests.storage.partial_files import GUID, failing, names_in, swap_for_a_copy


def test_it_is_private_whatever_the_umask(tmp_path, umask):
    umask(0)
    file = PartialFile.create(tmp_path, GUID, 1)
    assert stat.S_IMODE(file.path.stat().st_mode) == 0o600
    file.close()


def test_it_is_named_after_the_operation_and_the_epoch(part):
    assert part.path.name == ".6f0c2f9d0b5e4d8f9a3c1f0e7d6b5a49-1.bgdl"


def test_it_remembers_whether_its_folder_was_made_for_it(tmp_path, part):
    assert not part.made_directory
    file = PartialFile.create(tmp_path / "new" / "folder", GUID, 1)
    assert file.made_directory
    file.close()


def test_it_is_never_made_over_something_else(tmp_path):
    (tmp_path / partial_name(GUID, 1)).symlink_to(tmp_path / "victim")
    with pytest.raises(StorageFailed, match="File exists"):
        PartialFile.create(tmp_path, GUID, 1)
    assert not (tmp_path / "victim").exists()


def test_a_file_in_the_place_of_its_folder_is_named(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(StorageFailed, match="'file'"):
        PartialFile.create(tmp_path / "file", GUID, 1)


def test_bytes_are_read_where_they_were_written(part):
    part.write(memoryview(b"xyz"), 20)
    assert part.size == 23
    assert part.read(18, 100) == b"\0\0xyz"
    assert part.read(100, 5) == b""


def test_short_writes_are_gone_on_with(part, monkeypatch):
    real = os.pwrite
    monkeypatch.setattr(os, "pwrite", lambda fd, data, offset: real(fd, data[:3], offset))
    part.write(b"abcdefghijk", 5)
    assert part.read(5, 11) == b"abcdefghijk"


def test_a_write_past_the_limit_of_the_system_is_a_full_disk(tmp_path):
    """RLIMIT_FSIZE gives a short write first, then EFBIG."""
    program = f"""
import resource, signal
from pathlib import Path
from uuid import UUID
from bgdl_jupyter.errors import DiskFull
from bgdl_jupyter.storage.partial_file import PartialFile
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))
file = PartialFile.create(Path({str(tmp_path)!r}), UUID({str(GUID)!r}), 1)
try:
    file.write(b"x" * 5000, 0)
except DiskFull as error:
    print(file.size, error)
"""
    out = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout
    assert out.startswith("4096 Cannot write '.6f0c")
    assert "File too large" in out


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
def test_a_full_disk_is_told_from_a_broken_one(part, monkeypatch, number):
    failing(monkeypatch, "pwrite", number)
    with pytest.raises(DiskFull, match="Cannot write"):
        part.write(b"x", 0)


def test_another_error_of_the_disk_names_the_file(part, monkeypatch):
    failing(monkeypatch, "pwrite", errno.EIO)
    with pytest.raises(StorageFailed, match=r"6f0c.*Input/output error") as caught:
        part.write(b"x", 0)
    assert not isinstance(caught.value, DiskFull)


def test_after_a_failed_synchronisation_none_succeeds_any_more(part, monkeypatch):
    """The system reports a lost page once; a second call that succeeds would be a lie."""
    with monkeypatch.context() as patch:
        failing(patch, "_sync", errno.EIO, module=partial_file)
        with pytest.raises(StorageFailed):
            part.sync()
    with pytest.raises(StorageFailed, match="earlier synchronisation"):
        part.sync()


def test_a_closed_file_takes_no_bytes(part):
    part.close()
    with pytest.raises(ValueError, match="closed"):
        part.write(b"x", 0)


def test_closing_waits_for_a_running_write(part, monkeypatch):
    """Else the number of the descriptor could be another file's when the write begins."""
    in_write, go_on = threading.Event(), threading.Event()
    real = os.pwrite

    def slow(descriptor, data, offset):
        in_write.set()
        assert go_on.wait(10)
        return real(descriptor, data, offset)

    monkeypatch.setattr(os, "pwrite", slow)
    thread = threading.Thread(target=part.write, args=(b"late", 0))
    thread.start()
    assert in_write.wait(10)
    part.close()
    go_on.set()
    thread.join(10)
    assert part.path.read_bytes()[:4] == b"late"
    with pytest.raises(ValueError, match="closed"):
        part.read(0, 1)


def test_only_the_file_that_was_written_is_deleted(tmp_path, part):
    swap_for_a_copy(part.path)
    assert not part.discard()
    assert names_in(tmp_path) == [part.path.name, "moved"]


def test_a_discarded_file_is_gone(tmp_path, part):
    assert part.discard()
    assert names_in(tmp_path) == []
    assert not part.discard()


def test_a_state_that_names_a_users_file_deletes_nothing(tmp_path):
    precious = tmp_path / "thesis.tex"
    precious.touch()
    assert not discard_partial_file(precious, FileIdentity.of(precious.stat()))
    assert precious.exists()


def test_children_do_not_inherit_its_descriptor(part):
    with part._descriptor.borrow() as number:
        assert not os.get_inheritable(number)

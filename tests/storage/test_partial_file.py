from __future__ import annotations

import contextlib
import ctypes
import errno
import os
import stat
import subprocess
import sys
import threading
from pathlib import Path
from uuid import UUID

import pytest

from bgdl_jupyter.errors import DestinationExists, DiskFull, StorageFailed
from bgdl_jupyter.status import CreationCollisionOption as Collision
from bgdl_jupyter.storage import partial_file, publishing
from bgdl_jupyter.storage.descriptor import FileIdentity, Footprint
from bgdl_jupyter.storage.disk import current_umask, free_space, sync_directory
from bgdl_jupyter.storage.folder import Folder
from bgdl_jupyter.storage.partial_file import PartialFile, PartialFileLost, discard_partial_file, partial_name
from bgdl_jupyter.storage.publishing import find_published

GUID = UUID("6f0c2f9d0b5e4d8f9a3c1f0e7d6b5a49")


@pytest.fixture
def umask():
    old = os.umask(0)
    yield os.umask
    os.umask(old)


def failing(monkeypatch, name, number, *, module=os, happens=False):
    """Have a system call fail; with `happens` it does its work all the same."""
    real = getattr(module, name)

    def fail(*args, **options):
        if happens:
            real(*args, **options)
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(module, name, fail)


@pytest.fixture
def part(tmp_path):
    with_bytes = PartialFile.create(tmp_path, GUID, 1)
    with_bytes.write(b"0123456789", 0)
    yield with_bytes
    with_bytes.close()


def names_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


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


# ---------------------------------------------------------------------------------------------- reopening


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


def swap_for_a_link(path: Path) -> None:
    path.rename(path.with_name("moved"))
    path.symlink_to("moved")


def swap_for_a_copy(path: Path) -> None:
    content = path.read_bytes()
    path.rename(path.with_name("moved"))
    path.write_bytes(content)


def swap_for_a_pipe(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


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


# ---------------------------------------------------------------------------------------------- take-over


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


# ---------------------------------------------------------------------------------------------- checking


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


# ---------------------------------------------------------------------------------------------- publishing


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


def test_the_umask_is_found_without_the_proc_file_system_too(umask, monkeypatch):
    umask(0o027)
    assert current_umask() == 0o027

    def missing(path):
        raise FileNotFoundError(path)

    monkeypatch.setattr(Path, "read_bytes", missing)
    assert current_umask() == 0o027
    assert umask(0o027) == 0o027


# ---------------------------------------------------------------------------------------------- the rest


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


def test_children_do_not_inherit_its_descriptor(part):
    with part._descriptor.borrow() as number:
        assert not os.get_inheritable(number)


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

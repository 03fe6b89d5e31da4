from __future__ import annotations

from pathlib import Path

import pytest

from tests.bench import power
from tests.bench.disk import History, choices
from tests.bench.stage import Call

ROOT = Path("/bench")


def call(name, *, inode=0, offset=0, data=b"", path="", other="", result=0):
    paths = [f"{ROOT}/{each}" if each else "" for each in (path, other)]
    return Call(name, result, 0, inode, offset, data, *paths)


def disks(*calls, before=None):
    """Return the files of every state that is possible after these calls."""
    history = History.of(calls, ROOT, before or {})
    moment = history.moments[-1]
    found = [history.disk((*moment.certain, *choice)) for choice in choices(moment.pending, most=9)]
    return [{name: content for name, (_, content) in disk.files.items()} for disk in found]


CREATE = call("create", inode=5, path="a", result=3)
WRITE = call("pwrite", inode=5, data=b"data")
SYNC = call("fdatasync", inode=5)
OPEN_FOLDER = call("open", inode=2, path="", result=4)
SYNC_FOLDER = call("fsync", inode=2)


def test_a_name_and_bytes_that_were_not_synchronised_may_be_there_or_not():
    found = disks(CREATE, WRITE)
    assert {} in found
    assert {"a": b""} in found
    assert {"a": b"data"} in found


def test_a_write_may_be_torn_or_zero():
    found = disks(CREATE, WRITE)
    assert {"a": b"da"} in found
    assert {"a": bytes(4)} in found


def test_what_was_synchronised_is_there():
    root = call("open", inode=2, result=4)
    folder = Call("open", 4, 0, 2, 0, b"", str(ROOT), "")
    assert root
    found = disks(folder, CREATE, WRITE, SYNC, SYNC_FOLDER)
    assert found == [{"a": b"data"}] * len(found)


def test_a_synchronised_file_may_lack_its_name():
    assert {} in disks(CREATE, WRITE, SYNC)


def test_an_early_write_may_be_lost_and_a_later_one_not():
    later = call("pwrite", inode=5, offset=4, data=b"more")
    assert {"a": b"\0\0\0\0more"} in disks(CREATE, WRITE, later)


def test_a_rename_is_whole_or_not_at_all():
    rename = call("rename", inode=5, path="a", other="b")
    found = disks(CREATE, WRITE, SYNC, rename, before={"b": b"old"})
    assert {"b": b"data"} in found
    assert {"a": b"data", "b": b"old"} in found
    assert all("b" in each for each in found)


def test_the_number_of_a_file_that_is_gone_may_be_given_again():
    gone = call("unlink", inode=5, path="a")
    again = call("create", inode=5, path="b", result=3)
    found = disks(CREATE, WRITE, gone, again)
    assert {"b": b""} in found
    assert {"a": b"data", "b": b""} in found


@pytest.mark.timeout(300)
def test_a_sample_of_the_losses_of_power_is_survived():
    """`python -m tests.bench power` does all of them."""
    family = power.run(16, seed=7)
    assert list(family.failures) == []
    assert family.passed == family.n >= 16


@pytest.mark.long
@pytest.mark.timeout(7200)
def test_every_loss_of_power_is_survived():
    assert list(power.run().failures) == []

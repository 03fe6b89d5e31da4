from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from bgdl_jupyter.errors import StateFileError
from bgdl_jupyter.storage import disk, private_files, schema
from bgdl_jupyter.storage.private_files import file_system_type, is_on_network, make_private_directory
from bgdl_jupyter.storage.state_file import StateFile
from tests.storage.kernel_process import DEADLINE, row


def mode_of(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@pytest.fixture(params=[0o000, 0o022, 0o077], ids=lambda mask: f"umask {mask:03o}")
def umask(request):
    before = os.umask(request.param)
    yield
    os.umask(before)


@pytest.mark.parametrize("is_network", [False, True])
def test_everything_is_private_whatever_the_umask(umask, path, is_network, monkeypatch):
    monkeypatch.setattr(schema, "is_on_network", lambda _: is_network)
    state = StateFile.open(path, application="/a.ipynb")
    modes: dict[str, int] = {}
    # Looked at inside a transaction, when a rollback journal exists, too.
    state.insert([row(1)])[0].result(DEADLINE)

    def look(connection):
        connection.execute("UPDATE operations SET status = 1")
        modes.update({each.name: mode_of(each) for each in path.parent.iterdir()})

    state._commits.submit(look).result(DEADLINE)
    companions = {"state.sqlite3-journal"} if is_network else {"state.sqlite3-wal", "state.sqlite3-shm"}
    assert modes.keys() == {"state.sqlite3", "kernels"} | companions
    assert {mode for name, mode in modes.items() if name != "kernels"} == {0o600}
    assert (mode_of(path.parent), modes["kernels"]) == (0o700, 0o700)
    assert mode_of(path.parent / "kernels" / state.kernel_id) == 0o600
    state.close(DEADLINE)


def test_a_file_that_was_set_aside_stays_private(umask, path):
    make_private_directory(path.parent)
    path.write_bytes(b"damaged")
    path.chmod(0o600)
    state = StateFile.open(path, application="/a.ipynb")
    assert {mode_of(each) for each in path.parent.iterdir() if each.is_file()} == {0o600}
    state.close(DEADLINE)


def test_what_others_can_only_read_is_made_private(path):
    path.parent.mkdir(mode=0o755)
    path.touch(mode=0o644)
    state = StateFile.open(path, application="/a.ipynb")
    assert (mode_of(path.parent), mode_of(path)) == (0o700, 0o600)
    state.close(DEADLINE)


@pytest.mark.parametrize("mode", [0o770, 0o707, 0o777])
def test_a_folder_that_others_write_to_is_refused(path, mode):
    path.parent.mkdir()
    path.parent.chmod(mode)
    with pytest.raises(StateFileError, match="chmod go-w"):
        StateFile.open(path, application="/a.ipynb")
    assert list(path.parent.iterdir()) == []


def test_a_file_that_others_write_to_is_refused(path):
    path.parent.mkdir(mode=0o700)
    path.touch()
    path.chmod(0o660)
    with pytest.raises(StateFileError, match="Others may write"):
        StateFile.open(path, application="/a.ipynb")


def test_what_belongs_to_another_user_is_refused(path, monkeypatch):
    make_private_directory(path.parent)
    uid = os.geteuid()
    monkeypatch.setattr(os, "geteuid", lambda: uid + 1)
    with pytest.raises(StateFileError, match="another user"):
        StateFile.open(path, application="/a.ipynb")


def test_a_link_in_the_place_of_the_file_is_refused(path, tmp_path):
    make_private_directory(path.parent)
    (tmp_path / "victim").write_text("precious")
    path.symlink_to(tmp_path / "victim")
    with pytest.raises(StateFileError, match="not a regular file"):
        StateFile.open(path, application="/a.ipynb")
    assert (tmp_path / "victim").read_text() == "precious"


def test_the_file_is_not_opened_by_hand_while_it_is_in_use(path, open_state):
    """To close it would drop the locks that SQLite has on it in this process, and two kernels would write at once."""
    state = open_state()
    state.insert([row(1)])[0].result(DEADLINE)
    open_state("/b.ipynb").insert([row(2, application="/b.ipynb")])[0].result(DEADLINE)
    text = Path("/proc/locks").read_text()
    inode = f":{path.stat().st_ino} "
    shm = f":{path.with_name(path.name + '-shm').stat().st_ino} "
    assert any(inode in line or shm in line for line in text.splitlines() if "POSIX" in line)


MOUNTS = """\
21 1 254:0 / / rw,relatime shared:1 - ext4 /dev/vda rw
22 21 0:20 / /data rw - nfs4 server:/data rw
23 22 0:21 / /data/al\\040ice/local rw - xfs /dev/sda rw
24 21 0:22 / /mnt/ssh rw - fuse.sshfs host: rw
25 21 0:23 / /disk rw - nfs server:/disk rw
26 25 0:24 / /disk rw - btrfs /dev/sdb rw
"""


@pytest.mark.parametrize(
    ("place", "kind", "network"),
    [
        ("/srv/x", "ext4", False),
        ("/data/bob/.local/state", "nfs4", True),
        ("/homework", "ext4", False),
        ("/data/al ice/local/x", "xfs", False),
        ("/mnt/ssh/x", "fuse.sshfs", True),
        ("/disk/x", "btrfs", False),
    ],
)
def test_the_kind_of_disk_is_that_of_the_nearest_mount(monkeypatch, place, kind, network):
    monkeypatch.setattr(Path, "read_text", lambda *_, **__: MOUNTS)
    assert file_system_type(Path(place)) == kind
    assert is_on_network(Path(place)) is network


def test_an_unknown_disk_counts_as_local(monkeypatch):
    def missing(*_, **__):
        raise FileNotFoundError

    monkeypatch.setattr(Path, "read_text", missing)
    assert file_system_type(Path("/x")) == ""
    assert not is_on_network(Path("/x"))


def test_the_name_of_a_folder_that_was_made_is_durable(tmp_path, monkeypatch):
    """What is in a folder whose own name a power loss takes away is gone with it."""
    synced: list[Path] = []
    monkeypatch.setattr(private_files, "sync_directory", synced.append)
    monkeypatch.setattr(disk, "sync_directory", synced.append)
    make_private_directory(tmp_path / "a" / "b")
    assert synced == [tmp_path, tmp_path / "a"]
    make_private_directory(tmp_path / "a" / "b")
    assert len(synced) == 2

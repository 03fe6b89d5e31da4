"""Folders and files that are this user's alone from the moment they exist, and what kind of disk they are on."""

from __future__ import annotations

import contextlib
import os
import stat
from pathlib import Path
from typing import Final

from bgdl_jupyter.errors import StateFileError
from bgdl_jupyter.storage.disk import make_directories, sync_directory

PRIVATE_DIRECTORY: Final = 0o700
PRIVATE_FILE: Final = 0o600

# SQLite's write-ahead log needs memory shared by all who use the file: impossible across machines.
_NETWORK_FILE_SYSTEMS: Final = frozenset(
    {"nfs", "nfs4", "cifs", "smb2", "smb3", "smbfs", "ncpfs", "afs", "9p", "virtiofs", "vboxsf", "prl_fs", "acfs"}
    | {"lustre", "beegfs", "beegfs_nodev", "gpfs", "ceph", "glusterfs", "orangefs", "pvfs2", "ocfs2", "gfs2", "panfs"}
)


def make_private_directory(path: Path) -> None:
    """
    Make a folder that only this user can enter, whatever the umask, or check the one that is there.

    It is durable then: what is in a folder whose own name a power loss takes away is gone with it.

    Raises
    ------
    StateFileError
        It belongs to somebody else, or others may write in it: what they put there must not be trusted.
    OSError, StorageFailed
        It cannot be made.
    """
    make_directories(path.parent)
    with contextlib.suppress(FileExistsError):
        path.mkdir(mode=PRIVATE_DIRECTORY)
        sync_directory(path.parent)
    status = path.stat()
    _refuse_what_others_write(path, status)
    if stat.S_IMODE(status.st_mode) & 0o077:
        path.chmod(PRIVATE_DIRECTORY)


def make_private_file(path: Path) -> None:
    """
    Make an empty file that only this user can read, whatever the umask, or check the one that is there.

    A file that is there is not opened: to close it would drop the locks that this process has on it.

    Raises
    ------
    StateFileError
        It is a link, belongs to somebody else, or others may write to it.
    OSError
        It cannot be made.
    """
    flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    with contextlib.suppress(FileExistsError):
        os.close(os.open(path, flags, PRIVATE_FILE))
    status = path.lstat()
    if not stat.S_ISREG(status.st_mode):
        raise StateFileError(f"{str(path)!r} is not a regular file.", hint="Move it away.")
    _refuse_what_others_write(path, status)
    if stat.S_IMODE(status.st_mode) & 0o077:
        path.chmod(PRIVATE_FILE)


def _refuse_what_others_write(path: Path, status: os.stat_result) -> None:
    if status.st_uid != os.geteuid():
        raise StateFileError(
            f"{str(path)!r} belongs to another user (uid {status.st_uid}).",
            hint="Set XDG_STATE_HOME to a folder of your own.",
        )
    if status.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        raise StateFileError(f"Others may write to {str(path)!r}.", hint=f"Run: chmod go-w {str(path)!r}")


def file_system_type(path: Path) -> str:
    """Return the type of the file system that a path is on, as Linux calls it; empty where it is not told."""
    real = Path(os.path.realpath(path))
    best = (-1, "")
    with contextlib.suppress(OSError):
        for line in Path("/proc/self/mountinfo").read_text(encoding="utf-8", errors="surrogateescape").splitlines():
            mount, kind = _mount_of(line)
            # The last of two mounts on one point is the one that is seen.
            if real.is_relative_to(mount) and len(mount) >= best[0]:
                best = (len(mount), kind)
    return best[1]


def _mount_of(line: str) -> tuple[str, str]:
    """Return mount point and type of a line of mountinfo (proc(5)); odd characters in it are octal escapes."""
    before, _, behind = line.partition(" - ")
    point = before.split(" ")[4]
    for escape, character in (("\\040", " "), ("\\011", "\t"), ("\\012", "\n"), ("\\134", "\\")):
        point = point.replace(escape, character)
    return point, behind.partition(" ")[0]


def is_on_network(path: Path) -> bool:
    """Whether other machines may use the same file; unknown counts as local."""
    kind = file_system_type(path)
    return kind in _NETWORK_FILE_SYSTEMS or kind.startswith("fuse.")

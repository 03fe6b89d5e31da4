"""What all who touch the disk need: errors in our words, folders that survive a power loss, free space."""

from __future__ import annotations

import contextlib
import errno
import os
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Final, Protocol

from bgdl_jupyter.errors import DiskFull, StorageFailed

if sys.platform != "win32":
    import resource

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import TracebackType

_FULL: Final = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
# Some file systems cannot synchronise a folder, and need no asking.
_NO_DIRECTORY_SYNC: Final = frozenset({errno.EINVAL, errno.ENOTSUP, errno.EBADF, errno.EACCES})
_UMASK_LOCK: Final = threading.Lock()


class Named(Protocol):
    """A path, or what has one."""

    @property
    def name(self) -> str:
        """Its last component."""

    @property
    def parent(self) -> Path:
        """The folder that it is in."""


def storage_failed(error: OSError, path: Named, action: str) -> StorageFailed:
    """Return our error for one of the system; ``action`` is an infinitive: "write", "create"."""
    kind = DiskFull if error.errno in _FULL else StorageFailed
    return kind(f"Cannot {action} {path.name!r} in {str(path.parent)!r}: {os.strerror(error.errno or 0)}.")


def write_all(descriptor: int, data: bytes | bytearray | memoryview, offset: int) -> None:
    """Write all bytes at an offset, however many the system takes at once."""
    written = os.pwrite(descriptor, data, offset)
    if written == len(data):  # the usual case
        return
    rest = memoryview(data)[written:]
    while rest:
        offset += written
        written = os.pwrite(descriptor, rest, offset)
        rest = rest[written:]


class failing_as:  # noqa: N801 (used like a function; a generator costs several times as much, for every file)
    """Turn what the system raises into `StorageFailed` or `DiskFull`."""

    __slots__ = ("_action", "_path")

    def __init__(self, path: Named, action: str) -> None:
        self._path = path
        self._action = action

    def __enter__(self) -> None:
        """Begin."""

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if isinstance(error, OSError):
            raise storage_failed(error, self._path, self._action) from error


@contextlib.contextmanager
def opened_directory(path: Path) -> Iterator[int]:
    """Give a descriptor of the folder; names used with it stay in that very folder, whatever its path becomes."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def make_directories(path: Path) -> bool:
    """
    Make the folder and those above it, durably, and tell whether it had to be made.

    Raises
    ------
    StorageFailed
        It cannot be made, or a file is in the way.
    """
    if path.is_dir():
        return False
    missing = [path, *(folder for folder in path.parents if not folder.exists())]
    with failing_as(path, "create"):
        for folder in reversed(missing):
            with contextlib.suppress(FileExistsError):  # another operation makes the same folder
                folder.mkdir()
            sync_directory(folder.parent)
        if not path.is_dir():
            raise NotADirectoryError(errno.ENOTDIR, "not a folder")
    return True


def sync_directory(path: Path) -> None:
    """
    Make the names in a folder durable; once is enough for any number of files.

    Raises
    ------
    StorageFailed
        The disk refused.
    """
    with failing_as(path, "synchronise"):
        try:
            with opened_directory(path) as descriptor:
                sync_folder(descriptor)
        except OSError as error:
            if error.errno not in _NO_DIRECTORY_SYNC:
                raise


def sync_folder(descriptor: int) -> None:
    """Make the names in an open folder durable, where its file system can do that; raises ``OSError``."""
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in _NO_DIRECTORY_SYNC:
            raise


def free_space(directory: Path) -> int:
    """
    Return the bytes that we may still write in a folder, or where it will be made.

    Advice only: another program may take them before we do.
    """
    folder = next(each for each in (directory, *directory.parents) if each.exists())
    with failing_as(folder, "measure"):
        status = os.statvfs(folder)
    return status.f_bavail * status.f_frsize


def most_descriptors() -> int:
    """Return how many files this process may have open; very many where nothing limits them."""
    if sys.platform == "win32":
        return sys.maxsize
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return sys.maxsize if soft == resource.RLIM_INFINITY else soft


def no_space(missing: int, free: int) -> DiskFull:
    """Return what a file fails with that so many bytes of are still to come."""
    return DiskFull(f"{missing:,} bytes are still to come, and only {free:,} are free.")


def current_umask() -> int:
    """Return the process's umask without changing it, where the system tells it."""
    with contextlib.suppress(OSError, ValueError):
        for line in Path("/proc/self/status").read_bytes().splitlines():
            if line.startswith(b"Umask:"):
                return int(line.split()[1], 8)
    # It can only be asked for by setting it: for an instant to a stricter one, never to a wider one.
    with _UMASK_LOCK:
        umask = os.umask(0o077)
        os.umask(umask)
    return umask

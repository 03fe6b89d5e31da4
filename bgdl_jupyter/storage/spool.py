"""
Request bodies that came as a stream, kept so that they can be sent again.

On disk, beside the state file::

    spool/6f0c2f9d-0b5e-4d8f-9a3c-1f0e7d6b5a49    <guid of the operation>, 0600; gone when nobody can send it any more
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import time
from typing import TYPE_CHECKING, Final
from uuid import UUID

from bgdl_jupyter.storage.disk import failing_as, sync_directory
from bgdl_jupyter.storage.private_files import PRIVATE_FILE, make_private_directory

if TYPE_CHECKING:
    from pathlib import Path

_FOLDER: Final = "spool"
_WRITTEN_WITHIN: Final = 24 * 3600.0


def spool_folder(state_folder: Path) -> Path:
    """Return where the bodies are."""
    return state_folder / _FOLDER


class SpoolFile:
    """
    A body that is being written; every method blocks, and raises `StorageFailed` where the disk refuses.

    Parameters
    ----------
    folder:
        As `spool_folder` gives it; made here, for this user alone.
    """

    def __init__(self, folder: Path, operation_id: UUID) -> None:
        self.path = folder / str(operation_id)
        with failing_as(self.path, "create"):
            make_private_directory(folder)
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
            self._file = os.fdopen(os.open(self.path, flags, PRIVATE_FILE), "wb")

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Write all bytes behind those before."""
        with failing_as(self.path, "write"):
            self._file.write(data)

    def finish(self) -> None:
        """Make the body durable and close it."""
        with failing_as(self.path, "write"), self._file:
            self._file.flush()
            os.fsync(self._file.fileno())
        sync_directory(self.path.parent)

    def discard(self) -> None:
        """Close and delete it."""
        with contextlib.suppress(OSError):  # what could not be written may fail again; it goes anyway
            self._file.close()
        discard_body(self.path.parent, UUID(self.path.name))


def digest_of_body(path: Path) -> str:
    """Return what tells one body from another; blocks, and raises ``OSError`` where the file cannot be read."""
    with path.open("rb") as body:
        return hashlib.file_digest(body, "sha256").hexdigest()


def discard_body(folder: Path, operation_id: UUID) -> bool:
    """Delete the body of an operation and tell whether there was one."""
    path = folder / str(operation_id)
    with failing_as(path, "delete"):
        try:
            path.unlink()
        except (FileNotFoundError, NotADirectoryError):
            return False
    return True


def spooled(folder: Path, *, older_than: float = _WRITTEN_WITHIN) -> list[UUID]:
    """Return whose bodies are there; not those so young, in seconds, that they may still be written."""
    found = []
    with contextlib.suppress(FileNotFoundError, NotADirectoryError):
        for path in folder.iterdir():
            with contextlib.suppress(ValueError, FileNotFoundError):  # no body of ours, or gone meanwhile
                operation_id = UUID(path.name)
                if path.lstat().st_mtime <= time.time() - older_than:
                    found.append(operation_id)
    return found

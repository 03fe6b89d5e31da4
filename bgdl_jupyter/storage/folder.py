"""A folder that is opened once for all that happens to the files in it."""

from __future__ import annotations

import functools
import os
from typing import TYPE_CHECKING, Self

from bgdl_jupyter.storage.descriptor import FileIdentity
from bgdl_jupyter.storage.disk import current_umask, failing_as, make_directories, sync_folder

if TYPE_CHECKING:
    from pathlib import Path
    from types import TracebackType


class Folder:
    """
    An open folder: names used with it stay in that very folder, whatever its path becomes.

    Raises `StorageFailed` where it cannot be opened or made.

    Parameters
    ----------
    path:
        Where it is.
    is_made:
        Make it, and those above it, where it is missing.

    Attributes
    ----------
    descriptor, identity:
        The open folder, and which one it is.
    was_made:
        Whether it had to be made.
    renames_exclusively:
        Whether a rename can refuse to replace in it, as far as is known.
    """

    def __init__(self, path: Path, *, is_made: bool = False) -> None:
        self.path = path
        self.renames_exclusively = True
        self.was_made = is_made and make_directories(path)
        with failing_as(path, "open"):
            self.descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            self.identity = FileIdentity.of(os.fstat(self.descriptor))

    @functools.cached_property
    def file_mode(self) -> int:
        """The mode of files that are made public in it; the umask is asked for once."""
        return 0o666 & ~current_umask()

    def sync(self) -> None:
        """Make the names in it durable; raises `StorageFailed`."""
        with failing_as(self.path, "synchronise"):
            sync_folder(self.descriptor)

    def close(self) -> None:
        """Close it."""
        os.close(self.descriptor)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

"""Open files: which one it is, and a descriptor that cannot be closed under a running write."""

from __future__ import annotations

import os
import threading
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path
    from types import TracebackType


class FileIdentity(NamedTuple):
    """Which file it is, whatever it is called."""

    device: int
    inode: int

    @classmethod
    def of(cls, status: os.stat_result) -> FileIdentity:
        """Return the identity out of what `os.stat` tells."""
        return cls(status.st_dev, status.st_ino)

    def to_record(self) -> list[int]:
        """Return the JSON form."""
        return [self.device, self.inode]

    @classmethod
    def from_record(cls, record: Sequence[int]) -> FileIdentity:
        """Return the identity of a JSON form; a wrong shape raises ``TypeError`` or ``ValueError``."""
        device, inode = record
        if type(device) is not int or type(inode) is not int:
            raise TypeError("a file identity is two integers")
        return cls(device, inode)


class Footprint(NamedTuple):
    """What a file is known by that was left alone since; not its device, which another mount may number anew."""

    inode: int
    size: int
    modified_ns: int

    @classmethod
    def of(cls, status: os.stat_result) -> Footprint:
        """Return the footprint out of what `os.stat` tells."""
        return cls(status.st_ino, status.st_size, status.st_mtime_ns)

    @classmethod
    def at(cls, path: Path | str) -> Footprint | None:
        """Return the footprint of what a path itself leads to; None where there is nothing."""
        try:
            return cls.of(os.lstat(path))
        except (FileNotFoundError, NotADirectoryError):
            return None


class Descriptor:
    """
    A file descriptor that is closed when its last user is done.

    Closed under a running write, its number could be given to another file, and the bytes would go there.
    """

    __slots__ = ("_is_closed", "_lock", "_number", "_users")

    def __init__(self, number: int) -> None:
        self._number = number
        self._users = 0
        self._is_closed = False
        self._lock = threading.Lock()

    def borrow(self) -> Descriptor:
        """Give the descriptor to a ``with`` statement; it raises ``ValueError`` after `close`."""
        return self

    def __enter__(self) -> int:
        with self._lock:
            if self._is_closed:
                raise ValueError("the partial file was closed")
            self._users += 1
        return self._number

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        with self._lock:
            self._users -= 1
            if self._is_closed and not self._users:
                os.close(self._number)

    def close(self) -> None:
        """Close it as soon as nobody uses it; may be repeated."""
        with self._lock:
            if not self._is_closed:
                self._is_closed = True
                if not self._users:
                    os.close(self._number)

"""What the thread that unpacks and the loop that shows it share: limits, how far it is, and a word to stop."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from bgdl_jupyter.errors import PostProcessingFailed

if TYPE_CHECKING:
    from pathlib import Path

#: Below so many bytes a ratio says nothing: a short file of zeros is no bomb.
_RATIO_COUNTS_FROM: Final = 100_000_000
#: How many bytes may be written between two looks at the free space.
_LOOK_EVERY: Final = 64 << 20


class UnpackCanceled(Exception):
    """Somebody gave the unpacking up."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """
    What an archive may become.

    Parameters
    ----------
    max_size:
        Bytes of all that comes out of it.
    max_ratio:
        How many times its own size that may be; counts from 100 MB on.
    max_members:
        Files and folders.
    leave_free:
        Bytes of the disk that are to stay free.
    """

    max_size: int
    max_ratio: float
    max_members: int
    leave_free: int = 0


class Gauge:
    """
    Counts what one thread does, and lets others look at it and end it; plain numbers, each written by one thread.

    Every count raises `UnpackCanceled` once `cancel` was called, and `PostProcessingFailed` beyond a limit.
    """

    def __init__(self, archive: Path, folder: Path, limits: Limits) -> None:
        self._name = archive.name
        self._folder = folder
        self._limits = limits
        self._look_at = 0
        self._made = 0
        self._is_canceled = False
        self.bytes_total = archive.stat().st_size
        self.bytes_done = 0
        self.members_total: int | None = None
        self.members_done = 0
        self.expanded = 0
        self.written = 0

    def cancel(self) -> None:
        """End it at the next count; from any thread."""
        self._is_canceled = True

    def check(self) -> None:
        """Raise `UnpackCanceled` where it is to end."""
        if self._is_canceled:
            raise UnpackCanceled

    def read(self, count: int) -> None:
        """Count bytes that were read of the archive."""
        self.check()
        self.bytes_done = min(self.bytes_total, self.bytes_done + count)

    def expect_members(self, count: int) -> None:
        """Take in how many members there are, before the first."""
        self.members_total = count
        if count > self._limits.max_members:
            self._refuse(f"has {count:,} members, and {self._limits.max_members:,} are allowed", "unpack_max_members")

    def member(self) -> None:
        """Count a file or a folder that is to be made, also one that no member names."""
        self.check()
        self._made += 1
        if self._made > self._limits.max_members:
            self._refuse(f"has more than {self._limits.max_members:,} members", "unpack_max_members")

    def expand(self, count: int) -> None:
        """Count bytes that came out, before they are written."""
        self.check()
        self.expanded += count
        self._bound(self.expanded)

    def write(self, count: int) -> None:
        """Count bytes before they are written: the holes of a sparse file never came out of anything."""
        self.check()
        self.written += count
        self._bound(self.written)

    def _bound(self, count: int) -> None:
        if count > self._limits.max_size:
            self._refuse(f"becomes more than {self._limits.max_size:,} bytes", "unpack_max_size")
        if count > max(_RATIO_COUNTS_FROM, self._limits.max_ratio * self.bytes_total):
            self._refuse(f"becomes more than {self._limits.max_ratio:g} times its size", "unpack_max_ratio")
        if count >= self._look_at:
            self._look_at = count + _LOOK_EVERY
            self._look_at_disk()

    def _look_at_disk(self) -> None:
        free = shutil.disk_usage(self._folder).free
        ahead = min(_LOOK_EVERY, max(0, self.bytes_total - self.bytes_done))
        if free - ahead < self._limits.leave_free:
            raise PostProcessingFailed(
                f"There is no room to unpack {self._name!r}: {free:,} bytes are free, and {self._limits.leave_free:,} "
                "are to stay free.",
                hint="Free some space, then retry().",
            )

    def _refuse(self, what: str, setting: str) -> None:
        raise PostProcessingFailed(
            f"{self._name!r} {what}; it may be a trap.", hint=f"If it is not, allow more by {setting}."
        )

"""How much room the disk has, and how much of it is to stay free."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from bgdl_jupyter.conditions.values import DiskConditions

if TYPE_CHECKING:
    from pathlib import Path

_GIB: Final = 1 << 30
# A pause ends only when this much of the reserve more is free, or it would begin again at the next byte.
_SLACK: Final = 0.25


@dataclass(frozen=True, slots=True, kw_only=True)
class Reserve:
    """
    What transfers leave free: a share of the disk, but neither too little nor too much.

    Parameters
    ----------
    share:
        The part of the disk, from 0 to 1.
    least, most:
        Bounds in bytes: a twentieth of a phone's card is too little, of a disk array too much.
    largest_share:
        Of a disk so small that ``least`` would be most of it (a tmpfs), no more than this part.
    """

    share: float = 0.05
    least: int = _GIB
    most: int = 16 * _GIB
    largest_share: float = 0.1

    def of(self, total: int) -> int:
        """Return the bytes to leave free of ``total``."""
        wanted = min(max(self.least, int(total * self.share)), self.most)
        return min(wanted, int(total * self.largest_share))


def judge_disk(folder: Path, *, free: int, reserve: int, was_almost_full: bool) -> DiskConditions:
    """Return whether the disk is almost full; one that was needs a quarter of the reserve more to be no longer."""
    needed = reserve + int(reserve * _SLACK) if was_almost_full else reserve
    is_almost_full = free < needed
    reason = f"{_shown(free)} are free, {_shown(needed)} are to stay free." if is_almost_full else ""
    return DiskConditions(folder=folder, free=free, reserve=reserve, is_almost_full=is_almost_full, reason=reason)


def look_at_disk(folder: Path, reserve: Reserve, *, was_almost_full: bool) -> DiskConditions:
    """
    Return the room on the file system of a folder, or of the nearest one above it that exists.

    Blocks for as long as the file system does.
    """
    try:
        usage = shutil.disk_usage(_existing(folder))
    except OSError as error:
        return DiskConditions(folder=folder, reason=f"The free space cannot be read: {error.strerror or error}.")
    return judge_disk(folder, free=usage.free, reserve=reserve.of(usage.total), was_almost_full=was_almost_full)


def _existing(folder: Path) -> Path:
    return next((each for each in (folder, *folder.parents) if each.exists()), folder)


def _shown(count: int) -> str:
    """Return bytes in decimal units, as everywhere."""
    size, unit = float(count), "B"
    for unit in ("B", "kB", "MB", "GB", "TB"):  # noqa: B007 (the last one is used)
        if size < 1000:  # noqa: PLR2004 (decimal units)
            break
        size /= 1000
    return f"{size:.3g} {unit}"

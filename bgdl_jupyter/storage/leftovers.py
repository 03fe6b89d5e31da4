"""Partial files that a kernel made and did not live to record."""

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING

from bgdl_jupyter.storage.disk import failing_as, sync_directory
from bgdl_jupyter.storage.partial_file import partial_name

if TYPE_CHECKING:
    from pathlib import Path
    from uuid import UUID


def discard_leftovers(directory: Path, operation_id: UUID, last_epoch: int) -> int:
    """
    Delete the unrecorded partial files of an operation, durably, and return how many there were.

    They are known by their name, which holds 128 random bits; only plain files of this user that have no other name
    are touched, so that a published file keeps its bytes.
    """
    deleted = 0
    for epoch in range(1, last_epoch + 1):
        path = directory / partial_name(operation_id, epoch)
        with failing_as(path, "delete"):
            try:
                status = path.lstat()
            except (FileNotFoundError, NotADirectoryError):
                continue
            if stat.S_ISREG(status.st_mode) and status.st_nlink == 1 and _is_ours(status):
                path.unlink(missing_ok=True)
                deleted += 1
    if deleted:  # else a power loss could bring back what no record names any more
        sync_directory(directory)
    return deleted


def _is_ours(status: os.stat_result) -> bool:
    return not hasattr(os, "geteuid") or status.st_uid == os.geteuid()

"""
What a commit does on the disk, with all files of a batch, in a thread of the pool.

What fails for one file is noted there as its ``failure``, and takes no other with it.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Final

from bgdl_jupyter.engine.holding import create_file
from bgdl_jupyter.errors import BackgroundTransferError
from bgdl_jupyter.status import CreationCollisionOption
from bgdl_jupyter.storage.folder import Folder

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from bgdl_jupyter.engine.finished import Finished

_REPLACE: Final = CreationCollisionOption.REPLACE_EXISTING


def prepare_all(batch: list[Finished]) -> None:
    """
    Have all bytes on the disk.

    Every file begins to be written back before the first is waited for: the journal of the file system then takes in
    all of them at once, and the waits after the first cost next to nothing.
    """
    for entries in by_folder(batch):
        is_made = any(entry.small_body is not None for entry in entries)
        attempt(entries, _prepare, is_made=is_made)


def publish_all(batch: list[Finished]) -> None:
    """Give the files their names, and make these durable."""
    for entries in by_folder(batch):
        attempt(entries, _publish)


def by_folder(batch: list[Finished]) -> Iterable[list[Finished]]:
    """Return them sorted by the folders that they are made in."""
    folders: dict[Path, list[Finished]] = {}
    for entry in batch:
        folders.setdefault(entry.order.directory, []).append(entry)
    return folders.values()


def attempt(
    entries: list[Finished], function: Callable[[Folder, list[Finished]], None], *, is_made: bool = False
) -> None:
    """Do something with files of one folder, which is opened once; what fails for it fails for each of them."""
    try:
        with Folder(entries[0].order.directory, is_made=is_made) as folder:
            function(folder, entries)
    except (BackgroundTransferError, OSError) as error:
        for entry in entries:
            entry.failure = entry.failure or error


def each(folder: Folder, entries: list[Finished], function: Callable[[Folder, Finished], None]) -> None:
    """Do something with each file; one that fails takes no other with it."""
    for entry in entries:
        if entry.failure is None:
            try:
                function(folder, entry)
            except (BackgroundTransferError, OSError) as error:
                entry.failure = error


def _prepare(folder: Folder, entries: list[Finished]) -> None:
    each(folder, entries, write_back)
    each(folder, entries, _make_durable)


def write_back(folder: Folder, entry: Finished) -> None:
    """Write a body that is in memory into a file of its own, and have the system begin to write that back."""
    if entry.small_body is None or entry.is_written:
        return
    if entry.file is None:
        entry.file = create_file(folder, entry.operation_id, entry.durable)
    else:  # left by a commit that was announced and did not come to its end
        entry.file.truncate(0)
    entry.file.fill(entry.small_body)
    entry.is_written = True


def _make_durable(_: Folder, entry: Finished) -> None:
    assert entry.file is not None  # noqa: S101 (it was just written)
    entry.file.sync()


def _publish(folder: Folder, entries: list[Finished]) -> None:
    each(folder, entries, _give_name)
    folder.sync()


def _give_name(folder: Folder, entry: Finished) -> None:
    file, order = entry.file, entry.order
    assert file is not None  # noqa: S101 (it was prepared)
    # At the last moment: the announcement may have waited long for a disk with room.
    entry.footprint = file.check(entry.size, folder=folder)
    is_plain = entry.holding is None and order.collision is not _REPLACE and not order.replaces
    if not (is_plain and file.take_name(os.path.basename(entry.place), folder)):  # noqa: PTH119 (for every small file)
        entry.path = file.publish(Path(entry.place), order.collision, replaces=order.replaces, folder=folder)
    entry.close()

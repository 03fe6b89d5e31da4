"""An archive on its way to a folder: prepared out of sight, made durable, then given its name. All of it blocks."""

from __future__ import annotations

import contextlib
import ctypes
import filecmp
import itertools
import lzma
import os
import shutil
import sys
import tarfile
import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from bgdl_jupyter.errors import DestinationExists, PostProcessingFailed, StorageFailed
from bgdl_jupyter.status import CreationCollisionOption
from bgdl_jupyter.storage.archives.members import Format, format_of, opened_members
from bgdl_jupyter.storage.archives.tree import Tree
from bgdl_jupyter.storage.descriptor import Footprint
from bgdl_jupyter.storage.disk import failing_as, make_directories, storage_failed, sync_directory
from bgdl_jupyter.storage.filenames import MOST_NAMES, unique_names
from bgdl_jupyter.storage.publishing import exchange, rename_exclusively

if TYPE_CHECKING:
    from collections.abc import Iterator
    from uuid import UUID

    from bgdl_jupyter.storage.archives.gauge import Gauge

_CONTENT: Final = "content"
_PRIVATE: Final = 0o700
_SUFFIXES: Final = (".tgz", ".tbz", ".tbz2", ".txz", ".tzst", ".tar", ".zip", ".gz", ".bz2", ".xz", ".zst")
_NO_NAMES: Final = ("", ".", "..")
#: What libraries raise for damaged contents; some of it they raise as an ``OSError`` without a number.
_DAMAGE: Final = (
    tarfile.TarError,
    zipfile.BadZipFile,
    zlib.error,
    lzma.LZMAError,
    EOFError,
    ValueError,
    RuntimeError,
    NotImplementedError,
    OverflowError,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """
    What is to be unpacked.

    Parameters
    ----------
    archive:
        The file.
    folder:
        Where to; None for a name beside the archive.
    collision:
        What to do when that exists.
    operation_id:
        Whose it is: the private folder bears it.
    replaces:
        What folders are known by that may be replaced: those that were unpacked, and left alone since.
    """

    archive: Path
    folder: Path | None
    collision: CreationCollisionOption
    operation_id: UUID
    replaces: frozenset[Footprint] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class Prepared:
    """What is unpacked and has no name yet: where it is to go, where it is, and by what it is known."""

    target: Path
    content: Path
    identity: tuple[int, int]
    footprint: Footprint


def name_without_suffix(name: str) -> str:
    """Return what an archive's name is without the endings that say that it is one."""
    short = name
    while (suffix := next((each for each in _SUFFIXES if short.lower().endswith(each)), None)) is not None:
        if short[: -len(suffix)] in _NO_NAMES:
            break
        short = short[: -len(suffix)]
        if suffix not in (".gz", ".bz2", ".xz", ".zst"):
            break
    return short


def target_of(order: Order) -> Path:
    """Return the name that is wanted for what comes out."""
    if order.folder is not None:
        return order.folder
    name = name_without_suffix(order.archive.name)
    return order.archive.with_name(name if name != order.archive.name else f"{name}.unpacked")


def private_folder(parent: Path, operation_id: UUID) -> Path:
    """Return where an operation's archive is unpacked."""
    return parent / f".bgdl-{operation_id.hex}.unpacking"


def prepare(order: Order, gauge: Gauge) -> Prepared:
    """
    Unpack out of sight, durably.

    Raises
    ------
    DestinationExists
        The name is taken by what is not replaced; nothing was unpacked.
    PostProcessingFailed
        The archive is damaged, unknown or unsafe, or it becomes too large; nothing is left of it.
    UnpackCanceled
        It was given up; nothing is left of it.
    StorageFailed
        The disk refused.
    """
    target = target_of(order)
    if order.collision is CreationCollisionOption.FAIL_IF_EXISTS:
        _refuse_existing(target)
    elif order.collision is CreationCollisionOption.REPLACE_EXISTING:
        _refuse_foreign(target, order)
    make_directories(target.parent)
    private = private_folder(target.parent, order.operation_id)
    discard(private)
    with failing_as(private, "create"):
        private.mkdir(_PRIVATE)
    try:
        with _opened_private(private) as folder:
            _unpack(order, private, folder, target, gauge)
            _make_durable(folder)
            status = os.stat(_CONTENT, dir_fd=folder, follow_symlinks=False)
    except BaseException:
        discard(private)
        raise
    return _prepared(target, private / _CONTENT, status)


@contextlib.contextmanager
def _opened_private(path: Path) -> Iterator[int]:
    """
    Give a descriptor of a private folder: who may write beside it may put a link in its place, or a folder of theirs.

    Raises
    ------
    StorageFailed
        It is not there any more, or is not ours.
    """
    with failing_as(path, "open"):
        folder = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        if os.fstat(folder).st_uid != os.geteuid():
            raise StorageFailed(f"{path.name!r} in {str(path.parent)!r} belongs to another user.")
        yield folder
    finally:
        os.close(folder)


def _prepared(target: Path, content: Path, status: os.stat_result) -> Prepared:
    identity = (status.st_dev, status.st_ino)
    return Prepared(target=target, content=content, identity=identity, footprint=Footprint.of(status))


def _unpack(order: Order, private: Path, folder: int, target: Path, gauge: Gauge) -> None:
    try:
        form = format_of(order.archive)
        is_one_file = form is Format.SINGLE and order.folder is None
        name = _CONTENT if is_one_file else name_without_suffix(order.archive.name)
        if not is_one_file:
            os.mkdir(_CONTENT, _PRIVATE, dir_fd=folder)
        tree = Tree(folder, "" if is_one_file else _CONTENT, gauge)
        with opened_members(order.archive, form, gauge, folder=private, name=name) as members:
            for member in members:
                tree.add(member)
                gauge.members_done += 1
        if not is_one_file:
            tree.finish()
    except OSError as error:
        if error.errno is None:
            raise _damaged(order.archive, error) from error
        raise storage_failed(error, target, "unpack") from error
    except _DAMAGE as error:
        raise _damaged(order.archive, error) from error


def _damaged(archive: Path, error: Exception) -> PostProcessingFailed:
    return PostProcessingFailed(f"The archive {archive.name!r} is damaged: {str(error) or type(error).__name__}.")


def _refuse_existing(target: Path) -> None:
    if os.path.lexists(target):
        raise DestinationExists(f"{str(target)!r} exists.")


def _refuse_foreign(target: Path, order: Order) -> None:
    """Refuse to replace a folder that is not as it was unpacked, or that something stands in which is in use."""
    with failing_as(target, "publish"):
        if target.is_symlink() or not target.is_dir():
            return  # no folder goes
        if Footprint.at(target) not in order.replaces:
            raise DestinationExists(
                f"{str(target)!r} is there, and is no folder that was unpacked here and left as it came.",
                hint="Move it away, or unpack into another folder; GENERATE_UNIQUE_NAME keeps both.",
            )
        if any(each.is_relative_to(target.resolve()) for each in _in_use(order)):
            raise DestinationExists(
                f"{str(target)!r} holds the working folder or the archive; it is not replaced.",
                hint="Unpack into another folder; GENERATE_UNIQUE_NAME keeps both.",
            )


def _in_use(order: Order) -> list[Path]:
    paths = [order.archive.resolve()]
    with contextlib.suppress(FileNotFoundError):  # somebody removed it
        paths.append(Path.cwd().resolve())
    return paths


def _make_durable(folder: int) -> None:
    """Have all that was written reach the disk, in one go: one file after the other takes a hundred times as long."""
    if sys.platform == "linux":
        with contextlib.suppress(AttributeError):  # an old library
            if ctypes.CDLL(None, use_errno=True).syncfs(folder) == 0:
                return
    if hasattr(os, "sync"):
        os.sync()


# --------------------------------------------------------------------------------------------------------- its name


def publish(prepared: Prepared, order: Order) -> Path:
    """
    Give what is prepared its name, and return it.

    What exists is only replaced where that was asked, and then in one step where the system has such a step.

    Raises
    ------
    DestinationExists
        The name is taken.
    StorageFailed
        The disk refused, or what stands there is none that is replaced.
    """
    target, content = prepared.target, prepared.content
    with _opened_private(content.parent) as folder, failing_as(target, "publish"):
        status = os.stat(content.name, dir_fd=folder, follow_symlinks=False)
        if (status.st_dev, status.st_ino) != prepared.identity:
            raise StorageFailed(f"What was unpacked for {str(target)!r} is not there any more.", hint="Run: retry().")
        path = _place(folder, content, target, order)
    discard(content.parent)
    sync_directory(target.parent)
    return path


def _place(folder: int, content: Path, target: Path, order: Order) -> Path:
    collision = order.collision
    if collision is CreationCollisionOption.FAIL_IF_EXISTS:
        _refuse_existing(target)
    elif collision is CreationCollisionOption.REPLACE_EXISTING and os.path.lexists(target):
        _refuse_foreign(target, order)  # it may have come into being meanwhile
        return _replace(folder, content, target)
    elif collision is CreationCollisionOption.OPEN_IF_EXISTS and _is_same(content, target):
        return target
    tries = 1 if collision is CreationCollisionOption.FAIL_IF_EXISTS else MOST_NAMES
    for path in itertools.islice(unique_names(target, os.path.lexists), tries):
        try:
            rename_exclusively(folder, content.name, path)
        except FileExistsError:
            continue
        return path
    raise DestinationExists(f"{str(target)!r} exists.")


def _replace(folder: int, content: Path, target: Path) -> Path:
    if target.is_symlink() or target.is_dir() != content.is_dir():
        what = "a link" if target.is_symlink() else "a folder" if target.is_dir() else "a file"
        raise StorageFailed(f"{str(target)!r} is {what}; it is not replaced by what was unpacked.")
    if content.is_dir():
        exchange(folder, content.name, target)  # and the old one goes with the private folder
    else:
        os.replace(content.name, target, src_dir_fd=folder)
    return target


def find_published(target: Path, identity: tuple[int, int]) -> Path | None:
    """
    Return the name that something was given before it was recorded; None where it has none.

    Parameters
    ----------
    target:
        The name that was wanted.
    identity:
        Device and inode of what was unpacked.
    """
    with contextlib.suppress(FileNotFoundError, NotADirectoryError), os.scandir(target.parent) as entries:
        for entry in entries:
            if entry.inode() == identity[1]:
                status = entry.stat(follow_symlinks=False)
                if (status.st_dev, status.st_ino) == identity:
                    return target.parent / entry.name
    return None


def still_prepared(order: Order, identity: tuple[int, int]) -> Prepared | None:
    """Return what an earlier kernel had unpacked and given no name; None where it is not there any more."""
    target = target_of(order)
    content = private_folder(target.parent, order.operation_id) / _CONTENT
    try:
        status = content.lstat()
    except OSError:
        return None
    if (status.st_dev, status.st_ino) != identity:
        return None
    return _prepared(target, content, status)


def discard(private: Path) -> None:
    """Remove a private folder and all that is in it, where there is one."""
    with failing_as(private, "delete"), contextlib.suppress(FileNotFoundError):
        shutil.rmtree(private)


def _is_same(ours: Path, theirs: Path) -> bool:
    """Whether two files, or two folders with all that is in them, are alike."""
    if theirs.is_symlink() or ours.is_symlink():
        return theirs.is_symlink() and ours.is_symlink() and ours.readlink() == theirs.readlink()
    if not ours.is_dir() or not theirs.is_dir():
        return ours.is_file() and theirs.is_file() and filecmp.cmp(ours, theirs, shallow=False)
    names = {each.name for each in ours.iterdir()}
    if names != {each.name for each in theirs.iterdir()}:
        return False
    return all(_is_same(ours / name, theirs / name) for name in names)

"""
How a partial file gets its name.

A name that must not be taken from anybody is given by a hard link; where there are none by a rename that refuses to
replace, else by an empty placeholder that we made. Small files, of which there are thousands, try that rename first: it
is one step. A name that may be taken is given by a rename. All of it happens in one folder that was opened once, and
after an error the disk is asked whether it happened all the same (network file systems answer so).
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import functools
import os
import stat
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from bgdl_jupyter.errors import DestinationExists, StorageFailed
from bgdl_jupyter.status import CreationCollisionOption
from bgdl_jupyter.storage.descriptor import FileIdentity, Footprint

if TYPE_CHECKING:
    from bgdl_jupyter.storage.folder import Folder

#: Gives the names to try, best first; asks the second argument whether a name is taken.
Names = Callable[[Path, Callable[[Path], bool]], Iterator[Path]]

_NO_LINKS: Final = frozenset({errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK, errno.EXDEV})
_NO_EXCLUSIVE_RENAME: Final = frozenset({errno.EINVAL, errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP})
_RENAME_NOREPLACE: Final = 1
_RENAME_EXCHANGE: Final = 2
#: `AT_FDCWD`: paths are taken as they are.
_HERE: Final = -100
_PRIVATE: Final = 0o600


@dataclass(frozen=True, slots=True, kw_only=True)
class Publication:
    """One file on its way to its name; ``folder`` and ``descriptor`` are open, ``identity`` is that of the file."""

    folder: Folder
    descriptor: int
    identity: FileIdentity
    part: str
    destination: Path
    replaces: Collection[Footprint] = ()

    def carry_out(self, collision: CreationCollisionOption, names: Names) -> Path:
        """Give the name; see `PartialFile.publish`."""
        # Set before the file is seen under its name; the state of the file itself stays private until then.
        os.fchmod(self.descriptor, self.folder.file_mode)
        try:
            return self._give_name(collision, names)
        except BaseException:
            os.fchmod(self.descriptor, _PRIVATE)
            raise

    def _give_name(self, collision: CreationCollisionOption, names: Names) -> Path:
        if collision is CreationCollisionOption.REPLACE_EXISTING or self._may_replace(collision):
            return self._replace()
        if collision is not CreationCollisionOption.GENERATE_UNIQUE_NAME:
            if not self._take(self.destination.name):
                raise DestinationExists(f"{str(self.destination)!r} exists.")
            return self.destination
        if already := self._published_before():
            return already
        for path in names(self.destination, self._is_taken):
            if path.parent != self.destination.parent:
                raise StorageFailed(f"{str(path)!r} is not in the folder of {str(self.destination)!r}.")
            if self._take(path.name):
                return path
        raise StorageFailed(f"No free name like {self.destination.name!r} was found.")

    def _published_before(self) -> Path | None:
        """Return the name that a run before this one gave, which was cut off before it dropped the private name."""
        status = os.fstat(self.descriptor)
        if status.st_nlink == 1:
            return None
        already = find_published(self.destination.parent, self.identity, size=status.st_size, private=(self.part,))
        if already is not None:
            self._drop_part()
        return already

    def _may_replace(self, collision: CreationCollisionOption) -> bool:
        """Whether what has the name is a file of ours that nobody touched since; looked at once more, just before."""
        if collision is not CreationCollisionOption.OPEN_IF_EXISTS or not self.replaces:
            return False
        status = self._status(self.destination.name)
        return status is not None and Footprint.of(status) in self.replaces

    def _replace(self) -> Path:
        name = self.destination.name
        status = self._status(name)
        if status is not None:
            if FileIdentity.of(status) == self.identity:
                self._drop_part()
                return self.destination
            self._refuse_what_is_no_file(status)
        try:
            self._rename(name)
        except OSError:
            if not self._is_ours(name):
                raise
        return self.destination

    def _take(self, name: str) -> bool:
        """Give the file a name that nothing has; False where something has it."""
        for way in (self._link, self._rename_exclusively, self._rename_onto_placeholder):
            try:
                way(name)
            except FileExistsError:
                # A run before this one, or a network file system that answers late, may have given it.
                if not self._is_ours(name):
                    return False
            except NotImplementedError:
                continue
            except OSError:
                if not self._is_ours(name):
                    raise
            self._drop_part()
            return True
        raise StorageFailed(f"{name!r} cannot be given safely on this file system.")

    def _link(self, name: str) -> None:
        try:
            folder = self.folder.descriptor
            os.link(self.part, name, src_dir_fd=folder, dst_dir_fd=folder, follow_symlinks=False)
        except OSError as error:
            if error.errno in _NO_LINKS:
                raise NotImplementedError from error
            raise

    def _rename_exclusively(self, name: str) -> None:
        folder = self.folder.descriptor
        _rename_at(folder, self.part, folder, name, flags=_RENAME_NOREPLACE)

    def _rename_onto_placeholder(self, name: str) -> None:
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        placeholder = os.open(name, flags, _PRIVATE, dir_fd=self.folder.descriptor)
        try:
            self._rename(name)
        except OSError:
            status = self._status(name)
            if status is not None and os.path.samestat(status, os.fstat(placeholder)):
                os.unlink(name, dir_fd=self.folder.descriptor)
            raise
        finally:
            os.close(placeholder)

    def _drop_part(self) -> None:
        """Remove the private name if it still leads to the file."""
        if self._is_ours(self.part):
            with contextlib.suppress(FileNotFoundError):
                os.unlink(self.part, dir_fd=self.folder.descriptor)

    def _rename(self, name: str) -> None:
        folder = self.folder.descriptor
        os.replace(self.part, name, src_dir_fd=folder, dst_dir_fd=folder)

    def _is_ours(self, name: str) -> bool:
        status = self._status(name)
        return status is not None and FileIdentity.of(status) == self.identity

    def _is_taken(self, path: Path) -> bool:
        return self._status(path.name) is not None

    def _status(self, name: str) -> os.stat_result | None:
        try:
            return os.stat(name, dir_fd=self.folder.descriptor, follow_symlinks=False)
        except FileNotFoundError:
            return None

    def _refuse_what_is_no_file(self, status: os.stat_result) -> None:
        if not (stat.S_ISREG(status.st_mode) or stat.S_ISLNK(status.st_mode)):
            kind = "a folder" if stat.S_ISDIR(status.st_mode) else "a device, a pipe or a socket"
            raise StorageFailed(f"{str(self.destination)!r} is {kind}; it is not replaced.")


def name_quickly(folder: Folder, descriptor: int, part: str, name: str, *, identity: FileIdentity) -> bool:
    """
    Give a file that has no other name but its private one a name that nothing has.

    What a `Publication` does of most small files, in as few steps: one rename where the file system can refuse to
    replace.

    Returns
    -------
    bool
        False where that was not possible, for whatever reason: nothing was done, and a `Publication` says why.
    """
    within = folder.descriptor
    try:
        os.fchmod(descriptor, folder.file_mode)
        if _rename_in(folder, part, name, identity=identity):
            return True
        os.link(part, name, src_dir_fd=within, dst_dir_fd=within, follow_symlinks=False)
    except OSError:
        with contextlib.suppress(OSError):
            os.fchmod(descriptor, _PRIVATE)
        return False
    if _leads_to(folder, part, identity):
        with contextlib.suppress(FileNotFoundError):  # somebody else has dropped it
            os.unlink(part, dir_fd=within)
    return True


def _rename_in(folder: Folder, part: str, name: str, *, identity: FileIdentity) -> bool:
    """Rename a file to a name that nothing has; False where the file system cannot do so, which is asked once."""
    if folder.renames_exclusively:
        try:
            _rename_at(folder.descriptor, part, folder.descriptor, name, flags=_RENAME_NOREPLACE)
        except NotImplementedError:
            folder.renames_exclusively = False
        except OSError:
            if not _leads_to(folder, name, identity):
                raise
    return folder.renames_exclusively


def _leads_to(folder: Folder, name: str, identity: FileIdentity) -> bool:
    try:
        return FileIdentity.of(os.stat(name, dir_fd=folder.descriptor, follow_symlinks=False)) == identity
    except FileNotFoundError:
        return False


def rename_exclusively(folder: int, old: str, new: Path) -> None:
    """
    Rename a file or a folder, which has a name in an open folder, to a name that nothing has.

    Raises
    ------
    FileExistsError
        Something has it. Where the system cannot refuse by itself, an empty folder that comes into being in the very
        moment of the rename is taken for nothing.
    """
    try:
        _rename_at(folder, old, _HERE, str(new), flags=_RENAME_NOREPLACE)
    except NotImplementedError:
        if os.path.lexists(new):
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(new)) from None
        os.rename(old, new, src_dir_fd=folder)


def exchange(folder: int, old: str, new: Path) -> None:
    """Let two folders, of which one has a name in an open folder, have each other's names: if possible in one step."""
    try:
        _rename_at(folder, old, _HERE, str(new), flags=_RENAME_EXCHANGE)
    except NotImplementedError:
        aside = f"{old}.replaced"
        os.rename(new, aside, dst_dir_fd=folder)
        os.rename(old, new, src_dir_fd=folder)
        os.rename(aside, old, src_dir_fd=folder, dst_dir_fd=folder)


@functools.cache
def _renameat2() -> Callable[..., int] | None:
    """Return the function of the C library, which Python does not have; None where it has none either."""
    return getattr(ctypes.CDLL(None, use_errno=True), "renameat2", None) if os.name == "posix" else None


def _rename_at(old_folder: int, old: str, new_folder: int, new: str, *, flags: int) -> None:
    rename = _renameat2()
    if rename is None:
        raise NotImplementedError
    if rename(old_folder, os.fsencode(old), new_folder, os.fsencode(new), ctypes.c_uint(flags)) == 0:
        return
    number = ctypes.get_errno()
    if number in _NO_EXCLUSIVE_RENAME:
        raise NotImplementedError
    raise OSError(number, os.strerror(number))


def find_published(
    directory: Path, identity: tuple[int, int], *, size: int, private: Collection[str] = ()
) -> Path | None:
    """
    Return under which name in a folder a file was published; None where it was not.

    For an operation that was interrupted after its partial file got its name and before that was recorded. Reads the
    whole folder.

    Parameters
    ----------
    directory:
        Where the destination was to be.
    identity:
        Device and inode of the partial file.
    size:
        The length it had.
    private:
        Names that do not count: those of partial files.
    """
    with contextlib.suppress(FileNotFoundError, NotADirectoryError), os.scandir(directory) as entries:
        for entry in entries:
            if entry.name in private or entry.inode() != identity[1]:
                continue
            status = entry.stat(follow_symlinks=False)
            if (status.st_dev, status.st_ino, status.st_size) == (*identity, size):
                return directory / entry.name
    return None

"""
The private file that the bytes go to until they are whole.

On disk, for an operation whose destination is ``data/big.tar``::

    data/.6f0c2f9d0b5e4d8f9a3c1f0e7d6b5a49-1.bgdl   .<guid>-<epoch>.bgdl, 0600; bears no name of the server's
    data/big.tar                                    appears when published: whole, verified, never before

The epoch is that of the lease: a kernel that lost it writes into a file that nobody will publish. What the state file
says of a partial file is believed only if name, device and inode agree; nothing else is ever truncated or deleted.
"""

from __future__ import annotations

import contextlib
import os
import stat
from typing import TYPE_CHECKING, Final, NoReturn

from bgdl_jupyter.errors import StorageFailed
from bgdl_jupyter.storage.descriptor import Descriptor, FileIdentity, Footprint
from bgdl_jupyter.storage.disk import failing_as, opened_directory, storage_failed, write_all
from bgdl_jupyter.storage.filenames import names_at_commit
from bgdl_jupyter.storage.folder import Folder
from bgdl_jupyter.storage.publishing import Publication, name_quickly

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator
    from pathlib import Path
    from uuid import UUID

    from bgdl_jupyter.status import CreationCollisionOption
    from bgdl_jupyter.storage.publishing import Names

_PRIVATE: Final = 0o600
_COPIED_AT_ONCE: Final = 1 << 20
_sync: Final = getattr(os, "fdatasync", os.fsync)  # macOS has no fdatasync


class PartialFileLost(StorageFailed):
    """The partial file is gone, or is not the one that we wrote; its bytes have to be fetched again."""


class PartialFileExists(StorageFailed):
    """There is a file of this name already; one that nobody knows of is removed by `discard_leftovers`."""


def partial_name(operation_id: UUID, epoch: int) -> str:
    """Return the name of an operation's partial file in the folder of its destination."""
    return f".{operation_id.hex}-{epoch}.bgdl"


class PartialFile:
    """
    An open partial file. Made by `create`, `reopen` and `take_over`; every method may be called from any thread.

    Every method that touches the disk raises `StorageFailed`, or its kinds `DiskFull` and `PartialFileLost`.

    Attributes
    ----------
    parent, name:
        Where it is.
    identity:
        Device and inode, to be recorded.
    made_directory:
        Whether its folder was made for it; only such a folder may be made again.
    """

    def __init__(
        self, parent: Path, name: str, descriptor: int, *, folder: FileIdentity, made_directory: bool = False
    ) -> None:
        self.parent = parent
        self.name = name
        self.made_directory = made_directory
        self.identity = FileIdentity.of(os.fstat(descriptor))
        self._folder = folder  # its path may come to mean another one
        self._descriptor = Descriptor(descriptor)
        self._end = 0  # how far it was written
        self._is_poisoned = False

    @property
    def path(self) -> Path:
        """Where it is; put together when it is asked for, since few ask."""
        return self.parent / self.name

    @classmethod
    def create(cls, directory: Path, operation_id: UUID, epoch: int) -> PartialFile:
        """Make an empty partial file, and its folder where that is missing."""
        with Folder(directory, is_made=True) as folder:
            return cls.create_in(folder, operation_id, epoch)

    @classmethod
    def create_in(cls, folder: Folder, operation_id: UUID, epoch: int) -> PartialFile:
        """Make an empty partial file in an open folder; `PartialFileExists` where there is one."""
        name = partial_name(operation_id, epoch)
        flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        try:
            descriptor = os.open(name, flags, _PRIVATE, dir_fd=folder.descriptor)
        except FileExistsError as error:
            raise PartialFileExists(storage_failed(error, folder.path / name, "create").message) from error
        except OSError as error:
            raise storage_failed(error, folder.path / name, "create") from error
        return cls(folder.path, name, descriptor, folder=folder.identity, made_directory=folder.was_made)

    @classmethod
    def reopen(
        cls, directory: Path, operation_id: UUID, epoch: int, *, identity: FileIdentity, at_least: int
    ) -> PartialFile:
        """
        Open the partial file of an earlier run.

        Parameters
        ----------
        directory, operation_id, epoch:
            What its path is made of.
        identity:
            What was recorded of it.
        at_least:
            The durable bytes it must have; bytes behind them are unknown, `truncate` them.

        Raises
        ------
        PartialFileLost
            It is not there, not the recorded one, not a regular file, or shorter.
        """
        path = directory / partial_name(operation_id, epoch)
        with _losing(path), opened_directory(directory) as folder:
            return cls._open(path, folder, identity=identity, at_least=at_least)

    @classmethod
    def take_over(
        cls,
        directory: Path,
        operation_id: UUID,
        old_epoch: int,
        new_epoch: int,
        *,
        identity: FileIdentity,
        at_least: int,
        copy: bool,
    ) -> PartialFile:
        """
        Make the partial file of an earlier owner ours.

        May be repeated after a crash at any point.

        Parameters
        ----------
        directory, operation_id:
            What its path is made of, beside the epoch.
        old_epoch, new_epoch:
            The epoch that was recorded with the file, and that of our lease.
        identity, at_least:
            As for `reopen`.
        copy:
            The earlier owner may still write: the first ``at_least`` bytes are copied into a fresh file. Record its
            identity, then call `discard_partial_file` for the old one.

        Raises
        ------
        PartialFileLost
            As `reopen`.
        """
        epochs = range(old_epoch, new_epoch + 1)
        paths = [directory / partial_name(operation_id, epoch) for epoch in epochs]
        with _losing(paths[0]), opened_directory(directory) as folder:
            # A kernel that died between the renaming and its record leaves an epoch in between.
            old = next((path for path in paths if _identity_at(path.name, folder) == identity), paths[0])
            for leftover in paths[1:]:
                if leftover != old:
                    _remove_leftover(leftover.name, folder)
            if copy:
                with contextlib.closing(cls._open(old, folder, identity=identity, at_least=at_least)) as source:
                    return cls._copied(source, paths[-1], folder, at_least)
            cls._open(old, folder, identity=identity, at_least=at_least).close()
            if old != paths[-1]:
                os.rename(old.name, paths[-1].name, src_dir_fd=folder, dst_dir_fd=folder)
            return cls._open(paths[-1], folder, identity=identity, at_least=at_least)

    @classmethod
    def _open(cls, path: Path, folder: int, *, identity: FileIdentity, at_least: int) -> PartialFile:
        status = os.stat(path.name, dir_fd=folder, follow_symlinks=False)
        if not stat.S_ISREG(status.st_mode):  # looked at first: opening a pipe would wait for its other end
            raise PartialFileLost(f"{path.name!r} is not a regular file any more.")
        descriptor = os.open(path.name, os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK, dir_fd=folder)
        file = cls(path.parent, path.name, descriptor, folder=FileIdentity.of(os.fstat(folder)))
        try:
            file._refuse_another(identity, at_least)
        except BaseException:
            file.close()
            raise
        return file

    def _refuse_another(self, identity: FileIdentity, at_least: int) -> None:
        if self.identity != identity:
            raise PartialFileLost(f"{self.name!r} is another file than the one that was written.")
        if self.size < at_least:
            raise PartialFileLost(f"{self.name!r} has {self.size:,} bytes, {at_least:,} were written.")
        self._end = at_least

    @classmethod
    def _copied(cls, source: PartialFile, path: Path, folder: int, length: int) -> PartialFile:
        flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        descriptor = os.open(path.name, flags, _PRIVATE, dir_fd=folder)
        copy = cls(path.parent, path.name, descriptor, folder=FileIdentity.of(os.fstat(folder)))
        try:
            for offset in range(0, length, _COPIED_AT_ONCE):
                copy.write(source.read(offset, min(_COPIED_AT_ONCE, length - offset)), offset)
            copy.sync()
        except BaseException:
            copy.discard()
            raise
        return copy

    @property
    def size(self) -> int:
        """The length of the file; what is durable and what is a hole, it does not say."""
        with failing_as(self, "look at"), self._descriptor.borrow() as descriptor:
            return os.fstat(descriptor).st_size

    def write(self, data: bytes | bytearray | memoryview, offset: int) -> None:
        """Write all bytes at an offset; not durable before `sync`."""
        with self._descriptor.borrow() as descriptor:
            try:
                # A file that somebody cut would get zeros where bytes were written, and its length be right again.
                if os.fstat(descriptor).st_size < self._end:
                    self._lose("was cut while it was written")
                write_all(descriptor, data, offset)
            except OSError as error:
                raise storage_failed(error, self, "write") from error
            self._end = max(self._end, offset + len(data))

    def _lose(self, what: str) -> NoReturn:
        raise PartialFileLost(f"{self.name!r} {what}.")

    def read(self, offset: int, length: int) -> bytes:
        """Return the bytes at an offset; fewer at the end of the file."""
        parts: list[bytes] = []
        with failing_as(self, "read"), self._descriptor.borrow() as descriptor:
            while length > 0 and (part := os.pread(descriptor, length, offset)):
                parts.append(part)
                offset += len(part)
                length -= len(part)
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def fill(self, data: memoryview) -> None:
        """Write a whole small file, and have the system begin to write it back: a `sync` has less to do then."""
        with failing_as(self, "write"), self._descriptor as descriptor:
            write_all(descriptor, data, 0)
            if hasattr(os, "posix_fadvise"):
                os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)

    def sync(self) -> None:
        """
        Make all that was written durable.

        After one failure every further call fails: the system may have dropped the bytes and forgotten the error. Go
        back to the last good watermark with a reopened file.
        """
        if self._is_poisoned:
            raise StorageFailed(f"An earlier synchronisation of {self.name!r} failed; its bytes are unknown.")
        with self._descriptor.borrow() as descriptor:
            try:
                _sync(descriptor)
            except OSError as error:
                self._is_poisoned = True
                raise storage_failed(error, self, "synchronise") from error

    def truncate(self, size: int) -> None:
        """Cut off what is behind ``size`` bytes."""
        self._end = min(self._end, size)
        with failing_as(self, "truncate"), self._descriptor.borrow() as descriptor:
            os.ftruncate(descriptor, size)

    def check(self, expected_size: int | None = None, *, at_least: int = 0, folder: Folder | None = None) -> Footprint:
        """
        C5: check that the path still leads to this file, and that its length is right; return what it is known by.

        ``folder`` is that of its path, where it is open anyway.

        Raises
        ------
        PartialFileLost
            Somebody deleted, replaced, truncated or lengthened it.
        """
        within = None if folder is None else folder.descriptor
        with failing_as(self, "look at"):
            try:
                status = os.stat(self.path if within is None else self.name, dir_fd=within, follow_symlinks=False)
            except (FileNotFoundError, NotADirectoryError):
                status = None
        if status is None or FileIdentity.of(status) != self.identity:
            self._lose("was deleted or replaced while it was written")
        expected = at_least if expected_size is None else expected_size
        if status.st_size < expected or (expected_size is not None and status.st_size > expected):
            self._lose(f"has {status.st_size:,} bytes instead of {expected:,}")
        return Footprint.of(status)

    def publish(
        self,
        destination: Path,
        collision: CreationCollisionOption,
        *,
        names: Names = names_at_commit,
        replaces: Collection[Footprint] = (),
        folder: Folder | None = None,
    ) -> Path:
        """
        Give the file its name, atomically, and return it; `check` and `sync` come before, `sync_directory` after.

        May be repeated after a crash: a name that already leads to this file is taken as the outcome. What is there is
        replaced only where ``collision`` says so; a symbolic link is replaced itself.

        Parameters
        ----------
        destination:
            A path in the folder of the partial file.
        collision:
            What to do where the name is taken.
        names:
            Gives the names to try for GENERATE_UNIQUE_NAME.
        replaces, folder:
            The files that OPEN_IF_EXISTS may replace: those that we wrote, left alone since; the destination's folder.

        Raises
        ------
        DestinationExists
            The name is taken, and what has it may be neither replaced nor avoided.
        StorageFailed
            A folder or a device has the name, the folder was replaced, or the disk refused.
        """
        if folder is None:
            with Folder(destination.parent) as opened:
                return self.publish(destination, collision, names=names, replaces=replaces, folder=opened)
        if folder.identity != self._folder:
            raise StorageFailed(f"The folder {str(destination.parent)!r} is not the one that was written to.")
        with failing_as(destination, "publish"), self._descriptor.borrow() as descriptor:
            return Publication(
                folder=folder,
                descriptor=descriptor,
                identity=self.identity,
                part=self.name,
                destination=destination,
                replaces=replaces,
            ).carry_out(collision, names)

    def take_name(self, name: str, folder: Folder) -> bool:
        """Give a file that was just made a free name in its folder; False, and nothing done, where `publish` is due."""
        if folder.identity != self._folder:
            return False
        with self._descriptor.borrow() as descriptor:
            return name_quickly(folder, descriptor, self.name, name, identity=self.identity)

    def discard(self) -> bool:
        """Close the file and delete it if its name still leads to it; tell whether it was deleted."""
        self.close()
        return discard_partial_file(self.path, self.identity)

    def close(self) -> None:
        """Close the file; what is still running on it ends first. May be repeated."""
        self._descriptor.close()


def discard_partial_file(path: Path, identity: FileIdentity) -> bool:
    """Delete a partial file if it is the recorded one; tell whether it was deleted."""
    if not (path.name.startswith(".") and path.name.endswith(".bgdl")):
        return False
    absent = contextlib.suppress(FileNotFoundError, NotADirectoryError)
    with failing_as(path, "delete"), absent, opened_directory(path.parent) as folder:
        if _identity_at(path.name, folder) == identity:
            os.unlink(path.name, dir_fd=folder)
            return True
    return False


def _identity_at(name: str, folder: int) -> FileIdentity | None:
    try:
        return FileIdentity.of(os.stat(name, dir_fd=folder, follow_symlinks=False))
    except FileNotFoundError:
        return None


def _remove_leftover(name: str, folder: int) -> None:
    """Delete what an interrupted take-over left; the name cannot be anybody else's, and only plain files go."""
    with contextlib.suppress(FileNotFoundError):
        if stat.S_ISREG(os.stat(name, dir_fd=folder, follow_symlinks=False).st_mode):
            os.unlink(name, dir_fd=folder)


@contextlib.contextmanager
def _losing(path: Path) -> Iterator[None]:
    """Turn the absence of a partial file into `PartialFileLost`."""
    try:
        with failing_as(path, "open"):
            yield
    except StorageFailed as error:
        if isinstance(error.__cause__, FileNotFoundError | NotADirectoryError):
            raise PartialFileLost(f"{path.name!r} is gone from {str(path.parent)!r}.") from error.__cause__
        raise

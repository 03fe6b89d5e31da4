"""
The folder that an archive is unpacked into: every name is checked, and nothing is ever written through a link.

Names are used with the open folder, so that nobody who may write beside it can put another one in its place. Links are
made last, when all files are there, and lead to what is in the folder; what others may do, and the bits that give a
program another user's rights, are taken from every file.
"""

from __future__ import annotations

import os
import posixpath
from typing import TYPE_CHECKING, Final

from bgdl_jupyter.storage.archives.members import Kind
from bgdl_jupyter.storage.archives.names import Parts, is_unsafe_text, parts_of, refused
from bgdl_jupyter.storage.archives.streams import CHUNK
from bgdl_jupyter.storage.disk import current_umask

if TYPE_CHECKING:
    from bgdl_jupyter.storage.archives.gauge import Gauge
    from bgdl_jupyter.storage.archives.members import Member

_PRIVATE: Final = 0o700
_SHOWN: Final = 100


class Tree:
    """
    Takes members in; `finish` makes the links and the permissions.

    Parameters
    ----------
    folder:
        An open folder of this user alone; what is made here is seen by nobody else until it is finished.
    top:
        The folder in it that the members go to, and is empty; nothing where it is that one itself.
    """

    def __init__(self, folder: int, top: str, gauge: Gauge) -> None:
        self._folder = folder
        self._top = top
        self._gauge = gauge
        self._files: set[Parts] = set()
        self._folders: set[Parts] = {()}
        self._links: dict[Parts, str] = {}
        self._umask = current_umask()

    def add(self, member: Member) -> None:
        """
        Take a member in.

        Raises
        ------
        PostProcessingFailed
            Its name or its target leads out of the folder, is taken, or does harm in other ways.
        """
        parts = parts_of(member.name)
        if not parts:
            if member.kind is Kind.FOLDER:
                return  # the top itself
            raise refused(member.name, "has no name")
        if member.kind is not Kind.FOLDER:
            self._refuse_twice(parts, member.name)
        self._make_folders(parts if member.kind is Kind.FOLDER else parts[:-1], member.name)
        match member.kind:
            case Kind.FILE:
                self._write(parts, member)
            case Kind.LINK:
                self._gauge.member()
                self._links[parts] = _target_of(parts, member)
            case Kind.SAME:
                self._give_another_name(parts, member)

    def finish(self) -> None:
        """Make the links, and let the folders be seen as all others are."""
        for parts, target in self._links.items():
            self._refuse_detour(parts, target)
        for parts, target in self._links.items():
            self._gauge.check()
            os.symlink(target, self._path(parts), dir_fd=self._folder)
        for parts in self._folders:
            os.chmod(self._path(parts), 0o777 & ~self._umask, dir_fd=self._folder)

    def _path(self, parts: Parts) -> str:
        """Return the path of a member from the open folder on."""
        return "/".join((self._top, *parts) if self._top else parts)

    def _refuse_twice(self, parts: Parts, name: str) -> None:
        if parts in self._files or parts in self._links or parts in self._folders:
            raise refused(name, "is there twice")

    def _make_folders(self, parts: Parts, name: str) -> None:
        for length in range(1, len(parts) + 1):
            part = parts[:length]
            if part in self._folders:
                continue
            self._refuse_twice(part, name)
            self._gauge.member()
            try:
                os.mkdir(self._path(part), _PRIVATE, dir_fd=self._folder)
            except FileExistsError:
                raise refused(name, "has the name of another one for this file system") from None
            self._folders.add(part)

    def _write(self, parts: Parts, member: Member) -> None:
        self._gauge.member()
        content = member.content
        if content is None:
            raise refused(member.name, "has no content")
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0)
        try:
            descriptor = os.open(self._path(parts), flags, self._mode_of(member), dir_fd=self._folder)
        except FileExistsError:
            raise refused(member.name, "has the name of another one for this file system") from None
        with os.fdopen(descriptor, "wb", buffering=0) as file:
            while data := content.read(CHUNK):
                self._gauge.write(len(data))
                file.write(data)
            if member.modified_at is not None:
                _set_time(file.fileno(), member.modified_at)
        content.close()
        self._files.add(parts)

    def _mode_of(self, member: Member) -> int:
        """Return what the file's permissions are: may it be run, and nothing else, is for the archive to say."""
        may_run = member.mode is not None and member.mode & 0o100
        return (0o777 if may_run else 0o666) & ~self._umask

    def _give_another_name(self, parts: Parts, member: Member) -> None:
        self._gauge.member()
        target = parts_of(member.target)
        if target not in self._files:
            raise refused(member.name, f"is another name of {member.target[:_SHOWN]!r}, which is no file before it")
        folder = self._folder
        os.link(self._path(target), self._path(parts), src_dir_fd=folder, dst_dir_fd=folder, follow_symlinks=False)
        self._files.add(parts)

    def _refuse_detour(self, parts: Parts, target: str) -> None:
        """Refuse a link that leads on through another one: where that ends, its name does not tell."""
        steps = parts_of_target(parts, target)
        for length in range(1, len(steps)):
            if steps[:length] in self._links:
                raise refused("/".join(parts), "leads through another link")


def parts_of_target(parts: Parts, target: str) -> Parts:
    """Return where a link leads, from the top; it is known to stay inside."""
    return tuple(each for each in posixpath.normpath(posixpath.join(*parts[:-1], target)).split("/") if each != ".")


def _target_of(parts: Parts, member: Member) -> str:
    """Return a link's target, which stays in the folder; `..` only at its start, where the way up is known."""
    target = member.target
    if not target or is_unsafe_text(target):
        raise refused(member.name, "is a link to an absolute or unreadable name")
    steps = [each for each in target.split("/") if each not in ("", ".")]
    ups = next((index for index, each in enumerate(steps) if each != ".."), len(steps))
    if ups > len(parts) - 1 or ".." in steps[ups:]:
        raise refused(member.name, "is a link out of the folder")
    return target


def _set_time(descriptor: int, modified_at: float) -> None:
    try:
        os.utime(descriptor, (modified_at, modified_at))
    except (OverflowError, ValueError, OSError):
        return  # a time that the file system cannot hold is left as it is

"""Destinations, checked before anything is written: whether a file can be made there, and what is there already."""

from __future__ import annotations

import contextlib
import os
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal

from bgdl_jupyter.errors import InvalidRequest
from bgdl_jupyter.storage.filenames import PATH_NAME_MAX, destination_key_in, folded

if TYPE_CHECKING:
    from collections.abc import Iterable

#: What has the name of a destination: nothing is empty.
Occupant = Literal["", "file", "folder"]

# A folder is listed when so many names in it were asked for, and only if it has no more than so many.
_LISTED_AFTER: Final = 64
_MOST_LISTED: Final = 200_000


def check_destination(path: Path) -> None:
    """
    Check before anything is written that a file can be made here.

    Raises
    ------
    InvalidRequest
        The path is relative, empty or too long; it is a folder, a device, a pipe or a socket; or its folder cannot be
        made or written to.
    """
    if not path.is_absolute():
        raise InvalidRequest(f"The destination {str(path)!r} is not absolute.")
    if "\0" in str(path) or not path.name or path.name == "..":
        raise InvalidRequest(f"The destination {str(path)!r} has no usable file name.")
    folder = _existing_folder(path)
    _check_length(path.relative_to(folder).parts, _longest_name(folder))
    _check_what_is_there(path)
    _check_access(folder)


def _check_access(folder: Path) -> None:
    if not os.access(folder, os.W_OK | os.X_OK):
        raise InvalidRequest(f"The folder {str(folder)!r} cannot be written to; choose another destination.")


@dataclass(slots=True)
class _Folder:
    """What is known of a folder; ``names`` are those in it, folded, where it was worth the while to list them."""

    longest: int
    exists: bool
    real: str
    names: frozenset[str] | None = None
    looks: int = 0


class Destinations:
    """
    Checks many destinations as `check_destination` does, and every folder once; for as long as one call takes.

    What it says of names that are free may be old by then: nothing is replaced on its word.
    """

    def __init__(self) -> None:
        self._folders: dict[str, _Folder] = {}

    def check(self, path: str) -> Occupant:
        """
        Return what has this absolute path, normalised; unless that is a folder, the path was checked.

        Raises
        ------
        InvalidRequest
            See `check_destination`.
        """
        if "\0" in path:
            check_destination(Path(path))  # says what is wrong
        parent, name = _split(path)
        folder = self._folders.get(parent) or self._look_at(parent)
        if len(name if name.isascii() else os.fsencode(name)) > folder.longest:
            check_destination(Path(path))
        if not folder.exists or (name and self._is_free(folder, parent, name)):
            return ""
        try:
            mode = os.stat(path).st_mode  # noqa: PTH116 (a hundred thousand at once)
        except FileNotFoundError:
            # A link to nowhere may be replaced.
            return "file" if os.path.islink(path) else ""  # noqa: PTH114 (as above)
        except (OSError, ValueError):
            mode = 0
        if stat.S_ISDIR(mode):
            return "folder"
        if not stat.S_ISREG(mode) or not name:
            check_destination(Path(path))
        return "file"

    def _is_free(self, folder: _Folder, path: str, name: str) -> bool:
        """Whether surely nothing has the name; a folder that is asked for often is listed once."""
        folder.looks += 1
        if folder.looks == _LISTED_AFTER:
            folder.names = _names_in(path)
        return folder.names is not None and folded(name) not in folder.names

    def check_folder(self, folder: str) -> None:
        """Check a folder whose file the server names; raises `InvalidRequest`."""
        if folder not in self._folders:
            self._look_at(folder)

    def key(self, path: str) -> str:
        """Return the `destination_key` of a path that was checked."""
        parent, name = _split(path)
        return destination_key_in(self._folders[parent].real, name)

    def _look_at(self, path: str) -> _Folder:
        above, name = os.path.split(path)
        parent = self._folders.get(above)
        if parent is not None and not parent.exists and name:
            _check_length([name], parent.longest)
            found = _Folder(parent.longest, exists=False, real=f"{parent.real}/{name}")
        else:
            existing = _existing_folder(Path(path, "file"))
            longest = _longest_name(existing)
            _check_length(Path(path).relative_to(existing).parts, longest)
            _check_access(existing)
            found = _Folder(longest, exists=str(existing) == path, real=os.path.realpath(path))
        self._folders[path] = found
        return found


def _split(path: str) -> tuple[str, str]:
    """Return folder and name of an absolute path, normalised: a short `os.path.split`, for a hundred thousand."""
    folder, _, name = path.rpartition("/")
    return folder or "/", name


def _names_in(folder: str) -> frozenset[str] | None:
    """Return the names in a folder, folded; None where there are too many, or it cannot be listed."""
    names = set()
    try:
        with os.scandir(folder) as entries:
            for entry in entries:
                names.add(folded(entry.name))
                if len(names) > _MOST_LISTED:
                    return None
    except OSError:
        return None
    return frozenset(names)


def _existing_folder(path: Path) -> Path:
    """Return the nearest folder above the path that exists; what is below it will be made."""
    for folder in path.parents:
        try:
            status = folder.stat()
        except FileNotFoundError:
            if folder.is_symlink():
                raise InvalidRequest(f"{str(folder)!r} is a link to nowhere, no folder.") from None
            continue
        except NotADirectoryError:
            continue
        except OSError as error:
            raise InvalidRequest(f"The folder {str(folder)!r} cannot be used: {error.strerror}.") from error
        if not stat.S_ISDIR(status.st_mode):
            raise InvalidRequest(f"{str(folder)!r} is a file, no folder.")
        return folder
    raise InvalidRequest(f"No folder above {str(path)!r} exists.")


def _longest_name(folder: Path) -> int:
    with contextlib.suppress(OSError, ValueError):
        return os.pathconf(folder, "PC_NAME_MAX")
    return PATH_NAME_MAX


def _check_length(missing: Iterable[str], longest: int) -> None:
    too_long = next((part for part in missing if len(os.fsencode(part)) > longest), None)
    if too_long is not None:
        raise InvalidRequest(f"The name {too_long[:40]!r}… has more than {longest} bytes; choose a shorter one.")


def _check_what_is_there(path: Path) -> None:
    try:
        mode = path.stat().st_mode
    except FileNotFoundError:  # nothing, or a link to nowhere, which may be replaced
        return
    except OSError as error:
        raise InvalidRequest(f"The destination {str(path)!r} cannot be used: {error.strerror}.") from error
    if stat.S_ISDIR(mode):
        raise InvalidRequest(f"The destination {str(path)!r} is a folder; name a file in it.")
    if not stat.S_ISREG(mode):
        raise InvalidRequest(f"The destination {str(path)!r} is a device, a pipe or a socket; only files are written.")

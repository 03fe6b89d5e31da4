"""The folder of a manifest's destinations, which none of them may leave."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Final

from bgdl_jupyter.errors import InvalidRequest
from bgdl_jupyter.model.stores import is_store, local_path
from bgdl_jupyter.storage.filenames import HOSTILE_CHARACTERS

# What nearly all destinations are: nothing in it can be wrong on any system.
_PLAIN: Final = re.compile("[A-Za-z0-9_][A-Za-z0-9_.-]*(?:/[A-Za-z0-9_][A-Za-z0-9_.-]*)*")
_SEPARATORS: Final = re.compile(r"[/\\]")


class ManifestFolder:
    """The folder of a manifest's destinations (or the URL of one in a store), which none of them may leave."""

    def __init__(self, directory: str | os.PathLike[str], *, refuses_hidden: bool = False) -> None:
        self._refuses_hidden = refuses_hidden
        self._directory = os.fspath(directory)
        self._real: str | None = None
        self._inside: set[str] = set()
        if not is_store(self._directory):
            path = Path(local_path(self._directory)).expanduser()
            self._directory = os.path.abspath(path)  # noqa: PTH100 (`resolve` would follow the links)
            self._real = os.path.realpath(self._directory)
        self._start = self._directory.rstrip("/") + "/"

    def path_of(self, destination: str | os.PathLike[str] | None) -> str:
        """
        Return the path of a destination, a folder with a slash at its end.

        Raises
        ------
        InvalidRequest
            It is absolute, has ``..`` in it, a link leads it out of the folder, or a name in it is hidden and none
            may be.
        """
        name = os.fspath(destination) if destination is not None else ""
        is_plain = _PLAIN.fullmatch(name) is not None
        if not is_plain:
            flaw = flaw_of(name) or (self._refuses_hidden and _hidden(name))
            if flaw:
                raise InvalidRequest(f"the destination {name[:100]!r} {flaw}")
        path = self._start + name
        folder = path.rpartition("/")[0]
        if self._real is not None and folder not in self._inside:
            if not self._is_inside(folder, is_plain=is_plain):
                raise InvalidRequest(f"the destination {name[:100]!r} leads out of the folder by a link")
            self._inside.add(folder)
        return path

    def _is_inside(self, folder: str, *, is_plain: bool) -> bool:
        # In a folder that was looked at already, one that is no link itself leads nowhere else.
        if is_plain and folder.rpartition("/")[0] in self._inside and not os.path.islink(folder):  # noqa: PTH114 (very many)
            return True
        real = os.path.realpath(folder)
        return real == self._real or real.startswith(f"{self._real}".rstrip(os.sep) + os.sep)


def flaw_of(name: str) -> str:
    """Return why a relative name is not safe, in words; empty where it is, on whatever system."""
    if HOSTILE_CHARACTERS.search(name):
        return "has an invisible or control character in it"
    has_drive = name[1:2] == ":"
    if name.startswith(("/", "\\", "~")) or has_drive or "://" in name:
        return "is absolute; name it from the folder on (directory= says which that is)"
    if ".." in _SEPARATORS.split(name):
        return "leads out of the folder with '..'"
    return ""


def _hidden(name: str) -> str:
    """Return what is wrong with a relative name that hides; what shells and kernels run unasked has such names."""
    if any(part.startswith(".") and part != "." for part in _SEPARATORS.split(name)):
        return "has a name in it that begins with a dot; if that is meant, say allow_hidden=True (--allow-hidden)"
    return ""

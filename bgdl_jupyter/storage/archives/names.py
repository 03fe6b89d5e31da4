"""The names of an archive's members: taken apart, and refused where they lead out of the folder or deceive."""

from __future__ import annotations

import os
import re
from typing import Final

from bgdl_jupyter.errors import PostProcessingFailed
from bgdl_jupyter.storage.filenames import HOSTILE_CHARACTERS, safe_name

Parts = tuple[str, ...]

_DRIVE: Final = re.compile(r"[A-Za-z]:[\\/]")
_SHOWN: Final = 100


def parts_of(name: str) -> Parts:
    """
    Return the components of a member's name; none for the top.

    Raises
    ------
    PostProcessingFailed
        It is absolute, leads upwards, or holds what no name should.
    """
    if is_absolute(name):
        raise refused(name, "has an absolute name")
    parts = tuple(part for part in name.split("/") if part not in ("", "."))
    if ".." in parts:
        raise refused(name, "leads out of the folder")
    for part in parts:
        if HOSTILE_CHARACTERS.search(part):
            raise refused(name, "has invisible or control characters in its name")
        if os.name == "nt" and safe_name(part) != part:
            raise refused(name, "has a name that Windows does not allow")
    return parts


def is_absolute(name: str) -> bool:
    """Whether a name begins at a root, on this system or another."""
    return name.startswith("/") or _DRIVE.match(name) is not None


def is_unsafe_text(target: str) -> bool:
    """Whether a link's target is absolute or holds what no name should."""
    return is_absolute(target) or HOSTILE_CHARACTERS.search(target) is not None


def refused(name: str, why: str) -> PostProcessingFailed:
    """Return the error that refuses an archive for one of its members."""
    return PostProcessingFailed(f"The member {name[:_SHOWN]!r} of the archive {why}; nothing of it was unpacked.")

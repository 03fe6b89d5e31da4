"""
Names: what a server suggests made safe, names beside names that are taken, and when two paths are one destination.

A name from a server is a single component of a path, whatever it was: no separator, no dot or dash at its start,
nothing that a system reserves, nothing invisible. It is decoded once, by whoever takes it out of a header or a URI.
"""

from __future__ import annotations

import os
import re
import unicodedata
from itertools import count
from pathlib import Path, PurePath
from typing import TYPE_CHECKING, Final
from urllib.parse import unquote

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

#: The longest name we give, in bytes; file systems take 255, and " (1)" must fit behind it.
MAX_NAME_BYTES: Final = 200
#: How many names like one that is taken are tried.
MOST_NAMES: Final = 10_000
#: Characters that end a text, move a cursor, or show another name than the one that is there.
HOSTILE_CHARACTERS: Final = re.compile(r"[\x00-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069]")
_MAX_EXTENSION_BYTES: Final = 20
#: The longest name of a file system that does not say, in bytes.
PATH_NAME_MAX: Final = 255

# What nearly all names are: nothing in it has to be changed.
_PLAIN_NAME: Final = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9_-])?")
_SEPARATORS: Final = re.compile(r"[/\\]")
# Reserved by Windows, of which the colon also opens a hidden stream; lone surrogates are no text.
_REPLACED: Final = re.compile(r'[<>:"|?*\ud800-\udfff]')
# Devices of Windows, with any extension, also in a folder that is shared with it.
_RESERVED: Final = re.compile(r"(con|prn|aux|nul|conin\$|conout\$|(com|lpt)[0-9¹²³]) *(\.|$)", re.IGNORECASE)
# As `unique_names` counts; four digits are a year.
_NUMBERED: Final = re.compile(r"(.+) \([1-9][0-9]{0,2}\)")
_EXTENSION: Final = re.compile(r"(\.tar)?\.[^. ]{1,15}$", re.IGNORECASE)
_VISIBLE_FORMATS: Final = frozenset("\u200c\u200d")  # joiners: Persian, Indic scripts and emoji need them
_INVISIBLE: Final = frozenset({"Cc", "Cf", "Zl", "Zp"})
_ACTIVE: Final = re.compile(
    r"\.(app|bat|cmd|com|command|desktop|exe|hta|ipynb|jar|jse?|lnk|msi|pif|ps1|pyw?|reg|scf|scr|sh|url|vb[es]|wsf)$",
    re.IGNORECASE,
)


def safe_name(raw: str, *, fallback: str = "download", guards_active: bool = False) -> str:
    """
    Return a file name that stays in its folder and does no harm there.

    Parameters
    ----------
    raw:
        What a server suggests, decoded.
    fallback:
        The name where nothing is left of it.
    guards_active:
        Prefix names of programs, scripts, notebooks and links, so that no click starts them.

    Returns
    -------
    str
        One component, at most 200 bytes of UTF-8, its extension kept; the same for its own result.
    """
    if _PLAIN_NAME.fullmatch(raw) and len(raw) <= MAX_NAME_BYTES and not _RESERVED.match(raw):
        return f"_{raw}" if guards_active and _ACTIVE.search(raw) else raw
    name = _SEPARATORS.split(unicodedata.normalize("NFC", raw))[-1]
    name = "".join(character for character in name if _is_visible(character))
    name = _trimmed(_REPLACED.sub("_", name))
    if not name.strip("._ "):
        return fallback
    # Hidden, an option to a program that is given all files of a folder, somebody's home to a shell.
    if name.startswith((".", "-", "~")) or _RESERVED.match(name) or (guards_active and _ACTIVE.search(name)):
        name = f"_{name}"
    return _shortened(unicodedata.normalize("NFC", name))


def _is_visible(character: str) -> bool:
    return unicodedata.category(character) not in _INVISIBLE or character in _VISIBLE_FORMATS


def _trimmed(name: str) -> str:
    """Remove what is not seen at the start and what Windows drops at the end."""
    return re.sub(r"[\s.]+$", "", name).lstrip()


def _shortened(name: str) -> str:
    if len(name.encode()) <= MAX_NAME_BYTES:
        return name
    stem, extension = split_extension(name)
    if len(extension.encode()) > _MAX_EXTENSION_BYTES:
        stem, extension = name, ""
    room = MAX_NAME_BYTES - len(extension.encode())
    return _trimmed(stem.encode()[:room].decode(errors="ignore")) + extension


def split_extension(name: str) -> tuple[str, str]:
    """Split a name before its extension, of which ``.tar.gz`` is one; a leading dot begins none."""
    found = _EXTENSION.search(name, 1)
    cut = found.start() if found else len(name)
    return name[:cut], name[cut:]


def name_from_uri(uri: str, *, fallback: str = "download") -> str:
    """Return a safe name out of the last component of a URI's path, percent-decoded once."""
    path = re.split("[?#]", uri, maxsplit=1)[0]
    path = re.sub(r"^[a-zA-Z][a-zA-Z0-9+.-]*://[^/]*", "", path)
    path = re.sub(r";type=[aid]$", "", path, flags=re.IGNORECASE)  # FTP, RFC 1738 3.2.2
    return safe_name(unquote(path.rstrip("/").rsplit("/", 1)[-1], errors="replace"), fallback=fallback)


def unique_names(path: Path, is_taken: Callable[[Path], bool] | None = None) -> Iterator[Path]:
    """
    Yield the path, then ``name (1).ext``, ``name (2).ext``, … without end.

    Parameters
    ----------
    path:
        The name that is wanted.
    is_taken:
        Tells whether a name is in use. With it, names in use are skipped by doubling steps: the tenthousandth file of
        a name costs some 30 questions, not 10,000.
    """
    yield path
    stem, extension = split_extension(path.name)

    def numbered(number: int) -> Path:
        return path.with_name(_fitted(stem, f" ({number})", extension))

    start = 1 if is_taken is None else _first_free(lambda number: is_taken(numbered(number)))
    yield from map(numbered, count(start))


def names_at_commit(path: Path, is_taken: Callable[[Path], bool]) -> Iterator[Path]:
    """
    Yield the path, and where it was taken since it was chosen the next of its kind.

    ``file (1).bin`` beside ``file.bin`` was given by `unique_names`, and is followed by ``file (2).bin``.
    """
    yield path
    stem, extension = split_extension(path.name)
    numbered = _NUMBERED.fullmatch(stem)
    first = path.with_name(numbered[1] + extension) if numbered else None
    names = unique_names(first if first is not None and is_taken(first) else path, is_taken)
    next(names)  # which was tried, or is taken
    yield from names


def _first_free(is_taken: Callable[[int], bool]) -> int:
    """Return a number that is free and follows one that is taken (or 1)."""
    high = 1
    while is_taken(high):
        high *= 2
    low = high // 2
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if is_taken(middle) else (low, middle)
    return high


def _fitted(stem: str, number: str, extension: str) -> str:
    """Put a name together and cut its stem where the file system would refuse the length."""
    room = PATH_NAME_MAX - len(os.fsencode(number + extension))
    encoded = os.fsencode(stem)
    if len(encoded) > room:
        stem = encoded[:room].decode("utf-8", "ignore")
    return stem + number + extension


def destination_key(path: Path) -> str:
    """
    Return the text that is the same for all paths that may be the same destination.

    Links in the folder's path are followed; the name is compared without case and in one Unicode form, as some file
    systems do. The last component may itself be a link: it is what would be replaced.
    """
    return destination_key_in(os.path.realpath(path.parent), path.name)


def folded(name: str) -> str:
    """Return the same text for all names that some file system takes for one."""
    if name.isascii():
        return name.lower()
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", name).casefold())


def destination_key_in(folder: str, name: str) -> str:
    """Return `destination_key` of a name in a folder whose links have been followed."""
    if name.isascii() and folder.isascii():
        return f"{folder.rstrip('/')}/{name.lower()}"
    name = folded(name)
    # A name that is not UTF-8 holds surrogates, which no database takes as text.
    return str(PurePath(folder, name)).encode("utf-8", "backslashreplace").decode()

r"""
Checksum files: ``SHA256SUMS``, ``file.sha256``, ``file.md5`` and their like, as GNU coreutils and BSD write them.

::

    9f86d081…  data/file.bin          two spaces, or a space and a star for binary
    \9f86d081…  odd\nname.bin         a backslash before: the name is escaped
    SHA256 (file.bin) = 9f86d081…
    9f86d081…                         a value alone: of the one file that it lies beside
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Final

from bgdl_jupyter.errors import InvalidRequest

#: The largest checksum file that is read, in bytes.
MAX_SIZE: Final = 16 << 20

_GNU: Final = re.compile(r"(\\?)([0-9A-Fa-f]{8,128})(?:  | \*| )(\S.*)")
_BSD: Final = re.compile(r"(\\?)([A-Za-z0-9-]+) ?\((.+)\) ?= ?([0-9A-Fa-f]{8,128})")
_ALONE: Final = re.compile(r"[0-9A-Fa-f]{8,128}")
_BY_DIGITS: Final = {32: "md5", 40: "sha1", 56: "sha224", 64: "sha256", 96: "sha384", 128: "sha512"}
_ESCAPES: Final = {"\\\\": "\\", "\\n": "\n", "\\r": "\r"}
# Algorithms whose values look like those of others are known by the name of the file that holds them.
_BY_NAME: Final = {"b2": "blake2b", "blake2b": "blake2b", "sha3-256": "sha3_256", "sha3-512": "sha3_512"}


@dataclass(frozen=True, slots=True)
class ChecksumFile:
    """What a checksum file says: checksums (``algorithm:hexadecimal``) by the names of files, as they stand there."""

    name: str
    by_path: dict[str, str] = field(repr=False)
    alone: str | None = None

    def checksum_of(self, path: str, *other_names: str) -> str:
        """
        Return the checksum of a file.

        Parameters
        ----------
        path:
            Where the file is, as a path of its URI; the entry that agrees with most of its end is taken.
        other_names:
            What else the file may be called.

        Raises
        ------
        InvalidRequest
            It is not named there, or several are with different checksums.
        """
        for wanted in (path, *other_names):
            found = self._found(wanted)
            if len(found) == 1:
                return found.pop()
            if found:
                raise InvalidRequest(f"The checksum file {self.name!r} names several files {_last(wanted)!r}.")
        if self.alone is not None and not self.by_path:
            return self.alone
        raise InvalidRequest(f"The checksum file {self.name!r} does not name {_last(path)!r}.")

    def _found(self, wanted: str) -> set[str]:
        parts = _parts(wanted)
        for start in range(len(parts)):
            checksum = self.by_path.get("/".join(parts[start:]))
            if checksum is not None:
                return {checksum}
        # Named in another folder than it lies in: by its name alone, if that is clear.
        return {value for path, value in self.by_path.items() if parts and _last(path) == parts[-1]}


def read_checksum_file(contents: bytes, name: str) -> ChecksumFile:
    """
    Return what a checksum file says; lines that say nothing (comments, a signature around them) are left out.

    Parameters
    ----------
    contents:
        All of it.
    name:
        What it is called, for messages and for what its values are where their length does not tell.

    Raises
    ------
    InvalidRequest
        It has no checksum in it, or is too long to be a checksum file.
    """
    if len(contents) > MAX_SIZE:
        raise InvalidRequest(f"The checksum file {name!r} has more than {MAX_SIZE:,} bytes.")
    by_path: dict[str, str] = {}
    alone: str | None = None
    for line in contents.decode(errors="surrogateescape").splitlines():
        entry = _entry(line.strip(), name)
        if entry is not None and entry[0]:
            by_path["/".join(_parts(entry[0]))] = entry[1]
        elif entry is not None:
            alone = entry[1]
    if not by_path and alone is None:
        raise InvalidRequest(f"{name!r} is no checksum file: no line has a checksum and a name.")
    return ChecksumFile(name, by_path, alone)


def _entry(line: str, name: str) -> tuple[str, str] | None:
    """Return the file that a line names (empty for none) and its checksum; None where it says nothing."""
    if bsd := _BSD.fullmatch(line):
        return _unescaped(bsd[3], bsd[1]), f"{bsd[2]}:{bsd[4]}"
    gnu = _GNU.fullmatch(line)
    value = gnu[2] if gnu else line if _ALONE.fullmatch(line) else ""
    algorithm = _algorithm_of(value, name)
    if algorithm is None:
        return None
    return (_unescaped(gnu[3], gnu[1]) if gnu else ""), f"{algorithm}:{value}"


def _algorithm_of(value: str, name: str) -> str | None:
    by_length = _BY_DIGITS.get(len(value))
    if by_length is None:
        return None
    words = re.split(r"[._]|sums?", name.lower())
    return next((_BY_NAME[word] for word in words if word in _BY_NAME), by_length)


def _unescaped(path: str, escape: str) -> str:
    return re.sub(r"\\[\\nr]", lambda found: _ESCAPES[found[0]], path) if escape else path


def _parts(path: str) -> list[str]:
    return [part for part in path.split("/") if part not in ("", ".")]


def _last(path: str) -> str:
    return (_parts(path) or [""])[-1]

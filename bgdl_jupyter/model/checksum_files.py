"""Checksum files that lie on this machine: read when the download is created; those at URIs are fetched later."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote

from yarl import URL

from bgdl_jupyter.engine.facilities import known_schemes
from bgdl_jupyter.errors import InvalidRequest
from bgdl_jupyter.manifests.checksums import MAX_SIZE, ChecksumFile, read_checksum_file
from bgdl_jupyter.storage.digests import parse_checksum
from bgdl_jupyter.uris import split_uri

if TYPE_CHECKING:
    import os


def checksum_from(source: str | os.PathLike[str], uri: str, result_file: Path | None) -> tuple[str, str]:
    """
    Return the checksum that a file on this machine has for a download, or the URI to fetch the file from later.

    Parameters
    ----------
    source:
        The checksum file: a path or a URI.
    uri, result_file:
        The download, whose name is looked up.

    Returns
    -------
    tuple
        The checksum, empty where it is not known yet, and the URI, empty where it is not needed.

    Raises
    ------
    InvalidRequest
        It cannot be read, or does not name the file.
    """
    if isinstance(source, str) and "://" in source:
        split = split_uri(source, known_schemes())
        if split.secrets:
            raise InvalidRequest("The URI of a checksum file may hold no secret; download it first, and name its path.")
        return "", split.public
    path = Path(source).expanduser().absolute()
    try:
        status = path.stat()
        found = _read(path, (status.st_size, status.st_mtime_ns))
    except OSError as error:
        raise InvalidRequest(f"The checksum file {str(path)!r} cannot be read: {error.strerror}.") from None
    names = [result_file.name] if result_file is not None else []
    return str(parse_checksum(found.checksum_of(path_of_uri(uri), *names))), ""


@functools.lru_cache(maxsize=4)
def _read(path: Path, _: tuple[int, int]) -> ChecksumFile:
    with path.open("rb") as file:
        return read_checksum_file(file.read(MAX_SIZE + 1), path.name)


def path_of_uri(uri: str) -> str:
    """Return the path of a URI, its percent codes taken away."""
    return unquote(URL(uri).raw_path, errors="surrogateescape")

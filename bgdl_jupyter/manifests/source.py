"""Where a manifest comes from, and which format it is: by its suffix and its contents, or as the caller says."""

from __future__ import annotations

import functools
import gzip
import io
import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any, Final

from bgdl_jupyter.errors import InvalidRequest
from bgdl_jupyter.manifests.aria2 import read_aria2
from bgdl_jupyter.manifests.entry import BadLine, ManifestEntry
from bgdl_jupyter.manifests.items import read_items
from bgdl_jupyter.manifests.json_lines import read_json_lines
from bgdl_jupyter.manifests.lines import head_of
from bgdl_jupyter.manifests.metalink import read_metalink
from bgdl_jupyter.manifests.pooch_registry import looks_like_registry, read_registry
from bgdl_jupyter.manifests.tables import read_csv, read_parquet, read_rows, separator_of

#: What ``format=`` may be.
FORMATS: Final = ("aria2", "csv", "jsonl", "metalink", "parquet", "pooch")
_BY_SUFFIX: Final = {
    ".csv": "csv",
    ".tsv": "csv",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".json": "jsonl",
    ".meta4": "metalink",
    ".metalink": "metalink",
    ".parquet": "parquet",
    ".pq": "parquet",
}
_MAGIC_OF_PARQUET: Final = b"PAR1"
_MAGIC_OF_GZIP: Final = b"\x1f\x8b"

Entries = Iterator[ManifestEntry | BadLine]


@dataclass(frozen=True, slots=True, kw_only=True)
class ManifestSource:
    """
    A manifest that can be read any number of times.

    Parameters
    ----------
    name:
        What messages call it.
    read:
        Gives its entries, from the first to the last.
    is_foreign:
        Whether it is data from somewhere, whose destinations must stay in the folder; False for what stands in code.
    """

    name: str
    read: Callable[[], Entries] = field(repr=False)
    is_foreign: bool


def source_of(
    manifest: object,
    *,
    format: str | None,  # noqa: A002 (the name that callers know)
    base_uri: str | None,
    schemes: frozenset[str],
) -> ManifestSource:
    """
    Return where the entries of a manifest come from.

    Parameters
    ----------
    manifest:
        The path of a file, an open file, a data frame, or an iterable of URIs or mappings.
    format:
        One of `FORMATS`; None to find out.
    base_uri:
        Where the files are of a manifest that only names them.
    schemes:
        What can be fetched.

    Raises
    ------
    InvalidRequest
        It is none of these, or its format is not known.
    """
    if format is not None and format not in FORMATS:
        raise InvalidRequest(f"There is no format {str(format)[:40]!r}; there are {', '.join(FORMATS)}.")
    read = functools.partial(_read_file, format=format, base_uri=base_uri, schemes=schemes)
    if isinstance(manifest, str | os.PathLike):
        path = _path(manifest)
        return ManifestSource(
            name=repr(path.name), read=lambda: read(lambda: path.open("rb"), suffix=_suffix(path)), is_foreign=True
        )
    if isinstance(manifest, bytes) or hasattr(manifest, "read"):
        contents = _contents(manifest)
        return ManifestSource(
            name="the manifest", read=lambda: read(lambda: io.BytesIO(contents), suffix=""), is_foreign=True
        )
    if format is not None:
        raise InvalidRequest("A format is that of a file; this manifest is none.")
    if hasattr(manifest, "itertuples") and hasattr(manifest, "columns"):
        frame: Any = manifest
        return ManifestSource(
            name="the data frame",
            read=lambda: read_rows(frame.columns, frame.itertuples(index=False, name=None)),
            is_foreign=True,
        )
    return _items(manifest)


def _items(manifest: object) -> ManifestSource:
    if isinstance(manifest, Mapping) or not isinstance(manifest, Iterable):
        raise InvalidRequest(
            "A manifest is the path of a file, an open file, a data frame, or an iterable of URIs or mappings, "
            f"not {type(manifest).__name__}."
        )
    # Read once here: an iterator cannot be read again, and a generator may do something at each step.
    items = manifest if isinstance(manifest, list | tuple) else list(manifest)
    return ManifestSource(name="the manifest", read=lambda: read_items(items), is_foreign=False)


def _path(manifest: str | os.PathLike[str]) -> Path:
    if isinstance(manifest, str) and "\n" in manifest:
        raise InvalidRequest("This is the text of a manifest, not its path; give io.StringIO(text).")
    if isinstance(manifest, str) and "://" in manifest[:16]:
        raise InvalidRequest("A manifest is the path of a file or an iterable; for a single URI write [uri].")
    path = Path(manifest).expanduser()
    if not path.is_file():
        raise InvalidRequest(f"There is no manifest {str(path)!r}.")
    return path


def _suffix(path: Path) -> str:
    return Path(path.stem).suffix.lower() if path.suffix.lower() == ".gz" else path.suffix.lower()


def _contents(file: Any) -> bytes:
    contents = file if isinstance(file, bytes) else file.read()
    if not isinstance(contents, bytes | str):
        raise InvalidRequest(f"A manifest that is read gives texts or bytes, not {type(contents).__name__}.")
    return contents.encode(errors="surrogatepass") if isinstance(contents, str) else contents


def _read_file(
    open_file: Callable[[], IO[bytes]],
    *,
    suffix: str,
    format: str | None,  # noqa: A002 (as above)
    base_uri: str | None,
    schemes: frozenset[str],
) -> Entries:
    try:
        with _opened(open_file) as file:
            chosen = format or _format_of(head_of(file), suffix)
            if chosen is None:
                formats = ", ".join(FORMATS)
                reason = f"its format cannot be told from its name or its first line; say format= ({formats})"
                yield BadLine(line=1, reason=reason, ends=True)
                return
            yield from _reader(chosen, file, base_uri, schemes)
    except (OSError, EOFError) as error:  # a damaged gzip is one or the other
        reason = getattr(error, "strerror", None) or str(error) or "it ends too early"
        yield BadLine(line=1, reason=f"the file cannot be read: {reason}", ends=True)


@contextmanager
def _opened(open_file: Callable[[], IO[bytes]]) -> Iterator[IO[bytes]]:
    with open_file() as file:
        if head_of(file, len(_MAGIC_OF_GZIP)) == _MAGIC_OF_GZIP:
            with gzip.open(file) as unpacked:
                yield unpacked  # type: ignore[misc]  # a gzip file is a binary file in all but its type
        else:
            yield file


def _reader(chosen: str, file: IO[bytes], base_uri: str | None, schemes: frozenset[str]) -> Entries:
    match chosen:
        case "csv":
            return read_csv(file)
        case "jsonl":
            return read_json_lines(file)
        case "parquet":
            return _parquet(file)
        case "metalink":
            return read_metalink(file, schemes=schemes)
        case "pooch":
            return read_registry(file, base_uri=base_uri)
        case _:
            return read_aria2(file)


def _parquet(file: IO[bytes]) -> Entries:
    try:
        yield from read_parquet(file)
    except ImportError:
        reason = "Parquet needs pyarrow; install it with: pip install 'bgdl-jupyter[parquet]'"
        yield BadLine(line=1, reason=reason, ends=True)


def _format_of(head: bytes, suffix: str) -> str | None:
    if head.startswith(_MAGIC_OF_PARQUET):
        return "parquet"
    return _BY_SUFFIX.get(suffix) or format_of_text(head.decode(errors="replace").removeprefix("\ufeff"))


def format_of_text(text: str) -> str | None:
    """Return the format of a text by its first line that is no comment; None where it is none that is known."""
    lines = (line for line in text.splitlines() if line.strip() and not line.lstrip().startswith("#"))
    first = next(lines, None)
    if first is None:
        return "aria2"  # nothing but comments: a list without a URI
    start = first.lstrip()
    if start.startswith("<"):
        return "metalink"
    if re.match(r'\{\s*("|\}|$)', start):  # not the variable of a notebook
        return "jsonl"
    if separator_of(first) is not None:
        return "csv"
    if "://" in start.split()[0]:
        return "aria2"
    return "pooch" if looks_like_registry(first) else None

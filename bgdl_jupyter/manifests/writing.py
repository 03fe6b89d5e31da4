"""Manifests that others may read again: CSV or JSON lines."""

from __future__ import annotations

import csv
import json
import os
from typing import TYPE_CHECKING, Any, Final
from uuid import uuid4

from bgdl_jupyter.errors import InvalidRequest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from pathlib import Path
    from typing import TextIO

    Writer = Callable[[TextIO, Iterable[Mapping[str, Any]]], int]

_NEW_FILE: Final = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_CLOEXEC", 0)
_COLUMNS: Final = (
    "uri",
    "destination",
    "checksum",
    "mirrors",
    "headers",
    "priority",
    "cost_policy",
    "max_size",
    "expect_type",
    "missing",
    "error",
    "http_status",
)


def write_manifest(path: Path, records: Iterable[Mapping[str, Any]]) -> int:
    """
    Write records as a manifest, in the format of the suffix, and return how many there were.

    The file is there when all of it is written; one that was there before is replaced then.

    Raises
    ------
    InvalidRequest
        The suffix is none of those that are written.
    """
    write = _WRITERS.get(path.suffix.lower())
    if write is None:
        raise InvalidRequest(
            f"A manifest is written as {', '.join(_WRITERS)}, not {path.suffix or 'without a suffix'}."
        )
    path.parent.mkdir(parents=True, exist_ok=True)
    # No name that others could guess, and no file or link of theirs under it; the umask says who may read it.
    unfinished = path.with_name(f".{uuid4().hex}.bgdl")
    descriptor = os.open(unfinished, _NEW_FILE, 0o666)
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8", newline="") as file:
            count = write(file, records)
        unfinished.replace(path)
    finally:
        unfinished.unlink(missing_ok=True)
    return count


def _write_json_lines(file: TextIO, records: Iterable[Mapping[str, Any]]) -> int:
    count = 0
    for count, record in enumerate(records, 1):  # noqa: B007 (the number of them is what is returned)
        # In ASCII: names of files may hold what is not UTF-8.
        file.write(json.dumps({name: value for name, value in record.items() if value not in (None, "", [], {})}))
        file.write("\n")
    return count


def _write_csv(file: TextIO, records: Iterable[Mapping[str, Any]]) -> int:
    writer, count = csv.writer(file), 0
    writer.writerow(_COLUMNS)
    for count, record in enumerate(records, 1):  # noqa: B007 (as above)
        writer.writerow([_cell(record.get(name)) for name in _COLUMNS])
    return count


def _cell(value: object) -> object:
    if not value:
        return ""
    return json.dumps(value) if isinstance(value, list | dict) else value


_WRITERS: Final[dict[str, Writer]] = {".csv": _write_csv, ".jsonl": _write_json_lines, ".ndjson": _write_json_lines}

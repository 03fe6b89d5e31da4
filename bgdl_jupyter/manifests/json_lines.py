"""JSON lines: an object in each line."""

from __future__ import annotations

import json
from typing import IO, TYPE_CHECKING, Any, Final

from bgdl_jupyter.manifests.columns import entry_of_record
from bgdl_jupyter.manifests.entry import BadLine, ManifestEntry
from bgdl_jupyter.manifests.lines import lines_of

if TYPE_CHECKING:
    from collections.abc import Iterator


def read_json_lines(file: IO[bytes]) -> Iterator[ManifestEntry | BadLine]:
    """Give the objects of a file; blank lines are left out, a line with a text alone is a URI."""
    for number, line in lines_of(file):
        if isinstance(line, BadLine):
            yield line
        elif line.strip():
            yield _entry(number, line)


def _entry(number: int, line: str) -> ManifestEntry | BadLine:
    try:
        record: Any = _DECODER.decode(line.strip())
    except (ValueError, RecursionError):
        # Without the line itself: it may hold a secret.
        more = "; a JSON array is written as one object in each line" if line.lstrip().startswith("[") else ""
        return BadLine(line=number, reason=f"the line is no JSON{more}")
    if isinstance(record, str):
        record = {"uri": record}
    if not isinstance(record, dict):
        return BadLine(line=number, reason="the line is no JSON object")
    return entry_of_record(number, record)


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is no number")


_DECODER: Final = json.JSONDecoder(parse_constant=_refuse_constant)

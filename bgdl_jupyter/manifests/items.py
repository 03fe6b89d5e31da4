"""URIs and mappings that stand in code."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from bgdl_jupyter.errors import ManifestProblem
from bgdl_jupyter.manifests.columns import texts
from bgdl_jupyter.manifests.entry import BadLine, ManifestEntry, Unreadable


def read_items(items: Iterable[object]) -> Iterator[ManifestEntry | BadLine]:
    """
    Give what the items ask for, which count from 1; every key is taken as it is, since a caller wrote it.

    Who has read them from somewhere may say where each stood (``line``), and give a `ManifestProblem` in the place of
    one that cannot be used.
    """
    for number, item in enumerate(items, 1):
        if type(item) is dict:  # as nearly all are, and to ask for a mapping is dear
            yield _entry(number, item.copy())
        elif isinstance(item, str):
            yield ManifestEntry(line=number, uri=item)
        elif isinstance(item, ManifestProblem):
            yield BadLine(line=item.line, reason=item.reason)
        elif isinstance(item, Mapping):
            yield _entry(number, dict(item))
        else:
            yield BadLine(line=number, reason=f"a URI or a mapping is expected, not {type(item).__name__}")


def _entry(count: int, fields: dict[str, Any]) -> ManifestEntry | BadLine:
    number = int(fields.pop("line", count))
    if "uri" not in fields:
        return BadLine(line=number, reason="it has no 'uri'")
    uri, destination = fields.pop("uri"), fields.pop("destination", None)
    if not isinstance(uri, str):
        return BadLine(line=number, reason=f"a URI is a str, not {type(uri).__name__}")
    if destination is not None and not isinstance(destination, str | os.PathLike):
        return BadLine(line=number, reason=f"a destination is a path, not {type(destination).__name__}")
    mirrors: tuple[str, ...] = ()
    try:
        if given := fields.pop("mirrors", None):
            mirrors = texts("mirrors", given)
    except Unreadable as error:
        return BadLine(line=number, reason=str(error))
    return ManifestEntry(line=number, uri=uri, destination=destination, mirrors=mirrors, options=fields)

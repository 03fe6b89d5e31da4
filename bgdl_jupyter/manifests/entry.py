"""A line of a manifest, good or bad, as values."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import os
    from collections.abc import Mapping


@dataclass(frozen=True, slots=True, kw_only=True)
class ManifestEntry:
    """
    A download that a manifest asks for.

    Parameters
    ----------
    line:
        Where it begins, from 1: a line of a text, a row of a table, an item of an iterable.
    uri, mirrors:
        Where the bytes come from, and from where else; may hold secrets, and are not shown.
    destination:
        The file or, with a slash at the end, the folder; None where nothing was said.
    checksums:
        ``algorithm:hexadecimal``, all of the one file.
    options:
        What else `create_download` takes.
    missing:
        What an export left out because it is secret.
    """

    line: int
    uri: str = field(repr=False)
    destination: str | os.PathLike[str] | None = None
    checksums: tuple[str, ...] = ()
    mirrors: tuple[str, ...] = field(default=(), repr=False)
    options: Mapping[str, Any] = field(default_factory=dict, repr=False)
    missing: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class BadLine:
    """
    What cannot be an entry, and why, in a sentence without secrets.

    ``ends`` tells that nothing behind it can be read, or that the whole does not mean what its author thinks.
    """

    line: int
    reason: str
    ends: bool = False


class Unreadable(ValueError):
    """A value of a line that cannot be used; the message is the reason."""

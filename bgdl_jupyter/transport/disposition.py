"""The file name that a server suggests: ``Content-Disposition`` (RFC 6266, RFC 8187)."""

from __future__ import annotations

import re
from typing import Final
from urllib.parse import unquote_to_bytes

_PARAMETER: Final = re.compile(
    r"""\s*;\s*([!#$%&'*+.^_`|~0-9A-Za-z-]+)\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^;"]*))""", re.DOTALL
)
_TYPE: Final = re.compile(r"\s*[!#$%&'*+.^_`|~0-9A-Za-z-]*")
_ESCAPE: Final = re.compile(r"\\(.)", re.DOTALL)
# RFC 8187 requires UTF-8; ISO-8859-1 is what its predecessor asked for as well.
_CHARSETS: Final = frozenset({"utf-8", "iso-8859-1"})
_SEPARATORS: Final = re.compile(r"[/\\]")
_MAX_LENGTH: Final = 64 * 1024


def suggested_name(value: str | None) -> str | None:
    """
    Return the last component of the name in a ``Content-Disposition``; None where there is none.

    The extended form wins over the plain one if it can be decoded. The name is what the server wrote: making it
    safe is for whoever makes a file of it.
    """
    if not value:
        return None
    parameters = _parameters(value[:_MAX_LENGTH])
    name = _extended(parameters.get("filename*")) or _plain(parameters.get("filename"))
    return _SEPARATORS.split(name)[-1] or None if name else None


def _parameters(value: str) -> dict[str, str]:
    """Return the parameters by lower-case name; the first of several counts."""
    start = _TYPE.match(value)
    position = start.end() if start else 0
    # Some servers leave out the disposition type, and begin with the parameter.
    text = value[position:] if value[position:].lstrip().startswith(";") else ";" + value
    found: dict[str, str] = {}
    position = 0
    while match := _PARAMETER.match(text, position):
        name, quoted, bare = match.groups()
        found.setdefault(name.lower(), bare.strip() if quoted is None else _ESCAPE.sub(r"\1", quoted))
        position = match.end()
    return found


def _extended(value: str | None) -> str | None:
    """Return the text of ``charset'language'percent-encoded``; None where it cannot be decoded."""
    charset, *rest = (value or "").split("'", 2)
    if len(rest) != 2 or charset.lower() not in _CHARSETS:  # noqa: PLR2004 (the language and the text)
        return None
    try:
        return unquote_to_bytes(rest[1].encode("ascii")).decode(charset)
    except UnicodeError:
        return None


def _plain(value: str | None) -> str | None:
    """Return the text of a plain parameter whose bytes may be UTF-8 or, by the letter, ISO-8859-1."""
    if value is None or value.isascii():
        return value
    raw = value.encode("utf-8", "surrogateescape")
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError:
        return raw.decode("iso-8859-1")

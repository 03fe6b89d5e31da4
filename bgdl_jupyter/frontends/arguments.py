"""What the magics and the command line take alike: the options of a download, and how downloads are named."""

from __future__ import annotations

import argparse
import re
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any, Final

from bgdl_jupyter.errors import InvalidRequest
from bgdl_jupyter.model import display
from bgdl_jupyter.model.intake import MANIFEST_FORMATS
from bgdl_jupyter.status import BackgroundTransferCostPolicy, BackgroundTransferPriority, CreationCollisionOption

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from enum import IntEnum

    from bgdl_jupyter.model.operation import DownloadOperation

_SIZE: Final = re.compile(r"(\d+(?:\.\d+)?)\s*([kMGT]?)(i?)B?(?:/s)?", re.IGNORECASE)
_POWERS: Final = {"": 0, "k": 1, "m": 2, "g": 3, "t": 4}
_SCHEME: Final = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://")
# A password stands before an @, a key behind a ? or an =; both may be left out of a message, the rest is a name.
_PLAIN_START: Final = re.compile(r"[^?=&#@:]{1,60}(?![^/?#]*@)")
_NO_LIMIT: Final = frozenset({"none", "no", "off", "unlimited"})
_COLLISIONS: Final = {
    "unique": CreationCollisionOption.GENERATE_UNIQUE_NAME,
    "replace": CreationCollisionOption.REPLACE_EXISTING,
    "fail": CreationCollisionOption.FAIL_IF_EXISTS,
    "open": CreationCollisionOption.OPEN_IF_EXISTS,
}
_TAKEN_AS_THEY_ARE: Final = (
    "group",
    "sha256",
    "checksum",
    "checksum_file",
    "ca_file",
    "priority",
    "collision",
    "cost_policy",
    "max_size",
    "expect_type",
    "method",
    "post_process",
)
#: The shortest beginning of a guid that names an operation.
_SHORTEST_PREFIX: Final = 4


def is_uri(word: str) -> bool:
    """Whether a word begins as a URI does."""
    return _SCHEME.match(word) is not None


def shown(word: str) -> str:
    """Return how a message names a word that it does not understand: what may hold a secret is cut off."""
    plain = _PLAIN_START.match(word)
    start = plain[0] if plain is not None else ""
    return repr(start if start == word else f"{start}…")


def byte_count(text: str) -> int:
    """Return a number of bytes: ``5MB`` is 5,000,000, ``5MiB`` is 5 x 2^20; ``/s`` may follow."""
    match = _SIZE.fullmatch(text.strip())
    if match is None:
        raise argparse.ArgumentTypeError(f"{text!r} is no number of bytes; write 5MB, 300kB or 2GiB")
    number, unit, binary = match.groups()
    factor: int = (1024 if binary else 1000) ** _POWERS[unit.lower()]
    return round(float(number) * factor)


def limit(text: str) -> int | None:
    """Return a number of bytes, or None for the words that mean no limit."""
    return None if text.strip().lower() in _NO_LIMIT else byte_count(text)


def header(text: str) -> tuple[str, str]:
    """Return the name and the value of a header; neither is said again in the error, it may be a secret."""
    name, colon, value = text.partition(":")
    if not colon or not name.strip():
        raise argparse.ArgumentTypeError('a header is written "Name: value"')
    return name.strip(), value.strip()


def collision(text: str) -> CreationCollisionOption:
    """Return what to do when the destination exists, by its short or by its whole name."""
    word = text.strip().lower().replace("-", "_")
    if word in _COLLISIONS:
        return _COLLISIONS[word]
    whole: CreationCollisionOption = _member(CreationCollisionOption, short=_COLLISIONS)(text)
    return whole


def _member(kind: type[IntEnum], *, short: Iterable[str] = ()) -> Callable[[str], Any]:
    """Return what reads the name of a member, in any case and with dashes or underscores."""

    def read(text: str) -> IntEnum:
        try:
            return kind[text.strip().upper().replace("-", "_")]
        except KeyError:
            known = ", ".join(short or (each.name.lower().replace("_", "-") for each in kind))
            raise argparse.ArgumentTypeError(f"{text!r} is none of {known}") from None

    return read


def add_download_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare what a download may be given, as far as the model takes it."""
    add = parser.add_argument
    add("-g", "--group", metavar="GROUP", help="the group; made if there is none")
    add("--sha256", metavar="HEX", help="the SHA-256 that the file must have")
    add("--checksum", metavar="ALGORITHM:HEX", help="another digest that the file must have")
    add("--checksum-file", metavar="FILE", help="a SHA256SUMS or the like that has its digest: a path or a URI")
    add("--mirror", metavar="URI", action="append", help="where else the same file is; may be repeated")
    add("--ca-file", metavar="FILE", help="a PEM file of authorities to trust beside the system's")
    add("--header", metavar="'NAME: VALUE'", type=header, action="append", help="a request header; may be repeated")
    add("--priority", type=_member(BackgroundTransferPriority), metavar="PRIORITY", help="high, default or low")
    add("--collision", type=collision, metavar="WHAT", help="if the file exists: open (default), unique, replace, fail")
    add(
        "--cost-policy",
        type=_member(BackgroundTransferCostPolicy),
        metavar="POLICY",
        help="networks that may be used: default, unrestricted-only, always",
    )
    add("--max-size", type=byte_count, metavar="SIZE", help="refuse what has more bytes, such as 5GB")
    add("--expect-type", metavar="TYPE", help="refuse what is of another media type, such as text/csv")
    add("--method", metavar="METHOD", help="another method than GET")
    add("--body", metavar="FILE", help="send this file as the request's body (POST unless --method says otherwise)")
    add("--sensitive-query", action="store_true", help="keep the whole query of the URI secret")
    add("--unpack", action="store_true", help="unpack the archive when it is there, into a folder beside it")
    add("--unpack-to", metavar="FOLDER", help="unpack the archive into this folder")
    add("--post-process", metavar="MODULE:FUNCTION", help="call this function with the path of what is there then")


def download_options(given: argparse.Namespace) -> dict[str, Any]:
    """Return what was given by `add_download_arguments` as the keywords of `download`."""
    options = {name: getattr(given, name) for name in _TAKEN_AS_THEY_ARE if getattr(given, name) is not None}
    if given.header:
        options["headers"] = dict(given.header)
    if given.mirror:
        options["mirrors"] = given.mirror
    if given.body is not None:
        options["request_body_file"] = given.body
    options |= {name: True for name in ("sensitive_query", "unpack") if getattr(given, name, False)}
    if given.unpack_to is not None:
        options["unpack"] = given.unpack_to
    return options


def add_manifest_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare how a manifest is named and read."""
    add = parser.add_argument
    add("--manifest", metavar="FILE", help="a CSV, JSON lines, Parquet, aria2, Metalink or pooch file with downloads")
    add("--format", choices=MANIFEST_FORMATS, help="of the manifest, where it cannot be told from the file")
    add("--base-uri", metavar="URI", help="where the files of a pooch registry are")
    add("--skip-invalid", action="store_true", help="go on without the lines that cannot be used")
    add("--allow-hidden", action="store_true", help="let the manifest name files and folders that begin with a dot")


def manifest_options(given: argparse.Namespace) -> dict[str, Any]:
    """Return what was given by `add_manifest_arguments` as the keywords of `download_many`."""
    return {name: getattr(given, name) for name in ("format", "base_uri", "skip_invalid", "allow_hidden")}


def add_selection_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare how downloads are named."""
    parser.add_argument(
        "names", nargs="*", metavar="NAME", help="file names (with * and ?), groups, or beginnings of a guid"
    )
    parser.add_argument("-g", "--group", metavar="GROUP", help="only those of this group")


def select(
    operations: Sequence[DownloadOperation], names: Sequence[str], group: str | None = None
) -> list[DownloadOperation]:
    """
    Return the operations that are meant, in their order; all of them where nothing is named.

    Raises
    ------
    InvalidRequest
        A name or the group fits none; the message says which there are.
    """
    chosen = [each for each in operations if group in (None, each.group)]
    if group is not None and not chosen:
        raise InvalidRequest(_nothing_called("group", group, sorted({each.group for each in operations} - {""})))
    if not names:
        return chosen
    meant = {each.guid for name in names for each in _named(chosen, name)}
    return [each for each in chosen if each.guid in meant]


def _named(operations: Sequence[DownloadOperation], name: str) -> list[DownloadOperation]:
    """Return what a name fits: exactly, else as a group, else as a pattern, else as the beginning of a guid."""
    prefix = name.lower().replace("-", "")
    fits: tuple[Callable[[DownloadOperation], bool], ...] = (
        lambda each: name in (each.name, each.destination),
        lambda each: bool(each.group) and each.group == name,
        lambda each: fnmatchcase(each.name, name),
        lambda each: len(prefix) >= _SHORTEST_PREFIX and each.guid.hex.startswith(prefix),
    )
    for fit in fits:
        found = [each for each in operations if fit(each)]
        if found:
            return found
    raise InvalidRequest(_nothing_called("download", name, list(dict.fromkeys(each.name for each in operations))))


def _nothing_called(what: str, name: str, known: Sequence[str]) -> str:
    most = 8
    listed = ", ".join(display.plain(each) for each in known[:most]) or "none"
    more = f" and {len(known) - most:,} more" if len(known) > most else ""
    return f"There is no {what} {display.plain(name)!r} here; there are: {listed}{more}."

"""
Manifests on their way to drafts: read twice, first to check all of it, then to take it in.

What is checked is forgotten again but for a fingerprint of each line, so that a manifest of any length needs little
memory; nothing is created before the last line was looked at.
"""

from __future__ import annotations

import hashlib
import logging
import os
import unicodedata
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath, PureWindowsPath
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final

from bgdl_jupyter.errors import InvalidManifest, InvalidRequest, ManifestProblem
from bgdl_jupyter.manifests.entry import BadLine, ManifestEntry
from bgdl_jupyter.manifests.lines import MAX_ENTRIES
from bgdl_jupyter.manifests.source import FORMATS, format_of_text
from bgdl_jupyter.model.option_checks import checksum_of, without_checksum
from bgdl_jupyter.model.stores import is_store, local_path
from bgdl_jupyter.status import BackgroundTransferCostPolicy, CreationCollisionOption
from bgdl_jupyter.storage.digests import parse_checksum, strongest
from bgdl_jupyter.storage.filenames import HOSTILE_CHARACTERS
from bgdl_jupyter.uris import identity

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from bgdl_jupyter.manifests.source import ManifestSource
    from bgdl_jupyter.model.draft import Draft, Drafting

    MakeDraft = Callable[[str, Any, Mapping[str, Any]], Draft]

log = logging.getLogger(__name__)

#: What ``format=`` of `download_many` may be.
MANIFEST_FORMATS: Final = FORMATS
_MOST_PROBLEMS: Final = 1000
_SHOWN_PROBLEMS: Final = 5
# Drafts of so few lines are kept from the first reading to the second.
_KEPT: Final = 2000
_FINGERPRINT: Final = 16
_LIMITS: Final = ("cost_policy", "expect_type", "max_size", "sensitive_query")


class Intake:
    """
    One manifest and what its lines become.

    Parameters
    ----------
    source:
        The manifest.
    make_draft:
        Checks a URI, a destination and options, and makes a draft of them.
    check_draft:
        Raises `InvalidRequest` for what stands in the way of a draft.
    options:
        For every line; a line's own come first.
    limits:
        As `limits_of` returns them: what lines of a foreign source may make stricter and never looser.
    directory:
        Where the destinations are, and may not get out of; None to let code name any path.
    allows_hidden:
        Whether destinations of a foreign source may have names that begin with a dot.
    skips_invalid:
        Whether lines that cannot be used are left out instead of ending it all.
    """

    def __init__(
        self,
        source: ManifestSource,
        make_draft: MakeDraft,
        *,
        check_draft: Callable[[Draft], object],
        options: Mapping[str, Any],
        directory: str | os.PathLike[str] | None,
        limits: Mapping[str, Any] = MappingProxyType({}),
        allows_hidden: bool = False,
        skips_invalid: bool = False,
    ) -> None:
        self._source = source
        self._make_draft = make_draft
        self._check_draft = check_draft
        self._options = options
        self._limits = limits
        refuses_hidden = source.is_foreign and not allows_hidden
        self._folder = Folder(directory, refuses_hidden=refuses_hidden) if directory is not None else None
        self._skips_invalid = skips_invalid
        self._bad: set[int] = set()
        self._kept: list[Draft] | None = []

    def check(self) -> None:
        """
        Look at every line.

        Raises
        ------
        InvalidManifest
            Lines cannot be used, and are not to be left out; or nothing can be read at all.
        """
        found, seen, lines = Problems(), Seen(), 0
        for line, outcome in self._outcomes(seen):
            lines += 1
            if isinstance(outcome, BadLine):
                found.add(outcome)
                self._bad.add(line)
            elif self._kept is not None:
                self._kept.append(outcome)
                if len(self._kept) > _KEPT:
                    self._kept = None
            if lines > MAX_ENTRIES:
                found.add(BadLine(line=line, reason=f"there are more than {MAX_ENTRIES:,} downloads", ends=True))
            if found.has_ended:
                break
        if found.count and (found.has_ended or not self._skips_invalid):
            raise found.error(self._source.name, lines)
        if found.count:
            log.warning("%s", found.sentence(self._source.name, lines))

    def drafts(self) -> Iterator[Draft]:
        """
        Give the drafts of the lines that can be used; `check` comes before.

        Raises
        ------
        InvalidManifest
            The manifest is another one than that which was checked.
        """
        if self._kept is not None:
            yield from self._kept
            return
        for line, outcome in self._outcomes(None):
            if line in self._bad:
                continue
            if isinstance(outcome, BadLine):
                changed = Problems()
                changed.add(outcome)
                raise changed.error(f"{self._source.name}, which changed while it was taken in:", line)
            yield outcome

    def _outcomes(self, seen: Seen | None) -> Iterator[tuple[int, Draft | BadLine]]:
        for entry in self._source.read():
            if isinstance(entry, BadLine):
                yield entry.line, entry
                continue
            try:
                draft = self._draft(entry)
                if seen is not None:
                    seen.take(entry.line, draft)
                    self._check_draft(draft)
            except (InvalidRequest, TypeError) as error:
                reason = error.message if isinstance(error, InvalidRequest) else str(error)
                yield entry.line, BadLine(line=entry.line, reason=reason.rstrip("."))
            else:
                yield entry.line, draft

    def _draft(self, entry: ManifestEntry) -> Draft:
        options = self._options
        if entry.options or entry.checksums or entry.mirrors:
            options = self._own_options(entry)
        destination = entry.destination
        if self._folder is not None:
            destination = self._folder.path_of(destination)
        draft = self._make_draft(entry.uri, destination, options)
        names = draft.secrets.names if draft.secrets is not None else ()
        lost = [name for name in entry.missing if name not in names]
        if lost:
            raise InvalidRequest(f"{lost[0]} was left out of this manifest; it must be given again")
        return draft

    def _own_options(self, entry: ManifestEntry) -> Mapping[str, Any]:
        own = stricter(entry.options, self._limits) if self._source.is_foreign else entry.options
        options = {**self._options, **own}
        headers = self._options.get("headers")
        if headers and "headers" in entry.options:
            options["headers"] = {**headers, **entry.options["headers"]}
        if entry.checksums:
            options["checksum"] = best_checksum(entry.checksums)
        if {"checksum", "sha256"} & {name for name, value in options.items() if value is not None}:
            options.pop("checksum_file", None)  # what a line says itself comes first
        if entry.mirrors:
            options["mirrors"] = entry.mirrors
        return options


def drafts_like(common: Mapping[str, Any], drafting_of: Callable[[Mapping[str, Any]], Drafting]) -> MakeDraft:
    """Return what makes drafts; what is in common is checked once for all that differ in a checksum at most."""
    drafting, rest = drafting_of(common), without_checksum(common)

    def draft(uri: str, place: Any, own: Mapping[str, Any]) -> Draft:
        if own is common:
            return drafting.draft(uri, place)
        if without_checksum(own) == rest:
            return drafting.draft(uri, place, checksum=checksum_of(own))
        return drafting_of(own).draft(uri, place)

    return draft


def limits_of(options: Mapping[str, Any], defaults: Mapping[str, Any]) -> dict[str, Any]:
    """Return the limits that the caller set by options, and where none was given those of the downloader."""
    limits = {"max_size": defaults["options"]["max_size"], "expect_type": defaults["options"]["expect_type"]}
    if defaults["cost_policy"] != BackgroundTransferCostPolicy.DEFAULT:
        limits["cost_policy"] = defaults["cost_policy"]
    limits |= {name: options[name] for name in _LIMITS if options.get(name) is not None}
    return {name: value for name, value in limits.items() if value is not None}


def stricter(options: Mapping[str, Any], limits: Mapping[str, Any]) -> dict[str, Any]:
    """Return the options of a line within limits: the smaller size, the query hidden for either, all else theirs."""
    bounded = dict(options)
    bounded |= {name: limits[name] for name in ("cost_policy", "expect_type") if name in options and name in limits}
    if "max_size" in options and "max_size" in limits:
        bounded["max_size"] = min(options["max_size"], limits["max_size"])
    if "sensitive_query" in options and limits.get("sensitive_query"):
        bounded["sensitive_query"] = True
    return bounded


def is_manifest(text: str) -> bool:
    """Whether a text is a manifest that says more than a list of URIs."""
    return format_of_text(text) not in (None, "aria2")


@dataclass(slots=True)
class Problems:
    """The lines that cannot be used: the first of them, and how many."""

    first: list[ManifestProblem] = field(default_factory=list)
    count: int = 0
    has_ended: bool = False

    def add(self, bad: BadLine) -> None:
        """Take note of one."""
        self.count += 1
        self.has_ended = self.has_ended or bad.ends
        if len(self.first) < _MOST_PROBLEMS:
            self.first.append(ManifestProblem(bad.line, bad.reason))

    def sentence(self, name: str, lines: int) -> str:
        """Return all of it in a sentence."""
        listed = "; ".join(f"line {each.line}: {each.reason}" for each in self.first[:_SHOWN_PROBLEMS])
        more = f"; and {self.count - _SHOWN_PROBLEMS:,} more" if self.count > _SHOWN_PROBLEMS else ""
        return f"{self.count:,} of {lines:,} lines of {name} cannot be used: {listed}{more}."

    def error(self, name: str, lines: int) -> InvalidManifest:
        """Return the error that names them."""
        hint = "" if self.has_ended else None
        return InvalidManifest(self.sentence(name, lines), problems=self.first, count=self.count, hint=hint)


class Seen:
    """What the lines before had: the same request, or the same file, is asked for once."""

    def __init__(self) -> None:
        self._requests: dict[bytes, int] = {}
        self._files: dict[bytes, int] = {}

    def take(self, line: int, draft: Draft) -> None:
        """Take note of a line; raises `InvalidRequest` where one before it asks for the same."""
        body = draft.common["options"].get("request_body_file", "")
        request = identity(b"", draft.uri, method=draft.common["method"], body_digest=body)
        earlier = self._requests.setdefault(bytes.fromhex(request[: 2 * _FINGERPRINT]), line)
        if earlier != line:
            raise InvalidRequest(f"line {earlier} has the same URI")
        path, location = draft.result_file, draft.location
        has_name = path is not None or (location is not None and not location.needs_name)
        if not has_name or draft.collision is CreationCollisionOption.GENERATE_UNIQUE_NAME:
            return
        place = _fingerprint(location.key) if location is not None else _fingerprint_of(path or "")
        earlier = self._files.setdefault(place, line)
        if earlier != line:
            raise InvalidRequest(f"line {earlier} has the same destination")


def _fingerprint_of(path: str) -> bytes:
    """Return the same for all spellings of a name that some file system takes for one."""
    folder, name = os.path.split(path)
    name = unicodedata.normalize("NFC", name.casefold())
    return _fingerprint(f"{folder}\0{name}")


def _fingerprint(text: str) -> bytes:
    return hashlib.blake2b(text.encode(errors="surrogateescape"), digest_size=_FINGERPRINT).digest()


def best_checksum(checksums: tuple[str, ...]) -> str:
    """Return the strongest of several checksums of one file; those of unknown kinds count only where no other is."""
    digests, failure = [], None
    for each in checksums:
        try:
            digests.append(parse_checksum(each))
        except InvalidRequest as error:
            failure = error
    best = strongest(digests)
    if best is None or (failure is not None and len(checksums) == 1):
        raise failure or InvalidRequest("no checksum can be computed here")
    return str(best)


class Folder:
    """The folder of a manifest's destinations (or the URL of one in a store), which none of them may leave."""

    def __init__(self, directory: str | os.PathLike[str], *, refuses_hidden: bool = False) -> None:
        self._refuses_hidden = refuses_hidden
        self._directory = os.fspath(directory)
        self._real: str | None = None
        self._inside: set[str] = set()
        if not is_store(self._directory):
            path = Path(local_path(self._directory)).expanduser()
            self._directory = os.path.abspath(path)  # noqa: PTH100 (`resolve` would follow the links)
            self._real = os.path.realpath(self._directory)

    def path_of(self, destination: str | os.PathLike[str] | None) -> str:
        """
        Return the path of a destination, a folder with a slash at its end.

        Raises
        ------
        InvalidRequest
            It is absolute, has ``..`` in it, a link leads it out of the folder, or a name in it is hidden and none
            may be.
        """
        name = os.fspath(destination) if destination is not None else ""
        flaw = flaw_of(name) or (self._refuses_hidden and _hidden(name))
        if flaw:
            raise InvalidRequest(f"the destination {name[:100]!r} {flaw}")
        path = f"{self._directory.rstrip('/')}/{name}"
        folder = path.rpartition("/")[0]
        if self._real is not None and folder not in self._inside:
            if not _is_within(os.path.realpath(folder), self._real):
                raise InvalidRequest(f"the destination {name[:100]!r} leads out of the folder by a link")
            self._inside.add(folder)
        return path


def _is_within(path: str, folder: str) -> bool:
    return path == folder or path.startswith(folder.rstrip(os.sep) + os.sep)


def flaw_of(name: str) -> str:
    """Return why a relative name is not safe, in words; empty where it is, on whatever system."""
    if HOSTILE_CHARACTERS.search(name):
        return "has an invisible or control character in it"
    windows = PureWindowsPath(name)
    if name.startswith(("/", "\\", "~")) or windows.drive or "://" in name:
        return "is absolute; name it from the folder on (directory= says which that is)"
    if ".." in windows.parts or ".." in PurePosixPath(name).parts:
        return "leads out of the folder with '..'"
    return ""


def _hidden(name: str) -> str:
    """Return what is wrong with a relative name that hides; what shells and kernels run unasked has such names."""
    if any(part.startswith(".") for part in PureWindowsPath(name).parts):
        return "has a name in it that begins with a dot; if that is meant, say allow_hidden=True (--allow-hidden)"
    return ""

"""
Manifests on their way to drafts: all of it is checked before the first is taken in.

The drafts of so many lines as are queued at once in practice are kept from the check. Of those behind them only a
fingerprint is, and they are read again, so that a manifest of any length needs little memory.
"""

from __future__ import annotations

import hashlib
import logging
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final

from bgdl_jupyter.errors import InvalidManifest, InvalidRequest, ManifestProblem
from bgdl_jupyter.manifests.entry import BadLine, ManifestEntry
from bgdl_jupyter.manifests.lines import MAX_ENTRIES
from bgdl_jupyter.manifests.source import FORMATS, format_of_text
from bgdl_jupyter.model.by_and_by import let_age
from bgdl_jupyter.model.manifest_folder import ManifestFolder
from bgdl_jupyter.model.option_checks import checksum_of
from bgdl_jupyter.status import BackgroundTransferCostPolicy, CreationCollisionOption
from bgdl_jupyter.storage.digests import parse_checksum, strongest

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Iterator, Mapping

    from bgdl_jupyter.manifests.source import ManifestSource
    from bgdl_jupyter.model.draft import Draft, Drafting

    DraftingOf = Callable[[Mapping[str, Any]], Drafting]

log = logging.getLogger(__name__)

#: What ``format=`` of `download_many` may be.
MANIFEST_FORMATS: Final = FORMATS
_MOST_PROBLEMS: Final = 1000
_SHOWN_PROBLEMS: Final = 5
# Of so many lines the drafts are kept: some 200 bytes each beside the texts, which their operations have, too.
_KEPT: Final = 100_000
_FINGERPRINT: Final = 16
# After so many lines that were kept.
_AGED_AFTER: Final = 5000
_LIMITS: Final = ("cost_policy", "expect_type", "max_size", "sensitive_query")
_DIGESTS: Final = frozenset({"sha256", "checksum"})
# So many kinds of options of single lines are known at a time.
_MOST_KINDS: Final = 256


class Intake:
    """
    One manifest and what its lines become.

    Parameters
    ----------
    source:
        The manifest.
    drafting_of:
        Returns what checks URIs and destinations, and makes drafts of them, with these options.
    check_draft:
        Raises `InvalidRequest` for what stands in the way of a draft whose destination has something in it.
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
        drafting_of: DraftingOf,
        *,
        check_draft: Callable[[Draft], object],
        options: Mapping[str, Any],
        directory: str | os.PathLike[str] | None,
        limits: Mapping[str, Any] = MappingProxyType({}),
        allows_hidden: bool = False,
        skips_invalid: bool = False,
    ) -> None:
        self.source = source
        self._alike = _Alike(options, drafting_of, limits=limits if source.is_foreign else None)
        self._check_draft = check_draft
        refuses_hidden = source.is_foreign and not allows_hidden
        self._folder = ManifestFolder(directory, refuses_hidden=refuses_hidden) if directory is not None else None
        self._skips_invalid = skips_invalid
        self._bad: set[int] = set()
        self._kept: list[Draft] = []
        self._lines = 0
        # How many lines are done with when the kept drafts are; None where that is all of them.
        self._lines_kept: int | None = None

    def check(self) -> None:
        """
        Look at every line.

        Raises
        ------
        InvalidManifest
            Lines cannot be used, and are not to be left out; or nothing can be read at all.
        """
        found, seen = Problems(), Seen()
        for entry in self.source.read():
            self._lines += 1
            if self._lines % _AGED_AFTER == 0:
                let_age()
            outcome = self._outcome(entry, seen)
            if isinstance(outcome, BadLine):
                found.add(outcome)
                self._bad.add(entry.line)
            elif self._lines_kept is None and len(self._kept) < _KEPT:
                self._kept.append(outcome)
            elif self._lines_kept is None:
                self._lines_kept = self._lines - 1
            if self._lines > MAX_ENTRIES:
                found.add(BadLine(line=entry.line, reason=f"there are more than {MAX_ENTRIES:,} downloads", ends=True))
            if found.has_ended:
                break
        if found.count and (found.has_ended or not self._skips_invalid):
            raise found.error(self.source.name, self._lines)
        if found.count:
            log.warning("%s", found.sentence(self.source.name, self._lines))

    def drafts(self) -> Iterator[Draft]:
        """
        Give the drafts of the lines that can be used; `check` comes before.

        Raises
        ------
        InvalidManifest
            The manifest is another one than that which was checked.
        """
        kept, self._kept = self._kept, []
        kept.reverse()
        while kept:  # each is let go when its operation is there
            yield kept.pop()
        if self._lines_kept is not None:
            yield from self._read_again(self._lines_kept)

    def _read_again(self, kept: int) -> Iterator[Draft]:
        lines = 0
        for entry in self.source.read():
            lines += 1
            if lines <= kept or entry.line in self._bad:
                continue
            outcome = self._outcome(entry, None)
            if isinstance(outcome, BadLine):
                raise self._changed(outcome, lines)
            yield outcome
        if lines != self._lines:
            raise self._changed(BadLine(line=lines, reason=f"it has {lines:,} lines now"), lines)

    def _changed(self, bad: BadLine, lines: int) -> InvalidManifest:
        changed = Problems()
        changed.add(bad)
        return changed.error(f"{self.source.name}, which changed while it was taken in:", lines)

    def _outcome(self, entry: ManifestEntry | BadLine, seen: Seen | None) -> Draft | BadLine:
        if isinstance(entry, BadLine):
            return entry
        try:
            draft = self.draft_of(entry)
            if seen is not None:
                seen.take(entry.line, draft)
                if draft.is_there:
                    self._check_draft(draft)
        except (InvalidRequest, TypeError) as error:
            reason = error.message if isinstance(error, InvalidRequest) else str(error)
            return BadLine(line=entry.line, reason=reason.rstrip("."))
        return draft

    def own_of(self, entry: ManifestEntry) -> dict[str, Any]:
        """Return what a line says itself beside its URI and destination, within the limits of the caller."""
        own = {name: value for name, value in self._alike.own_of(entry).items() if name not in _DIGESTS}
        checksum = _checksum_of(entry)
        return {
            **own,
            **({} if checksum is None else {"checksum": checksum}),
            **({"mirrors": list(entry.mirrors)} if entry.mirrors else {}),
        }

    def draft_of(self, entry: ManifestEntry) -> Draft:
        """Return the draft of an entry; raises `InvalidRequest` or `TypeError` where it cannot be used."""
        destination = entry.destination
        if self._folder is not None:
            destination = self._folder.path_of(destination)
        checksum = _checksum_of(entry)
        drafting = self._alike.of(entry, has_checksum=checksum is not None)
        draft = drafting.draft(entry.uri, destination, checksum=checksum)
        if entry.missing:
            _refuse_lost(entry, draft)
        return draft


class _Alike:
    """
    What makes drafts: the same for all lines that differ in a checksum at most, or have the same options.

    ``limits`` is None for lines that may loosen them.
    """

    def __init__(self, common: Mapping[str, Any], drafting_of: DraftingOf, *, limits: Mapping[str, Any] | None) -> None:
        self._common = common
        self._drafting_of = drafting_of
        self._limits = limits
        self._plain = drafting_of(common)
        self._known: dict[object, Drafting] = {}

    def of(self, entry: ManifestEntry, *, has_checksum: bool) -> Drafting:
        """Return what makes the draft of a line; its checksum comes before all that was said for all lines."""
        if not has_checksum and not entry.options and not entry.mirrors:
            return self._plain
        key = None if entry.mirrors else _key_of(entry.options, has_checksum=has_checksum)
        if key is None:
            return self._drafting_of(self._options(entry, has_checksum=has_checksum))
        found = self._known.get(key)
        if found is None:
            if len(self._known) >= _MOST_KINDS:
                self._known.clear()
            found = self._known[key] = self._drafting_of(self._options(entry, has_checksum=has_checksum))
        return found

    def own_of(self, entry: ManifestEntry) -> Mapping[str, Any]:
        """Return the options of a line within the limits."""
        return entry.options if self._limits is None else stricter(entry.options, self._limits)

    def _options(self, entry: ManifestEntry, *, has_checksum: bool) -> dict[str, Any]:
        own = self.own_of(entry)
        options = {**self._common, **own}
        headers = self._common.get("headers")
        if headers and "headers" in own:
            options["headers"] = {**headers, **own["headers"]}
        if entry.mirrors:
            options["mirrors"] = entry.mirrors
        if has_checksum or own.get("checksum_file") is not None:
            options.update(sha256=None, checksum=None)
        if has_checksum:
            options["checksum_file"] = None
        return options


def _key_of(options: Mapping[str, Any], *, has_checksum: bool) -> object:
    """Return what is equal for equal options but for a checksum; None for those that cannot be compared."""
    given = [(name, value) for name, value in options.items() if name not in _DIGESTS]
    flat = [(name, tuple(value.items()) if type(value) is dict else value) for name, value in given]
    try:
        hash(key := (has_checksum, *flat))
    except TypeError:
        return None
    return key


def _checksum_of(entry: ManifestEntry) -> str | None:
    """Return the checksum that a line has itself, None for none; raises `InvalidRequest` for what is none."""
    if entry.checksums:
        return best_checksum(entry.checksums)
    return checksum_of(entry.options) or None if entry.options else None


def _refuse_lost(entry: ManifestEntry, draft: Draft) -> None:
    """Raise `InvalidRequest` where something is not there that was left out because it is secret."""
    names = draft.secrets.names if draft.secrets is not None else ()
    lost = [name for name in entry.missing if name not in names]
    if lost:
        raise InvalidRequest(f"{lost[0]} was left out of this manifest; it must be given again")


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
        earlier = self._requests.setdefault(bytes.fromhex(draft.identity[: 2 * _FINGERPRINT]), line)
        if earlier != line:
            raise InvalidRequest(f"line {earlier} has the same URI")
        key, location = draft.destination_key, draft.location
        if location is not None and not location.needs_name:
            key = location.key
        if key is None or draft.collision is CreationCollisionOption.GENERATE_UNIQUE_NAME:
            return
        earlier = self._files.setdefault(_fingerprint(key), line)
        if earlier != line:
            raise InvalidRequest(f"line {earlier} has the same destination")


def _fingerprint(text: str) -> bytes:
    return hashlib.blake2b(text.encode(errors="surrogateescape"), digest_size=_FINGERPRINT).digest()


def best_checksum(checksums: tuple[str, ...]) -> str:
    """Return the strongest of several checksums of one file; those of unknown kinds count only where no other is."""
    if len(checksums) == 1:
        return str(parse_checksum(checksums[0]))
    digests, failure = [], None
    for each in checksums:
        try:
            digests.append(parse_checksum(each))
        except InvalidRequest as error:
            failure = error
    best = strongest(digests)
    if best is None:
        raise failure or InvalidRequest("no checksum can be computed here")
    return str(best)

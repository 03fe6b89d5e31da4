"""Lines of a manifest on their way to shards: each checked, named and free of secrets before any is fetched."""

from __future__ import annotations

import hashlib
import json
import logging
import os
import posixpath
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final
from uuid import uuid4

from bgdl_jupyter.cluster.duplicates import Fingerprints
from bgdl_jupyter.cluster.ledger import Job
from bgdl_jupyter.cluster.shards import Line, cut, files_in_shard
from bgdl_jupyter.errors import InvalidRequest
from bgdl_jupyter.manifests.entry import BadLine, ManifestEntry
from bgdl_jupyter.model.intake import Problems
from bgdl_jupyter.secret import is_secret_header
from bgdl_jupyter.storage.filenames import name_from_uri
from bgdl_jupyter.uris import origin_of

if TYPE_CHECKING:
    from collections.abc import Iterator
    from hashlib import _Hash as Hash

    from bgdl_jupyter.cluster.ledger import Ledger
    from bgdl_jupyter.model.draft import Draft
    from bgdl_jupyter.model.intake import Intake

log = logging.getLogger(__name__)

# What belongs to the group as a whole, or to one machine alone.
_UNFIT: Final = (
    *("group", "application", "method", "request_body_file", "ssl_context", "storage_options"),
    *("ca_file", "post_process"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Checked:
    """A manifest of which every line was looked at."""

    files: int
    fingerprint: str
    bad: frozenset[int]


class TakingIn:
    """
    One manifest and what its lines become.

    Parameters
    ----------
    intake:
        What checks a line.
    skips_invalid:
        Whether lines that cannot be used are left out instead of ending it all.
    """

    def __init__(self, intake: Intake, *, skips_invalid: bool) -> None:
        self._intake = intake
        self._skips_invalid = skips_invalid

    def check(self) -> Checked:
        """
        Look at every line.

        Raises
        ------
        InvalidManifest
            Lines cannot be used, and are not to be left out; or nothing can be read at all.
        """
        found, bad, count, digest = Problems(), set[int](), 0, hashlib.sha256()
        with Fingerprints() as uris, Fingerprints() as places:
            for entry in self._entries(digest):
                count += 1
                outcome = self._outcome(entry)
                if isinstance(outcome, BadLine):
                    found.add(outcome)
                    bad.add(outcome.line)
                    if outcome.ends:
                        break
                else:
                    uris.add(entry.line, outcome.identity)
                    location = outcome.location
                    places.add(entry.line, location.key if location is not None else outcome.destination_key or "")
            for problem in (*_repeated(uris, "URI"), *_repeated(places, "destination")):
                if problem.line not in bad:
                    found.add(problem)
                    bad.add(problem.line)
        self._judge(found, count)
        return Checked(files=count - len(bad), fingerprint=digest.hexdigest(), bad=frozenset(bad))

    def _judge(self, found: Problems, count: int) -> None:
        name = self._intake.source.name
        if found.count and (found.has_ended or not self._skips_invalid):
            found.first.sort(key=lambda each: each.line)
            raise found.error(name, count)
        if found.count:
            log.warning("%s", found.sentence(name, count))

    def cut_into(self, ledger: Ledger, checked: Checked, *, slots: int, shard_files: int | None) -> Job:
        """
        Write the shards into a ledger, and return the job that they are.

        Raises
        ------
        InvalidRequest
            The manifest is another one than that which was checked.
        """
        digest = hashlib.sha256()
        good = (each for each in self._entries(digest) if each.line not in checked.bad)
        lines = (self._line(_named(each)) for each in good if isinstance(each, ManifestEntry))
        most = shard_files or files_in_shard(checked.files, slots)
        index = [ledger.put_shard(shard) for shard in cut(lines, most_files=most)]
        if digest.hexdigest() != checked.fingerprint:
            raise InvalidRequest(f"{self._intake.source.name} changed while it was taken in; nothing was started.")
        job = Job(job_id=uuid4().hex[:16], fingerprint=checked.fingerprint, files=checked.files, shards=len(index))
        ledger.put_job(job, index)
        return job

    def _entries(self, digest: Hash) -> Iterator[ManifestEntry | BadLine]:
        """Give what the manifest says, and let the digest know all of it."""
        for entry in self._intake.source.read():
            if isinstance(entry, ManifestEntry):
                said = (
                    entry.uri,
                    str(entry.destination),
                    entry.checksums,
                    entry.mirrors,
                    sorted(entry.options.items()),
                )
                digest.update(repr((entry.line, said)).encode(errors="surrogatepass"))
            yield entry

    def _outcome(self, entry: ManifestEntry | BadLine) -> Draft | BadLine:
        if isinstance(entry, BadLine):
            return entry
        try:
            named = _named(entry)
            draft = self._intake.draft_of(named)
            _refuse_unfit(named, draft)
            json.dumps(self._line(named).request)
        except (InvalidRequest, TypeError, ValueError) as error:
            reason = error.message if isinstance(error, InvalidRequest) else str(error)
            return BadLine(line=entry.line, reason=reason.rstrip("."))
        return draft

    def _line(self, entry: ManifestEntry) -> Line:
        own = self._intake.own_of(entry)
        return Line(
            number=entry.line,
            host=origin_of(entry.uri).host,
            size=int(own.get("max_size") or 0),
            request={"uri": entry.uri, "destination": entry.destination, **own},
        )


def _named(entry: ManifestEntry) -> ManifestEntry:
    """Return the entry with the name of its file: two workers must not find out that they write the same."""
    place = "" if entry.destination is None else os.fspath(entry.destination)
    if not place or place.endswith("/"):
        place += name_from_uri(entry.uri.partition("?")[0])
    return replace(entry, destination=posixpath.normpath(place))


def _refuse_unfit(entry: ManifestEntry, draft: Draft) -> None:
    """Raise `InvalidRequest` for a line that no worker could have without a secret, or that is not for workers."""
    secrets = draft.secrets
    if secrets is not None and (secrets.query is not None or secrets.user_info is not None or secrets.mirrors):
        raise InvalidRequest("a part of its URI is secret, and would lie beside the data; worker_secrets= adds some")
    if any(is_secret_header(name) for name in entry.options.get("headers") or ()):
        raise InvalidRequest("one of its headers is secret, and would lie beside the data; worker_secrets= adds some")
    unfit = next((name for name in _UNFIT if entry.options.get(name) is not None), None)
    if unfit is not None:
        raise InvalidRequest(f"a line for a cluster has no {unfit!r}")
    if draft.result_file is None and draft.location is None:
        raise InvalidRequest("its destination is a folder; put a slash behind it, or name the file")


def _repeated(found: Fingerprints, what: str) -> Iterator[BadLine]:
    for line, earlier in found.repeated():
        yield BadLine(line=line, reason=f"line {earlier} has the same {what}")

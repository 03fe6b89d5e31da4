"""
What is said on the comm, as plain values: views of the model for the lab extension, and the commands that it sends.

An operation goes by its id, a group by its name; no URL, no secret, and no path but that of a finished file below the
server's root. Whoever sends a command has no say in anything but which operation and which of five verbs.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from bgdl_jupyter.frontends import words
from bgdl_jupyter.frontends.verbs import Verb
from bgdl_jupyter.model import display
from bgdl_jupyter.post_processing import NOTHING

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable
    from pathlib import Path

    from bgdl_jupyter.events import AlertRaised
    from bgdl_jupyter.frontends.tally import Entry, Tally
    from bgdl_jupyter.model.group import BackgroundTransferGroup, GroupProgress
    from bgdl_jupyter.post_processing import PostProcessing

TARGET: Final = "bgdl_jupyter"
VERSION: Final = 1
#: The steps that the lab extension knows, in the order in which it is told of them.
STEPS: Final = (Verb.PAUSE, Verb.RESUME, Verb.CANCEL, Verb.RETRY, Verb.CLEAR)

_STEP_VERBS: Final = {verb.value: verb for verb in STEPS}
#: What is said of the whole kernel, without a subject.
_ALONE: Final = frozenset({"subscribe", "restore", "allow_toasts", "refuse_toasts"})
_GUID: Final = re.compile(r"[0-9a-f]{32}")
#: Texts that come in are ids and names of groups; nothing longer is one. It keeps a command far below 64 KiB.
_LONGEST: Final = 1000
_MOST_FIELDS: Final = 2


def operation_view(entry: Entry, *, root: Path | None) -> dict[str, Any]:
    """Return an operation; `root` is the server's folder, None where it is not known."""
    operation = entry.operation
    return {
        "id": operation.guid.hex,
        "name": words.name(operation),
        "group": operation.group or None,
        "status": operation.status.name,
        "activity": operation.activity.name,
        "reason": words.reason(operation),
        "received": entry.received,
        "total": entry.total,
        "rate": float(entry.rate),
        "eta": operation.eta,
        "fraction": _share(operation.fraction),
        "allowed": _verbs(entry.allowed),
        "priority": operation.priority.name,
        "error": (words.reason(operation) or "failed") if entry.kind == "failed" else None,
        "path": _path_below(root, operation.result_file) if operation.status.is_success else None,
        "position": entry.number,
        "integrity": operation.integrity.value if operation.integrity is not None else None,
        "post_processing": post_processing_view(operation.post_processing),
    }


def post_processing_view(following: PostProcessing) -> dict[str, Any] | None:
    """Return what follows the file; None where nothing does."""
    if following == NOTHING:
        return None
    words = display.post_processing(following) if following.is_pending else ""
    return {"state": following.state.value, "text": words, "fraction": _share(following.fraction)}


def group_view(name: str, group: BackgroundTransferGroup | None, tally: Tally) -> dict[str, Any]:
    """Return a group; None stands for the operations in no group, whose name is empty."""
    progress = tally.progress
    return {
        "name": name,
        "behavior": "PARALLEL" if group is None else group.transfer_behavior.name,
        "counts": counts_view(progress),
        "received": progress.bytes_received,
        "total": progress.total_bytes_to_receive,
        "rate": progress.rate,
        "eta": progress.eta,
        "fraction": _share(tally.share),
        "allowed": _verbs(tally.allowed),
    }


def counts_view(progress: GroupProgress) -> dict[str, int]:
    """Return how many operations of a group are in which state."""
    names = ("total", "running", "queued", "paused", "completed", "failed", "canceled")
    return {name: getattr(progress, name) for name in names}


def alert_view(alert: AlertRaised) -> dict[str, Any]:
    """Return an alert."""
    return {
        "id": alert.alert_id,
        "kind": alert.kind.value,
        "title": words.clip(alert.title, 200),
        "body": words.clip(alert.body, 500),
        "tag": alert.tag,
        "group": alert.group,
        "while_away": alert.while_away,
        "quiet": alert.is_quiet,
    }


def totals_view(tallies: Iterable[Tally]) -> dict[str, Any]:
    """Return what the status bar shows of all groups together."""
    all_progress = [tally.progress for tally in tallies]
    failed = sum(each.failed for each in all_progress)
    paused = sum(each.paused for each in all_progress)
    return {
        "active": sum(each.running for each in all_progress),
        "queued": sum(each.queued for each in all_progress),
        "failed": failed,
        "rate": sum((each.rate for each in all_progress), 0.0),
        "worst": "error" if failed else "paused" if paused else "ok",
    }


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """What the lab extension asks for; exactly one of the last three is set, or none."""

    name: str
    verb: Verb | None = None
    operation_id: str | None = None
    group: str | None = None
    alert_id: str | None = None


def parse_command(data: object) -> Command | None:
    """Return the command that came in; None for everything that is not exactly one of ours."""
    if not isinstance(data, dict) or not 1 <= len(data) <= _MOST_FIELDS or not _are_texts(data):
        return None
    fields = dict(data)
    name = fields.pop("verb", None)
    if name in _ALONE:
        return None if fields else Command(name=name)
    subject = fields.popitem() if fields else ("", "")
    match subject:
        case ("operation_id", alert_id) if name == "dismiss" and alert_id:
            return Command(name="dismiss", alert_id=alert_id)
        case ("operation_id", operation_id) if name in _STEP_VERBS and _GUID.fullmatch(operation_id):
            return Command(name=name, verb=_STEP_VERBS[name], operation_id=operation_id)
        case ("group", group) if name in _STEP_VERBS:
            return Command(name=name, verb=_STEP_VERBS[name], group=group)
    return None


def _are_texts(data: dict[object, object]) -> bool:
    return all(isinstance(each, str) and len(each) <= _LONGEST for pair in data.items() for each in pair)


def _verbs(allowed: Collection[Verb]) -> list[str]:
    return [verb.value for verb in STEPS if verb in allowed]


def _share(fraction: float | None) -> float | None:
    return None if fraction is None else round(fraction, 4)


def _path_below(root: Path | None, path: Path | None) -> str | None:
    if root is None or path is None or not path.is_relative_to(root):
        return None
    return path.relative_to(root).as_posix()

"""Operations, groups and alerts in the words of a view. Text only: who draws it, escapes it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from bgdl_jupyter.model import display

if TYPE_CHECKING:
    from bgdl_jupyter.frontends.tally import Entry
    from bgdl_jupyter.model.group import GroupProgress
    from bgdl_jupyter.model.operation import DownloadOperation

#: What a group is called that has no name.
UNGROUPED: Final = "Downloads"
_LONGEST_NAME: Final = 300
_LONGEST_REASON: Final = 500

_WORDS: Final = {"paused": "paused", "canceled": "canceled", "failed": "failed", "completed": "done"}


def clip(text: str, length: int) -> str:
    """Return text that can be shown: nothing that hides or reorders other text, not more than so many characters."""
    shown = display.plain(text[: length + 1])
    return shown if len(shown) <= length else f"{shown[:length]}…"


def name(operation: DownloadOperation) -> str:
    """Return what a view calls the operation."""
    return clip(operation.name, _LONGEST_NAME)


def group_title(group: str) -> str:
    """Return what a view calls a group."""
    return clip(group, _LONGEST_NAME) or UNGROUPED


def reason(operation: DownloadOperation) -> str:
    """Return why an operation does not move, where there is a reason."""
    return clip(operation.status_reason, _LONGEST_REASON)


def state(entry: Entry) -> str:
    """Return in words what an operation is doing, or why it is not."""
    operation = entry.operation
    if entry.kind in _WORDS:
        word, why = _WORDS[entry.kind], reason(operation)
        return why if why.startswith(word) else ": ".join(filter(None, (word, why)))
    if entry.following is not None:
        return display.post_processing(entry.following)
    if operation.status.is_idle:
        return reason(operation) or "not started"
    return clip(display.state(operation), _LONGEST_REASON)


def amount(entry: Entry) -> str:
    """Return how much is there of how much."""
    if entry.kind == "completed" or entry.following is not None or entry.total is None:
        return display.size(entry.received) if entry.received or entry.kind == "completed" else ""
    return f"{display.size(entry.received)} of {display.size(entry.total)}"


def rate(bytes_per_second: float) -> str:
    """Return a rate; empty where nothing comes."""
    return f"{display.size(bytes_per_second)}/s" if bytes_per_second else ""


def time_left(seconds: float | None) -> str:
    """Return how long it will take; empty where that cannot be said."""
    return "" if seconds is None else f"{display.duration(seconds)} left"


def group_amount(progress: GroupProgress) -> str:
    """Return how much of a group is there of how much."""
    received, total = progress.bytes_received, progress.total_bytes_to_receive
    if total is None:
        return display.size(received) if received else ""
    if received == total:
        return display.size(total) if total else ""
    return f"{display.size(received)} of {display.size(total)}"


def group_counts(progress: GroupProgress) -> str:
    """Return how many of a group are done, and how many of the others stand still."""
    parts = [f"{progress.completed:,} of {progress.total:,} done"]
    parts += [f"{progress.paused:,} paused"] if progress.paused else []
    parts += [f"{progress.canceled:,} canceled"] if progress.canceled else []
    return " · ".join(parts)


def failures(progress: GroupProgress) -> str:
    """Return how many failed; empty for none."""
    return f"{progress.failed:,} failed" if progress.failed else ""

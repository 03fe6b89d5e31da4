"""How downloads go, in a terminal: a bar that is redrawn, or lines where nobody can redraw."""

from __future__ import annotations

import shutil
import threading
import time
from typing import TYPE_CHECKING, Any, Final

from bgdl_jupyter.frontends.text import counted
from bgdl_jupyter.model import display
from bgdl_jupyter.model.group import progress_of
from bgdl_jupyter.status import Step

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import TextIO

    from bgdl_jupyter.model.group import GroupProgress
    from bgdl_jupyter.model.operation import DownloadOperation
    from bgdl_jupyter.post_processing import PostProcessing

#: Seconds between two drawings of a bar, and between two lines where there is no terminal.
_REDRAW: Final = 0.25
_SAY_AGAIN: Final = 10.0
_BAR: Final = 24
_ERASE: Final = "\r\x1b[K"


def follow(operations: Sequence[DownloadOperation], stream: TextIO, *, quiet: bool = False) -> None:
    """Show how the operations go until each is final or waits for a person."""
    view: _Bar | _Lines | None = None
    if not quiet:
        view = _Bar(stream) if stream.isatty() else _Lines(stream)
    over = threading.Event()

    def look() -> bool:
        if all(_stands_still(each) for each in operations):
            over.set()
        return over.is_set()

    for operation in operations:
        operation.watch(look)
    try:
        while not over.wait(_REDRAW):
            if view is not None:
                view.draw(operations)
    finally:
        if view is not None:
            view.finish(operations)


def _stands_still(operation: DownloadOperation) -> bool:
    return operation.is_held or operation.is_over or operation.status.waits_for_a_person


class _Bar:
    """One line for all, drawn over itself."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def draw(self, operations: Sequence[DownloadOperation]) -> None:
        width = shutil.get_terminal_size().columns - 1
        self._stream.write(_ERASE + in_a_line(operations)[:width])
        self._stream.flush()

    def finish(self, operations: Sequence[DownloadOperation]) -> None:
        self._stream.write(_ERASE)
        for operation in operations:
            self._stream.write(display.one_line(operation).strip("<>") + "\n")
        self._stream.flush()


class _Lines:
    """A line when something changes, and every ten seconds: for logs and pipes."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._said: dict[Any, str] = {}
        self._next = time.monotonic() + _SAY_AGAIN

    def draw(self, operations: Sequence[DownloadOperation]) -> None:
        self._say_news(operations)
        if time.monotonic() >= self._next:
            self._next = time.monotonic() + _SAY_AGAIN
            self._write(in_a_line(operations))

    def finish(self, operations: Sequence[DownloadOperation]) -> None:
        self._say_news(operations)

    def _say_news(self, operations: Sequence[DownloadOperation]) -> None:
        for operation in operations:
            status = f"{operation.status.name} {operation.post_processing.state.value}"
            if self._said.get(operation.guid) != status:
                self._said[operation.guid] = status
                self._write(display.one_line(operation).strip("<>"))

    def _write(self, line: str) -> None:
        self._stream.write(line + "\n")
        self._stream.flush()


def in_a_line(operations: Sequence[DownloadOperation]) -> str:
    """Return how all of them go together."""
    progress = progress_of(list(operations))
    names = display.plain(operations[0].name) if len(operations) == 1 else _how_many(progress)
    parts = [names, _bar(progress.fraction), _amount(progress)]
    if progress.rate:
        parts.append(f"{display.size(progress.rate)}/s")
    if progress.eta is not None and progress.rate:
        parts.append(f"{display.duration(progress.eta)} left")
    if len(operations) == 1 and not progress.rate:
        parts.append(display.state(operations[0]))
    return "  ".join(part for part in parts if part)


def _how_many(progress: GroupProgress) -> str:
    failed = f", {progress.failed:,} failed" if progress.failed else ""
    return f"{progress.completed:,} of {counted(progress.total)} done{failed}"


def _bar(fraction: float | None) -> str:
    if fraction is None:
        return ""
    full = round(fraction * _BAR)
    return f"[{'#' * full}{'.' * (_BAR - full)}] {fraction:4.0%}"


def _amount(progress: GroupProgress) -> str:
    received = display.size(progress.bytes_received)
    total = progress.total_bytes_to_receive
    return received if total is None else f"{received} of {display.size(total)}"


def record(operation: DownloadOperation) -> dict[str, Any]:
    """Return what ``--json`` says of an operation; no secret is in it."""
    return {
        "guid": str(operation.guid),
        "name": operation.name,
        "application": operation.application,
        "group": operation.group,
        "uri": operation.requested_uri,
        "file": operation.destination,
        "status": operation.status.name,
        "reason": operation.status_reason,
        "held_by": operation.holder,
        "bytes_received": operation.progress.bytes_received,
        "total_bytes": operation.progress.total_bytes_to_receive,
        "post_processing": _post_processing(operation.post_processing),
        "integrity": operation.integrity.value if operation.integrity is not None else None,
        "digest": operation.digest or None,
        "error": operation.error.web_error_status.name if operation.error is not None else None,
        "allowed_steps": sorted(step.value for step in operation.allowed_steps if step is not Step.OVERRIDE),
    }


def _post_processing(following: PostProcessing) -> dict[str, Any]:
    return {
        "state": following.state.value,
        "path": following.path,
        "members": following.members_done,
        "error": following.error or None,
    }

"""Operations and groups in words: one line, a table, a MIME bundle. Text only; nothing is interpreted."""

from __future__ import annotations

import html
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from bgdl_jupyter.status import TransferActivity
from bgdl_jupyter.storage.filenames import HOSTILE_CHARACTERS

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from bgdl_jupyter.model.operation_state import OperationState
    from bgdl_jupyter.post_processing import PostProcessing

_UNITS: Final = ("B", "kB", "MB", "GB", "TB", "PB")
_THOUSAND: Final = 1000
_MOST_ROWS: Final = 50

_ACTIVITIES: Final = {
    TransferActivity.QUEUED: "waiting for its turn",
    TransferActivity.CONNECTING: "connecting",
    TransferActivity.DOWNLOADING: "downloading",
    TransferActivity.BACKING_OFF: "waiting to try again",
    TransferActivity.VERIFYING: "verifying",
    TransferActivity.COMMITTING: "finishing",
}


def plain(text: str) -> str:
    """Return the text with control and direction characters replaced: they could forge a line."""
    return HOSTILE_CHARACTERS.sub("\N{REPLACEMENT CHARACTER}", text)


def size(count: float) -> str:
    """Return a number of bytes in decimal units: 1.5 MB is 1,500,000 bytes."""
    value = float(count)
    for unit in _UNITS:
        if value < _THOUSAND or unit == _UNITS[-1]:
            break
        value /= _THOUSAND
    return f"{value:.0f} {unit}" if unit == "B" else f"{value:.1f} {unit}"


def duration(seconds: float) -> str:
    """Return a time to go: 42 s, 3:07, 2:03:04."""
    whole = round(seconds)
    minutes, rest = divmod(whole, 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours}:{minutes:02}:{rest:02}"
    return f"{minutes}:{rest:02}" if minutes else f"{rest} s"


def title(operation: OperationState) -> str:
    """Return how a message calls the operation."""
    return plain(f"The download of {operation.name!r}")


@dataclass(frozen=True, slots=True)
class Title:
    """What `title` returns, put together only where a message is."""

    operation: OperationState

    def __str__(self) -> str:
        return title(self.operation)


def state(operation: OperationState) -> str:
    """Return in words what it is doing, or why it is not."""
    if operation.status.is_success and not operation.is_over:
        return post_processing(operation.post_processing)
    if operation.status is not operation.standing:
        return plain(f"complete, not processed: {operation.status_reason}")
    if operation.status.is_running:
        words = _ACTIVITIES.get(operation.activity, "running")
    else:
        words = operation.status.name.lower().replace("_", " ")
    reason = operation.status_reason
    return plain(f"{words}: {reason}" if reason else words)


def post_processing(following: PostProcessing) -> str:
    """Return in words how far that is which follows a file."""
    if not following.is_running:
        return "complete, waits to be processed"
    if following.bytes_total is None or following.path is not None:
        return "complete, being processed"
    parts = [f"{following.fraction or 0.0:.0%}"]
    if following.members_total is not None:
        parts.append(f"{following.members_done:,} of {following.members_total:,} files")
    elif following.members_done > 1:
        parts.append(f"{following.members_done:,} files")
    return f"unpacking: {', '.join(parts)}"


def amount(operation: OperationState) -> str:
    """Return how much is there of how much."""
    total = operation.progress.total_bytes_to_receive
    received = size(operation.progress.bytes_received)
    if total is None:
        return received
    return received if operation.status.is_success else f"{received} of {size(total)}"


def one_line(operation: OperationState) -> str:
    """Return the operation in a line."""
    parts = [plain(operation.name), state(operation), amount(operation)]
    if operation.rate:
        parts.append(f"{size(operation.rate)}/s")
    if operation.eta is not None:
        parts.append(f"{duration(operation.eta)} left")
    return "<" + " · ".join(part for part in parts if part) + ">"


def table(operations: Sequence[OperationState], heading: str) -> str:
    """Return a text table: the live and the failed first, at most fifty rows."""
    shown = ordered(operations)[:_MOST_ROWS]
    rows = [(plain(each.name), amount(each), state(each)) for each in shown]
    widths = [max((len(row[column]) for row in rows), default=0) for column in range(2)]
    lines = [heading, *(f"  {name:<{widths[0]}}  {much:>{widths[1]}}  {words}" for name, much, words in rows)]
    if len(operations) > len(shown):
        lines.append(f"  … and {len(operations) - len(shown):,} more")
    return "\n".join(lines)


def html_table(operations: Sequence[OperationState], heading: str) -> str:
    """Return the same as plain HTML, every text escaped."""
    shown = ordered(operations)[:_MOST_ROWS]
    cells = ((plain(each.name), amount(each), state(each)) for each in shown)
    rows = "".join(f"<tr>{''.join(f'<td>{html.escape(cell)}</td>' for cell in row)}</tr>" for row in cells)
    more = len(operations) - len(shown)
    foot = f"<caption style='caption-side:bottom'>… and {more:,} more</caption>" if more > 0 else ""
    head = "<tr><th>File</th><th>Size</th><th>State</th></tr>"
    return f"<p><b>{html.escape(heading)}</b></p><table>{foot}<thead>{head}</thead><tbody>{rows}</tbody></table>"


def ordered(operations: Iterable[OperationState]) -> list[OperationState]:
    """Return the running first, then the failed, the waiting, and what is done."""

    def rank(operation: OperationState) -> int:
        status = operation.standing
        if status.is_running:
            is_moving = operation.activity > TransferActivity.QUEUED or operation.post_processing.is_running
            return 0 if is_moving else 2
        if status.is_failure:
            return 1
        return 4 if status.is_final else 3

    return sorted(operations, key=rank)


def bundle(operation: OperationState, view: object | None) -> dict[str, Any]:
    """Return the MIME bundle of one operation."""
    heading = title(operation)
    return with_view({"text/plain": one_line(operation), "text/html": html_table([operation], heading)}, view)


def with_view(fallback: dict[str, Any], view: object | None) -> dict[str, Any]:
    """Return a MIME bundle: the widget where there is one, and what a reader without a kernel sees."""
    model_id = getattr(view, "model_id", None)
    if model_id is None:
        return fallback
    reference = {"version_major": 2, "version_minor": 0, "model_id": model_id}
    return {**fallback, "application/vnd.jupyter.widget-view+json": reference}

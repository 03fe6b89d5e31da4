"""`BackgroundTransferGroup`: operations that belong together, their limits and their progress as one."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from traitlets import Int, TraitError, Unicode, observe, validate

from bgdl_jupyter.engine.progress import seconds_left
from bgdl_jupyter.engine.scheduler import GroupLimits
from bgdl_jupyter.errors import AttentionRequired, BackgroundTransferError
from bgdl_jupyter.model import display
from bgdl_jupyter.model.host import host
from bgdl_jupyter.model.light import alike
from bgdl_jupyter.model.outcome import Outcome
from bgdl_jupyter.model.owned import Owned
from bgdl_jupyter.model.post_processed import STANDING, standing_of
from bgdl_jupyter.model.results import HasResults
from bgdl_jupyter.model.typed_traits import UseEnum
from bgdl_jupyter.status import BackgroundTransferBehavior, BackgroundTransferStatus, Step, TransferActivity

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable

    from bgdl_jupyter.model.operation import DownloadOperation
    from bgdl_jupyter.model.runner import Runner

# For what is no trait: very many operations come at once.
_assign: Final = object.__setattr__


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupProgress:
    """
    How far a group is.

    ``total_bytes_to_receive`` is None while the size of one of its operations is unknown; ``rate`` is in bytes per
    second; the counts are of operations.
    """

    bytes_received: int = 0
    total_bytes_to_receive: int | None = None
    rate: float = 0.0
    total: int = 0
    running: int = 0
    queued: int = 0
    paused: int = 0
    completed: int = 0
    failed: int = 0
    canceled: int = 0

    @property
    def fraction(self) -> float | None:
        """The part that is there, 0 to 1; by bytes where all sizes are known, None otherwise."""
        if self.total and self.completed == self.total:
            return 1.0
        if not self.total_bytes_to_receive:
            return None
        return min(1.0, self.bytes_received / self.total_bytes_to_receive)

    @property
    def eta(self) -> float | None:
        """Seconds that are left at the present rate; None when that cannot be said."""
        if self.total_bytes_to_receive is None:
            return None
        return seconds_left(self.total_bytes_to_receive - self.bytes_received, self.rate)


class BackgroundTransferGroup(HasResults, Owned):
    """
    Operations under one name: ``Windows.Networking.BackgroundTransfer.BackgroundTransferGroup``.

    Made by `create_group`, or by naming it where an operation is created; the same name gives the same group.

    Examples
    --------
    >>> group = BackgroundTransferGroup.create_group("years")
    >>> group.max_parallel = 2
    >>> download("https://data.example/2003.nc", "data/", group="years")
    >>> await group
    >>> print(group.progress.completed, "of", group.progress.total)
    1 of 1
    """

    name = Unicode(help="The group's name, one of its application.", read_only=True)
    application = Unicode(help="The notebook or folder that it belongs to.", read_only=True)
    transfer_behavior = UseEnum(
        BackgroundTransferBehavior, help="SERIALIZED lets at most one operation run that is not HIGH."
    ).tag(persist=True)
    max_parallel = Int(None, allow_none=True, help="How many of it may run at once; None for no own limit.").tag(
        persist=True
    )
    max_rate = Int(None, allow_none=True, help="Bytes per second for all of it; None for no own limit.").tag(
        persist=True
    )

    def __init__(self, runner: Runner, **values: Any) -> None:
        super().__init__()
        for name, value in values.items():
            self.set_trait(name, value)
        self.key = self.application, self.name
        self._runner = runner
        self._members: dict[int, DownloadOperation] = {}  # by the number in the name: to hash that is dear
        self._by_status: Counter[BackgroundTransferStatus] = Counter()
        self.watchers: list[Callable[[], bool]] = []
        self._is_due = False
        self._place = runner.place

    @classmethod
    def create_group(cls, name: str) -> BackgroundTransferGroup:
        """
        Return the group of this name in this application, made if there is none.

        Raises
        ------
        InvalidRequest
            The name is empty or no text.
        """
        from bgdl_jupyter.model.downloader import default_downloader

        return default_downloader().create_group(name)

    @property
    def operations(self) -> list[DownloadOperation]:
        """All operations of the group that were not cleared, in the order of their creation."""
        return list(self._members.values())

    @property
    def limits(self) -> GroupLimits:
        """What the scheduler is to keep."""
        return GroupLimits(behavior=self.transfer_behavior, max_parallel=self.max_parallel)

    @property
    def progress(self) -> GroupProgress:
        """How far the group is, all its operations together."""
        return progress_of(self.operations)

    def start(self) -> Outcome[BackgroundTransferGroup]:
        """Start those that were not started."""
        return self._take_all(Step.START)

    def pause(self) -> Outcome[BackgroundTransferGroup]:
        """Pause those that can be paused; await the result to know that their bytes are durable."""
        self._take_all(Step.PAUSE)
        return self._watching(self._is_settled)

    def resume(self) -> Outcome[BackgroundTransferGroup]:
        """Let those go on that are paused by somebody."""
        return self._take_all(Step.RESUME)

    def cancel(self) -> Outcome[BackgroundTransferGroup]:
        """Cancel those that are not final; await the result to know that their partial files are gone."""
        self._take_all(Step.CANCEL)
        return self._watching(self._is_settled)

    def retry_failed(self) -> Outcome[BackgroundTransferGroup]:
        """Start those again that ended in an error."""
        return self._take_all(Step.RETRY, only_failed=True)

    def _take_all(self, step: Step, *, only_failed: bool = False) -> Outcome[BackgroundTransferGroup]:
        self._runner.take_all(self.operations, step, only_failed=only_failed)
        return self._completion()

    def __await__(self) -> Generator[object, None, BackgroundTransferGroup]:
        return self._completion().__await__()

    def wait(self, timeout: float | None = None) -> BackgroundTransferGroup:
        """
        Block this thread until nothing in the group is live; failures do not raise, see `raise_for_errors`.

        Raises
        ------
        TimeoutError
            Something was live after so many seconds.
        AttentionRequired
            What is left waits for a person.
        """
        if self._runner.place.is_here():
            raise BackgroundTransferError(
                "This loop runs the downloads, and waiting would stop it.", hint="Write `await group` instead."
            )
        self._watching(self._is_stuck_or_done).wait(timeout)
        if self._has(lambda status: status.is_live):
            raise AttentionRequired(f"Downloads of the group {self.name!r} wait for you.", operation=self)
        return self

    def raise_for_errors(self) -> None:
        """
        Raise what went wrong.

        Raises
        ------
        ExceptionGroup
            Of the error of each operation that failed.
        """
        errors = [each.error for each in self.operations if each.standing.is_failure and each.error is not None]
        if errors:
            raise ExceptionGroup(f"{len(errors)} of {len(self._members)} downloads of {self.name!r} failed", errors)

    def _completion(self) -> Outcome[BackgroundTransferGroup]:
        return self._watching(lambda: not self._has(lambda status: status.is_live))

    def _is_settled(self) -> bool:
        return all(self._runner.is_settled(each) or each.status.is_running for each in self._members.values())

    def _is_stuck_or_done(self) -> bool:
        return not self._has(lambda status: status.is_live and not status.waits_for_a_person)

    def _has(self, which: Callable[[BackgroundTransferStatus], bool]) -> bool:
        return any(count and which(status) for status, count in self._by_status.items())

    def _watching(self, is_known: Any) -> Outcome[BackgroundTransferGroup]:
        return Outcome(lambda ring: self._runner.watch_group(self, is_known, ring), lambda: self)

    # On the engine's loop:

    def add_members(self, operations: Iterable[DownloadOperation]) -> None:
        """Take operations in."""
        for values, some in alike(operations, STANDING):
            for each in some:
                self._members[each.values["guid"].int] = each
                _assign(each, "membership", self)
            self._by_status[standing_of(values)] += len(some)

    def remove_member(self, operation: DownloadOperation) -> None:
        """Let an operation go."""
        if self._members.pop(operation.guid.int, None) is not None:
            self._by_status[operation.standing] -= 1
            self.look_again()

    def count_change(self, old: BackgroundTransferStatus, new: BackgroundTransferStatus) -> None:
        """Count a member's step, and let everybody look who waits for the group."""
        self._by_status[old] -= 1
        self._by_status[new] += 1
        self.look_soon()

    def look_soon(self) -> None:
        """Let everybody look who waits for the group, once for all that happens in this turn of the loop."""
        if self.watchers and not self._is_due:
            self._is_due = True
            self._runner.place.loop.call_soon(self.look_again)

    def look_again(self) -> None:
        """Let everybody look who waits for the group."""
        self._is_due = False
        self.watchers = [look for look in self.watchers if not look()]

    @observe("transfer_behavior", "max_parallel", "max_rate")
    def _limits_changed(self, _: Any) -> None:
        if self._place is not None:
            self._runner.group_changed(self)

    @validate("max_parallel", "max_rate")
    def _check_limit(self, proposal: dict[str, Any]) -> int | None:
        value: int | None = proposal["value"]
        if value is not None and value < 1:
            raise TraitError(f"{proposal['trait'].name} is a number above 0, or None for no limit, not {value}.")
        return value

    def __repr__(self) -> str:
        return display.table(self.operations, self.summary)

    @property
    def summary(self) -> str:
        """The group in a line."""
        progress = self.progress
        parts = [f"{display.plain(self.name)}: {progress.completed} of {progress.total} done"]
        parts += [f"{progress.failed} failed"] if progress.failed else []
        parts += [display.size(progress.bytes_received)]
        parts += [f"{display.size(progress.rate)}/s"] if progress.rate else []
        return ", ".join(parts)

    def _repr_mimebundle_(self, **_: object) -> dict[str, Any]:
        operations = self.operations
        heading = self.summary
        plain = display.table(operations, heading)
        fallback = {"text/plain": plain, "text/html": display.html_table(operations, heading)}
        return display.with_view(fallback, host().view(self))


_COUNTED_AS = {
    BackgroundTransferStatus.COMPLETED: "completed",
    BackgroundTransferStatus.ERROR: "failed",
    BackgroundTransferStatus.CANCELED: "canceled",
}


def progress_of(operations: list[DownloadOperation]) -> GroupProgress:
    """Return the progress of many operations as one; canceled ones do not count as bytes to come."""
    counts: Counter[str] = Counter(kind_of(each) for each in operations)
    wanted = [each for each in operations if not each.standing.is_canceled]
    totals = [each.progress.total_bytes_to_receive for each in wanted]
    return GroupProgress(
        bytes_received=sum(each.progress.bytes_received for each in wanted),
        total_bytes_to_receive=None if None in totals else sum(total for total in totals if total is not None),
        rate=sum(each.rate for each in wanted if each.status.is_running),
        total=len(operations),
        **counts,
    )


def kind_of(operation: DownloadOperation) -> str:
    """Return under which count of `GroupProgress` an operation falls."""
    status = operation.standing
    if status in _COUNTED_AS:
        return _COUNTED_AS[status]
    if status.is_paused:
        return "paused"
    is_moving = operation.activity > TransferActivity.QUEUED or operation.post_processing.is_running
    return "running" if is_moving else "queued"

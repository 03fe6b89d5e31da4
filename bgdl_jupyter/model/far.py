"""Groups whose files are fetched elsewhere: they are shown and steered as any other, and hold no operations."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from bgdl_jupyter.errors import BackgroundTransferError, InvalidTransferState
from bgdl_jupyter.events import GroupChanged
from bgdl_jupyter.model import display
from bgdl_jupyter.model.group import BackgroundTransferGroup, GroupProgress
from bgdl_jupyter.model.host import host
from bgdl_jupyter.status import BackgroundTransferStatus, Step

if TYPE_CHECKING:
    from collections.abc import Callable

    from bgdl_jupyter.model.outcome import Outcome

#: What a person may ask of such a group.
_STEPS: Final[dict[BackgroundTransferStatus, frozenset[Step]]] = {
    BackgroundTransferStatus.RUNNING: frozenset({Step.PAUSE, Step.CANCEL}),
    BackgroundTransferStatus.PAUSED_BY_APPLICATION: frozenset({Step.RESUME, Step.CANCEL}),
    BackgroundTransferStatus.PAUSED_RECOVERABLE_WEB_ERROR_STATUS: frozenset({Step.CANCEL}),
    BackgroundTransferStatus.ERROR: frozenset({Step.RETRY}),
    BackgroundTransferStatus.CANCELED: frozenset({Step.RETRY}),
}


class FarGroup(BackgroundTransferGroup):
    """
    A group whose progress is told to it; subclasses carry out its steps in `ask`.

    Attributes
    ----------
    standing:
        How the group is as a whole.
    remark:
        How far it is in the words of whoever runs it, or what it waits for; a sentence without secrets.
    is_forgotten:
        Whether it was cleared.
    """

    def __init__(self, runner: Any, **values: Any) -> None:
        super().__init__(runner, **values)
        self.standing = BackgroundTransferStatus.RUNNING
        self.remark = ""
        self.is_forgotten = False
        self._progress = GroupProgress()

    @property
    def progress(self) -> GroupProgress:
        """How far the group is, as it was told last."""
        return self._progress

    @property
    def allowed_steps(self) -> frozenset[Step]:
        """What may be asked of it now."""
        return _STEPS.get(self.standing, frozenset())

    def ask(self, step: Step) -> None:
        """Have a step carried out; returns at once, and is told later what became of it."""
        raise NotImplementedError

    def take(self, step: Step) -> None:
        """
        Take a user's step.

        Raises
        ------
        InvalidTransferState
            It is not allowed now.
        """
        if step not in self.allowed_steps:
            allowed = ", ".join(sorted(each.name.lower() for each in self.allowed_steps)) or "nothing"
            raise InvalidTransferState(
                f"The group {display.plain(self.name)!r} is {self.standing.name}; allowed now: {allowed}."
            )
        self.ask(step)

    def _take_all(self, step: Step, *, only_failed: bool = False) -> Outcome[BackgroundTransferGroup]:
        if step in self.allowed_steps and (not only_failed or self.progress.failed or self.standing.is_canceled):
            self.ask(step)
        return self._completion()

    def _has(self, which: Callable[[BackgroundTransferStatus], bool]) -> bool:
        return which(self.standing)

    def _is_settled(self) -> bool:
        return not self._progress.running or self.standing.is_running

    def raise_for_errors(self) -> None:
        """
        Raise if something failed; what went wrong with each file is in the results.

        Raises
        ------
        BackgroundTransferError
            How many failed.
        """
        progress = self.progress
        if progress.failed:
            raise BackgroundTransferError(
                f"{progress.failed:,} of {progress.total:,} downloads of {display.plain(self.name)!r} failed.",
                hint="export_failed(path) lists them, retry_failed() tries them again.",
            )

    # On the engine's loop:

    def told(self, progress: GroupProgress, standing: BackgroundTransferStatus, remark: str) -> None:
        """Take in how far it is, and tell who watches. The only place that sets these."""
        if (progress, standing, remark) == (self._progress, self.standing, self.remark):
            return
        self._progress, self.standing, self.remark = progress, standing, remark
        self.publish_change()
        self.look_again()

    def publish_change(self) -> None:
        """Let views look at it again."""
        self._runner.events.publish(GroupChanged(application=self.application, name=self.name))

    def forget(self) -> None:
        """Be a group of this application no longer; files stay, and so does what lies beside them."""
        self.is_forgotten = True
        self._runner.registry.drop_group(self.application, self.name)
        self._runner.state.delete_group(self.application, self.name)
        self.publish_change()

    def __repr__(self) -> str:
        return f"{self.summary}\n{display.plain(self.remark)}" if self.remark else self.summary

    def _repr_mimebundle_(self, **_: object) -> dict[str, Any]:
        fallback = {"text/plain": repr(self), "text/html": display.html_table([], repr(self))}
        return display.with_view(fallback, host().view(self))

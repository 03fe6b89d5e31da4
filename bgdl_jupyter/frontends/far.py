"""A group whose files are fetched elsewhere, as the views see it: sums and verbs, and no operations."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from bgdl_jupyter.frontends.tally import Tally
from bgdl_jupyter.frontends.verbs import Verb
from bgdl_jupyter.status import Step

if TYPE_CHECKING:
    from bgdl_jupyter.model.far import FarGroup
    from bgdl_jupyter.model.group import GroupProgress
    from bgdl_jupyter.model.runner import Runner

_VERBS: Final = {
    Step.PAUSE: Verb.PAUSE,
    Step.RESUME: Verb.RESUME,
    Step.CANCEL: Verb.CANCEL,
    Step.RETRY: Verb.RETRY,
}
_STEPS: Final = {verb: step for step, verb in _VERBS.items()}


class FarTally(Tally):
    """The sums of a group that is told how far it is."""

    def __init__(self, group: FarGroup) -> None:
        super().__init__()
        self._group = group

    def __len__(self) -> int:
        return 0 if self._group.is_forgotten else max(1, self._group.progress.total)

    @property
    def progress(self) -> GroupProgress:
        """How far the group is."""
        return self._group.progress

    @property
    def share(self) -> float | None:
        """The part of the files that is there."""
        progress = self.progress
        wanted = progress.total - progress.canceled
        return progress.completed / wanted if wanted else None

    @property
    def allowed(self) -> frozenset[Verb]:
        """What may be asked of the group."""
        found = {_VERBS[step] for step in self._group.allowed_steps if step in _VERBS}
        return frozenset(found | {Verb.CLEAR} if self._group.standing.is_final else found)

    @property
    def is_live(self) -> bool:
        """Whether it runs."""
        return self._group.standing.is_running

    @property
    def is_shown(self) -> bool:
        """Whether it is still there."""
        return not self._group.is_forgotten

    @property
    def remark(self) -> str:
        """How far it is in the words of whoever runs it."""
        return self._group.remark

    def perform(self, runner: Runner, verb: Verb) -> None:
        """Do what was asked for; what is not allowed any more is no error."""
        if verb is Verb.CLEAR and verb in self.allowed:
            self._group.forget()
        elif verb in self.allowed:
            # Whoever carries it out may have to wait for others, which the engine's loop must not.
            runner.place.spawn(_ask(self._group, _STEPS[verb]), name="ask a far group")


async def _ask(group: FarGroup, step: Step) -> None:
    import asyncio

    await asyncio.to_thread(group.ask, step)

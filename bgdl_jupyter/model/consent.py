"""What the user alone can decide about the machine's limits: to lift them, and what the network is taken to cost."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from traitlets import HasTraits

from bgdl_jupyter.conditions.values import CostOverride
from bgdl_jupyter.errors import InvalidRequest
from bgdl_jupyter.model import display
from bgdl_jupyter.model.host import host
from bgdl_jupyter.model.operation import DownloadOperation

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from bgdl_jupyter.conditions.values import NetworkConditions
    from bgdl_jupyter.model.runner import Runner


@dataclass(frozen=True, slots=True, kw_only=True)
class UnconstrainedTransferRequestResult:
    """
    What came of a request to run without our limits.

    Windows' class of this name has ``is_unconstrained`` alone; ``reason`` is a sentence that says who decided.
    """

    is_unconstrained: bool
    reason: str


class Negotiable(HasTraits):
    """The part of a downloader in which the user has a say about networks and limits."""

    if TYPE_CHECKING:

        @property
        def _runner(self) -> Runner: ...

    async def request_unconstrained_downloads(
        self, operations: Iterable[DownloadOperation]
    ) -> UnconstrainedTransferRequestResult:
        """
        Ask the user to lift our limits for some operations: the rate, the number at a time, the system's policy.

        Where nobody can be asked the answer is no, at once. What a network costs, what a server asks for and the room
        on the disk still count; a restart of the kernel ends the permission.

        Parameters
        ----------
        operations:
            Operations that are not final.

        Raises
        ------
        InvalidRequest
            There are none, or something else than operations.
        HeldByAnotherKernel
            One of them is run by another kernel.
        """
        asked = _checked(operations)
        answer = await host().ask_consent(_question(asked))
        if answer.is_allowed:
            self._runner.place.call(_lift, self._runner, asked)
        return UnconstrainedTransferRequestResult(is_unconstrained=answer.is_allowed, reason=answer.reason)

    @property
    def network_conditions(self) -> NetworkConditions:
        """Whether the kernel's host has a network, what it costs, and who says so."""
        runner = self._runner
        return runner.place.call(lambda: runner.conditions.network)

    @property
    def network_cost_override(self) -> CostOverride:
        """What the user says about the network's cost."""
        runner = self._runner
        return runner.place.call(lambda: runner.conditions.cost_override)

    def override_network_cost(self, word: str | CostOverride) -> None:
        """
        Say what the network costs, whatever the machine says; kept for this notebook.

        Parameters
        ----------
        word:
            "metered", "unmetered", or "auto" to believe the machine again.

        Raises
        ------
        InvalidRequest
            It is another word.
        """
        override = word if isinstance(word, CostOverride) else CostOverride.of(word)
        runner = self._runner
        runner.place.call(runner.conditions.override_cost, override)


def _checked(operations: Iterable[DownloadOperation]) -> Sequence[DownloadOperation]:
    asked = list(operations)
    if not asked or not all(isinstance(each, DownloadOperation) for each in asked):
        raise InvalidRequest("Give the operations that are to run without limits, as a list.")
    for operation in asked:
        operation.check_not_held()
    return asked


def _question(operations: Sequence[DownloadOperation]) -> str:
    what = repr(display.plain(operations[0].name)) if len(operations) == 1 else f"{len(operations):,} downloads"
    return f"Let {what} run without the limits on rate and number, also while the battery is to be saved?"


def _lift(runner: Runner, operations: Sequence[DownloadOperation]) -> None:
    for operation in operations:
        operation.is_unconstrained = True
        runner.transfers.lift_limits(operation)
        runner.admission.requeue(operation)
    runner.conditions.look()

"""
What the machine allows, applied to what runs.

Operations are paused for a cause that is named, and go on by themselves when it has ended.

The monitor is started with the first operation that runs or waits, so that a process that only looks pays nothing.
"""

from __future__ import annotations

import asyncio
import itertools
import logging
import operator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from bgdl_jupyter.conditions.values import (
    CostOverride,
    NetworkConditions,
    may_reach,
    may_run,
    may_transfer,
)
from bgdl_jupyter.errors import BackgroundTransferError, InvalidRequest
from bgdl_jupyter.events import OperationsAdded, OptionsChanged
from bgdl_jupyter.model.application import present_application
from bgdl_jupyter.model.host import host
from bgdl_jupyter.model.light import alike
from bgdl_jupyter.status import BackgroundTransferCostPolicy, Step, TransferActivity
from bgdl_jupyter.uris import beginning_of, is_loopback, origin_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from pathlib import Path

    from bgdl_jupyter.conditions.base import ConditionsMonitor
    from bgdl_jupyter.conditions.values import DiskConditions, PowerConditions
    from bgdl_jupyter.events import Event
    from bgdl_jupyter.model.operation import DownloadOperation
    from bgdl_jupyter.model.runner import Runner

log = logging.getLogger(__name__)

#: Under which name an application's word about the network's cost is kept.
COST_SETTING: Final = "network_cost"
# Many transfers fail in the same moment when a network goes; one look is enough for all of them, in seconds.
_FRESH: Final = 1.0
# So many folders are watched before those are forgotten that nothing is fetched into any more.
_FEW_FOLDERS: Final = 64
# So many are looked at in one turn of the loop, which does nothing else meanwhile.
_AT_ONCE: Final = 500
_STATUS: Final = frozenset({"status"})
_DECIDING: Final = frozenset({"cost_policy", "proxy"})
_UNSEEN: Final = "Waiting: what the network costs is being looked at."
#: What else may change what is allowed.
_RELEVANT: Final = frozenset({"cost_policy", "holder", "requested_uri"})


@dataclass(frozen=True, slots=True)
class Denial:
    """Why an operation may not run now: the step that follows, and a sentence."""

    step: Step
    reason: str


def denial(
    *,
    network: NetworkConditions,
    power: PowerConditions,
    disk: DiskConditions | None,
    to_host: str,
    policy: BackgroundTransferCostPolicy,
    is_unconstrained: bool = False,
) -> Denial | None:
    """
    Return why an operation may not run under these conditions; None where it may.

    A missing network comes before its cost, and that before what the machine itself denies; ``is_unconstrained``
    lifts only the last.
    """
    reach = may_reach(network, to_host)
    if not reach.allowed:
        return Denial(Step.NETWORK_LOST, reach.reason)
    cost = may_transfer(network.cost, policy, background_data_restricted=network.background_data_restricted)
    if not cost.allowed:
        return Denial(Step.COST_DENIED, cost.reason)
    machine = may_run(power, disk)
    if machine.allowed or is_unconstrained:
        return None
    return Denial(Step.POLICY_DENIED, machine.reason)


class ConditionsWatch:
    """Holds the operations of this process to what the machine allows; belongs to the engine's loop."""

    def __init__(self, runner: Runner) -> None:
        self._runner = runner
        self._monitor: ConditionsMonitor | None = None
        self._override: CostOverride | None = None
        self._has_looked = False
        # For this turn of the loop: thousands of operations may come in it that are alike.
        self._denials: dict[tuple[str, Path, BackgroundTransferCostPolicy, bool], Denial | None] = {}
        self._folders: set[Path] = set()
        self._most_folders = _FEW_FOLDERS
        self._is_due = False
        self._refreshing: asyncio.Task[None] | None = None
        self._refreshed_at = float("-inf")
        runner.events.subscribe(self._hear, OperationsAdded, OptionsChanged)

    @property
    def network(self) -> NetworkConditions:
        """The network as it was last seen; begins to watch it."""
        return self.begin().network

    @property
    def cost_override(self) -> CostOverride:
        """What the user says about the network's cost."""
        return self.begin().cost_override

    def begin(self) -> ConditionsMonitor:
        """Watch from now on."""
        if self._monitor is None:
            self._monitor = host().new_conditions()
            self._monitor.listen(self.look)
            self._runner.place.spawn(self._start(self._monitor), name="conditions")
        return self._monitor

    async def _start(self, monitor: ConditionsMonitor) -> None:
        word = await _read(self._runner, COST_SETTING)
        if self._override is None and word is not None:
            _recall_override(monitor, word)
        await monitor.start()
        self._has_looked = True
        self.look()

    async def aclose(self) -> None:
        """Watch no longer."""
        if self._monitor is not None:
            await self._monitor.aclose()

    def override_cost(self, override: CostOverride) -> None:
        """Take the user's word about the network's cost, and keep it for this application."""
        self._override = override
        self.begin().override_cost(override)
        self._runner.state.put_setting(present_application(), COST_SETTING, override.value)

    # ----------------------------------------------------------------------------------------------------- who may run

    def lets_run(self, operation: DownloadOperation) -> bool:
        """Whether a running operation may wait for its turn; where it may not, it is paused here."""
        return bool(self.let_run((operation,)))

    def let_run(self, operations: Iterable[DownloadOperation]) -> list[DownloadOperation]:
        """Return the running operations that may wait for their turn; the others are paused here."""
        self.begin()
        allowed: list[DownloadOperation] = []
        for values, some in alike(operations, _DECIDING):
            folder, beginning = None, ""  # of the last that may: most that come at once are of the same host and folder
            for each in some:
                own = each.values
                uri, directory = own["requested_uri"], own["directory"]
                if directory is folder and uri.startswith(beginning) and not each.is_unconstrained:
                    allowed.append(each)
                elif (denied := self._denial_of(each, values)) is not None:
                    self._runner.change_status(each, denied.step, reason=denied.reason)
                else:
                    allowed.append(each)
                    if not (each.overrides_policy or each.is_unconstrained):
                        folder, beginning = directory, beginning_of(uri)
        return allowed

    def look(self) -> None:
        """Pause what may not run any more, and let go on what may again; very many in several turns of the loop."""
        self._is_due = False
        self._denials.clear()  # something has changed
        self._look_at_some(iter(self._runner.registry.all()))

    def _look_at_some(self, operations: Iterator[DownloadOperation]) -> None:
        for operation in itertools.islice(operations, _AT_ONCE):
            status = operation.values["status"]
            if operation.holder is not None:
                continue
            if status.is_running:
                self._stop_if_denied(operation)
            elif status.waits_for_conditions:
                self._go_on_if_allowed(operation)
        if operator.length_hint(operations):
            self._runner.place.loop.call_soon(self._look_at_some, operations)

    async def is_reachable(self, to_host: str) -> bool:
        """Whether there is a network to reach a host by; looks again, since a failure may be the first to tell."""
        if is_loopback(to_host):
            return True
        await self._refresh(self.begin())
        return may_reach(self.network, to_host).allowed

    def _denial_of(self, operation: DownloadOperation, values: Mapping[str, Any] | None = None) -> Denial | None:
        """Return what stands in the way; ``values`` has what it has in common with others where that is known."""
        monitor = self.begin()
        if operation.overrides_policy:
            return None
        own = operation.values
        values = own if values is None else values
        policy = values["cost_policy"]
        if not self._has_looked and policy is BackgroundTransferCostPolicy.UNRESTRICTED_ONLY:
            return Denial(Step.COST_DENIED, _UNSEEN)
        to_host = host_of(operation)
        key = to_host, own["directory"], policy, operation.is_unconstrained
        if not self._denials:
            self._runner.place.loop.call_soon(self._denials.clear)
        if key not in self._denials:
            self._denials[key] = denial(
                network=monitor.network,
                power=monitor.power,
                disk=self._disk(monitor, own["directory"]),
                to_host=to_host,
                policy=policy,
                is_unconstrained=operation.is_unconstrained,
            )
        return self._denials[key]

    def _disk(self, monitor: ConditionsMonitor, folder: Path) -> DiskConditions:
        self._folders.add(folder)
        if len(self._folders) > self._most_folders:
            live = {each.values["directory"] for each in self._runner.registry.all() if not each.is_over}
            for over in self._folders - live - {folder}:
                monitor.forget_disk(over)
            self._folders &= live | {folder}
            self._most_folders = max(_FEW_FOLDERS, 2 * len(self._folders))
        return monitor.disk(folder)

    def _stop_if_denied(self, operation: DownloadOperation) -> None:
        # What must not be sent twice, or is just getting its name, runs to its end or fails.
        is_under_way = operation.values["activity"] > TransferActivity.QUEUED
        denied = None if is_under_way and not operation.can_pause else self._denial_of(operation)
        if denied is not None and self._is_here(operation):
            self._runner.change_status(operation, denied.step, reason=denied.reason)
            self._runner.admission.withdraw(operation.guid)
            self._runner.transfers.cancel(operation)

    def _go_on_if_allowed(self, operation: DownloadOperation) -> None:
        denied = self._denial_of(operation)
        if (denied is not None and operation.status.comes_of(denied.step)) or not self._is_here(operation):
            return
        self._runner.change_status(operation, Step.CAUSE_ENDED)
        self._runner.transfers.enqueue(operation)

    def _is_here(self, operation: DownloadOperation) -> bool:
        """Whether it was not removed since the look began."""
        return self._runner.registry.find(operation.guid) is operation

    # ----------------------------------------------------------------------------------------------------- when to look

    def _hear(self, event: Event) -> None:
        match event:
            case OperationsAdded(operation_ids=operation_ids):
                for values, some in alike(self._runner.registry.find_all(operation_ids), _STATUS):
                    if values["status"].waits_for_conditions and not all(each.is_held for each in some):
                        self._look_soon()
            case OptionsChanged(names=names) if names & _RELEVANT and self._monitor is not None:
                self._look_soon()

    def _look_soon(self) -> None:
        self.begin()
        if not self._is_due:
            self._is_due = True
            self._runner.place.loop.call_soon(self.look)

    async def _refresh(self, monitor: ConditionsMonitor) -> None:
        loop = asyncio.get_running_loop()
        if self._refreshing is None and loop.time() - self._refreshed_at < _FRESH:
            return
        if self._refreshing is None:
            self._refreshing = self._runner.place.spawn(monitor.refresh(), name="look at the conditions")
        # Shielded: the transfer that asks may be paused by what is found.
        await asyncio.shield(self._refreshing)
        self._refreshing, self._refreshed_at = None, loop.time()


def host_of(operation: DownloadOperation) -> str:
    """Return the host that an operation has to reach: its proxy's where it was given one."""
    values = operation.values
    return origin_of(values["proxy"] or values["requested_uri"]).host


async def _read(runner: Runner, name: str) -> Any:
    try:
        return await asyncio.wrap_future(runner.state.setting(present_application(), name))
    except BackgroundTransferError as error:
        log.warning("The setting %r cannot be read: %s", name, error)
        return None


def _recall_override(monitor: ConditionsMonitor, word: object) -> None:
    try:
        monitor.override_cost(CostOverride.of(str(word)))
    except InvalidRequest as error:
        log.warning("What was said about the network's cost is not kept: %s", error)

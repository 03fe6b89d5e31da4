"""
What was observed, as frozen values, and what follows from it, as pure functions.

``None`` stands for what cannot be observed here; it never forbids anything. Reasons are sentences for the user.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Final

from bgdl_jupyter.errors import InvalidRequest
from bgdl_jupyter.status import BackgroundTransferCostPolicy as CostPolicy
from bgdl_jupyter.uris import is_loopback

if TYPE_CHECKING:
    from pathlib import Path


class NetworkCost(Enum):
    """What a byte over the network costs; the value is how it is shown."""

    UNKNOWN = "of unknown cost"
    UNRESTRICTED = "unrestricted"
    METERED = "metered"
    APPROACHING_LIMIT = "near its data limit"
    ROAMING = "roaming"
    OVER_LIMIT = "over its data limit"


class CostOverride(Enum):
    """What the user says about the cost, whatever the machine says."""

    AUTO = "auto"
    METERED = "metered"
    UNMETERED = "unmetered"

    @classmethod
    def of(cls, word: str) -> CostOverride:
        """Return the override of a word; raises `InvalidRequest` for another one."""
        try:
            return cls(word.strip().lower())
        except ValueError:
            words = ", ".join(each.value for each in cls)
            raise InvalidRequest(f"{word!r} says nothing about the network's cost; say one of {words}.") from None


@dataclass(frozen=True, slots=True, kw_only=True)
class NetworkConditions:
    """The network of the kernel's host: whether there is one, what it costs, and who says so."""

    is_up: bool | None = None
    cost: NetworkCost = NetworkCost.UNKNOWN
    background_data_restricted: bool = False
    reason: str = ""

    def overridden(self, override: CostOverride) -> NetworkConditions:
        """Return the same network at the cost that the user says."""
        if override is CostOverride.AUTO:
            return self
        is_metered = override is CostOverride.METERED
        cost = NetworkCost.METERED if is_metered else NetworkCost.UNRESTRICTED
        return NetworkConditions(is_up=self.is_up, cost=cost, reason=f"You said that the network is {override.value}.")


@dataclass(frozen=True, slots=True, kw_only=True)
class PowerConditions:
    """Whether the machine is to save its battery."""

    on_battery_saver: bool | None = None
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class DiskConditions:
    """The room on the file system of a folder, in bytes; ``reserve`` is what transfers are to leave free."""

    folder: Path
    free: int | None = None
    reserve: int = 0
    is_almost_full: bool | None = None
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether a transfer may run; if not, a sentence that says why and until when."""

    allowed: bool
    reason: str = ""


ALLOWED: Final = Verdict(allowed=True)

# Windows' table of BackgroundTransferCostPolicy. What is not here is allowed to nobody.
_ALLOWED_POLICIES: Final = {
    NetworkCost.UNKNOWN: frozenset(CostPolicy),
    NetworkCost.UNRESTRICTED: frozenset(CostPolicy),
    NetworkCost.METERED: frozenset({CostPolicy.DEFAULT, CostPolicy.ALWAYS}),
    NetworkCost.APPROACHING_LIMIT: frozenset({CostPolicy.ALWAYS}),
    NetworkCost.ROAMING: frozenset({CostPolicy.ALWAYS}),
    NetworkCost.OVER_LIMIT: frozenset({CostPolicy.ALWAYS}),
}


def may_transfer(cost: NetworkCost, policy: CostPolicy, *, background_data_restricted: bool = False) -> Verdict:
    """
    Return whether the cost of the network lets a transfer run.

    ``background_data_restricted``: the system asks background transfers to stop once the limit is passed.
    """
    if cost is NetworkCost.OVER_LIMIT and background_data_restricted:
        return Verdict(
            allowed=False, reason="Waiting: the network is over its data limit and restricts background data."
        )
    if policy in _ALLOWED_POLICIES[cost]:
        return ALLOWED
    wanted = "an unrestricted" if policy is CostPolicy.UNRESTRICTED_ONLY else "a cheaper"
    return Verdict(allowed=False, reason=f"Waiting for {wanted} network: this one is {cost.value}.")


def may_reach(network: NetworkConditions, host: str) -> Verdict:
    """Return whether there is a way to a host; to this machine itself there always is."""
    if network.is_up is not False or is_loopback(host):
        return ALLOWED
    return Verdict(allowed=False, reason=f"Waiting for the network. {network.reason}".strip())


def may_run(power: PowerConditions, disk: DiskConditions | None) -> Verdict:
    """Return whether the machine itself lets transfers run; a denial names its cause."""
    if disk is not None and disk.is_almost_full:
        return Verdict(allowed=False, reason=f"Waiting for free disk space. {disk.reason}".strip())
    if power.on_battery_saver:
        return Verdict(allowed=False, reason=f"Waiting for the battery saver to end. {power.reason}".strip())
    return ALLOWED

"""The limits that belong to the one engine of a process: every downloader reads and sets the same."""

from __future__ import annotations

import weakref
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Protocol

from bgdl_jupyter.engine.rate_limit import CombinedLimiter, RateLimiter
from bgdl_jupyter.engine.scheduler import Limits

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bgdl_jupyter.engine.facilities import Facilities
    from bgdl_jupyter.model.admission import Admission
    from bgdl_jupyter.model.group import BackgroundTransferGroup
    from bgdl_jupyter.model.operation import DownloadOperation


class SharesLimits(Protocol):
    """A downloader, as far as the limits of the engine concern it."""

    def take_shared(self, values: Mapping[str, Any]) -> None:
        """Read what was set."""


class SharedLimits:
    """Hands limits on to the scheduler and to the rate limiters; belongs to the engine's loop."""

    def __init__(self, admission: Admission, facilities: Facilities) -> None:
        self._admission = admission
        self._facilities = facilities
        self._downloaders: weakref.WeakSet[SharesLimits] = weakref.WeakSet()
        self._values: dict[str, Any] = {}
        self._of_groups: dict[tuple[str, str], RateLimiter] = {}

    def join(self, downloader: SharesLimits, values: Mapping[str, Any]) -> None:
        """Let a downloader read and set the limits; ``values`` are those that it sets."""
        self._downloaders.add(downloader)
        self._values.update(values)
        for each in tuple(self._downloaders):
            each.take_shared(self._values)
        hosts, default = self._facilities.hosts, Limits()
        hosts.max_connections = self._values.get("max_connections_per_host", default.max_parallel_per_host)
        of_host = self._values.get("max_parallel_per_host", default.max_parallel_per_host)
        self._admission.limits = replace(
            self._admission.limits,
            max_parallel=self._values.get("max_parallel", default.max_parallel),
            # Files and parts of files together: the parts take what the files leave.
            max_parallel_per_host=min(of_host, hosts.max_connections),
        )
        self._facilities.limiter.rate = self._values.get("max_rate")
        self._admission.look_soon()

    def group_changed(self, group: BackgroundTransferGroup) -> None:
        """Let a group's new limits take effect."""
        limiter = self._of_groups.get((group.application, group.name))
        if limiter is not None:
            limiter.rate = group.max_rate
        self._admission.look_soon()

    def limiter_of(self, operation: DownloadOperation, group: BackgroundTransferGroup | None) -> CombinedLimiter:
        """Return what holds an operation's bytes back: the engine's rate, and its group's."""
        return CombinedLimiter(*self._limiters_of(operation, group))

    def _limiters_of(self, operation: DownloadOperation, group: BackgroundTransferGroup | None) -> list[RateLimiter]:
        if operation.is_unconstrained:
            return []
        if group is None:
            return [self._facilities.limiter]
        limiter = self._of_groups.get(group.key)
        if limiter is None:
            limiter = self._of_groups[group.key] = RateLimiter(group.max_rate)
        return [self._facilities.limiter, limiter]

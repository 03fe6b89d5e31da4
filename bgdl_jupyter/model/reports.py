"""What users asked to be told: progress at most four times a second and at the end, ranges as they come."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING

from bgdl_jupyter.engine.progress import TICK
from bgdl_jupyter.model.host import host
from bgdl_jupyter.model.values import BackgroundTransferFileRange

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable

    from bgdl_jupyter.events import RangesArrived
    from bgdl_jupyter.model.values import BackgroundDownloadProgress


class Reports:
    """The callbacks of one operation; told on the engine's loop, called on the callback loop."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._of_progress: list[Callable[[BackgroundDownloadProgress], object]] = []
        self._of_ranges: list[Callable[..., object]] = []
        self._latest: BackgroundDownloadProgress | None = None
        self._told_at = -TICK
        self._due: asyncio.TimerHandle | None = None

    def add_progress(self, callback: Callable[[BackgroundDownloadProgress], object]) -> None:
        """Call the callback with each progress from now on."""
        self._of_progress.append(callback)

    def add_ranges(self, callback: Callable[..., object]) -> Callable[[], None]:
        """Call the callback with ranges as they arrive; return what ends that."""
        self._of_ranges.append(callback)
        return lambda: self._of_ranges.remove(callback) if callback in self._of_ranges else None

    def progressed(self, progress: BackgroundDownloadProgress) -> None:
        """Tell a progress; at once if it is the last, else a quarter of a second after the one before."""
        if not self._of_progress:
            return
        self._latest = progress
        wait = self._told_at + TICK - self._loop.time()
        if progress.status.is_final or wait <= 0:
            self._tell_latest()
        elif self._due is None:
            self._due = self._loop.call_later(wait, self._tell_latest)

    def _tell_latest(self) -> None:
        if self._due is not None:
            self._due.cancel()
        self._due, self._told_at = None, self._loop.time()
        latest = self._latest
        if latest is None:
            return
        for callback in tuple(self._of_progress):
            host().callback_place().post(callback, latest)

    def arrived(self, event: RangesArrived) -> None:
        """Tell which ranges are there now."""
        added = [BackgroundTransferFileRange(each.start, each.length) for each in event.added]
        for callback in tuple(self._of_ranges):
            call = functools.partial(callback, added=added, was_restarted=event.was_restarted)
            host().callback_place().post(call)

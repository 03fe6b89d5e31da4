"""What users asked to be told: progress at most four times a second and at the end, ranges as they come."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from bgdl_jupyter.engine.progress import TICK
from bgdl_jupyter.model.host import host
from bgdl_jupyter.model.values import BackgroundTransferFileRange
from bgdl_jupyter.ranges import EMPTY, ByteRange, RangeSet

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
        self._of_ranges: list[_Ranges] = []
        self._told_ranges = EMPTY
        self._is_void = False
        self._latest: BackgroundDownloadProgress | None = None
        self._told_at = -TICK
        self._due: asyncio.TimerHandle | None = None

    def add_progress(self, callback: Callable[[BackgroundDownloadProgress], object]) -> None:
        """Call the callback with each progress from now on."""
        self._of_progress.append(callback)

    def add_ranges(self, callback: Callable[..., object]) -> Callable[[], None]:
        """Call the callback with ranges as they arrive; return what ends that."""
        listener = _Ranges(callback)
        self._of_ranges.append(listener)
        return listener.end

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
        self._tell_ranges(event.added, was_restarted=event.was_restarted)

    def completed(self, size: int) -> None:
        """Tell what of a complete file was not told yet: a small one comes at once."""
        rest = RangeSet.of([(0, size)]).without(self._told_ranges)
        if rest:
            self._tell_ranges(rest, was_restarted=False)

    def begins_with(self, ranges: RangeSet) -> None:
        """Take ranges as known: they were there before this kernel."""
        self._told_ranges = ranges

    def void(self) -> None:
        """Note that nothing that was told is there any more; the next call says so."""
        self._is_void = self._is_void or bool(self._told_ranges)
        self._told_ranges = EMPTY

    def _tell_ranges(self, added: tuple[ByteRange, ...], *, was_restarted: bool) -> None:
        was_restarted, self._is_void = was_restarted or self._is_void, False
        self._told_ranges = RangeSet.of(added if was_restarted else (*self._told_ranges, *added))
        self._of_ranges = [each for each in self._of_ranges if not each.has_ended]
        for listener in self._of_ranges:
            listener.arrived(added, was_restarted=was_restarted)


class _Ranges:
    """One who wants to know which ranges have come: while a call waits or lasts, what comes is put together."""

    def __init__(self, callback: Callable[..., object]) -> None:
        self._callback = callback
        self._lock = threading.Lock()
        self._added = EMPTY
        self._was_restarted = False
        self._is_due = False
        self.has_ended = False

    def end(self) -> None:
        """Call no more."""
        self.has_ended = True

    def arrived(self, added: tuple[ByteRange, ...], *, was_restarted: bool) -> None:
        """Have the callback called, unless a call is to come anyway; of what came before a restart nothing is told."""
        with self._lock:
            self._added = RangeSet.of(added if was_restarted else (*self._added, *added))
            self._was_restarted = self._was_restarted or was_restarted
            is_due, self._is_due = self._is_due, True
        if not is_due:
            host().callback_place().post(self._call)

    def _call(self) -> None:
        with self._lock:
            ranges, was_restarted = self._added, self._was_restarted
            self._added, self._was_restarted, self._is_due = EMPTY, False, False
        if self.has_ended:
            return
        added = [BackgroundTransferFileRange(each.start, each.length) for each in ranges]
        self._callback(added=added, was_restarted=was_restarted)

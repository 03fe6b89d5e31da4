"""
What is done with very many operations at once, so that nobody notices.

The engine's loop has transfers to run meanwhile; and Python's collector of garbage, which begins again whenever many
objects were made, would look through all of them again and again, though all of them stay.
"""

from __future__ import annotations

import concurrent.futures
import contextlib
import gc
import itertools
import threading
import time
from typing import TYPE_CHECKING, Final, TypeVar

from bgdl_jupyter.errors import EngineNotResponding

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from bgdl_jupyter.engine.loop import Place

# How long the loop may do nothing else, in seconds, and how many it does before it looks at the time.
_STEP: Final = 0.005
_AT_ONCE: Final = 25
# How long those wait whose turn has come too early, in seconds.
_PAUSE: Final = 0.02
# So many at once come rarely.
_MANY: Final = 1000
# Within this something is done; all of them together may take as long as there are operations.
_WITHIN: Final = 60.0
# How often it is looked at whether the loop still is there, in seconds.
_LOOK: Final = 0.5

T = TypeVar("T")
R = TypeVar("R")


def in_steps(
    place: Place,
    take: Callable[[Sequence[T]], Iterable[R]],
    many: Iterable[T],
    *,
    is_behind: Callable[[], bool] = lambda: False,
) -> list[R]:
    """
    Hand many over to the engine's loop, a few at a time, and return what came of them in their order; blocks.

    An exception in the waiting caller (an interrupt) takes nothing back: all of them are taken.

    Parameters
    ----------
    take:
        What is called there with some of them.
    is_behind:
        Whether the next are to wait for a moment, for what became of those before.

    Raises
    ------
    EngineNotResponding
        Nothing was taken for a minute, or the loop has ended.
    """
    rest, done = iter(many), concurrent.futures.Future[list[R]]()
    results: list[R] = []

    def go_on() -> None:
        deadline = time.monotonic() + _STEP
        try:
            while some := list(itertools.islice(rest, _AT_ONCE)):
                results.extend(take(some))
                if time.monotonic() > deadline and not is_here:
                    place.loop.call_later(_PAUSE if is_behind() else 0.0, go_on)
                    return
        except BaseException as error:  # noqa: BLE001 (it is the caller's)
            done.set_exception(error)
        else:
            done.set_result(results)

    is_here = place.is_here()
    place.call_within(_WITHIN, go_on)
    count, deadline = -1, 0.0
    # Handed over once: to wake each other after every step would take longer than the steps.
    while not concurrent.futures.wait((done,), timeout=_LOOK).done:
        if len(results) != count:
            count, deadline = len(results), time.monotonic() + _WITHIN
        elif time.monotonic() > deadline or not place.is_alive:
            raise EngineNotResponding(f"The loop of the downloads stands still; it has taken {count:,} operations.")
    return done.result()


class Collector:
    """The collector of garbage, which may rest; there is one in a process."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._rests = 0
        self._was_enabled = True

    @contextlib.contextmanager
    def resting(self, count: int) -> Iterator[None]:
        """
        Have it look for nothing while so many operations are made that all stay, and then take them as old.

        It rests for all of the process: what is done meanwhile takes moments, and waits for nobody. For few it does
        not rest: somebody may make one after the other, and garbage of his own in between.
        """
        if count < _MANY:
            yield
            return
        with self._lock:
            self._rests += 1
            if self._rests == 1:
                self._was_enabled = gc.isenabled()
                gc.disable()
        try:
            yield
        finally:
            with self._lock:
                self._rests -= 1
                let_age()
                if not self._rests and self._was_enabled:
                    gc.enable()


def let_age() -> None:
    """
    Have the collector take everything that there is now as old.

    For all of the process, but only for this moment: what is made from now on is young, and what is old and has become
    garbage is found when the old is looked through the next time. Nothing happens where somebody froze objects of his.
    """
    if not gc.get_freeze_count():
        gc.freeze()
        gc.unfreeze()

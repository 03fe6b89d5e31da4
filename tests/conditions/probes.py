"""Probes that say what a test wants, and a listener that waits."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from bgdl_jupyter.conditions.base import ConditionsMonitor

T = TypeVar("T")


class FixedProbe(Generic[T]):
    """Sees what the test set; an exception is raised."""

    def __init__(self, seen: T) -> None:
        self.seen: T | Exception = seen
        self.looks = 0
        self.is_closed = False
        self.poke: Callable[[], None] = lambda: None

    async def look(self) -> T:
        self.looks += 1
        if isinstance(self.seen, Exception):
            raise self.seen
        return self.seen

    def notify(self, poke: Callable[[], None]) -> None:
        self.poke = poke

    async def aclose(self) -> None:
        self.is_closed = True


class Hearing:
    """Listens to conditions, and waits until they are as they should be."""

    def __init__(self, conditions: ConditionsMonitor) -> None:
        self.count = 0
        self._heard = asyncio.Event()
        self.stop = conditions.listen(self._hear)

    async def until(self, predicate: Callable[[], bool]) -> None:
        """Return when it holds after something was heard; raises `TimeoutError`."""
        async with asyncio.timeout(10):
            while not predicate():
                self._heard.clear()
                await self._heard.wait()

    def _hear(self) -> None:
        self.count += 1
        self._heard.set()


def run_here(function: Callable[[], T]) -> Awaitable[T]:
    """Run on the loop what a probe would run elsewhere."""

    async def call() -> T:
        return function()

    return call()

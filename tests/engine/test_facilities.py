"""What all transfers share."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    import pytest

    from tests.engine.conftest import Fetch


class Watched:
    """Notes in which turn of the loop it looked around."""

    def __init__(self, turns: list[int]) -> None:
        self._turns = turns
        self.ticks = 0

    def tick(self, _: float) -> None:
        self.ticks += 1
        self._turns[-1] += 1


async def test_a_thousand_get_their_tick_some_in_each_turn_of_the_loop(fetch: Callable[..., Fetch]):
    facilities, turns = fetch("http://host.example/a").facilities, [0]
    watched = [Watched(turns) for _ in range(1000)]
    for each in watched:
        facilities.watch(each)
    async with asyncio.timeout(10):
        while not all(each.ticks for each in watched):
            turns.append(0)
            await asyncio.sleep(0)
    for each in watched:
        facilities.unwatch(each)
    assert max(turns) <= 16


async def test_of_many_that_wait_for_a_library_one_goes_on_in_a_turn_of_the_loop(
    fetch: Callable[..., Fetch], monkeypatch: pytest.MonkeyPatch
):
    """And nobody else waits for a thread meanwhile."""
    facilities, turns, loaded = fetch("http://host.example/a").facilities, [0], []

    class Nothing:
        async def aclose(self) -> None:
            """Do nothing."""

    def load(scheme: str) -> type[Nothing]:
        loaded.append(scheme)
        return Nothing

    async def wait() -> None:
        assert isinstance(await facilities.transport_for("http"), Nothing)
        turns[-1] += 1

    monkeypatch.setattr("bgdl_jupyter.engine.facilities._transport_class", load)
    waiting = asyncio.gather(*(wait() for _ in range(100)))
    async with asyncio.timeout(10):
        while not waiting.done():
            turns.append(0)
            await asyncio.sleep(0)
    assert loaded == ["http"]
    assert sum(turns) == 100
    assert max(turns) <= 2

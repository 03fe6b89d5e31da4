"""What all transfers share."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

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

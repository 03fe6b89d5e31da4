"""Very many that may run at once begin a few at a time, and the loop does something else in between."""

from __future__ import annotations

import asyncio
import time
from types import SimpleNamespace
from uuid import UUID

import pytest

from bgdl_jupyter.engine.hosts import Hosts
from bgdl_jupyter.engine.scheduler import Candidate, Limits
from bgdl_jupyter.model.admission import Admission
from bgdl_jupyter.status import BackgroundTransferPriority


async def begin(count: int, *, is_unconstrained: bool, seconds_for_each: float = 0.0) -> list[int]:
    """Let so many in that may all run at once, and return how many began in each turn of the loop."""
    loop, registry, turns = asyncio.get_running_loop(), SimpleNamespace(group_limits=dict), [0]

    def start(_: UUID) -> None:
        turns[-1] += 1
        time.sleep(seconds_for_each)  # work, which takes the turn of the loop

    admission = Admission(loop, registry, Hosts(), start)  # type: ignore[arg-type]  # the one thing that is asked of it
    admission.limits = Limits(max_parallel=count, max_parallel_per_host=count)
    queue = admission._unlimited if is_unconstrained else admission._queue
    for number in range(count):
        queue.add(
            Candidate.of(
                operation_id=UUID(int=number),
                host=f"host{number}.example",
                group="",
                priority=BackgroundTransferPriority.DEFAULT,
                position=float(number),
            )
        )
    admission.look_soon()
    async with asyncio.timeout(20):
        while sum(turns) < count:
            turns.append(0)
            await asyncio.sleep(0)
    return [each for each in turns if each]


@pytest.mark.parametrize("is_unconstrained", [False, True], ids=["limited", "without limits"])
async def test_a_thousand_begin_a_few_in_each_turn_of_the_loop(is_unconstrained):
    turns = await begin(1000, is_unconstrained=is_unconstrained)
    assert sum(turns) == 1000
    assert max(turns) <= 8


async def test_fewer_begin_where_each_makes_the_turn_of_the_loop_a_long_one():
    turns = await begin(24, is_unconstrained=False, seconds_for_each=0.025)
    assert turns[:3] == [8, 4, 2]
    assert max(turns[3:]) == 1, "one of them takes longer than a turn should"

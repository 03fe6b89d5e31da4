"""The memory that bodies of middle size are received into."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from bgdl_jupyter.engine.middle_bodies import MEMORY, MIDDLE_BODY, MiddleBodies

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.engine.conftest import Fetch

SMALLER = 1 << 20


@pytest.fixture
def bodies(fetch: Callable[..., Fetch]) -> MiddleBodies:
    return fetch("http://host.example/a").facilities.bodies


async def lend(bodies: MiddleBodies, size: int, count: int) -> list[bytearray]:
    blocks = [await bodies.room(size) for _ in range(count)]
    return [block for block in blocks if block is not None]


async def test_bodies_of_any_size_get_no_more_than_there_is_for_all(bodies: MiddleBodies):
    small = await lend(bodies, 70_000, 32)
    large = await lend(bodies, MIDDLE_BODY, 8)
    assert sum(map(len, small + large)) == MEMORY
    turn = asyncio.ensure_future(bodies.room(1))
    await asyncio.sleep(0)
    assert not turn.done()
    bodies.give_back(small.pop())
    assert len(await turn or b"") == SMALLER


async def test_nobody_who_needs_less_comes_before_who_has_waited_longer(bodies: MiddleBodies):
    blocks = await lend(bodies, 1, MEMORY // SMALLER)
    large, small = asyncio.ensure_future(bodies.room(MIDDLE_BODY)), asyncio.ensure_future(bodies.room(1))
    for block in blocks[:3]:
        bodies.give_back(block)
    await asyncio.sleep(0)
    assert not large.done()
    assert not small.done()
    for block in blocks[3:5]:
        bodies.give_back(block)
    assert len(await large or b"") == MIDDLE_BODY
    assert len(await small or b"") == SMALLER


async def test_memory_is_lent_again_and_not_kept_in_another_size(bodies: MiddleBodies):
    first = await lend(bodies, 1, MEMORY // SMALLER)
    for block in first[1:]:
        bodies.give_back(block)
    again = await lend(bodies, 1, 1)
    assert any(again[0] is block for block in first)
    await lend(bodies, MIDDLE_BODY, 3)
    assert sum(len(block) for free in bodies._free.values() for block in free) == 0


async def test_where_bodies_are_late_less_is_lent_and_none_is_kept_beyond_that(bodies: MiddleBodies):
    blocks = await lend(bodies, 1, MEMORY // SMALLER)
    bodies.late()
    while len(blocks) > MEMORY // SMALLER // 2:
        bodies.give_back(blocks.pop())
    assert await bodies.room(1) is None
    for block in blocks[:3]:
        bodies.give_back(block)
    assert len(await bodies.room(1) or b"") == SMALLER
    assert sum(len(block) for free in bodies._free.values() for block in free) <= 3 * SMALLER

"""What is written is told on the loop: at once where somebody waits, else when the loop comes by."""

from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING

import pytest

from bgdl_jupyter.engine.receipts import Receipts

if TYPE_CHECKING:
    from collections.abc import Callable


Told = list[BaseException | None]


class Wakings:
    """A loop that only counts how often it is woken."""

    def __init__(self) -> None:
        self.taken: list[Callable[[], None]] = []

    def call_soon_threadsafe(self, take_in: Callable[[], None]) -> None:
        self.taken.append(take_in)


@pytest.fixture
def loop():
    return Wakings()


def test_a_loop_that_nobody_waits_on_is_not_woken_and_hears_of_it_when_it_comes_by(loop):
    receipts, told = Receipts(loop), Told()
    errors = [None, OSError("full"), None]
    for error in errors:
        receipts.post(told.append, error, wakes=False)
    assert (told, loop.taken) == ([], [])
    receipts.take_in()
    assert told == errors


def test_what_cannot_wait_wakes_the_loop_once_for_all_that_comes_until_it_looks(loop):
    receipts, told = Receipts(loop), Told()
    for _ in range(3):
        receipts.post(told.append, None, wakes=True)
    assert len(loop.taken) == 1
    loop.taken[0]()
    assert len(told) == 3
    receipts.post(told.append, None, wakes=True)
    assert len(loop.taken) == 2, "what comes later wakes it again"


def test_who_begins_to_wait_hears_of_what_was_done_before_and_is_woken_for_what_comes(loop):
    receipts, told = Receipts(loop), Told()
    receipts.post(told.append, None, wakes=False)
    with receipts.awaited():
        assert len(told) == 1
        receipts.post(told.append, None, wakes=False)
        assert len(loop.taken) == 1
    loop.taken[0]()
    receipts.post(told.append, None, wakes=False)
    assert len(loop.taken) == 1, "nobody waits any more"


async def test_an_error_is_told_as_it_came_from_another_thread():
    receipts, told = Receipts(asyncio.get_running_loop()), asyncio.get_running_loop().create_future()
    error = OSError("full")
    thread = threading.Thread(target=receipts.post, args=(told.set_result, error), kwargs={"wakes": True})
    thread.start()
    async with asyncio.timeout(5):
        assert await told is error
    thread.join()

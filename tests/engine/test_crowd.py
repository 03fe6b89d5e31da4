"""Files that come faster than they get their names: how many wait, whose bytes are written, and who may come next."""

from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING

import pytest

from bgdl_jupyter.engine import commit, naming
from bgdl_jupyter.events import ArrivedAtOnce
from tests.servers.files import many_files

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.engine.conftest import Fetch
    from tests.servers.fixtures import StartFaultServer


class Gate:
    """Stands before the writing of each batch; lets in so many, and tells how many were there at once."""

    def __init__(self) -> None:
        self._may_enter = threading.Semaphore(0)
        self.present: list[int] = []
        self._count = 0
        self._lock = threading.Lock()

    def let_in(self, batches: int) -> None:
        self._may_enter.release(batches)

    def prepare_all(self, batch) -> None:
        with self._lock:
            self._count += 1
            self.present.append(self._count)
        assert self._may_enter.acquire(timeout=20)
        naming.prepare_all(batch)
        with self._lock:
            self._count -= 1


@pytest.fixture
def gate(monkeypatch: pytest.MonkeyPatch) -> Gate:
    gate = Gate()
    monkeypatch.setattr(commit, "_MOST_TOGETHER", 8)
    monkeypatch.setattr(commit, "_ENOUGH", 4)
    monkeypatch.setattr(commit, "_SLOW_DISK", 60.0)
    monkeypatch.setattr(commit, "prepare_all", gate.prepare_all)
    return gate


@pytest.fixture
def some(fault_server: StartFaultServer, fetch: Callable[..., Fetch]) -> list[Fetch]:
    files = many_files(60, size=2000)
    server = fault_server(files)
    return [fetch(server.url(path), name=path[1:]) for path in files]


def left(some: list[Fetch]) -> int:
    return sum(each.has_left for each in some)


def completed(some: list[Fetch]) -> int:
    return len(some[0].journal.completed)


async def until(is_so: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while not is_so():  # noqa: ASYNC110 (each of many could tell)
            await asyncio.sleep(0.01)


async def test_who_comes_while_too_many_wait_keeps_its_place_until_they_do_not(gate: Gate, some: list[Fetch]):
    running = [each.start() for each in some]
    await until(lambda: all(each.of(ArrivedAtOnce) for each in some))
    assert 16 <= left(some) < 60 - 8, "those that came while it was crowded have their places"
    while left(some) < 60:
        before = completed(some)
        gate.let_in(1)
        await until(lambda before=before: completed(some) > before)  # type: ignore[misc]  # bound here
        await asyncio.sleep(0.01)
    assert completed(some) < 60 - 8, "else nothing would be fetched until all that came before are done"
    gate.let_in(60)
    await asyncio.gather(*running)


async def test_one_batch_writes_at_a_time(gate: Gate, some: list[Fetch]):
    gate.let_in(60)
    await asyncio.gather(*(each.run() for each in some))
    assert set(gate.present) == {1}


async def test_two_batches_write_at_once_while_the_disk_is_slow(
    gate: Gate, some: list[Fetch], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(commit, "_SLOW_DISK", -60.0)
    running = [each.start() for each in some]
    gate.let_in(1)
    await until(lambda: 2 in gate.present)
    monkeypatch.setattr(commit, "_SLOW_DISK", 60.0)
    gate.let_in(2)
    await until(lambda: completed(some) >= 3 * 4)
    before = len(gate.present)
    gate.let_in(60)
    await asyncio.gather(*running)
    assert max(gate.present) == 2
    assert set(gate.present[before:]) == {1}, "and one again when it is not any more"

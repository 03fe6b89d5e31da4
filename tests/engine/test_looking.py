"""Many looks at the disk are one, and each has an outcome of its own."""

from __future__ import annotations

import asyncio
import os
import time
from typing import TYPE_CHECKING, Any

import pytest

from bgdl_jupyter.engine.looking import Looking
from bgdl_jupyter.storage.descriptor import Footprint

if TYPE_CHECKING:
    from pathlib import Path


class Threads:
    """Runs what is asked on a thread, and counts how often it was asked."""

    def __init__(self) -> None:
        self.runs = 0

    async def run(self, function: Any, *args: Any) -> Any:
        self.runs += 1
        return await asyncio.to_thread(function, *args)


async def test_those_who_ask_in_one_turn_share_a_thread(tmp_path: Path):
    threads, there = Threads(), tmp_path / "there"
    there.write_bytes(b"x")
    looking = Looking(threads.run)
    paths = [str(each) for each in (there, tmp_path / "missing", there / "under-a-file")]
    seen = await asyncio.gather(*map(looking.footprint, paths))
    assert seen == [Footprint.of(there.lstat()), None, None]
    assert threads.runs == 1


async def test_who_is_about_to_ask_has_been_looked_at_already(tmp_path: Path):
    threads, names = Threads(), [str(tmp_path / str(number)) for number in range(20)]
    waiting = names.copy()
    (tmp_path / "7").write_bytes(b"x")
    looking = Looking(threads.run)
    looking.ahead = lambda count: waiting[:count]
    seen = [await looking.footprint(waiting.pop(0)) for _ in names]
    assert [number for number, each in enumerate(seen) if each is not None] == [7]
    assert threads.runs < 10


async def test_nothing_is_looked_at_twice_for_those_who_come_one_after_the_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    looked_at: list[str] = []
    look = Footprint.at

    def count(path: str) -> Footprint | None:
        looked_at.append(path)
        return look(path)

    monkeypatch.setattr(Footprint, "at", count)
    names = [str(tmp_path / str(number)) for number in range(300)]
    waiting = names.copy()
    looking = Looking(Threads().run)
    looking.ahead = lambda count: waiting[:count]

    async def lane() -> None:
        while waiting:
            await looking.footprint(waiting.pop(0))
            await asyncio.sleep(0)

    await asyncio.gather(*(lane() for _ in range(8)))
    assert sorted(looked_at) == sorted(names)


async def test_a_look_ahead_that_is_old_counts_for_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    first, late = str(tmp_path / "first"), tmp_path / "late"
    looking = Looking(Threads().run)
    looking.ahead = lambda _: [str(late)]
    await looking.footprint(first)
    late.write_bytes(b"x")
    now = time.monotonic()
    monkeypatch.setattr(time, "monotonic", lambda: now + 1)
    assert await looking.footprint(str(late)) is not None


async def test_what_cannot_be_looked_at_is_told_to_who_asked_for_it_alone(tmp_path: Path):
    looking = Looking(Threads().run)
    too_long = tmp_path / ("x" * 5000)
    failed, seen = await asyncio.gather(
        looking.footprint(str(too_long)), looking.footprint(str(tmp_path)), return_exceptions=True
    )
    assert isinstance(failed, OSError)
    assert seen == Footprint.of(os.lstat(tmp_path))


async def test_who_does_not_wait_any_longer_takes_nobody_with_him(tmp_path: Path):
    looking = Looking(Threads().run)
    gone, stays = (asyncio.ensure_future(looking.footprint(str(tmp_path))) for _ in range(2))
    await asyncio.sleep(0)
    gone.cancel()
    assert await stays is not None
    assert gone.cancelled()


async def test_where_no_thread_can_look_everybody_is_told(tmp_path: Path):
    async def never(*_: Any) -> Any:
        raise RuntimeError("no thread is left")

    with pytest.raises(RuntimeError, match="no thread"):
        await Looking(never).footprint(str(tmp_path))


async def test_a_look_that_is_cut_short_lets_nobody_wait_for_ever(tmp_path: Path):
    async def cut(*_: Any) -> Any:
        raise asyncio.CancelledError

    with pytest.raises(asyncio.CancelledError):
        await Looking(cut).footprint(str(tmp_path))

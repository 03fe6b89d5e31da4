from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import pytest

from bgdl_jupyter.engine.rate_limit import CombinedLimiter, RateLimiter
from bgdl_jupyter.engine.receipts import Receipts
from bgdl_jupyter.engine.sink import MemorySink, OverlapMismatch, PartialFileSink
from bgdl_jupyter.errors import StorageFailed
from bgdl_jupyter.storage.partial_file import PartialFile
from bgdl_jupyter.storage.writer import Writer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path


@pytest.fixture
def file(tmp_path: Path) -> Iterator[PartialFile]:
    """Return an empty partial file."""
    file = PartialFile.create(tmp_path, uuid4(), 1)
    yield file
    file.close()


@pytest.fixture
def writer() -> Iterator[Writer]:
    """Return a writer with its thread."""
    writer = Writer()
    yield writer
    writer.close()


@pytest.fixture
def wrote() -> list[tuple[int, int]]:
    """Return what was said to be written."""
    return []


@pytest.fixture
def sink(file: PartialFile, writer: Writer, wrote: list[tuple[int, int]]) -> Callable[..., PartialFileSink]:
    """Make sinks into the file."""
    under_way: list[int] = []

    def make(position: int = 0, **options: Any) -> PartialFileSink:
        values: dict[str, Any] = {
            "skipped": 0,
            "stop": None,
            "expected": b"",
            "digest": None,
            "pressure": lambda: None,
            "limiter": CombinedLimiter(),
        }
        return PartialFileSink(
            file,
            position=position,
            writer=writer,
            receipts=Receipts(asyncio.get_running_loop()),
            wrote=lambda start, stop: wrote.append((start, stop)),
            took=under_way.append,
            **(values | options),
        )

    return make


async def give(sink: PartialFileSink, data: bytes, *, piece: int = 1 << 20) -> None:
    """Give bytes in pieces, as a connection does."""
    for start in range(0, len(data), piece):
        if (pending := sink.write(data[start : start + piece])) is not None:
            await pending


def content(file: PartialFile) -> bytes:
    return file.path.read_bytes()


@pytest.mark.parametrize("piece", [1 << 20, 7777])
async def test_bytes_get_to_their_place_and_are_told_when_they_are_there(
    sink: Callable[..., PartialFileSink], file: PartialFile, wrote: list[tuple[int, int]], piece: int
):
    data = bytes(range(256)) * 16_000
    one = sink(100)
    await give(one, data, piece=piece)
    await one.drain()
    assert content(file)[100:] == data
    assert one.position == 100 + len(data)
    assert sum(stop - start for start, stop in wrote) == len(data)
    assert one.received_bytes == len(data)


@pytest.mark.parametrize("piece", [1 << 20, 3])
async def test_the_overlap_is_compared_and_not_written_again(
    sink: Callable[..., PartialFileSink], file: PartialFile, wrote: list[tuple[int, int]], piece: int
):
    file.write(b"0123456789", 0)
    one = sink(4, expected=b"456789")
    await give(one, b"456789abc", piece=piece)
    await one.drain()
    assert content(file) == b"0123456789abc"
    assert wrote == [(10, 13)]


@pytest.mark.parametrize("piece", [1 << 20, 3])
async def test_an_overlap_that_differs_is_told_and_nothing_of_it_counts(
    sink: Callable[..., PartialFileSink], file: PartialFile, piece: int
):
    file.write(b"0123456789", 0)
    one = sink(4, expected=b"456789")
    with pytest.raises(OverlapMismatch):
        await give(one, b"45678Xabc", piece=piece)
    assert content(file) == b"0123456789"


@pytest.mark.parametrize("piece", [1 << 20, 3])
async def test_what_an_aligning_cache_sends_from_before_the_overlap_is_dropped(
    sink: Callable[..., PartialFileSink], file: PartialFile, wrote: list[tuple[int, int]], piece: int
):
    file.write(b"0123456789", 0)
    one = sink(0, skipped=6, expected=b"6789")
    await give(one, b"XXXXXX6789abc", piece=piece)
    await one.drain()
    assert content(file) == b"0123456789abc"
    assert wrote == [(10, 13)]


@pytest.mark.parametrize(
    ("rate", "most"), [(None, 1 << 20), (1_000_000_000, 1 << 20), (1_000_000, 50_000), (64 << 10, 4096)]
)
async def test_under_a_limit_no_read_brings_more_than_the_limit_gives_in_a_moment(
    sink: Callable[..., PartialFileSink], rate: float | None, most: int
):
    """A full buffer at once would be 16 s of 64 KiB/s, in which nobody else has a turn."""
    limited = sink(limiter=CombinedLimiter(RateLimiter(rate)))
    assert len(limited.get_buffer()) == most


async def test_what_comes_behind_the_stop_is_left_out(
    sink: Callable[..., PartialFileSink], file: PartialFile, wrote: list[tuple[int, int]]
):
    one = sink(0, stop=5)
    never = one.write(b"0123456789")
    assert never is not None
    assert one.reached_stop.done()
    await one.drain()
    assert content(file) == b"01234"
    assert wrote == [(0, 5)]


async def test_a_disk_that_refuses_is_told_to_who_gives_more(
    sink: Callable[..., PartialFileSink], file: PartialFile, monkeypatch: pytest.MonkeyPatch
):
    def refuse(*_: object) -> None:
        raise StorageFailed("The disk has gone.")

    monkeypatch.setattr(PartialFile, "write", refuse)
    one = sink()
    await give(one, b"abc")
    with pytest.raises(StorageFailed):
        await one.drain()
    with pytest.raises(StorageFailed):
        await give(one, b"def")


async def test_who_gives_waits_while_too_much_is_not_durable(sink: Callable[..., PartialFileSink]):
    relief: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    one = sink(pressure=lambda: None if relief.done() else relief)
    giving = asyncio.ensure_future(give(one, b"abc"))
    await asyncio.sleep(0)
    assert not giving.done()
    assert one.is_held_back
    relief.set_result(None)
    await giving
    assert not one.is_held_back


async def test_who_gives_up_waiting_takes_nothing_from_others(sink: Callable[..., PartialFileSink]):
    relief: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    giving = asyncio.ensure_future(give(sink(pressure=lambda: relief), b"abc"))
    await asyncio.sleep(0)
    giving.cancel()
    with pytest.raises(asyncio.CancelledError):
        await giving
    assert not relief.done()
    sink(pressure=lambda: relief).write(b"abc")  # dropped in silence
    relief.set_result(None)


async def test_a_small_body_is_collected():
    one = MemorySink(6, CombinedLimiter())
    one.write(b"abc")
    assert bytes(one.body) == b"abc"
    one.write(b"def")
    assert bytes(one.body) == b"abcdef"
    assert one.received_bytes == 6

"""The ranges that an operation tells of as they arrive, each once, and what is sent again for them."""

from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING, Any

import pytest

from bgdl_jupyter.resource import OVERLAP
from tests.servers.faults import hold_after
from tests.servers.files import FileSpec

if TYPE_CHECKING:
    from collections.abc import Callable

    from bgdl_jupyter.model.downloader import BackgroundDownloader
    from bgdl_jupyter.model.operation import DownloadOperation
    from tests.downloads import Seen
    from tests.servers.fault_server import FaultServer
    from tests.servers.fixtures import StartFaultServer

SIZE = 2_000_000
HALF = SIZE // 2
HELD = FileSpec(size=SIZE, faults=(hold_after(HALF, until="go", on=1),))
WAIT = 15.0


@pytest.fixture
def server(fault_server: StartFaultServer) -> FaultServer:
    return fault_server({"/held": HELD, "/plain": FileSpec(size=SIZE), "/small": FileSpec(size=1000)})


@pytest.fixture
def operation(downloader: BackgroundDownloader, server: FaultServer) -> DownloadOperation:
    """Return a download that stops half-way until the server is told to go on."""
    return downloader.create_download(server.url("/held"), "file.bin")


class Calls:
    """What a callback was told, and whether two calls ever met."""

    def __init__(self) -> None:
        self.added: list[tuple[int, int]] = []
        self.restarts: list[bool] = []
        self.met = False
        self.gate = threading.Event()
        self.gate.set()
        self._busy = threading.Lock()

    @property
    def is_busy(self) -> bool:
        """Whether it is in a call."""
        return self._busy.locked()

    def __call__(self, *, added: list[Any], was_restarted: bool) -> None:
        self.met = self.met or not self._busy.acquire(blocking=False)
        self.gate.wait(WAIT)
        self.added += [(each.offset, each.length) for each in added]
        self.restarts.append(was_restarted)
        self._busy.release()


async def test_ranges_are_told_as_they_come_and_make_up_the_file(
    operation: DownloadOperation, server: FaultServer, seen: Seen
):
    calls = Calls()
    operation.on_ranges_downloaded(calls)
    operation.start()
    seen.until(lambda: sum(length for _, length in calls.added) == HALF)
    assert [(each.offset, each.length) for each in operation.get_downloaded_ranges()] == [(0, HALF)]
    server.events.set("go")
    await operation
    seen.until(lambda: sum(length for _, length in calls.added) == SIZE)
    assert not any(calls.restarts)
    assert not calls.met


async def test_ranges_that_come_while_a_callback_is_busy_are_told_in_one_call(
    operation: DownloadOperation, server: FaultServer, seen: Seen
):
    calls = Calls()
    calls.gate.clear()
    operation.on_ranges_downloaded(calls)
    operation.start()
    seen.until(lambda: calls.is_busy)
    server.events.set("go")
    await operation
    calls.gate.set()
    seen.until(lambda: sum(length for _, length in calls.added) == SIZE)
    assert len(calls.restarts) == 2


async def test_ranges_of_a_resumed_download_are_told_once(
    operation: DownloadOperation, server: FaultServer, seen: Seen
):
    calls = Calls()
    operation.on_ranges_downloaded(calls)
    operation.start()
    seen.until(lambda: operation.bytes_received == HALF)
    await operation.pause()
    server.events.set("go")
    await operation.resume()
    seen.until(lambda: sum(length for _, length in calls.added) == SIZE)
    assert not any(calls.restarts)


async def test_ranges_after_a_restart_make_those_before_void(
    operation: DownloadOperation, server: FaultServer, seen: Seen
):
    calls = Calls()
    operation.on_ranges_downloaded(calls)
    operation.start()
    seen.until(lambda: bool(calls.added))
    await operation.pause()
    server.put("/held", FileSpec(size=SIZE, seed=9, etag='"v2"'))
    before = len(calls.restarts)
    await operation.resume()
    seen.until(lambda: any(calls.restarts))
    assert calls.restarts.index(True) >= before
    assert calls.restarts.count(True) == 1


async def test_the_range_of_a_small_file_is_told_and_a_callback_can_be_taken_away(
    downloader: BackgroundDownloader, server: FaultServer, seen: Seen
):
    calls, ended = Calls(), Calls()
    operation = downloader.create_download(server.url("/small"), "file.bin")
    operation.on_ranges_downloaded(calls)
    operation.on_ranges_downloaded(ended)()
    await operation
    seen.until(lambda: calls.added == [(0, 1000)])
    assert ended.added == []


async def test_what_is_sent_again_after_a_jump_is_the_overlap_at_most(
    new_downloader: Callable[..., BackgroundDownloader], server: FaultServer
):
    spec = FileSpec(size=SIZE, rate=SIZE // 2)
    server.put("/slow", spec)
    operation = new_downloader().create_download(server.url("/slow"), "file.bin")
    operation.start()
    async with asyncio.timeout(WAIT), await operation.open_result() as file:
        file.seek(SIZE - 50_000)
        assert await file.read() == spec.read(SIZE - 50_000)
        await operation
    assert not operation.has_restarted
    assert server.bytes_sent_twice("/slow") <= 3 * OVERLAP
    assert operation.result_file is not None
    assert operation.result_file.read_bytes() == spec.read()

"""Reading a file in order while it arrives, through pauses, failures, changes and restarts."""

from __future__ import annotations

import asyncio
import csv
import io
from typing import TYPE_CHECKING

import pytest

from bgdl_jupyter.errors import HttpStatusError, ResourceChanged, StorageFailed, TransferCanceled
from bgdl_jupyter.status import BackgroundTransferStatus as Status
from tests.model.operations import status_of
from tests.servers.faults import cut_after, hold_after, no_length, status
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


async def test_the_first_rows_of_a_table_are_read_while_the_rest_is_still_coming(
    downloader: BackgroundDownloader, server: FaultServer
):
    rows = [[str(number), f"name {number}", str(number * number)] for number in range(100_000)]
    text = io.StringIO()
    csv.writer(text).writerows(rows)
    table = text.getvalue().encode()
    server.put("/table.csv", FileSpec(body=table, faults=(hold_after(len(table) // 2, until="go"),)))
    operation = downloader.create_download(server.url("/table.csv"), "table.csv")
    operation.start()
    async with asyncio.timeout(WAIT), operation.get_result_stream_at() as stream:
        first = (await stream.read(50_000)).decode()
    assert list(csv.reader(first.splitlines()[:-1]))[:1000] == rows[:1000]
    assert status_of(operation) is Status.RUNNING
    assert operation.bytes_received <= len(table) // 2
    server.events.set("go")
    await operation


async def test_a_stream_waits_through_a_pause_and_ends_with_the_file(
    operation: DownloadOperation, server: FaultServer, seen: Seen
):
    operation.start()
    seen.until(lambda: operation.bytes_received == HALF)
    reading = asyncio.ensure_future(operation.get_result_stream_at().read())
    await operation.pause()
    server.events.set("go")
    assert not reading.done()
    operation.resume()
    async with asyncio.timeout(WAIT):
        assert await reading == HELD.read()
    assert status_of(operation) is Status.COMPLETED


async def test_chunks_come_in_order_until_the_end(operation: DownloadOperation, server: FaultServer):
    operation.start()
    server.events.set("go")
    chunks = [chunk async for chunk in operation.get_result_stream_at(100)]
    assert b"".join(chunks) == HELD.read(100)
    assert all(chunks)


async def test_a_stream_that_is_opened_before_the_start_waits_for_it(operation: DownloadOperation, server: FaultServer):
    reading = asyncio.ensure_future(operation.get_result_stream_at(SIZE - 10).read())
    server.events.set("go")
    operation.start()
    async with asyncio.timeout(WAIT):
        assert await reading == HELD.read(SIZE - 10)


async def test_what_is_there_already_is_read_at_once(downloader: BackgroundDownloader, server: FaultServer):
    operation = await downloader.create_download(server.url("/plain"), "file.bin").start()
    stream = operation.get_result_stream_at(7)
    assert await stream.read(3) == FileSpec(size=SIZE).read(7, 10)
    assert await stream.read(0) == b""
    assert stream.tell() == 10
    assert await operation.get_result_stream_at(SIZE).read() == b""


@pytest.mark.parametrize("size", [0, 1, 1000, 65_536, 65_537])
async def test_a_small_file_is_read_like_any_other(downloader: BackgroundDownloader, server: FaultServer, size: int):
    spec = FileSpec(size=size)
    server.put("/small", spec)
    operation = downloader.create_download(server.url("/small"), "file.bin")
    reading = asyncio.ensure_future(operation.get_result_stream_at().read())
    opening = asyncio.ensure_future(operation.open_result())
    operation.start()
    async with asyncio.timeout(WAIT):
        assert await reading == spec.read()
        file = await opening
        assert file.size == size
        assert await file.read() == spec.read()
    await operation
    assert [(each.offset, each.length) for each in operation.get_downloaded_ranges()] == ([(0, size)] if size else [])


async def test_a_body_without_a_length_is_read_to_its_end(downloader: BackgroundDownloader, server: FaultServer):
    server.put("/open", FileSpec(size=SIZE, faults=(no_length(),)))
    operation = downloader.create_download(server.url("/open"), "file.bin")
    operation.start()
    async with asyncio.timeout(WAIT):
        assert await operation.get_result_stream_at().read() == FileSpec(size=SIZE).read()


async def test_a_reader_is_told_what_ended_the_download(downloader: BackgroundDownloader, server: FaultServer):
    server.put("/gone", FileSpec(size=SIZE, faults=(cut_after(HALF, on=1), status(404, on=2))))
    operation = downloader.create_download(server.url("/gone"), "file.bin")
    stream = operation.get_result_stream_at()
    operation.start()
    async with asyncio.timeout(WAIT):
        while stream.tell() < HALF:
            assert await stream.read(100_000)
        with pytest.raises(HttpStatusError, match="404"):
            await stream.read(1)


async def test_a_reader_is_told_that_the_download_was_canceled(operation: DownloadOperation, seen: Seen):
    operation.start()
    seen.until(lambda: operation.bytes_received == HALF)
    reading = asyncio.ensure_future(operation.get_result_stream_at(HALF).read())
    operation.cancel()
    async with asyncio.timeout(WAIT):
        with pytest.raises(TransferCanceled):
            await reading


async def test_who_has_read_of_another_version_is_told_so_and_others_read_the_new_one(
    operation: DownloadOperation, server: FaultServer, seen: Seen
):
    operation.start()
    seen.until(lambda: operation.bytes_received == HALF)
    begun, fresh = operation.get_result_stream_at(), operation.get_result_stream_at()
    assert await begun.read(1000) == HELD.read(0, 1000)
    await operation.pause()
    other = FileSpec(size=SIZE, seed=9, etag='"v2"')
    server.put("/held", other)
    operation.resume()
    async with asyncio.timeout(WAIT):
        with pytest.raises(ResourceChanged, match="byte 0"):
            await begun.read()
        assert await fresh.read() == other.read()


async def test_a_reader_that_gives_up_stops_nothing(operation: DownloadOperation, server: FaultServer, seen: Seen):
    operation.start()
    seen.until(lambda: operation.bytes_received == HALF)
    stream = operation.get_result_stream_at(HALF)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.05):
            await stream.read()
    server.events.set("go")
    async with asyncio.timeout(WAIT):
        assert await stream.read() == HELD.read(HALF)


def test_a_stream_may_be_read_on_another_loop(operation: DownloadOperation, server: FaultServer):
    operation.start()
    server.events.set("go")

    async def read() -> bytes:
        return await operation.get_result_stream_at().read()

    assert asyncio.run(read()) == HELD.read()


async def test_the_bytes_of_a_paused_download_are_read_after_a_restart(
    operation: DownloadOperation, restart: Callable[..., BackgroundDownloader], seen: Seen
):
    operation.start()
    seen.until(lambda: operation.bytes_received == HALF)
    await operation.pause()
    (again,) = restart().get_current_downloads()
    async with asyncio.timeout(WAIT):
        assert await again.get_result_stream_at().read(HALF) == HELD.read(0, HALF)


async def test_a_finished_file_that_was_replaced_is_not_taken_for_the_download(
    downloader: BackgroundDownloader, server: FaultServer
):
    operation = await downloader.create_download(server.url("/plain"), "file.bin").start()
    assert operation.result_file is not None
    other = operation.result_file.with_name("other.bin")
    other.write_bytes(bytes(SIZE))
    other.replace(operation.result_file)
    with pytest.raises(StorageFailed, match="another one has its name"):
        await operation.get_result_stream_at().read()

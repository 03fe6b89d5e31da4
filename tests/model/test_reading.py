"""Reading a file while it arrives: in order, or anywhere, and then that place comes first."""

from __future__ import annotations

import asyncio
import csv
import hashlib
import io
import os
import threading
from typing import TYPE_CHECKING, Any

import pytest

from bgdl_jupyter.errors import (
    HttpStatusError,
    InvalidRequest,
    RangesNotSupported,
    ResourceChanged,
    StorageFailed,
    TransferCanceled,
)
from bgdl_jupyter.resource import OVERLAP
from bgdl_jupyter.status import BackgroundTransferStatus as Status
from bgdl_jupyter.web_error_status import WebErrorStatus
from tests.servers.faults import cut_after, hold_after, no_length, status
from tests.servers.files import FileSpec

if TYPE_CHECKING:
    from collections.abc import Callable

    from bgdl_jupyter.model.downloader import BackgroundDownloader
    from bgdl_jupyter.model.operation import DownloadOperation
    from bgdl_jupyter.model.reading import ResultFile
    from tests.downloads import Seen
    from tests.servers.fault_server import FaultServer
    from tests.servers.fixtures import StartFaultServer, StartNginx

SIZE = 2_000_000
HALF = SIZE // 2
LARGE = 24_000_000
HELD = FileSpec(size=SIZE, faults=(hold_after(HALF, until="go", on=1),))
WAIT = 15.0


@pytest.fixture
def server(fault_server: StartFaultServer) -> FaultServer:
    return fault_server({"/held": HELD, "/plain": FileSpec(size=SIZE), "/small": FileSpec(size=1000)})


@pytest.fixture
def operation(downloader: BackgroundDownloader, server: FaultServer) -> DownloadOperation:
    """Return a download that stops half-way until the server is told to go on."""
    return downloader.create_download(server.url("/held"), "file.bin")


def status_of(operation: DownloadOperation) -> Status:
    now: Status = operation.status
    return now


# ------------------------------------------------------------------------------------------------------------ in order


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


# ------------------------------------------------------------------------------------------------------------ anywhere


@pytest.mark.parametrize("size", [SIZE, LARGE], ids=["small", "large"])
@pytest.mark.parametrize("connections", [1, 16])
async def test_what_is_read_first_is_fetched_first(
    new_downloader: Callable[..., BackgroundDownloader], server: FaultServer, size: int, connections: int
):
    """Neither how large it is nor how many connections it may have makes a difference for who reads."""
    server.put("/slow", FileSpec(size=size, rate=size // 20))
    downloader = new_downloader(max_connections_per_download=connections)
    operation = downloader.create_download(server.url("/slow"), "file.bin")
    operation.start()
    async with asyncio.timeout(WAIT), await operation.open_result() as file:
        assert file.seek(-100_000, os.SEEK_END) == size - 100_000
        assert await file.read(50_000) == FileSpec(size=size).read(size - 100_000, size - 50_000)
        assert file.tell() == size - 50_000
    assert operation.bytes_received < size
    assert status_of(operation) is Status.RUNNING
    assert f"bytes={size - 100_000}-" in {_from(each.header("Range")) for each in server.requests("/slow")}
    await operation.cancel()


def _from(header: str | None) -> str:
    return f"{(header or '').partition('-')[0]}-"


@pytest.mark.parametrize("connections", [1, 4])
async def test_a_file_that_was_read_here_and_there_is_whole_and_little_was_sent_twice(
    new_downloader: Callable[..., BackgroundDownloader], server: FaultServer, connections: int
):
    spec = FileSpec(size=12_000_000, rate=6_000_000)
    server.put("/slow", spec)
    downloader = new_downloader(max_connections_per_download=connections)
    operation = downloader.create_download(server.url("/slow"), "file.bin", sha256=spec.sha256)
    operation.start()
    places = [11_900_000, 3_000_000, 9_000_000, 0, 6_000_000]
    async with asyncio.timeout(WAIT), await operation.open_result() as file:
        for place in places:
            file.seek(place)
            assert await file.read(1000) == spec.read(place, place + 1000)
        await operation
        file.seek(0)
        assert hashlib.sha256(await file.read()).hexdigest() == spec.sha256
    assert not operation.has_restarted
    assert operation.digest == f"sha256:{spec.sha256}"


async def test_the_footer_of_a_parquet_file_is_read_while_the_rest_is_still_coming(
    downloader: BackgroundDownloader, nginx: StartNginx
):
    """A table says what it holds at its end, and its last part is had without those before."""
    pyarrow, parquet = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    values = list(range(1_200_000))
    table = pyarrow.table({"number": values, "half": [each / 2 for each in values]})
    written = io.BytesIO()
    parquet.write_table(table, written, row_group_size=100_000, compression="none", use_dictionary=False)
    size = len(written.getvalue())
    web = nginx(rate=size // 20)
    web.put("table.parquet", written.getvalue())
    operation = downloader.create_download(web.url("/table.parquet"), "table.parquet")
    operation.start()
    async with asyncio.timeout(WAIT), await operation.open_result() as file:
        source = _Blocking(file, asyncio.get_running_loop())
        opened = await asyncio.to_thread(parquet.ParquetFile, source)
        assert opened.metadata.num_rows == len(values)
        assert opened.schema_arrow.names == ["number", "half"]
        last = await asyncio.to_thread(opened.read_row_group, opened.num_row_groups - 1, columns=["half"])
        assert last.column("half").to_pylist() == [each / 2 for each in values[-100_000:]]
    assert status_of(operation) is Status.RUNNING
    assert operation.bytes_received < size
    await operation.cancel()


class _Blocking(io.RawIOBase):
    """An asynchronous file for a library that reads in threads of its own."""

    def __init__(self, file: ResultFile, loop: asyncio.AbstractEventLoop) -> None:
        self._file, self._loop = file, loop

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = os.SEEK_SET, /) -> int:
        return self._file.seek(offset, whence)

    def tell(self) -> int:
        return self._file.tell()

    def readinto(self, buffer: Any, /) -> int:
        data = asyncio.run_coroutine_threadsafe(self._file.read(len(buffer)), self._loop).result(WAIT)
        buffer[: len(data)] = data
        return len(data)


async def test_a_place_behind_the_end_or_before_the_beginning(downloader: BackgroundDownloader, server: FaultServer):
    operation = downloader.create_download(server.url("/plain"), "file.bin")
    operation.start()
    file = await operation.open_result()
    file.seek(SIZE + 5)
    assert await file.read(10) == b""
    with pytest.raises(InvalidRequest):
        file.seek(-1)
    with pytest.raises(InvalidRequest):
        file.seek(0, 7)
    with pytest.raises(InvalidRequest):
        operation.get_result_stream_at(-1)
    await file.aclose()
    with pytest.raises(InvalidRequest, match="closed"):
        await file.read(1)


async def test_without_ranges_a_far_place_comes_in_its_turn(downloader: BackgroundDownloader, server: FaultServer):
    server.put("/whole", FileSpec(size=SIZE, serves_ranges=False, accept_ranges=None, rate=SIZE))
    operation = downloader.create_download(server.url("/whole"), "file.bin")
    operation.start()
    async with asyncio.timeout(WAIT), await operation.open_result() as file:
        file.seek(SIZE - 10)
        assert await file.read() == FileSpec(size=SIZE).read(SIZE - 10)
    assert len(server.requests("/whole")) == 1


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        (FileSpec(size=SIZE, accept_ranges=None), WebErrorStatus.INSUFFICIENT_RANGE_SUPPORT),
        (FileSpec(size=SIZE, accept_ranges="none"), WebErrorStatus.INSUFFICIENT_RANGE_SUPPORT),
        (FileSpec(size=SIZE, faults=(no_length(),)), WebErrorStatus.MISSING_CONTENT_LENGTH_SUPPORT),
    ],
    ids=["no word of ranges", "no ranges", "no length"],
)
async def test_a_server_without_ranges_or_length_is_refused_up_front_where_random_access_is_required(
    downloader: BackgroundDownloader, server: FaultServer, spec: FileSpec, expected: WebErrorStatus
):
    server.put("/whole", spec)
    operation = downloader.create_download(server.url("/whole"), "file.bin")
    operation.is_random_access_required = True
    with pytest.raises(RangesNotSupported) as raised:
        await operation
    assert raised.value.web_error_status is expected
    assert operation.bytes_received == 0
    assert len(server.requests("/whole")) == 1


async def test_random_access_that_is_required_and_there_is_no_hindrance(
    downloader: BackgroundDownloader, server: FaultServer
):
    operation = downloader.create_download(server.url("/plain"), "file.bin")
    operation.is_random_access_required = True
    await operation
    assert operation.get_downloaded_ranges()[0].length == SIZE


# -------------------------------------------------------------------------------------------------------------- ranges


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

"""Reading a file anywhere while it arrives: what is read first comes first."""

from __future__ import annotations

import asyncio
import hashlib
import io
import os
from typing import TYPE_CHECKING, Any

import pytest

from bgdl_jupyter.errors import InvalidRequest, RangesNotSupported
from bgdl_jupyter.status import BackgroundTransferStatus as Status
from bgdl_jupyter.web_error_status import WebErrorStatus
from tests.model.operations import status_of
from tests.servers.faults import hold_after, no_length
from tests.servers.files import FileSpec

if TYPE_CHECKING:
    from collections.abc import Callable

    from bgdl_jupyter.model.downloader import BackgroundDownloader
    from bgdl_jupyter.model.operation import DownloadOperation
    from bgdl_jupyter.model.reading import ResultFile
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

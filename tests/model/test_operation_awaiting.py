"""Awaiting an operation, on any loop or none, and what that does and does not do to the download."""

from __future__ import annotations

import asyncio
import gc
import threading
from typing import TYPE_CHECKING, Any

import pytest

from bgdl_jupyter.errors import AttentionRequired, BackgroundTransferError, TransferCanceled
from bgdl_jupyter.model.process import current_runner
from bgdl_jupyter.status import BackgroundTransferStatus as Status
from bgdl_jupyter.web_error_status import WebErrorStatus
from tests.model.operations import served, status_of

if TYPE_CHECKING:
    from bgdl_jupyter.model.downloader import BackgroundDownloader
    from bgdl_jupyter.model.operation import DownloadOperation
    from tests.downloads import Seen
    from tests.servers.fault_server import FaultServer
    from tests.servers.fixtures import StartFaultServer

WAIT = 15.0


@pytest.fixture
def server(fault_server: StartFaultServer) -> FaultServer:
    return served(fault_server)


async def test_awaiting_works_on_any_loop_twice_and_after_the_end(
    downloader: BackgroundDownloader, server: FaultServer
):
    operation = downloader.create_download(server.url("/plain"), "file.bin")
    started = operation.start()
    assert await started is operation
    assert await started is operation
    assert await operation is operation
    assert await operation.attach() is operation
    other: list[Any] = []
    thread = threading.Thread(target=lambda: other.append(asyncio.run(_await(operation))))
    thread.start()
    await asyncio.to_thread(thread.join, WAIT)
    assert other == [operation]


async def _await(operation: DownloadOperation) -> DownloadOperation:
    return await operation


async def test_attach_starts_what_is_idle_and_joins_what_runs(downloader: BackgroundDownloader, server: FaultServer):
    operation = downloader.create_download(server.url("/held"), "file.bin")
    first, second = operation.attach(), operation.attach()
    assert operation.status is Status.RUNNING
    server.events.set("go")
    async with asyncio.timeout(WAIT):
        assert await first is await second


async def test_canceling_who_awaits_does_not_cancel_the_download(downloader: BackgroundDownloader, server: FaultServer):
    operation = downloader.create_download(server.url("/held"), "file.bin")
    awaiting = asyncio.ensure_future(_await(operation))
    await server.until(lambda: bool(server.requests("/held")))
    awaiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await awaiting
    assert operation.status is Status.RUNNING
    server.events.set("go")
    async with asyncio.timeout(WAIT):
        await operation
    assert status_of(operation) is Status.COMPLETED


async def test_who_awaits_what_is_canceled_gets_transfer_canceled(
    downloader: BackgroundDownloader, server: FaultServer
):
    operation = downloader.create_download(server.url("/held"), "file.bin")
    awaiting = asyncio.ensure_future(_await(operation))
    await server.until(lambda: bool(server.requests("/held")))
    operation.cancel()
    with pytest.raises(TransferCanceled) as raised:
        await awaiting
    assert raised.value.web_error_status is WebErrorStatus.OPERATION_CANCELED


def test_a_failure_that_nobody_awaits_is_silent(
    downloader: BackgroundDownloader, server: FaultServer, seen: Seen, capfd: pytest.CaptureFixture[str]
):
    operation = downloader.create_download(server.url("/gone"), "file.bin")
    dropped = operation.start()
    seen.until(lambda: operation.status is Status.ERROR)
    del dropped
    gc.collect()
    assert capfd.readouterr().err == ""


def test_wait_gives_up_after_its_time_and_the_download_goes_on(downloader: BackgroundDownloader, server: FaultServer):
    operation = downloader.create_download(server.url("/held"), "file.bin")
    with pytest.raises(TimeoutError, match=r"file\.bin"):
        operation.wait(0.2)
    assert operation.status is Status.RUNNING
    server.events.set("go")
    assert operation.wait(WAIT) is operation


def test_waiting_on_the_loop_of_the_downloads_is_refused_with_a_hint(
    downloader: BackgroundDownloader, server: FaultServer
):
    operation = downloader.create_download(server.url("/held"), "file.bin")
    with pytest.raises(BackgroundTransferError) as raised:
        current_runner().place.call(operation.wait)
    assert "await operation" in raised.value.hint


def test_wait_says_when_only_a_person_can_go_on(downloader: BackgroundDownloader, server: FaultServer):
    operation = downloader.create_download(server.url("/held"), "file.bin")
    operation.start()
    operation.pause()
    with pytest.raises(AttentionRequired, match="paused by you"):
        operation.wait(WAIT)

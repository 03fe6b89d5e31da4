"""What is told of an operation: its progress, its ranges, its response, and to whom and where."""

from __future__ import annotations

import itertools
import threading
import time
from typing import TYPE_CHECKING, Any

import pytest

from bgdl_jupyter.errors import InvalidRequest
from bgdl_jupyter.model.process import current_runner
from bgdl_jupyter.status import BackgroundTransferPriority, TransferActivity
from bgdl_jupyter.status import BackgroundTransferStatus as Status
from tests.model.operations import HALF, SIZE, served
from tests.servers.files import FileSpec

if TYPE_CHECKING:
    from bgdl_jupyter.model.downloader import BackgroundDownloader
    from bgdl_jupyter.model.values import BackgroundDownloadProgress
    from tests.downloads import Seen
    from tests.servers.fault_server import FaultServer
    from tests.servers.fixtures import StartFaultServer

WAIT = 15.0


@pytest.fixture
def server(fault_server: StartFaultServer) -> FaultServer:
    return served(fault_server)


def test_progress_is_told_at_most_four_times_a_second_and_at_the_end_off_the_engines_loop(
    downloader: BackgroundDownloader, server: FaultServer
):
    server.put("/slow", FileSpec(size=SIZE, rate=SIZE))
    told: list[tuple[float, str, BackgroundDownloadProgress]] = []
    ended = threading.Event()

    def tell(progress: BackgroundDownloadProgress) -> None:
        told.append((time.monotonic(), threading.current_thread().name, progress))
        if progress.status.is_final:
            ended.set()

    operation = downloader.create_download(server.url("/slow"), "file.bin")
    operation.start(tell)
    assert ended.wait(WAIT)
    times = [at for at, _, _ in told[:-1]]
    assert all(later - sooner > 0.2 for sooner, later in itertools.pairwise(times))
    received = [progress.bytes_received for _, _, progress in told]
    assert received == sorted(received)
    assert told[-1][2] == operation.progress
    assert told[-1][2].fraction == 1.0
    assert current_runner().place.call(threading.current_thread).name not in {name for _, name, _ in told}


def test_an_observer_runs_off_the_engines_loop_and_may_fail(downloader: BackgroundDownloader, server: FaultServer):
    names: list[str] = []
    ended = threading.Event()

    def look(change: Any) -> None:
        names.append(threading.current_thread().name)
        if change["new"] is Status.COMPLETED:
            ended.set()
        raise RuntimeError("an observer that fails")

    operation = downloader.create_download(server.url("/plain"), "file.bin")
    operation.observe(look, "status")
    operation.start()
    assert ended.wait(WAIT)
    assert operation.wait(WAIT).status is Status.COMPLETED
    assert set(names) == {"bgdl_jupyter-callbacks"}


def test_an_observer_can_be_taken_away_again(downloader: BackgroundDownloader, server: FaultServer):
    calls: list[Any] = []
    operation = downloader.create_download(server.url("/plain"), "file.bin")
    operation.observe(calls.append, "status")
    operation.unobserve(calls.append, "status")
    operation.start().wait(WAIT)
    current_runner()
    done = threading.Event()
    operation.observe(lambda _: done.set(), "priority")
    operation.priority = BackgroundTransferPriority.LOW
    assert done.wait(WAIT)
    assert calls == []


def test_a_trait_may_be_assigned_from_any_thread_and_its_check_is_felt_there(
    downloader: BackgroundDownloader, server: FaultServer
):
    operation = downloader.create_download(server.url("/held"), "file.bin")
    errors: list[BaseException] = []

    def assign() -> None:
        operation.priority = BackgroundTransferPriority.HIGH
        try:
            operation.requested_uri = "gopher://example.org/"
        except InvalidRequest as error:
            errors.append(error)

    thread = threading.Thread(target=assign)
    thread.start()
    thread.join(WAIT)
    assert operation.priority is BackgroundTransferPriority.HIGH
    assert len(errors) == 1


def test_ranges_are_told_as_they_arrive(downloader: BackgroundDownloader, server: FaultServer, seen: Seen):
    told: list[tuple[int, int]] = []
    changed = threading.Event()

    def tell(*, added: list[Any], was_restarted: bool) -> None:
        assert not was_restarted
        told.extend((each.offset, each.length) for each in added)
        if sum(length for _, length in told) == SIZE:
            changed.set()

    operation = downloader.create_download(server.url("/held"), "file.bin")
    unsubscribe = operation.on_ranges_downloaded(tell)
    operation.start()
    seen.until(lambda: operation.bytes_received == HALF)
    assert [(each.offset, each.length) for each in operation.get_downloaded_ranges()] == [(0, HALF)]
    server.events.set("go")
    assert changed.wait(WAIT)
    unsubscribe()


def test_the_response_is_told_whatever_the_case_of_its_headers(downloader: BackgroundDownloader, server: FaultServer):
    operation = downloader.create_download(server.url("/plain"), "file.bin")
    assert operation.get_response_information() is None
    operation.start().wait(WAIT)
    response = operation.get_response_information()
    assert response is not None
    assert response.status_code == 200
    assert response.actual_uri == server.url("/plain")
    assert response.headers["etag"] == response.headers["ETag"] == '"v1"'
    assert response.is_resumable


def test_an_operation_says_in_a_line_how_it_is(downloader: BackgroundDownloader, server: FaultServer, seen: Seen):
    operation = downloader.create_download(server.url("/held"), "file.bin")
    assert repr(operation) == "<file.bin · idle · 0 B>"
    operation.start()
    seen.until(lambda: operation.bytes_received == HALF)
    assert operation.activity is TransferActivity.DOWNLOADING
    assert "downloading" in repr(operation)
    assert "200.0 kB of 400.0 kB" in repr(operation)
    server.events.set("go")
    operation.wait(WAIT)
    assert repr(operation) == "<file.bin · completed · 400.0 kB>"

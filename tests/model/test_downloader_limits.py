"""The limits that all downloaders share, and the order in which what waits is let run."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from traitlets import TraitError

from bgdl_jupyter.status import BackgroundTransferPriority as Priority
from bgdl_jupyter.status import TransferActivity
from tests.servers.faults import hold_after
from tests.servers.files import FileSpec

if TYPE_CHECKING:
    from collections.abc import Callable

    from bgdl_jupyter.model.downloader import BackgroundDownloader
    from bgdl_jupyter.model.operation import DownloadOperation
    from tests.downloads import Seen
    from tests.servers.fault_server import FaultServer
    from tests.servers.fixtures import StartFaultServer

SIZE = 300_000
HALF = SIZE // 2
WAIT = 15.0
PLAIN = FileSpec(size=SIZE)
HELD = FileSpec(size=SIZE, faults=(hold_after(HALF, until="go"),))


@pytest.fixture
def server(fault_server: StartFaultServer) -> FaultServer:
    """Serve a file at once and one that stops half-way."""
    return fault_server({"/plain.bin": PLAIN, "/held.bin": HELD})


def test_the_limits_belong_to_the_process(
    downloader: BackgroundDownloader, new_downloader: Callable[..., BackgroundDownloader]
):
    other = new_downloader(max_parallel=3)
    assert downloader.max_parallel == 3
    downloader.max_rate = 1_000_000
    assert other.max_rate == new_downloader().max_rate == 1_000_000
    with pytest.raises(TraitError):
        downloader.max_parallel = 0
    assert other.max_parallel == 3


def running(operations: list[DownloadOperation]) -> list[DownloadOperation]:
    return [each for each in operations if each.activity > TransferActivity.QUEUED]


def test_no_more_run_at_once_than_are_allowed(downloader: BackgroundDownloader, server: FaultServer, seen: Seen):
    downloader.max_parallel = 2
    operations = [downloader.create_download(server.url(f"/held.bin?{index}"), f"{index}") for index in range(5)]
    for operation in operations:
        operation.start()
    server.wait_until(lambda: len(server.requests("/held.bin")) == 2)
    assert running(operations) == operations[:2]
    server.events.set("go")
    for operation in operations:
        operation.wait(WAIT)
    assert server.connections_peak <= 2


def test_the_connections_of_a_host_are_those_of_files_and_of_parts_together(
    downloader: BackgroundDownloader, fault_server: StartFaultServer
):
    """A file that comes when parts of another have them all is let in at once, and one of these makes room."""
    downloader.max_connections_per_host = 3
    server = fault_server({"/large.bin": FileSpec(size=40_000_000, rate=8_000_000)})
    operations = [downloader.download(server.url(f"/large.bin?{index}"), f"{index}") for index in range(2)]
    for operation in operations:
        operation.wait(WAIT)
    assert 3 <= server.connections_peak <= 4


def test_the_limit_of_a_host_lets_others_pass(
    downloader: BackgroundDownloader, server: FaultServer, fault_server: StartFaultServer
):
    downloader.max_parallel_per_host = 1
    other = fault_server({"/held.bin": HELD}, host="127.0.0.2")
    uris = [server.url("/held.bin?1"), server.url("/held.bin?2"), other.url("/held.bin")]
    operations = [downloader.create_download(uri, f"{index}") for index, uri in enumerate(uris)]
    for operation in operations:
        operation.start()
    other.wait_until(lambda: len(other.requests("/held.bin")) == 1)
    server.wait_until(lambda: len(server.requests("/held.bin")) == 1)
    assert running(operations) == [operations[0], operations[2]]
    for each in (server, other):
        each.events.set("go")
    for operation in operations:
        operation.wait(WAIT)


def test_priority_comes_before_the_order_of_start_and_may_be_changed_while_waiting(
    downloader: BackgroundDownloader, server: FaultServer, seen: Seen
):
    downloader.max_parallel = 1
    names = ("first", "low", "plain", "high", "raised")
    operations = {name: downloader.create_download(server.url(f"/held.bin?{name}"), name) for name in names}
    operations["low"].priority = Priority.LOW
    operations["high"].priority = Priority.HIGH
    for operation in operations.values():
        operation.start()
    server.wait_until(lambda: len(server.requests("/held.bin")) == 1)
    operations["raised"].priority = Priority.HIGH
    server.events.set("go")
    for operation in operations.values():
        operation.wait(WAIT)
    order = [each.target.partition("?")[2] for each in server.requests("/held.bin")]
    assert order == ["first", "high", "raised", "plain", "low"]


def test_a_changed_rate_holds_for_what_runs(downloader: BackgroundDownloader, server: FaultServer):
    server.put("/large.bin", FileSpec(size=4_000_000))
    downloader.max_rate = 100_000
    operation = downloader.create_download(server.url("/large.bin"), "large.bin")
    with pytest.raises(TimeoutError):
        operation.wait(1.0)
    assert operation.bytes_received < 1_500_000
    downloader.max_rate = None
    operation.wait(WAIT)

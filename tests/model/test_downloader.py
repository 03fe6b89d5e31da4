"""What a downloader enumerates, and that what it fetches from real servers arrives whole."""

from __future__ import annotations

import hashlib
import threading
import time
from typing import TYPE_CHECKING, Any

import pytest

from bgdl_jupyter.errors import DuplicateDownload
from bgdl_jupyter.events import StatusChanged
from bgdl_jupyter.model.process import current_runner
from bgdl_jupyter.resource import OVERLAP
from bgdl_jupyter.status import BackgroundTransferStatus as Status
from bgdl_jupyter.status import Integrity, TransferActivity
from tests.model.operations import status_of
from tests.servers.faults import cut_after, hold_after, hold_head, redirect, status
from tests.servers.files import FileSpec

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from bgdl_jupyter.model.downloader import BackgroundDownloader
    from tests.downloads import Seen
    from tests.servers.fault_server import FaultServer
    from tests.servers.fixtures import StartFaultServer, StartNginx

SIZE = 300_000
HALF = SIZE // 2
WAIT = 15.0
PLAIN = FileSpec(size=SIZE)
HELD = FileSpec(size=SIZE, faults=(hold_after(HALF, until="go"),))


@pytest.fixture
def server(fault_server: StartFaultServer) -> FaultServer:
    """Serve a file at once and one that stops half-way."""
    return fault_server({"/plain.bin": PLAIN, "/held.bin": HELD})


# ---------------------------------------------------------------------------------------------------------- enumeration


def test_what_is_final_is_enumerated_until_a_caller_has_seen_it(
    downloader: BackgroundDownloader, server: FaultServer, seen: Seen
):
    awaited = downloader.create_download(server.url("/plain.bin"), "a.bin")
    silent = downloader.create_download(server.url("/plain.bin?2"), "b.bin")
    waiting = downloader.create_download(server.url("/held.bin"), "c.bin")
    awaited.wait(WAIT)
    silent.start()
    seen.until(lambda: status_of(silent) is Status.COMPLETED)
    assert downloader.get_current_downloads() == [silent, waiting]
    assert downloader.get_current_downloads() == [waiting]


def test_groups_and_applications_fence_what_is_enumerated(
    downloader: BackgroundDownloader, new_downloader: Callable[..., BackgroundDownloader], server: FaultServer
):
    alone = downloader.create_download(server.url("/plain.bin?1"), "1")
    grouped = downloader.create_download(server.url("/plain.bin?2"), "2", group="mine")
    other = new_downloader(application="/another/notebook.ipynb")
    foreign = other.create_download(server.url("/plain.bin?3"), "3")
    assert downloader.get_current_downloads() == [alone]
    assert downloader.get_current_downloads(group="mine") == [grouped]
    assert downloader.get_current_downloads(group=grouped.transfer_group) == [grouped]
    assert downloader.get_current_downloads(group="other") == []
    assert other.get_current_downloads() == [foreign]
    assert other.get_current_downloads(group="mine") == []
    assert foreign in downloader.get_current_downloads(application="*")


def test_the_group_of_a_downloader_is_that_of_its_operations(
    new_downloader: Callable[..., BackgroundDownloader], server: FaultServer
):
    downloader = new_downloader(group="given")
    operation = downloader.create_download(server.url("/plain.bin"), "a.bin")
    assert operation.group == "given"
    assert operation.transfer_group is downloader.create_group("given")
    assert downloader.get_current_downloads() == []


# -------------------------------------------------------------------------------------------------------- real servers


def test_a_hundred_files_of_a_real_server_arrive_through_one_call(
    downloader: BackgroundDownloader, nginx: StartNginx, work: Path
):
    real = nginx()
    for number in range(100):
        real.put(f"{number}.txt", hashlib.sha256(bytes([number])).hexdigest().encode() * (number + 1))
    group = downloader.download_many([real.url(f"/{number}.txt") for number in range(100)], group="all")
    group.wait(30)
    group.raise_for_errors()
    assert group.progress.completed == 100
    for number in range(100):
        assert (work / f"{number}.txt").read_bytes() == (real.root / f"{number}.txt").read_bytes()


def test_a_manifest_that_cannot_be_used_starts_nothing(downloader: BackgroundDownloader, server: FaultServer):
    lines: list[Any] = [server.url("/plain.bin"), {"uri": "gopher://example.org/"}]
    with pytest.raises(ValueError, match="line 2: No transport for the scheme 'gopher'"):
        downloader.download_many(lines, group="all")
    assert downloader.create_group("all").operations == []
    with pytest.raises(ValueError, match="line 1: it has no 'uri'"):
        downloader.download_many([{"url": "x"}], group="all")


def test_a_manifest_with_a_line_that_another_group_has_starts_the_others(
    downloader: BackgroundDownloader, server: FaultServer
):
    downloader.create_download(server.url("/plain.bin?1"), "1", group="other")
    with pytest.raises(DuplicateDownload):
        downloader.download_many([server.url(f"/plain.bin?{number}") for number in (1, 2)], group="all")
    (started,) = downloader.create_group("all").operations
    started.wait(WAIT)


def test_a_thousand_creations_from_several_threads_are_all_there(downloader: BackgroundDownloader, server: FaultServer):
    def create(thread: int) -> None:
        for number in range(50):
            name = f"{thread}-{number}"
            downloader.create_download(server.url(f"/held.bin?{name}"), name)

    threads = [threading.Thread(target=create, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert len(downloader.get_current_downloads()) == 400


@pytest.mark.parametrize("years", [-10, 10])
def test_a_wall_clock_that_jumps_while_bytes_arrive_changes_nothing(
    downloader: BackgroundDownloader, server: FaultServer, seen: Seen, years: int, monkeypatch: pytest.MonkeyPatch
):
    clock = time.time
    operation = downloader.download(server.url("/held.bin"))
    told: list[tuple[float, float | None]] = []
    operation.observe(lambda _: told.append((operation.rate, operation.eta)), "progress")
    seen.until(lambda: operation.bytes_received >= HALF, WAIT)
    monkeypatch.setattr(time, "time", lambda: clock() + years * 365 * 86400)
    server.events.set("go")
    assert operation.wait(WAIT).size == SIZE
    assert all(rate >= 0 and (eta is None or 0 <= eta < WAIT) for rate, eta in told)
    assert len(server.requests("/held.bin")) == 1


def test_a_redirect_and_a_broken_connection_end_in_the_whole_file(
    downloader: BackgroundDownloader, server: FaultServer, work: Path, seen: Seen
):
    server.put("/here", FileSpec(faults=(redirect("/plain.bin"),)))
    server.put("/plain.bin", FileSpec(size=SIZE, faults=(cut_after(HALF, on=1), status(503, on=2))))
    operation = downloader.create_download(server.url("/here"), "a.bin", sha256=PLAIN.sha256)
    operation.wait(WAIT)
    assert operation.integrity is Integrity.DIGEST
    assert operation.digest == f"sha256:{PLAIN.sha256}"
    assert server.bytes_sent_twice("/plain.bin") <= OVERLAP
    changes = [each.new for each in seen.of(StatusChanged, operation)]
    assert changes == [Status.RUNNING, Status.COMPLETED]


def test_a_host_that_asks_for_time_is_left_alone_while_others_go_on(
    downloader: BackgroundDownloader, server: FaultServer, fault_server: StartFaultServer, seen: Seen
):
    downloader.max_parallel = 1
    server.put("/busy", FileSpec(size=10, faults=(status(503, retry_after="2", on=1),)))
    other = fault_server({"/plain.bin": PLAIN}, host="127.0.0.2")
    parked = downloader.create_download(server.url("/busy"), "1")
    passing = downloader.create_download(other.url("/plain.bin"), "2")
    parked.start()
    seen.until(lambda: parked.activity is TransferActivity.BACKING_OFF)
    assert "the server asks to wait until" in parked.status_reason
    passing.wait(1.5)
    assert status_of(parked) is Status.RUNNING
    parked.wait(WAIT)


def test_what_waits_for_its_answer_can_be_canceled(downloader: BackgroundDownloader, server: FaultServer):
    server.put("/silent", FileSpec(size=10, faults=(hold_head(until="never"),)))
    operation = downloader.create_download(server.url("/silent"), "1")
    operation.start()
    server.wait_until(lambda: bool(server.requests("/silent")))
    operation.cancel().wait(WAIT)
    server.wait_until(lambda: server.connections_open == 0)
    assert current_runner().admission._running == {}

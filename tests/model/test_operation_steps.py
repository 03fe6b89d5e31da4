"""What a pause, a cancel and a retry do to the bytes, to the file that stood there, and to other downloads."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from bgdl_jupyter.errors import (
    AttentionRequired,
    BackgroundTransferError,
    DuplicateDownload,
    HttpStatusError,
    InvalidTransferState,
)
from bgdl_jupyter.resource import OVERLAP
from bgdl_jupyter.status import BackgroundTransferStatus as Status
from bgdl_jupyter.web_error_status import WebErrorStatus
from tests.downloads import partial_files
from tests.model.operations import HALF, HELD, SIZE, served, status_of
from tests.servers.content import file_sha256
from tests.servers.files import FileSpec

if TYPE_CHECKING:
    from pathlib import Path

    from bgdl_jupyter.model.downloader import BackgroundDownloader
    from tests.downloads import Seen
    from tests.servers.fault_server import FaultServer
    from tests.servers.fixtures import StartFaultServer

WAIT = 15.0


@pytest.fixture
def server(fault_server: StartFaultServer) -> FaultServer:
    return served(fault_server)


def test_a_pause_closes_the_connection_and_keeps_the_bytes(
    downloader: BackgroundDownloader, server: FaultServer, seen: Seen, work: Path
):
    operation = downloader.create_download(server.url("/held"), "file.bin")
    operation.start()
    seen.until(lambda: operation.bytes_received == HALF)
    operation.pause().wait(WAIT)
    assert operation.durable.finished.total == HALF
    server.wait_until(lambda: server.connections_open == 0)
    assert not (work / "file.bin").exists()
    operation.resume().wait(WAIT)
    assert server.bytes_sent_twice("/held") <= OVERLAP
    assert file_sha256(work / "file.bin") == HELD.sha256


def test_a_cancel_removes_the_partial_file_and_leaves_what_stood_at_the_destination(
    downloader: BackgroundDownloader, server: FaultServer, seen: Seen, work: Path
):
    (work / "file.bin").write_text("mine")
    operation = downloader.create_download(server.url("/held"), "file.bin", collision="replace_existing")
    operation.start()
    seen.until(lambda: operation.bytes_received == HALF)
    assert len(partial_files(work)) == 1
    operation.cancel().wait(WAIT)
    assert [each.name for each in work.iterdir()] == ["file.bin"]
    assert (work / "file.bin").read_text() == "mine"
    assert operation.get_downloaded_ranges() == []


def test_a_cancel_of_what_is_paused_removes_the_partial_file_too(
    downloader: BackgroundDownloader, server: FaultServer, seen: Seen, work: Path
):
    operation = downloader.create_download(server.url("/held"), "file.bin")
    operation.start()
    seen.until(lambda: operation.bytes_received == HALF)
    operation.pause().wait(WAIT)
    assert len(partial_files(work)) == 1
    operation.cancel().wait(WAIT)
    assert partial_files(work) == []


def test_a_retry_right_after_a_cancel_begins_from_nothing_and_is_whole(
    downloader: BackgroundDownloader, server: FaultServer, seen: Seen, work: Path
):
    operation = downloader.create_download(server.url("/held"), "file.bin")
    operation.start()
    seen.until(lambda: operation.bytes_received == HALF)
    operation.cancel()
    operation.retry().wait(WAIT)
    assert server.requests("/held")[-1].header("Range") is None
    assert file_sha256(work / "file.bin") == HELD.sha256


def test_what_was_canceled_and_waits_for_its_turn_again_shows_no_bytes(
    downloader: BackgroundDownloader, server: FaultServer, seen: Seen
):
    downloader.max_parallel = 1
    operation = downloader.create_download(server.url("/held"), "file.bin")
    operation.start()
    seen.until(lambda: operation.bytes_received == HALF)
    operation.cancel().wait(WAIT)
    server.put("/other", HELD)
    other = downloader.create_download(server.url("/other"), "other.bin")
    other.start()
    seen.until(lambda: other.bytes_received == HALF)
    operation.retry()
    assert (operation.bytes_received, operation.status) == (0, Status.RUNNING)


def test_a_retry_goes_on_from_what_is_on_disk(downloader: BackgroundDownloader, server: FaultServer, work: Path):
    operation = downloader.create_download(server.url("/gone"), "file.bin")
    with pytest.raises(HttpStatusError) as raised:
        operation.wait(WAIT)
    assert raised.value.operation is operation
    assert raised.value.web_error_status is WebErrorStatus.NOT_FOUND
    assert len(partial_files(work)) == 1
    operation.retry().wait(WAIT)
    assert server.requests("/gone")[-1].header("Range") == f"bytes={HALF - OVERLAP}-"
    assert operation.error is None
    assert file_sha256(work / "file.bin") == FileSpec(size=SIZE).sha256


def test_a_cancel_of_what_failed_leaves_its_error_and_its_bytes(
    downloader: BackgroundDownloader, server: FaultServer, work: Path
):
    operation = downloader.create_download(server.url("/gone"), "file.bin")
    with pytest.raises(HttpStatusError):
        operation.wait(WAIT)
    operation.cancel()
    assert isinstance(operation.error, HttpStatusError)
    assert len(partial_files(work)) == 1


def test_a_retry_is_refused_where_a_later_download_writes_the_same_file(
    downloader: BackgroundDownloader, server: FaultServer, work: Path
):
    first = downloader.create_download(server.url("/gone"), "file.bin")
    with pytest.raises(HttpStatusError):
        first.wait(WAIT)
    downloader.create_download(server.url("/held"), "file.bin", collision="replace_existing")
    with pytest.raises(BackgroundTransferError, match="same destination"):
        first.retry().wait(WAIT)
    assert status_of(first) is Status.ERROR


def test_a_retry_is_refused_at_once_where_a_later_download_fetches_the_same(
    downloader: BackgroundDownloader, server: FaultServer, work: Path
):
    first = downloader.create_download(server.url("/gone"), "file.bin", group="both")
    with pytest.raises(HttpStatusError):
        first.wait(WAIT)
    later = downloader.create_download(server.url("/gone"), "later.bin", group="both")
    with pytest.raises(DuplicateDownload, match=r"later\.bin") as refused:
        first.retry()
    assert refused.value.operation is later
    assert first.membership is not None
    first.membership.retry_failed()
    assert status_of(first) is Status.ERROR
    assert isinstance(first.error, HttpStatusError)


def test_a_listed_error_pauses_and_a_resume_goes_on(downloader: BackgroundDownloader, server: FaultServer, work: Path):
    operation = downloader.create_download(server.url("/gone"), "file.bin")
    operation.recoverable_web_error_statuses = [WebErrorStatus.NOT_FOUND]
    with pytest.raises(AttentionRequired) as raised:
        operation.wait(WAIT)
    assert "404" in str(raised.value)
    assert status_of(operation) is Status.PAUSED_RECOVERABLE_WEB_ERROR_STATUS
    assert [operation.current_web_error_status] == [WebErrorStatus.NOT_FOUND]
    operation.resume().wait(WAIT)
    assert operation.current_web_error_status is None
    assert file_sha256(work / "file.bin") == FileSpec(size=SIZE).sha256


def test_an_expired_link_goes_on_under_another_uri(downloader: BackgroundDownloader, server: FaultServer, work: Path):
    operation = downloader.create_download(server.url("/gone?token=old-and-expired"), "file.bin")
    operation.recoverable_web_error_statuses = [WebErrorStatus.NOT_FOUND]
    with pytest.raises(AttentionRequired):
        operation.wait(WAIT)
    operation.requested_uri = server.url("/plain?token=new-and-valid")
    assert operation.requested_uri == server.url("/plain?…")
    operation.resume().wait(WAIT)
    (request,) = server.requests("/plain")
    assert request.query == {"token": "new-and-valid"}
    assert request.header("Range") == f"bytes={HALF - OVERLAP}-"
    assert not operation.has_restarted
    assert file_sha256(work / "file.bin") == FileSpec(size=SIZE).sha256


def test_the_uri_of_what_runs_cannot_be_set(downloader: BackgroundDownloader, server: FaultServer):
    operation = downloader.create_download(server.url("/held"), "file.bin")
    operation.start()
    with pytest.raises(InvalidTransferState):
        operation.requested_uri = server.url("/plain")
    assert operation.requested_uri == server.url("/held")


def test_a_changed_file_starts_over_and_says_so(
    downloader: BackgroundDownloader, server: FaultServer, seen: Seen, work: Path
):
    operation = downloader.create_download(server.url("/held"), "file.bin")
    operation.start()
    seen.until(lambda: operation.bytes_received == HALF)
    operation.pause().wait(WAIT)
    other = FileSpec(size=SIZE, seed=9, etag='"v2"')
    server.put("/held", other)
    operation.resume().wait(WAIT)
    assert operation.has_restarted
    assert operation.has_response_changed
    assert operation.progress.has_restarted
    assert file_sha256(work / "file.bin") == other.sha256

"""What became of the operations of a group, as values, as a table, and as a manifest of what failed."""

from __future__ import annotations

import csv
import json
import sys
from typing import TYPE_CHECKING

import pytest

from bgdl_jupyter import DownloadResult
from bgdl_jupyter.errors import (
    BackgroundTransferError,
    HttpStatusError,
    InvalidManifest,
    InvalidRequest,
    InvalidTransferState,
)
from bgdl_jupyter.model.process import current_runner
from bgdl_jupyter.status import BackgroundTransferPriority as Priority
from bgdl_jupyter.status import BackgroundTransferStatus as Status
from bgdl_jupyter.status import Integrity
from bgdl_jupyter.web_error_status import WebErrorStatus
from tests.servers.faults import cut_after, status
from tests.servers.files import FileSpec

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from bgdl_jupyter.model.downloader import BackgroundDownloader
    from bgdl_jupyter.model.group import BackgroundTransferGroup
    from tests.servers.fault_server import FaultServer
    from tests.servers.fixtures import StartFaultServer

WAIT = 20.0
GOOD = FileSpec(size=200_000)


@pytest.fixture
def server(fault_server: StartFaultServer) -> FaultServer:
    """Serve a file, one that breaks once, and one that is there at the second time of asking."""
    return fault_server(
        {
            "/good": GOOD,
            "/breaks": FileSpec(size=200_000, seed=2, faults=(cut_after(100_000, on=1),)),
            "/late": FileSpec(size=1000, seed=3, faults=(status(404, on=1),)),
        }
    )


@pytest.fixture
def group(downloader: BackgroundDownloader, server: FaultServer) -> BackgroundTransferGroup:
    """Return a group that has ended, with one failure."""
    lines = [
        {"uri": server.url("/good"), "destination": "a/good.bin", "sha256": GOOD.sha256},
        server.url("/breaks"),
        {"uri": server.url("/late"), "destination": "late.bin", "priority": "high", "headers": {"X-A": "1, 2"}},
    ]
    return downloader.download_many(lines, group="all").wait(WAIT)


def test_a_result_says_all_about_a_download(group: BackgroundTransferGroup, server: FaultServer, work: Path):
    good, broken, late = group.results()
    assert isinstance(good, DownloadResult)
    assert good.result_file == work / "a" / "good.bin"
    assert (good.status, good.integrity, good.digest) == (Status.COMPLETED, Integrity.DIGEST, f"sha256:{GOOD.sha256}")
    assert (good.bytes_received, good.total, good.attempts, good.error) == (200_000, 200_000, 1, None)
    assert good.actual_uri == good.uri == server.url("/good")
    assert good.seconds is not None
    assert 0 <= good.seconds < WAIT
    assert (broken.status, broken.attempts, broken.has_restarted) == (Status.COMPLETED, 2, False)
    assert isinstance(late.error, HttpStatusError)
    assert (late.status, late.http_status, late.web_error_status) == (Status.ERROR, 404, WebErrorStatus.NOT_FOUND)


def test_results_outlive_the_kernel(group: BackgroundTransferGroup, restart: Callable[..., BackgroundDownloader]):
    before = group.results()
    again = restart()
    again.restore()
    after = again.create_group("all").results()
    assert [(each.guid, each.attempts, each.digest, each.http_status) for each in after] == [
        (each.guid, each.attempts, each.digest, each.http_status) for each in before
    ]
    assert [each.seconds for each in after] == pytest.approx([each.seconds for each in before], abs=0.5)


def test_a_data_frame_has_a_row_for_each_and_plain_values(group: BackgroundTransferGroup):
    frame = group.to_dataframe()
    assert list(frame["status"]) == ["COMPLETED", "COMPLETED", "ERROR"]
    assert list(frame["bytes_received"])[:2] == [200_000, 200_000]
    assert "404" in frame["error"][2]
    assert frame["integrity"][0] == "DIGEST"
    assert set(frame.columns) >= {"uri", "destination", "http_status", "web_error_status", "seconds", "attempts"}


def test_without_pandas_the_error_says_what_to_do(group: BackgroundTransferGroup, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(BackgroundTransferError, match=r"needs pandas.*pip install pandas"):
        group.to_dataframe()


@pytest.mark.parametrize("name", ["failed.csv", "failed.jsonl"])
def test_what_failed_is_exported_and_had_by_the_same_means(
    downloader: BackgroundDownloader, group: BackgroundTransferGroup, work: Path, name: str
):
    assert group.export_failed(work / "lists" / name) == 1
    again = downloader.download_many(work / "lists" / name, group="again")
    again.wait(WAIT).raise_for_errors()
    (operation,) = again.operations
    assert operation.result_file == work / "late.bin"
    assert operation.priority is Priority.HIGH
    assert dict(operation.request_headers) == {"X-A": "1, 2"}
    assert (work / "late.bin").stat().st_size == 1000
    assert [each.name for each in (work / "lists").iterdir()] == [name]


def test_no_secret_is_exported_and_what_was_one_is_asked_for(
    downloader: BackgroundDownloader, server: FaultServer, work: Path
):
    """Neither in the URI nor in a header, a mirror or an error."""
    lines = [
        {"uri": server.url("/x?token=s3cr3tquery"), "destination": "q"},
        {"uri": server.url("/y"), "destination": "h", "headers": {"Authorization": "s3cr3theader"}},
        {"uri": server.url("/z"), "destination": "m", "mirrors": [server.url("/m?sig=s3cr3tmirror")]},
    ]
    group = downloader.download_many(lines, group="all").wait(WAIT)
    for name in ("failed.jsonl", "failed.csv"):
        group.export_failed(name)
        assert "s3cr3t" not in (work / name).read_text()
    records = [json.loads(line) for line in (work / "failed.jsonl").read_text().splitlines()]
    assert [each["missing"] for each in records] == [["query"], ["header Authorization"], ["mirror 0 query"]]
    with pytest.raises(InvalidManifest) as raised:
        downloader.download_many("failed.jsonl", group="again")
    reasons = [each.reason for each in raised.value.problems]
    assert "a hidden query" in reasons[0]
    assert reasons[1] == "header Authorization was left out of this manifest; it must be given again"
    downloader.set_request_header("Authorization", "s3cr3theader")
    again = downloader.download_many("failed.jsonl", group="again", skip_invalid=True)
    assert [each.name for each in again.operations] == ["h"]


def test_an_export_says_which_folder_it_needs(group: BackgroundTransferGroup, tmp_path: Path, work: Path):
    with pytest.raises(InvalidRequest, match="Say with directory="):
        group.export_failed("failed.csv", directory="a")
    with pytest.raises(InvalidRequest, match=r"is written as \.csv, \.jsonl"):
        group.export_failed("failed.xlsx")
    assert not (work / "failed.csv").exists()
    group.export_failed("failed.csv", directory=tmp_path)
    with (work / "failed.csv").open(newline="") as file:
        assert [row["destination"] for row in csv.DictReader(file)] == ["work/late.bin"]


def test_what_failed_is_tried_again(group: BackgroundTransferGroup, work: Path):
    with pytest.raises(ExceptionGroup, match="1 of 3 downloads of 'all' failed"):
        group.raise_for_errors()
    group.retry_failed()
    group.wait(WAIT).raise_for_errors()
    assert group.results()[2].attempts == 2


def test_files_are_compared_with_what_was_fetched(group: BackgroundTransferGroup, work: Path):
    assert [each.is_whole for each in group.verify()] == [True, True]
    (work / "a" / "good.bin").write_bytes(b"x" * 200_000)
    found = group.verify()
    assert [each.is_whole for each in found] == [False, True]
    assert found[0].says == "its sha256 is another one than when it was fetched"
    assert found[0].operation.verify() == found[0]
    (work / "breaks").unlink()
    assert group.operations[1].verify().says == "the file is gone"
    with pytest.raises(InvalidTransferState, match="is ERROR; a completed download"):
        group.operations[2].verify()


def test_a_file_is_not_read_on_the_loop_that_runs_the_downloads(group: BackgroundTransferGroup):
    with pytest.raises(BackgroundTransferError, match="to_thread"):
        current_runner().place.call(group.operations[0].verify)

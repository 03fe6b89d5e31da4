"""What may happen to an operation and when: product's table, taken through real operations."""

from __future__ import annotations

import asyncio
import gc
import itertools
import threading
import time
from typing import TYPE_CHECKING, Any

import pytest

from bgdl_jupyter.conditions.values import PowerConditions
from bgdl_jupyter.errors import (
    AttentionRequired,
    BackgroundTransferError,
    DuplicateDownload,
    HttpStatusError,
    InvalidRequest,
    InvalidTransferState,
    TransferCanceled,
)
from bgdl_jupyter.events import Progressed
from bgdl_jupyter.model.process import current_runner
from bgdl_jupyter.ranges import EMPTY
from bgdl_jupyter.resource import OVERLAP
from bgdl_jupyter.status import BackgroundTransferPriority, Step, TransferActivity
from bgdl_jupyter.status import BackgroundTransferStatus as Status
from bgdl_jupyter.web_error_status import WebErrorStatus
from tests.downloads import partial_files
from tests.servers.content import file_sha256
from tests.servers.faults import cut_after, hold_after, hold_head, status
from tests.servers.files import FileSpec

if TYPE_CHECKING:
    from pathlib import Path

    from bgdl_jupyter.model.downloader import BackgroundDownloader
    from bgdl_jupyter.model.operation import DownloadOperation
    from bgdl_jupyter.model.values import BackgroundDownloadProgress
    from tests.downloads import Seen
    from tests.model.conftest import Machine
    from tests.servers.fault_server import FaultServer
    from tests.servers.fixtures import StartFaultServer

SAVING = PowerConditions(on_battery_saver=True, reason="The battery is at 9 %.")
AWAKE = PowerConditions(on_battery_saver=False)
SIZE = 400_000
HALF = SIZE // 2
HELD = FileSpec(size=SIZE, faults=(hold_after(HALF, until="go", on=1),))
WAIT = 15.0


@pytest.fixture
def server(fault_server: StartFaultServer) -> FaultServer:
    """Serve a file at once, one that stops half-way, one that is not there, and one that asks who we are."""
    return fault_server(
        {
            "/plain": FileSpec(size=SIZE),
            "/held": HELD,
            "/gone": FileSpec(size=SIZE, faults=(cut_after(HALF, on=1), status(404, on=2))),
            "/post": FileSpec(size=SIZE, faults=(hold_head(until="go"),)),
        }
    )


def status_of(operation: DownloadOperation) -> Status:
    """Return the status as it is now."""
    now: Status = operation.status
    return now


def bring_to(
    wanted: Status, *, downloader: BackgroundDownloader, server: FaultServer, seen: Seen, machine: Machine
) -> DownloadOperation:
    """Return an operation in a status, brought there by what a user, a server or the machine does."""
    paths = {Status.COMPLETED: "/plain", Status.ERROR: "/gone", Status.PAUSED_RECOVERABLE_WEB_ERROR_STATUS: "/gone"}
    operation = downloader.create_download(server.url(paths.get(wanted, "/held")), "file.bin")
    if wanted is Status.IDLE:
        return operation
    if wanted is Status.PAUSED_RECOVERABLE_WEB_ERROR_STATUS:
        operation.recoverable_web_error_statuses = [WebErrorStatus.NOT_FOUND]
    operation.start()
    if wanted is Status.PAUSED_BY_APPLICATION:
        operation.pause().wait(WAIT)
    elif wanted is Status.CANCELED:
        operation.cancel().wait(WAIT)
    elif wanted is Status.PAUSED_SYSTEM_POLICY:
        machine.change(power=SAVING)
    seen.until(lambda: operation.status is wanted)
    return operation


def test_what_a_transfer_says_after_its_pause_brings_no_rate_back(downloader, server, seen, machine):
    operation = bring_to(Status.PAUSED_BY_APPLICATION, downloader=downloader, server=server, seen=seen, machine=machine)
    there = operation.bytes_received
    late = Progressed(operation_id=operation.guid, bytes_received=there, total_bytes=SIZE, rate=1e6, finished=EMPTY)
    runner = current_runner()
    runner.place.call(runner.publish, late)
    assert operation.rate == 0.0


START, PAUSE, RESUME, OVERRIDE, CANCEL, RETRY = "start", "pause", "resume", "override", "cancel", "retry"
TABLE = {
    Status.IDLE: {START: Status.RUNNING, CANCEL: Status.CANCELED},
    Status.RUNNING: {PAUSE: Status.PAUSED_BY_APPLICATION, CANCEL: Status.CANCELED},
    Status.PAUSED_BY_APPLICATION: {RESUME: Status.RUNNING, OVERRIDE: Status.RUNNING, CANCEL: Status.CANCELED},
    Status.PAUSED_SYSTEM_POLICY: {
        PAUSE: Status.PAUSED_BY_APPLICATION,
        OVERRIDE: Status.RUNNING,
        CANCEL: Status.CANCELED,
    },
    Status.PAUSED_RECOVERABLE_WEB_ERROR_STATUS: {
        RESUME: Status.RUNNING,
        OVERRIDE: Status.RUNNING,
        CANCEL: Status.CANCELED,
    },
    Status.COMPLETED: {CANCEL: Status.COMPLETED},
    Status.CANCELED: {CANCEL: Status.CANCELED, RETRY: Status.RUNNING},
    Status.ERROR: {CANCEL: Status.ERROR, RETRY: Status.RUNNING},
}


def take(operation: DownloadOperation, step: str) -> None:
    if step == OVERRIDE:
        operation.resume(override_policy=True)
    else:
        getattr(operation, step)()


@pytest.mark.parametrize("before", TABLE, ids=lambda each: each.name)
def test_each_step_is_taken_before_the_call_returns_or_refused_with_what_is_allowed(
    downloader: BackgroundDownloader, server: FaultServer, seen: Seen, machine: Machine, before: Status
):
    for number, step in enumerate((START, PAUSE, RESUME, OVERRIDE, CANCEL, RETRY)):
        server.put("/gone", FileSpec(size=SIZE, faults=(status(404),)))
        operation = bring_to(before, downloader=downloader, server=server, seen=seen, machine=machine)
        # What a step leads to would go on by itself.
        server.put("/held", HELD)
        server.put("/gone", HELD)
        expected = TABLE[before].get(step)
        if expected is None:
            with pytest.raises(InvalidTransferState) as refused:
                take(operation, step)
            assert repr(operation.name) in str(refused.value)
            assert before.name in str(refused.value)
            assert operation.status is before
            allowed = str(refused.value).partition("allowed here: ")[2]
            assert all(each.value in allowed for each in operation.allowed_steps)
        else:
            take(operation, step)
            assert operation.status is expected, f"{number}: {step}"
        operation.cancel().wait(WAIT)
        machine.change(power=AWAKE)
        server.events.set("go")
        server.events._futures.clear()


def test_a_post_cannot_be_paused(downloader: BackgroundDownloader, server: FaultServer, work: Path):
    (work / "body").write_bytes(b"question")
    operation = downloader.create_download(server.url("/post"), "file.bin", request_body_file=work / "body")
    assert operation.method == "POST"
    operation.start()
    assert Step.PAUSE not in operation.allowed_steps
    with pytest.raises(InvalidTransferState):
        operation.pause()
    server.events.set("go")
    operation.wait(WAIT)
    assert server.requests("/post")[0].body == b"question"


def test_a_post_is_not_sent_again_by_itself(downloader: BackgroundDownloader, server: FaultServer, work: Path):
    server.put("/post", FileSpec(size=SIZE, faults=(status(503, on=1),)))
    (work / "body").write_bytes(b"question")
    operation = downloader.create_download(server.url("/post"), "file.bin", request_body_file=work / "body")
    with pytest.raises(HttpStatusError):
        operation.wait(WAIT)
    assert len(server.requests("/post")) == 1
    operation.retry().wait(WAIT)
    assert [each.body for each in server.requests("/post")] == [b"question"] * 2


# ---------------------------------------------------------------------------------------------- pause, cancel, retry


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


# ------------------------------------------------------------------------------------------------------------ awaiting


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


# -------------------------------------------------------------------------------------------------- progress, observers


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

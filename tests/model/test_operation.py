"""What may happen to an operation and when: product's table, taken through real operations."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from bgdl_jupyter.conditions.values import PowerConditions
from bgdl_jupyter.errors import HttpStatusError, InvalidTransferState
from bgdl_jupyter.events import Progressed
from bgdl_jupyter.model.process import current_runner
from bgdl_jupyter.ranges import EMPTY
from bgdl_jupyter.status import BackgroundTransferStatus as Status
from bgdl_jupyter.status import Step
from bgdl_jupyter.web_error_status import WebErrorStatus
from tests.model.operations import HELD, SIZE, served
from tests.servers.faults import status
from tests.servers.files import FileSpec

if TYPE_CHECKING:
    from pathlib import Path

    from bgdl_jupyter.model.downloader import BackgroundDownloader
    from bgdl_jupyter.model.operation import DownloadOperation
    from tests.downloads import Seen
    from tests.model.conftest import Machine
    from tests.servers.fault_server import FaultServer
    from tests.servers.fixtures import StartFaultServer

SAVING = PowerConditions(on_battery_saver=True, reason="The battery is at 9 %.")
AWAKE = PowerConditions(on_battery_saver=False)
WAIT = 15.0


@pytest.fixture
def server(fault_server: StartFaultServer) -> FaultServer:
    return served(fault_server)


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

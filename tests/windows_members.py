"""
One effect for each member of the Windows classes, seen at the counterpart: the server, the file, the alert.

`MEMBERS` names them as `docs/coming_from_windows.md` does; a member that is named there and not here fails the test.
"""

from __future__ import annotations

import asyncio
import os
import stat
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import pytest

import bgdl_jupyter as bgdl
from bgdl_jupyter.conditions.values import NetworkConditions, NetworkCost
from bgdl_jupyter.events import AlertKind, AlertRaised, TileChanged
from bgdl_jupyter.model.host import ConsentAnswer, host
from bgdl_jupyter.model.process import current_runner
from bgdl_jupyter.status import BackgroundTransferStatus as Status
from tests.downloads import DEADLINE
from tests.servers.auth_faults import Login, basic_auth, basic_value
from tests.servers.content import file_sha256, read
from tests.servers.faults import cut_after, hold_after, hold_head, status
from tests.servers.files import FileSpec

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from bgdl_jupyter.conditions.fake import FakeConditions
    from tests.downloads import Seen
    from tests.servers.fault_server import FaultServer
    from tests.servers.proxies import RecordingProxy

SIZE: Final = 400_000
HALF: Final = SIZE // 2
FILE: Final = FileSpec(size=SIZE)
LOGIN: Final = Login(user="ada", password="Xylophon-7")


@dataclass(frozen=True, slots=True, kw_only=True)
class Desk:
    """What a member is tried on."""

    new: Callable[..., bgdl.BackgroundDownloader]
    restart: Callable[..., bgdl.BackgroundDownloader]
    downloader: bgdl.BackgroundDownloader
    server: FaultServer
    proxy: RecordingProxy
    seen: Seen
    conditions: FakeConditions
    work: Path
    state: Path

    def held(self, name: str = "held", **options: Any) -> bgdl.DownloadOperation:
        """Return an operation that has half of its file, and waits for the server's "go"."""
        self.server.put(f"/{name}", FileSpec(size=SIZE, faults=(hold_after(HALF, until="go", on=1),)))
        operation = self.downloader.create_download(self.server.url(f"/{name}"), name, **options)
        operation.start()
        self.seen.until(lambda: operation.bytes_received == HALF)
        return operation

    def go(self) -> None:
        """Let the server send the rest."""
        self.server.events.set("go")

    def has(self, name: str) -> bool:
        """Whether the file is there and right."""
        return file_sha256(self.work / name) == FILE.sha256

    def alerts(self) -> list[AlertRaised]:
        """Return the toasts so far."""
        found: list[AlertRaised] = self.seen.of(AlertRaised)
        return found


# ------------------------------------------------------------------------------------------------- BackgroundDownloader


def downloader(desk: Desk) -> None:
    impatient = desk.new(response_timeout=0.2, max_retries=0)
    desk.server.put("/late", FileSpec(size=1, faults=(hold_head(until="never"),)))
    operation = impatient.create_download(desk.server.url("/late"), "late")
    impatient.response_timeout = 60.0  # the setting was copied when the operation was made
    with pytest.raises(bgdl.TransferTimeout):
        operation.wait(DEADLINE)


def completion_group(desk: Desk) -> None:
    done = threading.Event()
    group = bgdl.BackgroundTransferCompletionGroup(done.set)
    operation = desk.new(completion_group=group).create_download(desk.server.url("/file"), "a")
    with pytest.warns(UserWarning, match="restart"):
        group.enable()
    assert group.is_enabled
    assert not done.is_set()
    operation.start().wait(DEADLINE)
    assert done.wait(DEADLINE)


def create_download(desk: Desk) -> None:
    operation = desk.downloader.create_download(desk.server.url("/file"), "a")
    assert operation.status is Status.IDLE
    [again] = desk.restart().get_current_downloads()  # it was durable at once
    assert again.guid == operation.guid
    assert desk.server.requests() == []
    again.wait(DEADLINE)
    assert desk.has("a")


def request_body_file(desk: Desk) -> None:
    (desk.work / "question").write_bytes(b"who?")
    operation = desk.downloader.create_download(desk.server.url("/file"), "a", request_body_file="question")
    operation.wait(DEADLINE)
    [asked] = desk.server.requests("/file")
    assert (asked.method, asked.body) == ("POST", b"who?")
    assert desk.has("a")


def request_body_stream(desk: Desk) -> None:
    uri = desk.server.url("/file")
    operation = asyncio.run(desk.downloader.create_download_from_stream(uri, "a", b"what?"))
    [body] = (desk.state.parent / "spool").iterdir()
    assert stat.S_IMODE(body.stat().st_mode) == 0o600
    operation.wait(DEADLINE)
    assert desk.server.requests("/file")[0].body == b"what?"
    desk.seen.until(lambda: not body.exists())


def current_downloads(desk: Desk) -> None:
    alone = desk.downloader.create_download(desk.server.url("/file?1"), "a")
    desk.downloader.create_download(desk.server.url("/file?2"), "b", group="g")
    assert desk.downloader.get_current_downloads() == [alone]
    alone.wait(DEADLINE)
    assert desk.downloader.get_current_downloads() == []  # final, and seen


def current_downloads_of_a_group(desk: Desk) -> None:
    desk.downloader.create_download(desk.server.url("/file?1"), "a")
    grouped = desk.downloader.create_download(desk.server.url("/file?2"), "b", group="g")
    assert desk.downloader.get_current_downloads(group="g") == [grouped]
    assert desk.downloader.get_current_downloads(group="h") == []


def current_downloads_of_a_transfer_group(desk: Desk) -> None:
    group = desk.downloader.create_group("g")
    desk.downloader.transfer_group = group
    grouped = desk.downloader.create_download(desk.server.url("/file"), "b")
    assert desk.downloader.get_current_downloads(group=group) == [grouped]


def unconstrained(desk: Desk) -> None:
    desk.downloader.max_rate = 1000
    slow = desk.downloader.create_download(desk.server.url("/file"), "a")
    slow.start()
    answer = asyncio.run(desk.downloader.request_unconstrained_downloads([slow]))
    assert (answer.is_unconstrained, bool(answer.reason)) == (False, True)  # nobody is there to ask

    async def allow(_: str) -> ConsentAnswer:
        return ConsentAnswer(is_allowed=True, reason="clicked")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(host(), "consent_form", allow)
        assert asyncio.run(desk.downloader.request_unconstrained_downloads([slow])).is_unconstrained
    slow.wait(DEADLINE)  # which at 1 kB/s would take minutes
    assert desk.has("a")


def request_headers(desk: Desk) -> None:
    desk.downloader.set_request_header("X-Of-All", "1")
    operation = desk.downloader.create_download(desk.server.url("/file"), "a")
    operation.set_request_header("X-Of-One", "2")
    operation.set_request_header("X-Hidden", "three", secret=True)
    operation.remove_request_header("X-Of-All")
    assert operation.request_headers["X-Hidden"] == "<secret>"
    operation.wait(DEADLINE)
    [asked] = desk.server.requests("/file")
    sent = [asked.header(name) for name in ("X-Of-All", "X-Of-One", "X-Hidden")]
    assert sent == [None, "2", "three"]


def cost_policy(desk: Desk) -> None:
    desk.downloader.cost_policy = bgdl.BackgroundTransferCostPolicy.UNRESTRICTED_ONLY
    metered(desk, NetworkCost.METERED)
    operation = desk.downloader.create_download(desk.server.url("/file"), "a")
    operation.start()
    desk.seen.until(lambda: operation.status is Status.PAUSED_COSTED_NETWORK)
    assert desk.server.requests() == []
    metered(desk, NetworkCost.UNRESTRICTED)
    operation.wait(DEADLINE)


def cost_policy_of_an_operation(desk: Desk) -> None:
    metered(desk, NetworkCost.ROAMING)
    operation = desk.downloader.create_download(desk.server.url("/file"), "a")
    operation.start()
    desk.seen.until(lambda: operation.status is Status.PAUSED_COSTED_NETWORK)
    operation.cost_policy = bgdl.BackgroundTransferCostPolicy.ALWAYS
    operation.wait(DEADLINE)
    assert desk.has("a")


def metered(desk: Desk, cost: NetworkCost) -> None:
    network = NetworkConditions(is_up=True, cost=cost)
    current_runner().place.call(lambda: desk.conditions.change(network=network))


def group(desk: Desk) -> None:
    desk.downloader.group = "g"
    operation = desk.downloader.create_download(desk.server.url("/file"), "a")
    assert operation.group == "g"
    [again] = desk.restart().get_current_downloads(group="g")
    assert again.transfer_group is not None
    assert again.transfer_group.name == "g"


def method(desk: Desk) -> None:
    desk.downloader.method = "PUT"
    desk.downloader.create_download(desk.server.url("/file"), "a").wait(DEADLINE)
    assert desk.server.requests("/file")[0].method == "PUT"


def server_credential(desk: Desk) -> None:
    desk.server.put("/guarded", FileSpec(size=SIZE, faults=(basic_auth(LOGIN),)))
    desk.downloader.server_credential = bgdl.PasswordCredential("files", LOGIN.user, LOGIN.password)
    desk.downloader.create_download(desk.server.url("/guarded"), "a").wait(DEADLINE)
    assert desk.server.requests("/guarded")[-1].header("Authorization") == basic_value(LOGIN)


def proxy_credential(desk: Desk) -> None:
    desk.downloader.proxy = desk.proxy.url()
    desk.downloader.proxy_credential = bgdl.PasswordCredential("proxy", LOGIN.user, LOGIN.password)
    desk.downloader.create_download(desk.server.url("/file"), "a").wait(DEADLINE)
    assert desk.proxy.requests[-1].header("Proxy-Authorization") == basic_value(LOGIN)
    assert desk.server.requests("/file")[-1].header("Proxy-Authorization") is None


def success_toast(desk: Desk) -> None:
    desk.downloader.success_toast_notification = bgdl.ToastNotification("All there", "The corpus.")
    desk.downloader.failure_toast_notification = bgdl.ToastNotification("Oh", "no")
    desk.downloader.create_download(desk.server.url("/file"), "a").wait(DEADLINE)
    desk.seen.until(lambda: bool(desk.alerts()))
    assert [(each.kind, each.title) for each in desk.alerts()] == [(AlertKind.SUCCESS, "All there")]


def failure_toast(desk: Desk) -> None:
    desk.downloader.success_toast_notification = bgdl.ToastNotification("All there", "The corpus.")
    desk.downloader.failure_toast_notification = bgdl.ToastNotification("Oh", "no")
    with pytest.raises(bgdl.HttpStatusError):
        desk.downloader.create_download(desk.server.url("/gone"), "a").wait(DEADLINE)
    desk.seen.until(lambda: bool(desk.alerts()))
    assert [(each.kind, each.title) for each in desk.alerts()] == [(AlertKind.FAILURE, "Oh")]


def tiles(desk: Desk) -> None:
    desk.downloader.success_tile_notification = bgdl.TileNotification("1 file")
    desk.downloader.failure_tile_notification = bgdl.TileNotification("not all")
    desk.downloader.create_download(desk.server.url("/file"), "a").wait(DEADLINE)
    desk.seen.until(lambda: any(each.texts == ("1 file",) for each in desk.seen.of(TileChanged)))
    with pytest.raises(bgdl.HttpStatusError):
        desk.downloader.create_download(desk.server.url("/gone"), "b").wait(DEADLINE)
    desk.seen.until(lambda: any("not all" in each.texts for each in desk.seen.of(TileChanged)))


# --------------------------------------------------------------------------------------------------- DownloadOperation


def start(desk: Desk) -> None:
    told: list[bgdl.BackgroundDownloadProgress] = []
    operation = desk.downloader.create_download(desk.server.url("/file"), "a")

    async def await_it() -> bgdl.DownloadOperation:
        return await operation.start(told.append)

    assert asyncio.run(await_it()) is operation
    assert desk.has("a")
    desk.seen.until(lambda: bool(told) and told[-1].bytes_received == SIZE)
    with pytest.raises(bgdl.InvalidTransferState):
        operation.start()


def attach(desk: Desk) -> None:
    desk.held()
    [again] = desk.restart().get_current_downloads()
    desk.go()

    async def await_it() -> bgdl.DownloadOperation:
        return await again.attach()

    assert asyncio.run(await_it()) is again
    assert desk.has("held")


def cancel(desk: Desk) -> None:
    operation = desk.held()

    async def give_up() -> None:
        waiting = asyncio.ensure_future(_awaited(operation))
        await asyncio.sleep(0)
        operation.cancel()
        with pytest.raises(bgdl.TransferCanceled):
            await waiting

    asyncio.run(give_up())
    desk.server.wait_until(lambda: desk.server.connections_open == 0)
    desk.seen.until(lambda: list(desk.work.iterdir()) == [])


async def _awaited(operation: bgdl.DownloadOperation) -> bgdl.DownloadOperation:
    return await operation


def pause_and_resume(desk: Desk) -> None:
    operation = desk.held()
    pausing = operation.pause()
    assert operation.status is Status.PAUSED_BY_APPLICATION
    pausing.wait(DEADLINE)
    desk.server.wait_until(lambda: desk.server.connections_open == 0)
    operation.resume().wait(DEADLINE)
    assert desk.has("held")
    assert desk.server.requests("/held")[-1].header("Range") is not None


def response_information(desk: Desk) -> None:
    operation = desk.downloader.create_download(desk.server.url("/file"), "a")
    assert operation.get_response_information() is None
    operation.wait(DEADLINE)
    said = operation.get_response_information()
    assert said is not None
    assert (said.status_code, said.is_resumable, said.actual_uri) == (200, True, desk.server.url("/file"))
    assert said.headers["ETAG"] == FILE.etag


def result_stream(desk: Desk) -> None:
    operation = desk.held()

    async def first_bytes() -> bytes:
        async with operation.get_result_stream_at(1000) as stream:
            return bytes(await stream.read(10))

    assert asyncio.run(first_bytes()) == read(FILE.content, 1000, 1010)
    assert operation.status is Status.RUNNING
    desk.go()
    operation.wait(DEADLINE)


def random_access(desk: Desk) -> None:
    paced = FileSpec(size=4_000_000, rate=1_000_000)
    desk.server.put("/paced", paced)
    operation = desk.downloader.create_download(desk.server.url("/paced"), "a")
    operation.start()

    async def last_bytes() -> bytes:
        async with await operation.open_result() as file:
            file.seek(-10, os.SEEK_END)
            return await asyncio.wait_for(file.read(10), DEADLINE)

    assert asyncio.run(last_bytes()) == paced.read(paced.size - 10)
    assert operation.bytes_received < paced.size  # the rest is still to come
    operation.cancel().wait(DEADLINE)


def random_access_required(desk: Desk) -> None:
    desk.server.put("/whole", FileSpec(size=SIZE, accept_ranges="none"))
    operation = desk.downloader.create_download(desk.server.url("/whole"), "a")
    operation.is_random_access_required = True
    with pytest.raises(bgdl.RangesNotSupported) as failed:
        operation.wait(DEADLINE)
    assert failed.value.web_error_status is bgdl.WebErrorStatus.INSUFFICIENT_RANGE_SUPPORT
    assert not (desk.work / "a").exists()


def downloaded_ranges(desk: Desk) -> None:
    operation = desk.held()
    assert operation.get_downloaded_ranges() == [bgdl.BackgroundTransferFileRange(0, HALF)]
    desk.go()
    operation.wait(DEADLINE)


def ranges_downloaded(desk: Desk) -> None:
    told: list[tuple[list[bgdl.BackgroundTransferFileRange], bool]] = []
    operation = desk.downloader.create_download(desk.server.url("/file"), "a")
    operation.on_ranges_downloaded(lambda added, was_restarted: told.append((added, was_restarted)))
    operation.wait(DEADLINE)
    desk.seen.until(lambda: sum(each.length for added, _ in told for each in added) == SIZE)
    assert not any(was_restarted for _, was_restarted in told)


def progress(desk: Desk) -> None:
    operation = desk.held()
    now = operation.progress
    assert (now.bytes_received, now.total_bytes_to_receive, now.status) == (HALF, SIZE, Status.RUNNING)
    assert (now.has_restarted, operation.fraction) == (False, 0.5)
    operation.pause().wait(DEADLINE)
    desk.server.put("/held", FileSpec(size=SIZE, seed=9, etag='"v2"'))
    operation.resume().wait(DEADLINE)
    assert operation.progress.has_restarted
    assert operation.progress.has_response_changed
    assert file_sha256(desk.work / "held") == FileSpec(size=SIZE, seed=9).sha256


def priority(desk: Desk) -> None:
    desk.downloader.max_parallel = 1
    desk.held()
    for name in ("first", "second"):
        desk.server.put(f"/{name}", FILE)
    first, second = (desk.downloader.download(desk.server.url(f"/{name}"), name) for name in ("first", "second"))
    second.priority = bgdl.BackgroundTransferPriority.HIGH
    desk.go()
    first.wait(DEADLINE)
    order = [each.path for each in desk.server.requests() if each.path in {"/first", "/second"}]
    assert order[0] == "/second"


def identity(desk: Desk) -> None:
    operation = desk.held()
    [again] = desk.restart().get_current_downloads()
    kept = [getattr(again, name) for name in ("guid", "method", "result_file", "requested_uri")]
    assert kept == [operation.guid, "GET", desk.work / "held", desk.server.url("/held")]
    desk.go()
    again.wait(DEADLINE)


def requested_uri(desk: Desk) -> None:
    operation = desk.held()
    operation.pause().wait(DEADLINE)
    desk.server.put("/moved", FILE)
    operation.requested_uri = desk.server.url("/moved")
    operation.resume().wait(DEADLINE)
    assert desk.has("held")
    assert desk.server.requests("/moved")[0].header("Range") is not None


def recoverable_errors(desk: Desk) -> None:
    desk.server.put("/expires", FileSpec(size=SIZE, faults=(cut_after(HALF, on=1), status(403, on=2))))
    operation = desk.downloader.create_download(desk.server.url("/expires"), "a")
    operation.recoverable_web_error_statuses = [bgdl.WebErrorStatus.FORBIDDEN]
    operation.start()
    desk.seen.until(lambda: operation.status is Status.PAUSED_RECOVERABLE_WEB_ERROR_STATUS)
    assert operation.current_web_error_status is bgdl.WebErrorStatus.FORBIDDEN
    operation.resume().wait(DEADLINE)
    assert desk.has("a")


def make_current(desk: Desk) -> None:
    group = desk.downloader.create_group("g")
    group.transfer_behavior = bgdl.BackgroundTransferBehavior.SERIALIZED
    desk.held(group="g")
    for number in range(3):
        desk.downloader.download(desk.server.url(f"/file?{number}"), str(number), group="g")
    group.operations[3].make_current_in_transfer_group()
    desk.go()
    group.wait(DEADLINE)
    assert [each.target[-1] for each in desk.server.requests("/file")] == ["2", "0", "1"]


# ------------------------------------------------------------------------------------------------------- its neighbours


def create_group(desk: Desk) -> None:
    group = bgdl.BackgroundTransferGroup.create_group("g")
    assert bgdl.BackgroundTransferGroup.create_group("g") is group
    group.transfer_behavior = bgdl.BackgroundTransferBehavior.SERIALIZED
    desk.held(group="g")
    second = desk.downloader.download(desk.server.url("/file"), "b", group="g")
    assert desk.server.requests("/file") == []
    assert group.progress.bytes_received == HALF
    desk.go()
    second.wait(DEADLINE)
    desk.restart()
    assert bgdl.BackgroundTransferGroup.create_group("g").transfer_behavior is group.transfer_behavior


def statuses(desk: Desk) -> None:
    numbers = {each.name: int(each) for each in Status}
    assert numbers == {
        "IDLE": 0,
        "RUNNING": 1,
        "PAUSED_BY_APPLICATION": 2,
        "PAUSED_COSTED_NETWORK": 3,
        "PAUSED_NO_NETWORK": 4,
        "COMPLETED": 5,
        "CANCELED": 6,
        "ERROR": 7,
        "PAUSED_RECOVERABLE_WEB_ERROR_STATUS": 8,
        "PAUSED_SYSTEM_POLICY": 32,
    }
    operation = desk.held()
    assert operation.status == 1
    operation.cancel().wait(DEADLINE)
    assert operation.status == numbers["CANCELED"]


def activity(desk: Desk) -> None:
    desk.downloader.max_parallel = 1
    running, waiting = desk.held(), desk.downloader.download(desk.server.url("/file"), "a")
    assert (running.activity, waiting.activity) == (bgdl.TransferActivity.DOWNLOADING, bgdl.TransferActivity.QUEUED)
    assert waiting.status is Status.RUNNING  # as Windows shows it
    desk.go()
    waiting.wait(DEADLINE)
    assert waiting.activity is bgdl.TransferActivity.NONE


def enumerations(desk: Desk) -> None:
    numbers = [
        [(each.name, int(each)) for each in kind]
        for kind in (
            bgdl.BackgroundTransferPriority,
            bgdl.BackgroundTransferBehavior,
            bgdl.BackgroundTransferCostPolicy,
        )
    ]
    assert numbers == [
        [("DEFAULT", 0), ("HIGH", 1), ("LOW", 2)],
        [("PARALLEL", 0), ("SERIALIZED", 1)],
        [("DEFAULT", 0), ("UNRESTRICTED_ONLY", 1), ("ALWAYS", 2)],
    ]
    low = desk.downloader.create_download(desk.server.url("/file"), "a", priority=2)
    [again] = desk.restart().get_current_downloads()
    assert again.priority is low.priority is bgdl.BackgroundTransferPriority.LOW


def error_status(desk: Desk) -> None:
    with pytest.raises(bgdl.BackgroundTransferError) as failed:
        desk.downloader.create_download(desk.server.url("/gone"), "a").wait(DEADLINE)
    error = failed.value
    get_status = bgdl.BackgroundTransferError.get_status
    assert (error.web_error_status, error.http_status) == (bgdl.WebErrorStatus.NOT_FOUND, 404)
    assert get_status(error) is get_status(404) is get_status(error.hresult or 0) is bgdl.WebErrorStatus.NOT_FOUND
    assert error.operation is not None


def web_error_statuses(desk: Desk) -> None:
    assert len(bgdl.WebErrorStatus) == 55
    for code in (401, 410, 429):
        desk.server.put("/fails", FileSpec(size=1, faults=(status(code, retry_after="0"),)))
        operation = desk.new(max_retries=0).create_download(desk.server.url("/fails"), str(code))
        with pytest.raises(bgdl.BackgroundTransferError) as failed:
            operation.wait(DEADLINE)
        assert failed.value.web_error_status is bgdl.BackgroundTransferError.get_status(code)


def notifications(desk: Desk) -> None:
    desk.downloader.success_toast_notification = bgdl.ToastNotification("t", "b", tag="x", suppress_popup=True)
    desk.downloader.create_download(desk.server.url("/file"), "a").wait(DEADLINE)
    desk.seen.until(lambda: bool(desk.alerts()))
    [alert] = desk.alerts()
    assert (alert.tag, alert.is_quiet) == ("x", True)
    before = desk.downloader.notification_setting
    desk.downloader.turn_alerts(on=False)
    after = desk.downloader.notification_setting
    assert (before.name, after.name) == ("ENABLED", "DISABLED_FOR_APPLICATION")
    desk.downloader.create_download(desk.server.url("/file?2"), "b").wait(DEADLINE)
    current_runner().place.call(lambda: None)
    assert len(desk.alerts()) == 1


def password_credential(desk: Desk) -> None:
    credential = bgdl.PasswordCredential("files", LOGIN.user, LOGIN.password)
    assert LOGIN.password not in f"{credential!r}{credential}"
    desk.server.put("/guarded", FileSpec(size=SIZE, faults=(basic_auth(LOGIN),)))
    operation = desk.downloader.create_download(desk.server.url("/guarded"), "a")
    operation.recoverable_web_error_statuses = [bgdl.WebErrorStatus.UNAUTHORIZED]
    with pytest.raises(bgdl.AttentionRequired):
        operation.wait(DEADLINE)
    operation.provide_credential(credential)
    operation.resume().wait(DEADLINE)
    assert desk.has("a")


def collisions(desk: Desk) -> None:
    option = bgdl.CreationCollisionOption
    assert [int(each) for each in option] == [0, 1, 2, 3]
    (desk.work / "a").write_text("mine")
    other = desk.downloader.create_download(desk.server.url("/file?0"), "a").wait(DEADLINE)
    assert (desk.work / "a").read_text() == "mine"
    assert other.result_file != desk.work / "a"
    with pytest.raises(bgdl.DestinationExists):
        desk.downloader.create_download(desk.server.url("/file?2"), "a", collision=option.FAIL_IF_EXISTS)
    desk.downloader.create_download(desk.server.url("/file?1"), "a", collision=option.REPLACE_EXISTING).wait(DEADLINE)
    assert desk.has("a")
    asked = len(desk.server.requests())
    taken = desk.downloader.download(
        desk.server.url("/file?3"), "a", collision=option.OPEN_IF_EXISTS, sha256=FILE.sha256
    )
    taken.wait(DEADLINE)
    assert len(desk.server.requests()) == asked


MEMBERS: Final[dict[str, Callable[[Desk], None]]] = {
    "new BackgroundDownloader()": downloader,
    "new BackgroundDownloader(BackgroundTransferCompletionGroup)": completion_group,
    "CreateDownload(uri, file)": create_download,
    "CreateDownload(uri, file, requestBodyFile)": request_body_file,
    "CreateDownloadAsync(uri, file, stream)": request_body_stream,
    "GetCurrentDownloadsAsync()": current_downloads,
    "GetCurrentDownloadsAsync(String)": current_downloads_of_a_group,
    "GetCurrentDownloadsForTransferGroupAsync": current_downloads_of_a_transfer_group,
    "RequestUnconstrainedDownloadsAsync": unconstrained,
    "SetRequestHeader": request_headers,
    "CostPolicy of the downloader": cost_policy,
    "Group, TransferGroup of the downloader": group,
    "Method of the downloader": method,
    "ServerCredential": server_credential,
    "ProxyCredential": proxy_credential,
    "SuccessToastNotification": success_toast,
    "FailureToastNotification": failure_toast,
    "SuccessTileNotification, FailureTileNotification": tiles,
    "StartAsync": start,
    "AttachAsync": attach,
    "cancel of the async operation": cancel,
    "Pause, Resume": pause_and_resume,
    "GetResponseInformation": response_information,
    "GetResultStreamAt": result_stream,
    "GetResultRandomAccessStreamReference": random_access,
    "IsRandomAccessRequired": random_access_required,
    "GetDownloadedRanges": downloaded_ranges,
    "RangesDownloaded": ranges_downloaded,
    "Progress": progress,
    "CostPolicy": cost_policy_of_an_operation,
    "Priority": priority,
    "Group, TransferGroup, Guid, Method, ResultFile": identity,
    "RequestedUri": requested_uri,
    "RecoverableWebErrorStatuses, CurrentWebErrorStatus": recoverable_errors,
    "MakeCurrentInTransferGroup": make_current,
    "BackgroundTransferGroup.CreateGroup, Name, TransferBehavior": create_group,
    "BackgroundTransferCompletionGroup": completion_group,
    "BackgroundTransferStatus": statuses,
    "(RUNNING while queued)": activity,
    "BackgroundTransferPriority, BackgroundTransferBehavior, BackgroundTransferCostPolicy": enumerations,
    "BackgroundTransferError.GetStatus": error_status,
    "WebErrorStatus": web_error_statuses,
    "ToastNotification, TileNotification, NotificationSetting": notifications,
    "PasswordCredential": password_credential,
    "CreationCollisionOption": collisions,
}

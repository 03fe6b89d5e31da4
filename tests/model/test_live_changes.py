"""What may be changed while an operation waits, stands still or has failed, and what the server sees of it."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from bgdl_jupyter.errors import (
    AttentionRequired,
    DuplicateDownload,
    HttpStatusError,
    InvalidRequest,
    InvalidTransferState,
)
from bgdl_jupyter.model.credentials import PasswordCredential
from bgdl_jupyter.model.process import current_runner
from bgdl_jupyter.resource import OVERLAP
from bgdl_jupyter.status import BackgroundTransferBehavior, BackgroundTransferPriority
from bgdl_jupyter.status import BackgroundTransferStatus as Status
from bgdl_jupyter.web_error_status import WebErrorStatus
from tests.servers.faults import cut_after, hold_after, status
from tests.servers.files import FileSpec

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from bgdl_jupyter.model.downloader import BackgroundDownloader
    from bgdl_jupyter.model.operation import DownloadOperation
    from tests.downloads import Seen
    from tests.servers.fault_server import FaultServer
    from tests.servers.fixtures import StartFaultServer, StartNginx
    from tests.servers.messages import Request
    from tests.servers.steps import Script

SIZE = 1_000_000
HALF = SIZE // 2
FILE = FileSpec(size=SIZE)
HELD = replace(FILE, faults=(hold_after(HALF, until="go", on=1),))
WAIT = 15.0


def signed(request: Request) -> Script:
    """Serve half of the file to the first who has the old link, all to those with the new one, and 403 to others."""
    if request.query.get("sig") == "new":
        return FILE.answer(request)
    if request.number == 1:
        return replace(FILE, faults=(cut_after(HALF),)).answer(request)
    return replace(FILE, faults=(status(403),)).answer(request)


@pytest.fixture
def server(fault_server: StartFaultServer) -> FaultServer:
    return fault_server({"/signed": signed, "/held": HELD, "/file": FILE})


def status_of(operation: DownloadOperation) -> Status:
    now: Status = operation.status
    return now


async def paused_half_way(operation: DownloadOperation, seen: Seen) -> None:
    operation.start()
    await asyncio.to_thread(seen.until, lambda: operation.bytes_received == HALF)
    await operation.pause()


# ------------------------------------------------------------------------------------------------------- another URI


async def test_a_link_that_expires_half_way_pauses_and_a_new_one_goes_on_without_a_byte_twice(
    downloader: BackgroundDownloader, server: FaultServer, seen: Seen, work: Path
):
    """Scenario 6: 403, a new link, and on from the bytes that are there."""
    operation = downloader.create_download(server.url("/signed?sig=old"), "file.bin")
    operation.recoverable_web_error_statuses = [WebErrorStatus.FORBIDDEN]
    operation.start()
    await asyncio.to_thread(seen.until, lambda: status_of(operation) is Status.PAUSED_RECOVERABLE_WEB_ERROR_STATUS)
    assert [operation.current_web_error_status] == [WebErrorStatus.FORBIDDEN]
    assert "403" in operation.status_reason
    assert operation.bytes_received == HALF
    operation.requested_uri = server.url("/signed?sig=new")
    await operation.resume()
    assert operation.current_web_error_status is None
    last = server.requests("/signed")[-1]
    assert last.query == {"sig": "new"}
    assert (last.header("Range"), last.header("If-Range")) == (f"bytes={HALF - OVERLAP}-", FILE.etag)
    assert server.bytes_sent_twice("/signed") == OVERLAP
    assert not operation.has_restarted
    assert (work / "file.bin").read_bytes() == FILE.read()
    assert "old" not in repr(operation) + operation.requested_uri


async def test_the_uri_of_what_failed_is_changed_and_a_retry_goes_on(
    downloader: BackgroundDownloader, server: FaultServer, work: Path
):
    operation = downloader.create_download(server.url("/signed?sig=old"), "file.bin")
    with pytest.raises(HttpStatusError):
        await operation
    operation.requested_uri = server.url("/signed?sig=new")
    await operation.retry()
    assert server.bytes_sent_twice("/signed") == OVERLAP
    assert (work / "file.bin").read_bytes() == FILE.read()


async def test_a_paused_download_goes_on_at_another_server_that_has_the_same_file(
    downloader: BackgroundDownloader, server: FaultServer, fault_server: StartFaultServer, seen: Seen, work: Path
):
    mirror = fault_server({"/copy": FILE})
    operation = downloader.create_download(server.url("/held"), "file.bin")
    await paused_half_way(operation, seen)
    operation.requested_uri = mirror.url("/copy")
    await operation.resume()
    assert [each.header("Range") for each in mirror.requests("/copy")] == [f"bytes={HALF - OVERLAP}-"]
    assert len(server.requests("/held")) == 1
    assert (work / "file.bin").read_bytes() == FILE.read()


async def test_what_was_given_for_one_origin_does_not_go_to_the_next(
    new_downloader, server: FaultServer, fault_server: StartFaultServer, work: Path
):
    """A signed link on another host is no reason to tell that host who we are."""
    other = fault_server({"/copy": FILE})
    downloader = new_downloader(server_credential=PasswordCredential("files", "ada", "Xylophon-7"))
    operation = downloader.create_download(
        server.url("/held"), "file.bin", headers={"X-Api-Key": "of-the-first", "X-Plain": "of-the-first"}
    )
    operation.requested_uri = other.url("/copy")
    assert operation.secret_names == []
    operation.set_request_header("X-Plain", "of-the-second")
    await operation
    [request] = other.requests("/copy")
    assert [request.header(name) for name in ("Authorization", "X-Api-Key")] == [None, None]
    assert request.header("X-Plain") == "of-the-second"


def test_a_body_does_not_go_to_another_origin_unasked(
    downloader: BackgroundDownloader, server: FaultServer, fault_server: StartFaultServer, work: Path
):
    (work / "body").write_bytes(b"query")
    operation = downloader.create_download(server.url("/held"), "file.bin", request_body_file=work / "body")
    with pytest.raises(InvalidRequest, match="another origin"):
        operation.requested_uri = fault_server({"/copy": FILE}).url("/copy")
    assert operation.requested_uri == server.url("/held")


@pytest.mark.parametrize("way", ["uri", "header", "credential"])
def test_a_password_does_not_begin_to_go_in_clear_text(downloader: BackgroundDownloader, way: str):
    scheme = "https" if way == "uri" else "http"
    operation = downloader.create_download(f"{scheme}://files.test/a", "a")
    ways: dict[str, Callable[[], object]] = {
        "uri": lambda: setattr(operation, "requested_uri", "http://ada:Xylophon-7@files.test/a"),
        "header": lambda: operation.set_request_header("Authorization", "Basic YWRhOlh5bG9waG9uLTc="),
        "credential": lambda: operation.provide_credential(PasswordCredential("files", "ada", "Xylophon-7")),
    }
    with pytest.raises(InvalidRequest, match="clear text"):
        ways[way]()
    assert operation.secret_names == []


async def test_a_real_server_goes_on_under_another_name_of_the_file(
    downloader: BackgroundDownloader, nginx: StartNginx, seen: Seen, work: Path
):
    web = nginx(rate=HALF)
    (web.root / "link.bin").symlink_to(web.put("file.bin", FILE.read()))
    operation = downloader.create_download(web.url("/file.bin"), "file.bin")
    operation.start()
    await asyncio.to_thread(seen.until, lambda: operation.bytes_received > OVERLAP)
    await operation.pause()
    received = operation.durable.finished.total
    operation.requested_uri = web.url("/link.bin")
    await operation.resume()
    (line,) = [each for each in web.log() if each.target == "/link.bin"]
    assert (line.status, line.range) == (206, f"bytes={max(0, received - OVERLAP)}-")
    assert (work / "file.bin").read_bytes() == FILE.read()


async def test_another_file_behind_the_new_uri_begins_again_and_says_so(
    downloader: BackgroundDownloader, server: FaultServer, seen: Seen, work: Path
):
    other = FileSpec(size=SIZE, seed=7, etag='"other"')
    server.put("/other", other)
    operation = downloader.create_download(server.url("/held"), "file.bin")
    await paused_half_way(operation, seen)
    operation.requested_uri = server.url("/other")
    await operation.resume()
    assert operation.has_restarted
    assert (work / "file.bin").read_bytes() == other.read()


async def test_the_uri_of_what_is_idle_is_the_one_that_is_asked_for(
    downloader: BackgroundDownloader, server: FaultServer
):
    operation = downloader.create_download(server.url("/held"), "file.bin")
    operation.requested_uri = server.url("/file")
    await operation
    assert server.requests("/held") == []


async def test_a_uri_that_cannot_be_fetched_is_refused_and_the_old_one_stays(
    downloader: BackgroundDownloader, server: FaultServer
):
    operation = downloader.create_download(server.url("/file"), "file.bin")
    for wrong in ("file:///etc/passwd", "http://", ""):
        with pytest.raises(InvalidRequest):
            operation.requested_uri = wrong
    assert operation.requested_uri == server.url("/file")


async def test_a_uri_that_another_download_fetches_is_refused_and_the_one_left_is_free(
    downloader: BackgroundDownloader, server: FaultServer
):
    first = downloader.create_download(server.url("/file"), "first.bin")
    second = downloader.create_download(server.url("/held"), "second.bin")
    with pytest.raises(DuplicateDownload) as refused:
        second.requested_uri = server.url("/file")
    assert refused.value.operation is first
    second.requested_uri = server.url("/elsewhere")
    with pytest.raises(DuplicateDownload):
        downloader.create_download(server.url("/elsewhere"), "third.bin")
    assert downloader.create_download(server.url("/held"), "fourth.bin").status is Status.IDLE


async def test_a_changed_uri_is_what_a_later_retry_of_the_same_is_refused_for(
    downloader: BackgroundDownloader, server: FaultServer
):
    first = downloader.create_download(server.url("/gone"), "first.bin")
    with pytest.raises(HttpStatusError):
        await first
    second = downloader.create_download(server.url("/held"), "second.bin")
    second.requested_uri = server.url("/gone")
    with pytest.raises(DuplicateDownload):
        first.retry()
    second.requested_uri = server.url("/held")
    with pytest.raises(HttpStatusError):
        await first.retry()


async def test_a_changed_uri_is_still_changed_after_a_restart(
    downloader: BackgroundDownloader, restart: Callable[..., BackgroundDownloader], server: FaultServer, seen: Seen
):
    operation = downloader.create_download(server.url("/held"), "file.bin")
    await paused_half_way(operation, seen)
    operation.requested_uri = server.url("/file")
    (again,) = restart().get_current_downloads()
    await again.resume()
    assert server.bytes_sent_twice("/file") == 0
    assert [each.header("Range") for each in server.requests("/file")] == [f"bytes={HALF - OVERLAP}-"]


# ----------------------------------------------------------------------------------------------- headers, order, errors


async def test_a_header_that_is_set_or_removed_counts_from_the_next_request_on(
    downloader: BackgroundDownloader, server: FaultServer, seen: Seen
):
    operation = downloader.create_download(server.url("/held"), "file.bin", headers={"X-Old": "1", "X-Kept": "2"})
    await paused_half_way(operation, seen)
    operation.set_request_header("X-New", "3")
    operation.remove_request_header("x-old")
    await operation.resume()
    first, second = server.requests("/held")
    names = ("X-Old", "X-Kept", "X-New")
    assert [first.header(each) for each in names] == ["1", "2", None]
    assert [second.header(each) for each in names] == [None, "2", "3"]


async def test_a_header_that_is_set_while_it_runs_is_sent_with_the_next_attempt(
    downloader: BackgroundDownloader, server: FaultServer, seen: Seen
):
    server.put("/held", replace(FILE, faults=(hold_after(HALF, until="go", on=1), cut_after(HALF + 1000, on=1))))
    operation = downloader.create_download(server.url("/held"), "file.bin")
    operation.start()
    await asyncio.to_thread(seen.until, lambda: operation.bytes_received == HALF)
    operation.set_request_header("Authorization", "Bearer fresh")
    server.events.set("go")
    await operation
    assert [each.header("Authorization") for each in server.requests("/held")] == [None, "Bearer fresh"]


async def test_only_what_is_listed_pauses_and_the_rest_ends_it(downloader: BackgroundDownloader, server: FaultServer):
    server.put("/gone", replace(FILE, faults=(status(410),)))
    operation = downloader.create_download(server.url("/gone"), "file.bin")
    operation.recoverable_web_error_statuses = [WebErrorStatus.FORBIDDEN, WebErrorStatus.NOT_FOUND]
    with pytest.raises(HttpStatusError, match="410"):
        await operation
    assert operation.status is Status.ERROR
    assert operation.current_web_error_status is None


async def test_a_listed_status_that_may_pass_pauses_when_all_tries_are_spent(
    downloader: BackgroundDownloader, server: FaultServer
):
    server.put("/busy", replace(FILE, faults=(status(503, on=range(1, 5)),)))
    operation = downloader.create_download(server.url("/busy"), "file.bin")
    operation.recoverable_web_error_statuses = [WebErrorStatus.SERVICE_UNAVAILABLE]
    with pytest.raises(AttentionRequired, match="503"):
        await asyncio.to_thread(operation.wait, WAIT)
    assert len(server.requests("/busy")) == 4
    assert operation.current_web_error_status is WebErrorStatus.SERVICE_UNAVAILABLE
    await operation.resume()
    assert len(server.requests("/busy")) == 5


async def test_a_pause_for_a_listed_error_survives_a_restart(
    downloader: BackgroundDownloader, restart: Callable[..., BackgroundDownloader], server: FaultServer, seen: Seen
):
    operation = downloader.create_download(server.url("/signed?part=old"), "file.bin")
    operation.recoverable_web_error_statuses = [WebErrorStatus.FORBIDDEN]
    operation.start()
    await asyncio.to_thread(seen.until, lambda: status_of(operation) is Status.PAUSED_RECOVERABLE_WEB_ERROR_STATUS)
    (again,) = restart().get_current_downloads()
    assert again.status is Status.PAUSED_RECOVERABLE_WEB_ERROR_STATUS
    assert again.current_web_error_status is WebErrorStatus.FORBIDDEN
    assert again.recoverable_web_error_statuses == [WebErrorStatus.FORBIDDEN]
    again.requested_uri = server.url("/file")
    await again.resume()
    assert [each.header("Range") for each in server.requests("/file")] == [f"bytes={HALF - OVERLAP}-"]


async def test_a_priority_that_is_changed_while_it_waits_decides_who_is_next(
    downloader: BackgroundDownloader, server: FaultServer
):
    group = downloader.create_group("one by one")
    group.transfer_behavior = BackgroundTransferBehavior.SERIALIZED
    waiting = [
        downloader.create_download(server.url(f"/held?{number}"), f"{number}.bin", group=group) for number in range(4)
    ]
    for each in waiting:
        each.start()
    await server.until(lambda: len(server.requests("/held")) == 1)
    waiting[1].priority = BackgroundTransferPriority.LOW
    waiting[3].make_current_in_transfer_group()
    server.events.set("go")
    await group
    assert [each.target.partition("?")[2] for each in server.requests("/held")] == ["0", "3", "2", "1"]


@pytest.mark.parametrize("name", ["priority", "cost_policy", "recoverable_web_error_statuses"])
async def test_a_setting_that_is_changed_is_recorded(
    downloader: BackgroundDownloader, restart: Callable[..., BackgroundDownloader], server: FaultServer, name: str
):
    value: Any = [WebErrorStatus.GONE] if name.startswith("recoverable") else 2
    operation = downloader.create_download(server.url("/file"), "file.bin")
    setattr(operation, name, value)
    (again,) = restart().get_current_downloads()
    assert getattr(again, name) == value


async def test_what_is_complete_takes_no_other_uri(downloader: BackgroundDownloader, server: FaultServer):
    operation = await downloader.create_download(server.url("/file"), "file.bin").start()
    with pytest.raises(InvalidTransferState):
        operation.requested_uri = server.url("/held")
    assert current_runner().registry.find(operation.guid) is operation

"""What a kernel left is taken up by the next: after a restart, a crash, or another kernel's death."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from bgdl_jupyter.engine.middle_bodies import MIDDLE_BODY
from bgdl_jupyter.errors import DuplicateDownload, HttpStatusError, StorageFailed, TransferCanceled, TransferFailed
from bgdl_jupyter.events import OperationsAdded
from bgdl_jupyter.model import by_and_by, recollection, transfers
from bgdl_jupyter.model.process import current_runner
from bgdl_jupyter.resource import OVERLAP
from bgdl_jupyter.status import BackgroundTransferStatus as Status
from bgdl_jupyter.status import Integrity
from bgdl_jupyter.storage import state_file
from tests.downloads import Seen, partial_files
from tests.servers.content import file_sha256
from tests.servers.faults import cut_after, hold_after, hold_head, status
from tests.servers.files import FileSpec

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from bgdl_jupyter.model.downloader import BackgroundDownloader
    from bgdl_jupyter.model.operation import DownloadOperation
    from tests.servers.fault_server import FaultServer
    from tests.servers.fixtures import StartFaultServer

SIZE = 300_000
HALF = SIZE // 2
WAIT = 15.0
PLAIN = FileSpec(size=SIZE)
# No file that waits in memory for its name: what came of it is recorded.
LARGE = FileSpec(size=MIDDLE_BODY + 1)


@pytest.fixture
def server(fault_server: StartFaultServer) -> FaultServer:
    """Serve a file at once, one that stops half-way once, one that breaks off and is gone then, and a slow answer."""
    return fault_server(
        {
            "/plain": PLAIN,
            "/large": LARGE,
            "/held": FileSpec(size=SIZE, faults=(hold_after(HALF, until="go", on=1),)),
            "/gone": FileSpec(size=SIZE, faults=(cut_after(HALF, on=1), status(404, on=2))),
            "/post": FileSpec(size=SIZE, faults=(hold_head(until="never", on=1),)),
        }
    )


def path_of(operation: DownloadOperation) -> Path:
    """Return where the file is."""
    path = operation.result_file
    assert path is not None
    return path


def half_way(downloader: BackgroundDownloader, server: FaultServer, seen: Seen) -> DownloadOperation:
    """Return an operation that runs and has half of its bytes."""
    operation = downloader.create_download(server.url("/held"), "file.bin")
    operation.start()
    seen.until(lambda: operation.bytes_received == HALF)
    return operation


def test_what_ran_goes_on_from_the_bytes_it_has(
    downloader: BackgroundDownloader, restart: Callable[..., BackgroundDownloader], server: FaultServer, seen: Seen
):
    before = half_way(downloader, server, seen)
    (operation,) = restart().get_current_downloads()
    assert operation is not before
    assert operation.guid == before.guid
    assert operation.status is Status.RUNNING
    operation.wait(WAIT)
    assert not operation.has_restarted
    assert server.bytes_sent_twice("/held") <= OVERLAP
    assert file_sha256(path_of(operation)) == PLAIN.sha256
    assert partial_files(operation.directory) == []


def test_what_was_paused_stays_paused_and_what_is_idle_stays_idle(
    downloader: BackgroundDownloader, restart: Callable[..., BackgroundDownloader], server: FaultServer, seen: Seen
):
    half_way(downloader, server, seen).pause().wait(WAIT)
    downloader.create_download(server.url("/plain"), "idle.bin")
    paused, idle = restart().get_current_downloads()
    assert (paused.status, idle.status) == (Status.PAUSED_BY_APPLICATION, Status.IDLE)
    assert paused.bytes_received == HALF
    assert paused.progress.total_bytes_to_receive == SIZE
    paused.resume().wait(WAIT)
    idle.wait(WAIT)


@pytest.mark.parametrize(
    ("on_restore", "after"),
    [
        ("pause", Status.PAUSED_BY_APPLICATION),
        ("ask", Status.PAUSED_BY_APPLICATION),
        ("cancel", Status.CANCELED),
        ("resume", Status.RUNNING),
    ],
)
def test_the_user_says_what_becomes_of_what_ran(
    *,
    downloader: BackgroundDownloader,
    restart: Callable[..., BackgroundDownloader],
    server: FaultServer,
    seen: Seen,
    on_restore: str,
    after: Status,
):
    half_way(downloader, server, seen)
    server.put("/held", FileSpec(size=SIZE, faults=(hold_head(until="go"),)))
    (operation,) = restart(on_restore=on_restore).get_current_downloads()
    assert operation.status is after
    if on_restore == "ask":
        assert "resume()" in operation.status_reason


def test_what_was_canceled_at_its_restoring_leaves_nothing(
    downloader: BackgroundDownloader, restart: Callable[..., BackgroundDownloader], server: FaultServer, seen: Seen
):
    half_way(downloader, server, seen)
    again = restart(on_restore="cancel")
    (operation,) = again.restore()
    Seen().until(lambda: current_runner().place.call(current_runner().is_settled, operation))
    assert partial_files(operation.directory) == []
    with pytest.raises(TransferCanceled):
        operation.wait(WAIT)


def test_what_could_not_be_removed_is_removed_by_the_next_kernel(
    downloader: BackgroundDownloader,
    restart: Callable[..., BackgroundDownloader],
    server: FaultServer,
    seen: Seen,
    monkeypatch: pytest.MonkeyPatch,
):
    def refuse(*_: object) -> None:
        raise StorageFailed("The disk refused to delete it.")

    operation = half_way(downloader, server, seen)
    operation.pause().wait(WAIT)
    with monkeypatch.context() as patched:
        patched.setattr(transfers, "discard_leftovers", refuse)
        operation.cancel().wait(WAIT)
    assert len(partial_files(operation.directory)) == 1
    (again,) = restart().get_current_downloads()
    assert again.status is Status.CANCELED
    seen.until(lambda: partial_files(operation.directory) == [])


def test_what_became_final_can_still_be_awaited(
    downloader: BackgroundDownloader, restart: Callable[..., BackgroundDownloader], server: FaultServer, seen: Seen
):
    done = downloader.create_download(server.url("/plain"), "a.bin")
    failed = downloader.create_download(server.url("/gone"), "b.bin")
    for each in (done, failed):
        each.start()
    seen.until(lambda: done.status.is_final and failed.status.is_final)
    done, failed = restart().get_current_downloads()
    assert done.wait(WAIT).status is Status.COMPLETED
    assert (done.size, done.integrity, done.fraction) == (SIZE, Integrity.LENGTH_AND_VALIDATOR, 1.0)
    with pytest.raises(HttpStatusError) as raised:
        failed.wait(WAIT)
    assert raised.value.http_status == 404


def test_what_failed_in_a_kernel_before_is_retried_from_what_is_on_disk(
    downloader: BackgroundDownloader, restart: Callable[..., BackgroundDownloader], server: FaultServer, seen: Seen
):
    failed = downloader.create_download(server.url("/gone"), "b.bin")
    failed.start()
    seen.until(lambda: failed.status.is_final)
    (operation,) = restart().get_current_downloads()
    operation.retry().wait(WAIT)
    assert server.bytes_sent_twice("/gone") <= OVERLAP
    assert file_sha256(path_of(operation)) == PLAIN.sha256
    assert partial_files(operation.directory) == []


def test_a_post_that_ran_is_an_error_and_is_not_sent_again(
    downloader: BackgroundDownloader, restart: Callable[..., BackgroundDownloader], server: FaultServer, work: Path
):
    (work / "body").write_text("question")
    operation = downloader.create_download(server.url("/post"), "answer", request_body_file="body")
    operation.start()
    server.wait_until(lambda: bool(server.requests("/post")))
    (operation,) = restart().get_current_downloads()
    with pytest.raises(TransferFailed, match="may have carried it out"):
        operation.wait(WAIT)
    assert len(server.requests("/post")) == 1
    operation.retry().wait(WAIT)
    assert len(server.requests("/post")) == 2


def test_download_run_again_in_the_next_kernel_joins_what_is_there(
    downloader: BackgroundDownloader, restart: Callable[..., BackgroundDownloader], server: FaultServer, seen: Seen
):
    """All cells run again after a restart: nothing is refused, nothing is fetched twice."""
    finished = downloader.download(server.url("/plain"))
    finished.wait(WAIT)
    before = downloader.download(server.url("/held"))
    seen.until(lambda: before.bytes_received == HALF)
    again = restart()
    assert again.download(server.url("/plain")).guid == finished.guid
    joined = again.download(server.url("/held"))
    assert joined.guid == before.guid
    joined.wait(WAIT)
    assert len(server.requests("/plain")) == 1
    assert server.bytes_sent_twice("/held") <= OVERLAP


def test_creating_what_a_kernel_before_left_names_it(
    downloader: BackgroundDownloader, restart: Callable[..., BackgroundDownloader], server: FaultServer
):
    before = downloader.create_download(server.url("/plain"), "left.bin")
    with pytest.raises(DuplicateDownload, match=r"left\.bin") as raised:
        restart().create_download(server.url("/plain"), "other.bin")
    assert isinstance(raised.value.operation, type(before))
    assert raised.value.operation.guid == before.guid


def test_what_waits_to_be_tried_again_after_a_restart_is_not_created_twice(
    downloader: BackgroundDownloader, restart: Callable[..., BackgroundDownloader], server: FaultServer, seen: Seen
):
    failed = downloader.create_download(server.url("/none"), "file.bin", group="both")
    failed.start()
    seen.until(lambda: failed.status is Status.ERROR)
    again = restart(max_parallel=1)
    again.restore()
    half_way(again, server, Seen())  # has the only place
    (waiting,) = again.create_group("both").operations
    assert waiting.guid == failed.guid
    waiting.retry()
    with pytest.raises(DuplicateDownload, match=r"file\.bin") as refused:
        again.create_download(server.url("/none"), "other.bin", group="both")
    assert refused.value.operation is waiting
    again.download_many([server.url("/none")], group="both")
    assert again.create_group("both").operations == [waiting]


def test_another_application_is_shown_and_not_taken_up(
    downloader: BackgroundDownloader, restart: Callable[..., BackgroundDownloader], server: FaultServer
):
    foreign = downloader.create_download(server.url("/plain"), "a.bin", application="/other.ipynb")
    again = restart()
    assert again.get_current_downloads() == []
    (shown,) = again.get_current_downloads(application="*")
    assert shown.guid == foreign.guid
    assert shown.is_held
    assert shown.allowed_steps == frozenset()


def test_settings_and_order_outlive_the_kernel(
    downloader: BackgroundDownloader, restart: Callable[..., BackgroundDownloader], server: FaultServer
):
    created = [downloader.create_download(server.url(f"/plain?{number}"), f"{number}") for number in range(20)]
    created[3].priority = 1
    created[4].set_request_header("X-Plain", "kept")
    restored = restart().get_current_downloads()
    assert [each.guid for each in restored] == [each.guid for each in created]
    assert [each.trait_values() for each in restored] == [each.trait_values() for each in created]
    assert dict(restored[4].request_headers) == {"X-Plain": "kept"}


def test_restored_operations_are_told_as_such_once(
    downloader: BackgroundDownloader, restart: Callable[..., BackgroundDownloader], server: FaultServer
):
    downloader.create_download(server.url("/plain"), "a.bin")
    again = restart()
    seen = Seen()
    assert len(again.restore()) == 1
    assert again.restore() == []
    assert [each.was_restored for each in seen.of(OperationsAdded)] == [True]


def test_a_shutdown_in_the_middle_of_a_commit_is_no_cancel(
    *,
    downloader: BackgroundDownloader,
    restart: Callable[..., BackgroundDownloader],
    server: FaultServer,
    seen: Seen,
    monkeypatch: pytest.MonkeyPatch,
):
    """The file is whole and its commit failed: the next kernel gives it its name, and fetches nothing."""
    runner = current_runner()

    async def fail_when_stopping(_: object) -> None:
        while not runner.transfers._is_stopping:  # noqa: ASYNC110 (nothing tells of the moment that is to be met)
            await asyncio.sleep(0.01)
        raise StorageFailed("The disk has gone.")

    monkeypatch.setattr(runner.facilities.committer, "_announce", fail_when_stopping)
    operation = downloader.create_download(server.url("/large"), "a.bin")
    operation.start()
    seen.until(lambda: operation.activity.name == "COMMITTING")
    (operation,) = restart().get_current_downloads()
    operation.wait(WAIT)
    assert operation.status is Status.COMPLETED
    assert server.body_bytes_sent("/large") <= LARGE.size + OVERLAP
    assert file_sha256(path_of(operation)) == LARGE.sha256


@pytest.mark.parametrize(
    "record",
    [{"requested_uri": 17, "priority": "sideways"}, {"requested_uri": "https://host/a"}, {"a": 1}, {}],
    ids=str,
)
def test_a_record_that_cannot_be_read_is_left_and_the_others_are_there(
    *,
    downloader: BackgroundDownloader,
    restart: Callable[..., BackgroundDownloader],
    server: FaultServer,
    record: dict[str, Any],
):
    broken = downloader.create_download(server.url("/plain?1"), "a.bin")
    whole = downloader.create_download(server.url("/plain?2"), "b.bin")
    runner = current_runner()
    runner.state.update(broken.guid, record=record).result(WAIT)
    assert [each.guid for each in restart().get_current_downloads()] == [whole.guid]


def test_very_many_are_taken_up_a_few_at_a_time(
    downloader: BackgroundDownloader,
    restart: Callable[..., BackgroundDownloader],
    server: FaultServer,
    monkeypatch: pytest.MonkeyPatch,
):
    """No step of the loop, and no transaction, grows with the queue; the order stays."""
    names = [f"{number}.bin" for number in range(12)]
    for name in names:
        downloader.create_download(server.url("/plain") + f"?{name}", f"{name[0]}/{name}")
    again = restart()
    monkeypatch.setattr(by_and_by, "_AT_ONCE", 2)
    monkeypatch.setattr(state_file, "_ACQUIRED_AT_ONCE", 5)
    introduced: list[int] = []
    runner = current_runner()
    real = runner.introduce

    def introduce(operations: list[DownloadOperation], **options: bool) -> None:
        introduced.append(len(operations))
        real(operations, **options)

    monkeypatch.setattr(runner, "introduce", introduce)
    assert [path_of(each).name for each in again.get_current_downloads()] == names
    assert max(introduced) == 2


def test_a_folder_of_its_own_for_each_file_costs_no_set_of_values_of_its_own(
    downloader: BackgroundDownloader, restart: Callable[..., BackgroundDownloader], server: FaultServer
):
    uris = [server.url("/plain") + f"?{number}" for number in range(5)]
    lines = [{"uri": uri, "destination": f"{number}/a.bin"} for number, uri in enumerate(uris)]
    made = downloader.download_many(lines, group="all", priority="low")
    made.pause()
    folders = [each.directory for each in made.operations]
    assert folders == [path_of(each).parent for each in made.operations]
    assert len({id(each.shared) for each in made.operations}) == 1
    operations = restart().get_current_downloads(group="all")
    assert [each.directory for each in operations] == folders


def paused_before_they_began(downloader: BackgroundDownloader, server: FaultServer) -> None:
    """Leave one that runs and six that wait, all paused."""
    downloader.max_parallel = 1
    uris = [server.url("/held"), *(server.url("/plain") + f"?{number}" for number in range(6))]
    lines = [{"uri": uri, "destination": f"{number}.bin"} for number, uri in enumerate(uris)]
    downloader.download_many(lines, group="all").pause().wait(WAIT)


def test_those_that_were_paused_before_they_began_share_what_they_have_in_common(
    downloader: BackgroundDownloader, restart: Callable[..., BackgroundDownloader], server: FaultServer
):
    paused_before_they_began(downloader, server)
    _, *others = restart().get_current_downloads(group="all")
    assert {(each.status, each.status_reason) for each in others} == {(Status.PAUSED_BY_APPLICATION, "paused by you")}
    assert all(each.shares("status", "status_reason", "options", "priority") for each in others)
    assert len({id(each.shared) for each in others}) == 1
    for each in others:
        each.resume()
        each.wait(WAIT)
        assert file_sha256(path_of(each)) == PLAIN.sha256


def test_where_there_are_very_many_reasons_each_has_its_own(
    downloader: BackgroundDownloader,
    restart: Callable[..., BackgroundDownloader],
    server: FaultServer,
    monkeypatch: pytest.MonkeyPatch,
):
    monkeypatch.setattr(recollection, "_MOST_KINDS", 0)
    paused_before_they_began(downloader, server)
    _, *others = restart().get_current_downloads(group="all")
    assert {(each.status, each.status_reason) for each in others} == {(Status.PAUSED_BY_APPLICATION, "paused by you")}
    assert not any(each.shares("status_reason") for each in others)

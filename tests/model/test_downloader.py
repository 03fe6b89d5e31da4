"""Creating, finding again, and the limits that all downloaders share."""

from __future__ import annotations

import hashlib
import threading
import time
from typing import TYPE_CHECKING, Any

import pytest
from traitlets import TraitError

from bgdl_jupyter.errors import DestinationExists, DestinationInUse, DuplicateDownload, InvalidManifest
from bgdl_jupyter.events import StatusChanged
from bgdl_jupyter.model.process import current_runner
from bgdl_jupyter.resource import OVERLAP
from bgdl_jupyter.status import BackgroundTransferPriority as Priority
from bgdl_jupyter.status import BackgroundTransferStatus as Status
from bgdl_jupyter.status import CreationCollisionOption as Collision
from bgdl_jupyter.status import Integrity, TransferActivity
from tests.servers.content import file_sha256
from tests.servers.faults import cut_after, drop_validators, hold_after, hold_head, redirect, status
from tests.servers.files import FileSpec

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from bgdl_jupyter.model.downloader import BackgroundDownloader
    from bgdl_jupyter.model.operation import DownloadOperation
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


def status_of(operation: DownloadOperation) -> Status:
    """Return the status as it is now."""
    now: Status = operation.status
    return now


# ----------------------------------------------------------------------------------------------------------- duplicates


def test_the_same_uri_is_refused_while_it_is_being_had_and_the_error_has_the_other(
    downloader: BackgroundDownloader, server: FaultServer
):
    first = downloader.create_download(server.url("/plain.bin"), "one.bin")
    with pytest.raises(DuplicateDownload, match=r"one\.bin") as raised:
        downloader.create_download(server.url("/plain.bin#part"), "two.bin")
    assert raised.value.operation is first
    first.wait(WAIT)
    downloader.create_download(server.url("/plain.bin"), "two.bin").wait(WAIT)


def test_of_another_group_a_duplicate_says_only_that_there_is_one(
    downloader: BackgroundDownloader, server: FaultServer
):
    downloader.create_download(server.url("/plain.bin"), "one.bin", group="secret-project")
    with pytest.raises(DuplicateDownload, match="another group") as raised:
        downloader.create_download(server.url("/plain.bin"), "two.bin")
    assert raised.value.operation is None
    assert "secret-project" not in str(raised.value)


def test_another_body_is_another_request(downloader: BackgroundDownloader, server: FaultServer, work: Path):
    for name in ("a", "b"):
        (work / name).write_text(name)
        downloader.create_download(server.url("/plain.bin"), f"{name}.bin", request_body_file=work / name)
    with pytest.raises(DuplicateDownload):
        downloader.create_download(server.url("/plain.bin"), "c.bin", request_body_file=work / "a")


def test_one_destination_is_written_by_one_operation_or_another_name_is_chosen(
    downloader: BackgroundDownloader, server: FaultServer, work: Path
):
    downloader.create_download(server.url("/plain.bin"), "data.tar.gz")
    (work / "link").symlink_to(work, target_is_directory=True)
    with pytest.raises(DestinationInUse):
        downloader.create_download(server.url("/held.bin"), "link/data.tar.gz", collision=Collision.REPLACE_EXISTING)
    other = downloader.create_download(server.url("/held.bin"), "data.tar.gz")
    assert other.result_file == work / "data (1).tar.gz"


def test_download_run_again_returns_the_live_one_and_then_the_finished_one(
    downloader: BackgroundDownloader, server: FaultServer, work: Path
):
    first = downloader.download(server.url("/held.bin"))
    assert downloader.download(server.url("/held.bin")) is first
    server.events.set("go")
    first.wait(WAIT)
    assert first.result_file == work / "held.bin"
    assert downloader.download(server.url("/held.bin")) is first
    assert downloader.download(server.url("/held.bin"), "held.bin") is first
    assert len(server.requests("/held.bin")) == 1


def test_a_finished_file_that_is_gone_is_fetched_again(
    downloader: BackgroundDownloader, server: FaultServer, work: Path
):
    first = downloader.download(server.url("/plain.bin"), "a.bin")
    first.wait(WAIT)
    (work / "a.bin").unlink()
    again = downloader.download(server.url("/plain.bin"), "a.bin")
    assert again is not first
    again.wait(WAIT)
    assert file_sha256(work / "a.bin") == PLAIN.sha256


@pytest.mark.parametrize("edited", [b"short", b"x" * SIZE])
def test_a_file_that_somebody_changed_is_not_destroyed_unless_asked(
    downloader: BackgroundDownloader, server: FaultServer, work: Path, edited: bytes
):
    """Also when it still has the size that it came with."""
    downloader.download(server.url("/plain.bin"), "a.bin").wait(WAIT)
    (work / "a.bin").write_bytes(edited)
    with pytest.raises(DestinationExists, match=r"collision=REPLACE_EXISTING, or GENERATE_UNIQUE_NAME.*A checksum"):
        downloader.download(server.url("/plain.bin"), "a.bin")
    with pytest.raises(DestinationExists, match="with another digest"):
        downloader.download(server.url("/plain.bin"), "a.bin", sha256=PLAIN.sha256).wait(WAIT)
    assert (work / "a.bin").read_bytes() == edited
    downloader.download(server.url("/plain.bin"), "a.bin", collision="replace_existing").wait(WAIT)
    assert file_sha256(work / "a.bin") == PLAIN.sha256


def test_a_file_of_ours_that_does_not_verify_is_fetched_anew_and_replaced_when_that_is_whole(
    downloader: BackgroundDownloader,
    restart: Callable[..., BackgroundDownloader],
    fault_server: StartFaultServer,
    work: Path,
):
    """The server says no validator, so nothing proves that the file is still what it has; also after a restart."""
    weak = FileSpec(size=SIZE, faults=(drop_validators(),))
    server = fault_server({"/weak": weak})
    downloader.download(server.url("/weak"), "a.bin").wait(WAIT)
    again = restart()
    changed = FileSpec(size=SIZE, seed=5, faults=(drop_validators(),))
    server.put("/weak", changed)
    again.download(server.url("/weak"), "a.bin").wait(WAIT)
    assert file_sha256(work / "a.bin") == changed.sha256
    server.put("/weak", PLAIN)
    again.download(server.url("/weak"), "a.bin", sha256=PLAIN.sha256).wait(WAIT)
    assert file_sha256(work / "a.bin") == PLAIN.sha256


def test_a_file_that_came_from_elsewhere_is_refused_at_once_and_in_a_manifest_by_its_line(
    downloader: BackgroundDownloader, server: FaultServer, work: Path
):
    (work / "mine.bin").write_text("mine")
    with pytest.raises(DestinationExists, match="no file of this download"):
        downloader.download(server.url("/plain.bin"), "mine.bin")
    lines = [server.url("/held.bin"), {"uri": server.url("/plain.bin"), "destination": "mine.bin"}]
    with pytest.raises(InvalidManifest, match=r"line 2: .*is there, and is no file of this download"):
        downloader.download_many(lines, group="all")
    assert (work / "mine.bin").read_text() == "mine"
    assert server.requests() == []


def test_a_file_that_appears_while_it_is_fetched_is_kept(
    downloader: BackgroundDownloader, server: FaultServer, work: Path
):
    operation = downloader.download(server.url("/held.bin"), "a.bin")
    server.wait_until(lambda: bool(server.requests("/held.bin")))
    (work / "a.bin").write_text("mine")
    server.events.set("go")
    with pytest.raises(DestinationExists):
        operation.wait(WAIT)
    assert (work / "a.bin").read_text() == "mine"


def test_a_name_that_the_server_gives_and_somebody_has_is_refused_or_taken_by_its_digest(
    downloader: BackgroundDownloader, server: FaultServer, work: Path
):
    (work / "plain.bin").write_text("mine")
    with pytest.raises(DestinationExists):
        downloader.download(server.url("/plain.bin")).wait(WAIT)
    assert (work / "plain.bin").read_text() == "mine"
    (work / "held.bin").write_bytes(HELD.read())
    taken = downloader.download(server.url("/held.bin"), sha256=HELD.sha256).wait(WAIT)
    assert taken.result_file == work / "held.bin"
    assert server.requests("/held.bin") == []


def test_two_secret_queries_are_two_files(downloader: BackgroundDownloader, server: FaultServer):
    """What reads back as the same redacted URI is not the same file."""
    first = downloader.download(server.url("/plain.bin?token=aaaaaaaa&id=1"), "a.bin")
    first.wait(WAIT)
    with pytest.raises(DestinationExists):
        downloader.download(server.url("/plain.bin?token=aaaaaaaa&id=2"), "a.bin")
    second = downloader.download(server.url("/plain.bin?token=aaaaaaaa&id=2"), "b.bin")
    assert second is not first
    assert second.requested_uri == first.requested_uri


def test_a_file_that_has_the_digest_already_is_taken_as_it_is(
    downloader: BackgroundDownloader, server: FaultServer, work: Path
):
    (work / "mine.bin").write_bytes(PLAIN.read())
    operation = downloader.download(server.url("/plain.bin"), "mine.bin", sha256=PLAIN.sha256)
    operation.wait(WAIT)
    assert operation.integrity is Integrity.DIGEST
    assert operation.bytes_received == SIZE
    assert server.requests("/plain.bin") == []


# ----------------------------------------------------------------------------------------------- names and collisions


def test_a_unique_name_is_chosen_at_creation_and_again_at_the_commit(
    downloader: BackgroundDownloader, server: FaultServer, work: Path
):
    (work / "file.bin").write_text("mine")
    operation = downloader.create_download(server.url("/held.bin"), "file.bin")
    assert operation.result_file == work / "file (1).bin"
    operation.start()
    (work / "file (1).bin").write_text("mine, too")
    server.events.set("go")
    operation.wait(WAIT)
    assert operation.result_file == work / "file (2).bin"
    assert file_sha256(work / "file (2).bin") == HELD.sha256
    assert (work / "file.bin").read_text() == "mine"
    assert (work / "file (1).bin").read_text() == "mine, too"


def test_fail_if_exists_refuses_at_creation_and_at_the_commit(
    downloader: BackgroundDownloader, server: FaultServer, work: Path
):
    (work / "there.bin").write_text("mine")
    with pytest.raises(DestinationExists):
        downloader.create_download(server.url("/plain.bin"), "there.bin", collision=Collision.FAIL_IF_EXISTS)
    operation = downloader.create_download(server.url("/held.bin"), "file.bin", collision="fail_if_exists")
    operation.start()
    (work / "file.bin").write_text("mine")
    server.events.set("go")
    with pytest.raises(DestinationExists):
        operation.wait(WAIT)
    assert (work / "file.bin").read_text() == "mine"


def test_replacing_puts_the_whole_file_in_the_place_of_the_old(
    downloader: BackgroundDownloader, server: FaultServer, work: Path
):
    (work / "file.bin").write_text("old")
    operation = downloader.create_download(server.url("/held.bin"), "file.bin", collision=1)
    operation.start()
    server.wait_until(lambda: bool(server.requests("/held.bin")))
    assert (work / "file.bin").read_text() == "old"
    server.events.set("go")
    operation.wait(WAIT)
    assert file_sha256(work / "file.bin") == HELD.sha256


@pytest.mark.parametrize(
    ("disposition", "name"),
    [
        ('attachment; filename="named.csv"', "named.csv"),
        ("attachment; filename*=UTF-8''n%C3%A4me.csv", "näme.csv"),
        ('attachment; filename="../../etc/passwd"', "passwd"),
        ('attachment; filename=".bashrc"', "_.bashrc"),
        (None, "from the uri.bin"),
    ],
)
def test_the_name_comes_from_the_server_made_safe_or_from_the_uri(
    downloader: BackgroundDownloader, server: FaultServer, tmp_path: Path, disposition: str | None, name: str
):
    folder = tmp_path / "into"
    folder.mkdir()
    server.put("/x/from%20the%20uri.bin", FileSpec(size=10, content_disposition=disposition))
    operation = downloader.download(server.url("/x/from%20the%20uri.bin"), folder)
    assert [operation.result_file] == [None]
    operation.wait(WAIT)
    assert operation.result_file == folder / name
    assert [each.name for each in folder.iterdir()] == [name]


@pytest.mark.parametrize(("is_guarded", "name"), [(False, "run.sh"), (True, "_run.sh")])
def test_names_of_programs_that_a_server_gives_are_guarded_where_that_is_asked_for(
    downloader: BackgroundDownloader, server: FaultServer, tmp_path: Path, *, is_guarded: bool, name: str
):
    """What the user named himself keeps its name, and so does what is named after his URI."""
    server.put("/given", FileSpec(size=10, content_disposition="attachment; filename=run.sh"))
    server.put("/tool.sh", FileSpec(size=10))
    downloader.guard_active_names = is_guarded
    folder = tmp_path / "into"
    folder.mkdir()
    for uri, place in (("/given", folder), ("/given?2", folder / "mine.sh"), ("/tool.sh", folder)):
        downloader.download(server.url(uri), place).wait(WAIT)
    assert sorted(each.name for each in folder.iterdir()) == sorted([name, "mine.sh", "tool.sh"])


def test_two_downloads_of_one_name_get_two_names(downloader: BackgroundDownloader, server: FaultServer, work: Path):
    server.put("/1", FileSpec(size=10, content_disposition="attachment; filename=same.txt"))
    server.put("/2", FileSpec(size=20, content_disposition="attachment; filename=same.txt"))
    operations = [downloader.create_download(server.url(path)) for path in ("/1", "/2")]
    for operation in operations:
        operation.start()
    for operation in operations:
        operation.wait(WAIT)
    assert {each.name for each in work.iterdir()} == {"same.txt", "same (1).txt"}


def test_a_folder_that_is_missing_is_made(downloader: BackgroundDownloader, server: FaultServer, work: Path):
    downloader.create_download(server.url("/plain.bin"), "new/deep/file.bin").wait(WAIT)
    assert file_sha256(work / "new" / "deep" / "file.bin") == PLAIN.sha256


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


# --------------------------------------------------------------------------------------------------- limits and order


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

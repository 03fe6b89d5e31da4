"""What is being had, or is there already, is not fetched a second time, and what somebody has is not destroyed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from bgdl_jupyter.errors import DestinationExists, DestinationInUse, DuplicateDownload, InvalidManifest
from bgdl_jupyter.status import CreationCollisionOption as Collision
from bgdl_jupyter.status import Integrity
from tests.servers.content import file_sha256
from tests.servers.faults import drop_validators, hold_after
from tests.servers.files import FileSpec

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from bgdl_jupyter.model.downloader import BackgroundDownloader
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

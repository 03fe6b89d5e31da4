"""The names that files get: from the caller, the server or the URI, safe, and nobody else's."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from bgdl_jupyter.errors import DestinationExists
from bgdl_jupyter.status import CreationCollisionOption as Collision
from tests.servers.content import file_sha256
from tests.servers.faults import hold_after
from tests.servers.files import FileSpec

if TYPE_CHECKING:
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

"""What follows a download is done once: it is found again, begun again after a restart, and done anew where asked."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

import pytest

from bgdl_jupyter.errors import PostProcessingFailed
from bgdl_jupyter.model import post_processing
from bgdl_jupyter.model.process import current_runner, shut_down
from bgdl_jupyter.model.purging import purge
from bgdl_jupyter.status import BackgroundTransferStatus as Status
from bgdl_jupyter.storage.archives import unpacking
from tests.downloads import DEADLINE
from tests.model.following import CONTENT, archive_of, await_completed, content_of, dying, noting, served

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from bgdl_jupyter.model.downloader import BackgroundDownloader
    from tests.servers.fault_server import FaultServer
    from tests.servers.fixtures import StartFaultServer


@pytest.fixture
def server(fault_server: StartFaultServer) -> FaultServer:
    return served(fault_server)


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    return noting(tmp_path, monkeypatch)


async def test_run_again_nothing_is_fetched_or_unpacked_twice(downloader, server, work):
    first = await downloader.download(server.url("/data.tar.gz"), sha256=None, unpack=True)
    inode = (work / "data").stat().st_ino
    again = await downloader.download(server.url("/data.tar.gz"), unpack=True)
    assert again is first
    assert (work / "data").stat().st_ino == inode
    assert sorted(each.name for each in work.iterdir()) == ["data", "data.tar.gz"]


async def test_asked_for_later_it_is_done_with_the_file_that_is_there(downloader, server, work):
    first = await downloader.download(server.url("/data.tar.gz"))
    requests = len(server.requests())
    again = await downloader.download(server.url("/data.tar.gz"), unpack=True)
    assert again is first
    assert content_of(work / "data") == CONTENT
    with dying():
        await downloader.download(server.url("/data.tar.gz"), unpack=True, post_process=lambda path: path.name)
    assert again.post_process_result == "data"
    assert len(server.requests()) == requests


async def test_a_folder_that_was_removed_is_unpacked_again(downloader, server, work):
    await downloader.download(server.url("/data.tar.gz"), unpack=True)
    (work / "data").rename(work / "moved")
    await downloader.download(server.url("/data.tar.gz"), unpack=True)
    assert content_of(work / "data") == CONTENT


@pytest.fixture
def held(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """Keep every unpacking from beginning until the returned function is called."""
    go_on = threading.Event()
    prepare = unpacking.prepare

    def slowly(order: Any, gauge: Any) -> Any:
        go_on.wait(DEADLINE)
        return prepare(order, gauge)

    monkeypatch.setattr(post_processing, "prepare", slowly)
    return go_on.set


async def test_what_was_not_over_is_begun_again_after_a_restart(*, downloader, server, restart, held, work, module):
    before = downloader.download(server.url("/data.tar.gz"), unpack=True, post_process=module)
    await_completed(before)
    later: BackgroundDownloader = restart()
    (operation,) = later.get_current_downloads()
    assert operation.guid == before.guid
    assert (operation.status, operation.is_over) == (Status.COMPLETED, False)
    held()
    await operation
    assert content_of(work / "data") == CONTENT
    assert operation.post_process_result == work / "data"
    assert (work / "calls").read_text() == "data\n"
    last = restart()
    (done,) = [each for each in last.restore() if each.guid == before.guid]
    assert done.post_processing.was_done
    assert (work / "calls").read_text() == "data\n"


async def test_a_function_without_a_name_is_missed_after_a_restart(downloader, server, restart, held, work):
    with dying():
        before = downloader.download(server.url("/data.tar.gz"), unpack=True, post_process=str)
    await_completed(before)
    later = restart()
    (operation,) = later.get_current_downloads()
    held()
    with pytest.raises(PostProcessingFailed, match="ended with its kernel"):
        await operation
    with dying():
        again = await later.download(server.url("/data.tar.gz"), unpack=True, post_process=str)
    assert again.guid == before.guid
    assert again.post_process_result == str(work / "data")


async def test_a_failure_is_still_known_after_a_restart_and_may_be_retried(downloader, server, restart, work):
    with pytest.raises(PostProcessingFailed):
        await downloader.download(server.url("/evil.tar.gz"), unpack=True)
    later = restart()
    (operation,) = later.restore()
    assert operation.standing is Status.ERROR
    assert "leads out" in str(operation.error)
    (work / "evil.tar.gz").write_bytes(archive_of(CONTENT))
    await operation.retry()
    assert content_of(work / "evil") == CONTENT
    (done,) = restart().restore()
    assert done.post_processing.was_done


async def test_what_had_its_name_and_was_not_recorded_is_found_again(downloader, server, restart, work, monkeypatch):
    publish = unpacking.publish
    published = threading.Event()

    def stuck(*arguments: Any) -> Any:
        path = publish(*arguments)
        published.set()
        threading.Event().wait(0.2)  # the kernel ends meanwhile
        return path

    monkeypatch.setattr(post_processing, "publish", stuck)
    downloader.download(server.url("/data.tar.gz"), unpack=True)
    assert published.wait(DEADLINE)
    inode = (work / "data").stat().st_ino
    (operation,) = restart().get_current_downloads()
    await operation
    assert operation.post_process_result == work / "data"
    assert (work / "data").stat().st_ino == inode
    assert sorted(each.name for each in work.iterdir()) == ["data", "data.tar.gz"]


async def test_a_damaged_record_of_what_follows_runs_nothing(downloader, server, restart, work, held):
    operation = downloader.download(server.url("/data.tar.gz"), unpack=True)
    await_completed(operation)
    record = {name: value for name, value in operation.options.items() if name != "post_processing"}
    current_runner().place.call(
        lambda: operation.set_trait("options", record | {"post_processing": {"function": "os:system; rm"}})
    )
    current_runner().place.call(current_runner().save, operation)
    held()
    (restored,) = restart().get_current_downloads()
    with pytest.raises(PostProcessingFailed, match="cannot be read"):
        await restored


async def test_a_purge_removes_what_an_unpacking_left(downloader, server, restart, held, work):
    before = downloader.download(server.url("/data.tar.gz"), unpack=True)
    await_completed(before)
    application = before.application
    shut_down()
    left = unpacking.private_folder(work, before.guid) / "content"
    left.mkdir(parents=True)
    later = restart(application="/another/notebook.ipynb")
    assert later.get_current_downloads() == []
    assert purge(application).operations == 1
    held()
    assert sorted(each.name for each in work.iterdir()) == ["data.tar.gz"]


async def test_what_was_unpacked_and_left_alone_is_replaced_also_after_a_restart(downloader, server, restart, work):
    await downloader.download(server.url("/data.tar.gz"), unpack="here")
    later = restart()
    await later.download(server.url("/more.zip"), unpack="here", collision="replace_existing")
    inode = (work / "here").stat().st_ino
    await later.download(server.url("/data.tar.gz"), "other.tgz", unpack="here", collision="replace_existing")
    assert (work / "here").stat().st_ino != inode
    (work / "here" / "mine").write_text("mine")
    with pytest.raises(PostProcessingFailed, match="left as it came"):
        await later.download(server.url("/more.zip"), "third.zip", unpack="here", collision="replace_existing")
    assert (work / "here" / "mine").exists()

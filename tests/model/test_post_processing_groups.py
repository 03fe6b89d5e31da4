"""What follows the downloads of a group, of a batch or of a manifest, and who waits for it."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import pytest

from bgdl_jupyter import BackgroundTransferCompletionGroup
from bgdl_jupyter.errors import PostProcessingFailed
from bgdl_jupyter.events import AlertKind, AlertRaised
from bgdl_jupyter.model.process import current_runner
from bgdl_jupyter.status import BackgroundTransferStatus as Status
from tests.downloads import DEADLINE
from tests.model.following import CONTENT, Gate, archive_of, content_of, dying, noting, served

if TYPE_CHECKING:
    from pathlib import Path

    from tests.servers.fault_server import FaultServer
    from tests.servers.fixtures import StartFaultServer


@pytest.fixture
def server(fault_server: StartFaultServer) -> FaultServer:
    return served(fault_server)


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    return noting(tmp_path, monkeypatch)


async def test_a_group_and_its_batch_close_after_it_and_a_failure_counts(downloader, server, seen):
    group = downloader.download_many(
        [server.url("/evil.tar.gz"), server.url("/data.tar.gz")], group="archives", unpack=True
    )
    await group
    assert (group.progress.completed, group.progress.failed) == (1, 1)
    with pytest.raises(ExceptionGroup) as raised:
        group.raise_for_errors()
    assert isinstance(raised.value.exceptions[0], PostProcessingFailed)
    seen.until(lambda: bool(seen.of(AlertRaised)))
    (alert,) = seen.of(AlertRaised)
    assert alert.kind is AlertKind.FAILURE
    assert alert.title == "1 of 2 downloads failed"


async def test_a_group_is_live_while_something_follows(downloader, server):
    gate = Gate()
    with dying():
        group = downloader.download_many([server.url("/plain")], group="g", post_process=gate)
    assert gate.began.wait(DEADLINE)
    assert group.progress.running == 1
    with pytest.raises(TimeoutError):
        group.wait(0.01)
    gate.may_end.set()
    await group
    assert group.progress.completed == 1


async def test_retrying_what_failed_in_a_group_does_only_what_failed(downloader, server, work):
    group = await downloader.download_many([server.url("/evil.tar.gz")], group="archives", unpack=True)
    requests = len(server.requests())
    (work / "evil.tar.gz").write_bytes(archive_of(CONTENT))
    await group.retry_failed()
    assert group.progress.completed == 1
    assert content_of(work / "evil") == CONTENT
    assert len(server.requests()) == requests


async def test_a_completion_group_waits_for_it(new_downloader, server):
    called = threading.Event()
    gate = Gate()
    group = BackgroundTransferCompletionGroup(called.set)
    downloader = new_downloader(completion_group=group)
    with dying():
        operation = downloader.download(server.url("/plain"), post_process=gate)
    with pytest.warns(UserWarning, match="trigger"):
        group.enable()
    assert gate.began.wait(DEADLINE)
    current_runner().place.call(lambda: None)
    assert not called.is_set()
    gate.may_end.set()
    await operation
    assert called.wait(DEADLINE)


async def test_what_is_unpacked_only_the_caller_says_and_no_manifest(downloader, server, work):
    (work / "files.csv").write_text(f"uri,unpack\n{server.url('/data.tar.gz')},yes\n")
    group = await downloader.download_many("files.csv", group="listed")
    assert [each.post_processing.state.value for each in group.operations] == ["none"]
    assert not (work / "data").exists()
    await downloader.download_many("files.csv", group="listed", unpack=True)
    assert content_of(work / "data") == CONTENT


async def test_a_manifest_cannot_name_a_function(downloader, server, work, module):
    (work / "files.csv").write_text(f"uri,post_process\n{server.url('/plain')},{module}\n")
    await downloader.download_many("files.csv", group="listed")
    assert not (work / "calls").exists()


async def test_the_results_of_a_group_tell_what_became_of_it(downloader, server, work):
    uris = [server.url("/data.tar.gz"), server.url("/evil.tar.gz")]
    group = await downloader.download_many(uris, group="archives", unpack=True)
    good, bad = group.results()
    assert (good.standing, good.unpacked, good.error) == (Status.COMPLETED, str(work / "data"), None)
    assert (bad.status, bad.standing, bad.unpacked) == (Status.COMPLETED, Status.ERROR, None)
    assert isinstance(bad.error, PostProcessingFailed)

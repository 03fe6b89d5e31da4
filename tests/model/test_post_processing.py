"""What follows a download: unpacking, a function of the user's, and what becomes of them when something goes wrong."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

import pytest

from bgdl_jupyter import PostProcessing, PostProcessingState
from bgdl_jupyter.errors import InvalidRequest, InvalidTransferState, PostProcessingFailed, TransferCanceled
from bgdl_jupyter.events import PostProcessingChanged
from bgdl_jupyter.model import display, post_processing
from bgdl_jupyter.model.process import current_runner
from bgdl_jupyter.status import BackgroundTransferStatus as Status
from bgdl_jupyter.status import Step
from bgdl_jupyter.storage.archives import unpacking
from bgdl_jupyter.storage.descriptor import Footprint
from tests.downloads import DEADLINE
from tests.model.following import CONTENT, Gate, await_completed, content_of, dying, noting, served

if TYPE_CHECKING:
    from pathlib import Path

    from bgdl_jupyter.model.operation import DownloadOperation
    from tests.servers.fault_server import FaultServer
    from tests.servers.fixtures import StartFaultServer


@pytest.fixture
def server(fault_server: StartFaultServer) -> FaultServer:
    return served(fault_server)


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    return noting(tmp_path, monkeypatch)


async def test_an_archive_is_unpacked_beside_the_file_and_awaited(downloader, server, work):
    operation = await downloader.download(server.url("/data.tar.gz"), unpack=True)
    assert operation.status is Status.COMPLETED
    assert operation.post_processing == PostProcessing(
        state=PostProcessingState.DONE,
        path=str(work / "data"),
        bytes_done=operation.post_processing.bytes_total,
        bytes_total=operation.size,
        members_done=2,
        footprint=Footprint.at(work / "data"),
    )
    assert operation.post_process_result == work / "data"
    assert content_of(work / "data") == CONTENT
    assert (work / "data.tar.gz").is_file()


async def test_without_anything_to_follow_there_is_nothing(downloader, server, seen):
    operation = await downloader.download(server.url("/plain"))
    assert operation.post_processing.state is PostProcessingState.NONE
    assert operation.post_process_result is None
    assert operation.standing is operation.status
    assert seen.of(PostProcessingChanged) == []


async def test_a_folder_may_be_named(downloader, server, work):
    operation = await downloader.download(server.url("/more.zip"), unpack="some/where")
    assert operation.post_process_result == work / "some" / "where"
    assert content_of(work / "some" / "where") == CONTENT


@pytest.mark.parametrize(
    "options",
    [
        {"unpack": 3},
        {"unpack": ""},
        {"post_process": "no colon"},
        {"post_process": 3},
        {"post_process": ["a", "b"]},
    ],
)
def test_what_cannot_be_done_is_refused_before_anything_is_written(options, downloader, server):
    with pytest.raises(InvalidRequest):
        downloader.create_download(server.url("/plain"), "plain", **options)
    assert downloader.get_current_downloads() == []


def test_a_coroutine_function_is_refused_since_nobody_would_await_it(downloader, server):
    async def follow(path: Path) -> None: ...

    with pytest.raises(InvalidRequest, match="async"):
        downloader.create_download(server.url("/plain"), "plain", post_process=follow)


async def test_a_function_gets_the_path_off_the_loop_and_its_result_is_kept(downloader, server, work):
    threads = []

    def follow(path: Path) -> int:
        threads.append(threading.current_thread())
        return path.stat().st_size

    with dying():
        operation = await downloader.download(server.url("/plain"), post_process=follow)
    assert operation.post_process_result == 2000
    assert threads[0] is not threading.main_thread()
    assert not current_runner().place.call(lambda: threading.current_thread() is threads[0])


async def test_a_function_gets_the_folder_of_what_was_unpacked(downloader, server, work, module):
    operation = await downloader.download(server.url("/data.tar.gz"), unpack=True, post_process=module)
    assert operation.post_process_result == work / "data"
    assert (work / "calls").read_text() == "data\n"


async def test_that_a_function_dies_with_the_kernel_is_said_once(new_downloader, server, recwarn):
    for name in ("/plain", "/more.zip"):
        await new_downloader().download(server.url(name), post_process=str)
    (said,) = recwarn
    assert "survives a restart" in str(said.message)
    assert said.filename == __file__, "where the user asked for it"


async def test_a_failure_keeps_the_file_and_says_where(downloader, server, work):
    operation: DownloadOperation = downloader.download(server.url("/evil.tar.gz"), unpack=True)
    with pytest.raises(PostProcessingFailed, match="leads out") as raised:
        await operation
    assert str(work / "evil.tar.gz") in str(raised.value)
    assert (raised.value.operation, operation.status, operation.standing) == (operation, Status.COMPLETED, Status.ERROR)
    assert sorted(each.name for each in work.iterdir()) == ["evil.tar.gz"]
    with pytest.raises(PostProcessingFailed):
        operation.wait(DEADLINE)


async def test_a_function_that_fails_is_the_cause_and_may_be_called_again_alone(downloader, server, seen):
    tries = []

    def follow(path: Path) -> str:
        tries.append(path)
        if len(tries) == 1:
            raise ValueError("bad header")
        return "fine"

    with dying(), pytest.raises(PostProcessingFailed, match=r"follow failed with ValueError: bad header") as raised:
        await downloader.download(server.url("/data.tar.gz"), unpack=True, post_process=follow)
    assert isinstance(raised.value.__cause__, ValueError)
    operation: Any = raised.value.operation
    assert operation.allowed_steps == {Step.RETRY, Step.CANCEL}
    requests = len(server.requests())
    await operation.retry()
    assert operation.post_process_result == "fine"
    assert tries[0] == tries[1]
    assert len(server.requests()) == requests
    with pytest.raises(InvalidTransferState):
        operation.retry()


@pytest.mark.parametrize("error", [SystemExit(3), StopIteration(), KeyboardInterrupt()])
async def test_a_function_that_wants_to_end_everything_ends_only_itself(error, downloader, server):
    def follow(path: Path) -> None:
        raise error

    with dying(), pytest.raises(PostProcessingFailed, match=type(error).__name__):
        await downloader.download(server.url("/plain"), post_process=follow)
    await downloader.download(server.url("/more.zip"))


async def test_while_something_follows_the_operation_is_not_over(downloader, server, seen):
    gate = Gate()
    with dying():
        operation = downloader.download(server.url("/plain"), post_process=gate)
    assert gate.began.wait(DEADLINE)
    assert (operation.status, operation.standing, operation.is_over) == (Status.COMPLETED, Status.RUNNING, False)
    assert downloader.get_current_downloads() == [operation]
    assert not operation.was_seen
    assert "being processed" in repr(operation)
    with pytest.raises(TimeoutError):
        operation.wait(0.01)
    gate.may_end.set()
    await operation
    assert operation.post_process_result == "plain"


async def test_cancel_stops_it_and_keeps_the_file(downloader, server, work):
    gate = Gate()
    with dying():
        operation = downloader.download(server.url("/plain"), post_process=gate)
    assert gate.began.wait(DEADLINE)
    await operation.cancel()
    assert (operation.status, operation.standing) == (Status.COMPLETED, Status.CANCELED)
    with pytest.raises(TransferCanceled, match="kept"):
        await operation
    gate.may_end.set()
    await operation.retry()
    assert operation.post_process_result == "plain"
    assert (work / "plain").is_file()


async def test_cancel_while_it_unpacks_removes_what_is_half_done(downloader, server, work, monkeypatch):
    began, go_on = threading.Event(), threading.Event()
    prepare = unpacking.prepare

    def slowly(order: Any, gauge: Any) -> Any:
        began.set()
        assert go_on.wait(DEADLINE)
        return prepare(order, gauge)

    monkeypatch.setattr(post_processing, "prepare", slowly)
    operation = downloader.download(server.url("/data.tar.gz"), unpack=True)
    assert began.wait(DEADLINE)
    canceling = operation.cancel()
    assert operation.post_processing.was_canceled
    go_on.set()
    await canceling
    assert sorted(each.name for each in work.iterdir()) == ["data.tar.gz"]


async def test_at_most_two_are_at_work(downloader, server):
    gates = [Gate() for _ in range(3)]
    operations = []
    with dying():
        for number, gate in enumerate(gates):
            operations.append(downloader.download(server.url("/plain"), f"plain-{number}", post_process=gate))
            await_completed(operations[-1])
    assert gates[0].began.wait(DEADLINE)
    assert gates[1].began.wait(DEADLINE)
    assert operations[2].post_processing.state is PostProcessingState.WAITING
    assert display.state(operations[2]) == "complete, waits to be processed"
    assert not gates[2].began.is_set()
    gates[0].may_end.set()
    assert gates[2].began.wait(DEADLINE)
    for gate in gates:
        gate.may_end.set()
    for operation in operations:
        await operation


async def test_a_folder_of_the_user_is_never_replaced_and_the_archive_is_kept(downloader, server, work):
    (work / "data" / "deep").mkdir(parents=True)
    (work / "data" / "deep" / "thesis.tex").write_text("mine")
    with pytest.raises(PostProcessingFailed, match="no folder that was unpacked here"):
        await downloader.download(server.url("/data.tar.gz"), unpack=True, collision="replace_existing")
    assert content_of(work / "data") == {"deep/thesis.tex": b"mine"}
    assert sorted(each.name for each in work.iterdir()) == ["data", "data.tar.gz"]


async def test_the_working_folder_is_never_replaced(downloader, server, work):
    (work / "mine").write_text("mine")
    with pytest.raises(PostProcessingFailed):
        await downloader.download(server.url("/data.tar.gz"), unpack=".", collision="replace_existing")
    assert sorted(each.name for each in work.iterdir()) == ["data.tar.gz", "mine"]

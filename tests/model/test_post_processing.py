"""What follows a download: unpacking, a function of the user's, and what becomes of them when something goes wrong."""

from __future__ import annotations

import io
import tarfile
import threading
import zipfile
from typing import TYPE_CHECKING, Any

import pytest

from bgdl_jupyter import BackgroundTransferCompletionGroup, PostProcessing, PostProcessingState
from bgdl_jupyter.errors import InvalidRequest, InvalidTransferState, PostProcessingFailed, TransferCanceled
from bgdl_jupyter.events import AlertKind, AlertRaised, PostProcessingChanged
from bgdl_jupyter.model import display, post_processing
from bgdl_jupyter.model.process import current_runner, shut_down
from bgdl_jupyter.model.purging import purge
from bgdl_jupyter.status import BackgroundTransferStatus as Status
from bgdl_jupyter.status import Step
from bgdl_jupyter.storage.archives import unpacking
from bgdl_jupyter.storage.descriptor import Footprint
from tests.downloads import DEADLINE
from tests.servers.files import FileSpec

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from bgdl_jupyter.model.downloader import BackgroundDownloader
    from bgdl_jupyter.model.operation import DownloadOperation
    from tests.servers.fault_server import FaultServer
    from tests.servers.fixtures import StartFaultServer

CONTENT = {"a.txt": b"first\n", "deep/b.bin": bytes(1000)}


def archive_of(content: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        for name, data in content.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return buffer.getvalue()


def zip_of(content: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, data in content.items():
            archive.writestr(name, data)
    return buffer.getvalue()


@pytest.fixture
def server(fault_server: StartFaultServer) -> FaultServer:
    """Serve two archives, one that leads out of its folder, and a file that is none."""
    return fault_server(
        {
            "/data.tar.gz": FileSpec(body=archive_of(CONTENT)),
            "/more.zip": FileSpec(body=zip_of(CONTENT)),
            "/evil.tar.gz": FileSpec(body=archive_of({"../out": b"x"})),
            "/plain": FileSpec(size=2000),
        }
    )


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """Return the name of a function that notes each call in the working folder, and gives what it was given."""
    folder = tmp_path / "modules"
    folder.mkdir()
    (folder / "following.py").write_text(
        "from pathlib import Path\n"
        "def note(path):\n"
        "    with Path('calls').open('a') as file:\n"
        "        file.write(f'{path.name}\\n')\n"
        "    return path\n"
    )
    monkeypatch.syspath_prepend(str(folder))
    return "following:note"


class Gate:
    """A function that waits until it is let through."""

    def __init__(self) -> None:
        self.began = threading.Event()
        self.may_end = threading.Event()

    def __call__(self, path: Path) -> str:
        self.began.set()
        assert self.may_end.wait(DEADLINE)
        return path.name


def content_of(folder: Path) -> dict[str, bytes]:
    files = (each for each in folder.rglob("*") if each.is_file())
    return {str(each.relative_to(folder)): each.read_bytes() for each in files}


def dying() -> Any:
    return pytest.warns(UserWarning, match="survives a restart")


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


def await_completed(operation: DownloadOperation) -> None:
    done = threading.Event()

    def look() -> bool:
        if operation.status.is_final:
            done.set()
        return done.is_set()

    operation.watch(look)
    assert done.wait(DEADLINE)


# ------------------------------------------------------------------------------------------------ groups and batches


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


# ------------------------------------------------------------------------------------------------------- done again


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


# -------------------------------------------------------------------------------------------------------- restarts


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


async def test_what_is_unpacked_only_the_caller_says_and_no_manifest(downloader, server, work):
    (work / "files.csv").write_text(f"uri,unpack\n{server.url('/data.tar.gz')},yes\n")
    group = await downloader.download_many("files.csv", group="listed")
    assert [each.post_processing.state.value for each in group.operations] == ["none"]
    assert not (work / "data").exists()
    await downloader.download_many("files.csv", group="listed", unpack=True)
    assert content_of(work / "data") == CONTENT


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

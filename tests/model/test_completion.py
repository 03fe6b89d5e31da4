"""What is done once when all operations of a downloader are final."""

from __future__ import annotations

import logging
import sys
import threading
import warnings
from typing import TYPE_CHECKING, Any

import pytest

from bgdl_jupyter import BackgroundTransferCompletionGroup
from bgdl_jupyter.errors import HttpStatusError, InvalidRequest, InvalidTransferState
from bgdl_jupyter.model.process import current_runner
from tests.downloads import DEADLINE
from tests.servers.faults import hold_after, status
from tests.servers.files import FileSpec

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from bgdl_jupyter.model.operation import DownloadOperation
    from tests.servers.fault_server import FaultServer


@pytest.fixture
def server(fault_server: Callable[..., FaultServer]) -> FaultServer:
    """Serve two files, one that waits half-way for "go", and one that is not there."""
    return fault_server(
        {
            "/a": FileSpec(size=2000),
            "/b": FileSpec(size=2000),
            "/slow": FileSpec(size=300_000, faults=(hold_after(100_000, until="go"),)),
            "/gone": FileSpec(size=2000, faults=(status(404),)),
        }
    )


class Called:
    """A trigger that remembers."""

    def __init__(self) -> None:
        self.calls: list[list[DownloadOperation]] = []
        self.threads: list[str] = []
        self.happened = threading.Event()

    def __call__(self, operations: list[DownloadOperation]) -> None:
        self.calls.append(operations)
        self.threads.append(threading.current_thread().name)
        self.happened.set()

    def wait(self) -> None:
        assert self.happened.wait(DEADLINE)


@pytest.fixture
def called() -> Called:
    return Called()


def enable(group: BackgroundTransferCompletionGroup) -> None:
    """Enable a group whose trigger is a function, and that dies with the kernel."""
    with pytest.warns(UserWarning, match="survives a restart"):
        group.enable()


def wait_for(path: Path) -> str:
    """Return what a program has written, once it has ended the line."""
    runner = current_runner()
    moment = threading.Event()
    for _ in range(int(DEADLINE / 0.05)):
        if path.is_file() and path.read_text().endswith("\n"):
            return path.read_text()
        moment.wait(0.05)  # a file cannot be awaited
    raise AssertionError(f"{path} was not written; {runner}")


@pytest.mark.parametrize("trigger", [None, 3, "", "no colon", "a:", "a b:c", [], ["", "x"], ["make", 3], b"x:y"])
def test_what_is_no_trigger_is_refused(trigger: Any):
    with pytest.raises(InvalidRequest):
        BackgroundTransferCompletionGroup(trigger)


def test_a_coroutine_function_is_refused_since_nobody_would_await_it():
    async def trigger() -> None: ...

    with pytest.raises(InvalidRequest, match="async"):
        BackgroundTransferCompletionGroup(trigger)


async def test_it_fires_once_when_all_are_final_whatever_became_of_them(new_downloader, called, server):
    group = BackgroundTransferCompletionGroup(called)
    downloader = new_downloader(completion_group=group)
    good = downloader.create_download(server.url("/a"), "a")
    gone = downloader.create_download(server.url("/gone"), "gone")
    slow = downloader.create_download(server.url("/slow"), "slow")
    enable(group)
    assert group.is_enabled
    await good.start()
    with pytest.raises(HttpStatusError):
        await gone.start()
    assert called.calls == []
    await slow.cancel()
    called.wait()
    assert called.calls == [[good, gone, slow]]


async def test_it_waits_for_the_batches_of_every_call(new_downloader, called, server):
    group = BackgroundTransferCompletionGroup(called)
    downloader = new_downloader(completion_group=group)
    first = await downloader.download(server.url("/a"), "a")
    second = downloader.download(server.url("/slow"), "slow")
    enable(group)
    assert called.calls == []
    server.events.set("go")
    await second
    called.wait()
    assert called.calls == [[first, second]]


async def test_enabled_when_everything_is_final_it_fires_at_once(new_downloader, called, server):
    group = BackgroundTransferCompletionGroup(called)
    await new_downloader(completion_group=group).download(server.url("/a"), "a")
    enable(group)
    called.wait()


async def test_it_does_not_fire_before_it_is_enabled(new_downloader, called, server):
    group = BackgroundTransferCompletionGroup(called)
    await new_downloader(completion_group=group).download(server.url("/a"), "a")
    current_runner().place.call(lambda: None)
    assert not called.happened.is_set()
    assert not group.is_enabled


async def test_it_is_enabled_once_and_takes_nothing_more(new_downloader, called, server):
    group = BackgroundTransferCompletionGroup(called)
    downloader = new_downloader(completion_group=group)
    downloader.create_download(server.url("/a"), "a")
    enable(group)
    with pytest.raises(InvalidTransferState, match="already"):
        group.enable()
    with pytest.raises(InvalidTransferState, match="no further"):
        downloader.create_download(server.url("/b"), "b")
    assert server.requests() == []


def test_a_group_without_operations_cannot_be_enabled(called):
    with pytest.raises(InvalidTransferState, match="no operations"):
        BackgroundTransferCompletionGroup(called).enable()


async def test_a_function_runs_where_callbacks_run(new_downloader, called, server):
    group = BackgroundTransferCompletionGroup(called)
    await new_downloader(completion_group=group).download(server.url("/a"), "a")
    enable(group)
    called.wait()
    assert called.threads == ["bgdl_jupyter-callbacks"]


async def test_a_function_that_takes_nothing_is_called_with_nothing(new_downloader, server):
    happened = threading.Event()
    group = BackgroundTransferCompletionGroup(happened.set)
    await new_downloader(completion_group=group).download(server.url("/a"), "a")
    enable(group)
    assert happened.wait(DEADLINE)


async def test_what_goes_wrong_in_a_trigger_is_logged_and_stops_nothing(new_downloader, server, caplog):
    failed = threading.Event()

    def trigger() -> None:
        failed.set()
        raise ZeroDivisionError

    group = BackgroundTransferCompletionGroup(trigger)
    downloader = new_downloader(completion_group=group)
    with caplog.at_level(logging.ERROR):
        await downloader.download(server.url("/a"), "a")
        enable(group)
        assert failed.wait(DEADLINE)
    await new_downloader().download(server.url("/b"), "b")
    assert any("trigger" in each.getMessage() for each in caplog.records)


async def test_a_program_gets_its_arguments_as_they_are_and_the_numbers(new_downloader, server, work):
    script = "import os, sys; open('said', 'w').write(sys.argv[1] + os.environ['BGDL_COMPLETED'] + '\\n')"
    group = BackgroundTransferCompletionGroup([sys.executable, "-c", script, "$(touch pwned); *"])
    await new_downloader(completion_group=group).download(server.url("/a"), "a")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        group.enable()
    assert wait_for(work / "said") == "$(touch pwned); *1\n"
    assert not (work / "pwned").exists()


@pytest.mark.parametrize("arguments", [["/nowhere/at/all"], [sys.executable, "-c", "import sys; sys.exit('so bad')"]])
async def test_a_program_that_fails_is_logged(arguments, new_downloader, server, monkeypatch):
    logged = threading.Event()
    said: list[str] = []

    def note(message: str, *values: object) -> None:
        said.append(message % values)
        logged.set()

    monkeypatch.setattr("bgdl_jupyter.model.completion.log.error", note)
    group = BackgroundTransferCompletionGroup(arguments)
    await new_downloader(completion_group=group).download(server.url("/a"), "a")
    group.enable()
    assert logged.wait(DEADLINE)
    assert "trigger" in said[0]


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """Return the name of a function that writes what it was given into the working folder."""
    folder = tmp_path / "modules"
    folder.mkdir()
    (folder / "afterwards.py").write_text(
        "from pathlib import Path\n"
        "def note(operations):\n"
        "    before = Path('said').read_text() if Path('said').exists() else ''\n"
        "    Path('said').write_text(before + ' '.join(each.name for each in operations) + '\\n')\n"
    )
    monkeypatch.syspath_prepend(str(folder))
    return "afterwards:note"


async def test_a_named_function_survives_a_restart_and_fires_once(new_downloader, server, restart, module, work):
    group = BackgroundTransferCompletionGroup(module)
    downloader = new_downloader(completion_group=group)
    await downloader.download(server.url("/a"), "a")
    slow = downloader.create_download(server.url("/slow"), "slow")
    slow.start()
    group.enable()
    later = restart()
    (restored,) = [each for each in later.get_current_downloads() if not each.status.is_final]
    assert not (work / "said").exists()
    server.events.set("go")
    await restored
    assert sorted(wait_for(work / "said").split()) == ["a", "slow"]
    last = restart()
    last.get_current_downloads()
    assert wait_for(work / "said").count("\n") == 1


async def test_a_program_survives_a_restart(new_downloader, server, restart, work):
    group = BackgroundTransferCompletionGroup([sys.executable, "-c", "open('said', 'w').write('done\\n')"])
    downloader = new_downloader(completion_group=group)
    slow = downloader.create_download(server.url("/slow"), "slow")
    slow.start()
    group.enable()
    (restored,) = restart().get_current_downloads()
    server.events.set("go")
    await restored
    assert wait_for(work / "said") == "done\n"


async def test_a_function_does_not_survive_a_restart(new_downloader, called, server, restart):
    group = BackgroundTransferCompletionGroup(called)
    downloader = new_downloader(completion_group=group)
    downloader.create_download(server.url("/slow"), "slow").start()
    enable(group)
    server.events.set("go")
    (restored,) = restart().get_current_downloads()
    await restored
    current_runner().place.call(lambda: None)
    assert called.calls == []


async def test_a_name_that_cannot_be_loaded_is_logged(new_downloader, server, caplog):
    logged = threading.Event()

    class Told(logging.Handler):
        def emit(self, _: logging.LogRecord) -> None:
            logged.set()

    handler = Told()
    logging.getLogger("bgdl_jupyter.model.completion").addHandler(handler)
    group = BackgroundTransferCompletionGroup("no_such_module_at_all:function")
    await new_downloader(completion_group=group).download(server.url("/a"), "a")
    group.enable()
    assert logged.wait(DEADLINE)
    logging.getLogger("bgdl_jupyter.model.completion").removeHandler(handler)


async def test_a_damaged_record_of_a_trigger_is_not_run(new_downloader, server, restart, caplog):
    downloader = new_downloader()
    operation = downloader.create_download(server.url("/a"), "a")
    runner = current_runner()
    for number, trigger in enumerate(["rm -rf", [], [1], {"a": 1}, None]):
        record = {"kind": "completion", "trigger": trigger, "batches": [operation.batch]}
        runner.state.put_batch(f"damaged-{number}", operation.application, record).result(5)
    with caplog.at_level(logging.WARNING):
        restart().get_current_downloads()
    assert sum("will not fire" in each.getMessage() for each in caplog.records) == 5

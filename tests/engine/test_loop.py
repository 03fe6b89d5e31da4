"""A place to run: steps are taken whole, on one thread, and their outcome comes back."""

from __future__ import annotations

import asyncio
import contextvars
import ctypes
import logging
import os
import subprocess
import sys
import textwrap
import threading
import time
import traceback
import warnings
from typing import TYPE_CHECKING

import pytest

from bgdl_jupyter.engine.loop import LoopPlace, ThreadPlace
from bgdl_jupyter.errors import EngineNotResponding

if TYPE_CHECKING:
    from collections.abc import Iterator

WAIT = 10


@pytest.fixture
def place() -> Iterator[ThreadPlace]:
    place = ThreadPlace(reason="A test needs one.", name="test-place")
    yield place
    place.stop(WAIT)


def run_script(source: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-W", "error::RuntimeWarning", "-c", textwrap.dedent(source)],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )


class Gate:
    """A step that stands in the loop until the test lets it go."""

    def __init__(self) -> None:
        self.entered = threading.Event()
        self.released = threading.Event()

    def pass_through(self) -> str:
        self.entered.set()
        assert self.released.wait(WAIT)
        return "through"


@pytest.fixture
def gate() -> Iterator[Gate]:
    gate = Gate()
    yield gate
    gate.released.set()


# ------------------------------------------------------------------------------------------------------- hand-over


def test_a_step_runs_on_the_thread_of_the_place(place):
    assert place.call(threading.current_thread).name == "test-place"
    assert place.call(threading.current_thread).daemon
    assert not place.is_here()
    assert place.call(place.is_here)


def test_arguments_go_in_and_the_result_comes_back(place):
    assert place.call(divmod, 17, 5) == (3, 2)


def test_a_step_from_the_own_thread_runs_in_line(place):
    """A step that calls the place again would wait for itself otherwise."""
    assert place.call(place.call, "in line".upper) == "IN LINE"


def test_an_exception_comes_back_with_the_place_where_it_was_raised(place):
    def step_that_fails() -> None:
        raise LookupError("no such operation")

    with pytest.raises(LookupError, match="no such operation") as caught:
        place.call(step_that_fails)

    assert "step_that_fails" in [frame.name for frame in traceback.extract_tb(caught.value.__traceback__)]


def test_a_timeout_raised_by_the_step_is_not_taken_for_the_deadline(place):
    def step_that_times_out() -> None:
        raise TimeoutError("of the step itself")

    with pytest.raises(TimeoutError, match="of the step itself"):
        place.call(step_that_times_out)


def test_system_exit_in_a_step_goes_to_the_caller_and_the_loop_lives_on(place):
    with pytest.raises(SystemExit):
        place.call(sys.exit, 3)

    assert place.call(str, "alive") == "alive"


def test_a_step_that_is_never_begun_is_taken_back(place, gate):
    """Who was told that nothing was changed must not see it changed later."""
    place.post(gate.pass_through)
    assert gate.entered.wait(WAIT)
    taken: list[str] = []

    with pytest.raises(EngineNotResponding, match="nothing was changed"):
        place.call_within(0.1, taken.append, "too late")

    gate.released.set()
    place.call(str)
    assert taken == []


def test_a_step_that_was_begun_is_reported_as_such(place, gate):
    with pytest.raises(EngineNotResponding, match="still take effect"):
        place.call_within(0.1, gate.pass_through)


def test_an_interrupt_of_the_waiting_caller_leaves_the_step_whole(place, gate, monkeypatch):
    """Ctrl-C in a cell: what was handed over is taken, wholly and once."""
    taken: list[str] = []
    place.post(gate.pass_through)

    def interrupted(*_args: object, **_options: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("concurrent.futures.wait", interrupted)
        with pytest.raises(KeyboardInterrupt):
            place.call(taken.append, "whole")

    gate.released.set()
    place.call(str)
    assert taken == ["whole"]


def test_a_posted_step_runs_without_a_wait_and_its_failure_is_logged(place, gate, caplog):
    place.post(gate.pass_through)
    place.post(divmod, 1, 0)
    gate.released.set()
    place.call(str)

    (record,) = caplog.records
    assert record.levelno == logging.ERROR
    assert record.exc_info is not None
    assert record.exc_info[0] is ZeroDivisionError


def test_the_thread_runs_in_the_context_of_its_maker(monkeypatch):
    """There ipykernel looks for the cell that a widget belongs to; in a bare thread it finds none."""
    cell: contextvars.ContextVar[str] = contextvars.ContextVar("cell")
    seen: list[str] = []

    class WatchedLoop(asyncio.SelectorEventLoop):
        def run_forever(self) -> None:
            seen.append(cell.get("none"))
            super().run_forever()

    monkeypatch.setattr("asyncio.new_event_loop", WatchedLoop)
    cell.set("cell 7")
    place = ThreadPlace(reason="A test needs one.")
    place.call(str)
    place.stop(WAIT)

    assert seen[0] == "cell 7"


@pytest.mark.skipif(sys.platform == "win32", reason="the C call is one of POSIX")
def test_a_stretch_in_which_nothing_could_run_is_not_held_against_the_loop(place):
    """A C call that keeps the GIL longer than the deadline: the loop is well, and must get its chance."""
    keep_gil = ctypes.PyDLL(None).usleep  # PyDLL does not release the GIL
    place.post(keep_gil, 600_000)

    assert place.call_within(0.5, str, "alive") == "alive"


# ----------------------------------------------------------------------------------------------------------- tasks


def test_a_spawned_task_runs_on_the_loop_and_bears_its_name(place):
    done = threading.Event()
    names: list[str] = []

    async def work() -> None:
        task = asyncio.current_task()
        assert task is not None
        names.append(task.get_name())
        assert asyncio.get_running_loop() is place.loop
        done.set()

    place.spawn(work(), name="transfer 1")

    assert done.wait(WAIT)
    assert names == ["transfer 1"]


def test_a_failing_task_is_logged_by_name_and_stops_nothing(place, caplog):
    async def work() -> None:
        raise OSError("disk gone")

    task = place.spawn(work(), name="transfer 2")
    place.call(lambda: None)
    wait_for_task(place, task)

    assert "transfer 2 failed" in caplog.text
    assert place.call(str, "alive") == "alive"


def test_a_task_that_exits_does_not_take_the_loop_along(place, caplog):
    async def work() -> None:
        sys.exit(4)

    wait_for_task(place, place.spawn(work(), name="callback"))

    assert "tried to end the process" in caplog.text
    assert place.call(str, "alive") == "alive"


def test_a_callback_that_stops_the_loop_does_not_stop_the_place(place):
    place.post(place.loop.stop)
    place.post(lambda: place.loop.call_soon(sys.exit, 5))

    assert place.call(str, "alive") == "alive"


def wait_for_task(place: ThreadPlace, task: asyncio.Task[None]) -> None:
    async def wait() -> None:
        await asyncio.wait([task])

    asyncio.run_coroutine_threadsafe(wait(), place.loop).result(WAIT)
    place.call(str)  # and the callbacks of the task have run


# ------------------------------------------------------------------------------------------------------------ stop


def test_stop_cancels_the_tasks_and_waits_until_they_have_put_away_their_things():
    place = ThreadPlace(reason="A test needs one.")
    begun = threading.Event()
    put_away: list[bool] = []

    async def work() -> None:
        try:
            begun.set()
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0)
            put_away.append(place.call(place.is_here))

    place.spawn(work(), name="transfer")
    assert begun.wait(WAIT)
    place.stop(WAIT)

    assert put_away == [True]
    assert place.loop.is_closed()
    assert not place.is_alive


def test_a_task_that_is_canceled_before_its_first_step_leaves_no_warning(place):
    async def work() -> None:
        """Do nothing."""

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        place.call(lambda: place.spawn(work(), name="early").cancel())
        place.stop(WAIT)


def test_a_stopped_place_refuses_and_says_so(place):
    place.stop(WAIT)
    place.stop(WAIT)

    async def work() -> None:
        """Never begins."""

    with pytest.raises(EngineNotResponding, match="was stopped"):
        place.call(str)
    with pytest.raises(EngineNotResponding, match="was stopped"):
        place.spawn(work(), name="too late")
    place.post(str)


def test_stop_from_the_own_thread_ends_it_too(place):
    place.call(place.stop, WAIT)
    place._thread.join(WAIT)

    assert place.loop.is_closed()


def test_stop_gives_up_on_a_blocked_loop_and_names_what_did_not_end(place, gate, caplog):
    async def work() -> None:
        gate.pass_through()

    place.spawn(work(), name="stubborn transfer")
    assert gate.entered.wait(WAIT)
    place.stop(0.05)

    assert "stubborn transfer" in caplog.text


# ------------------------------------------------------------------------------------------------- somebody's loop


async def test_the_running_loop_is_a_place_as_well():
    place = LoopPlace(asyncio.get_running_loop(), threading.current_thread(), kind="main", reason="A script's loop.")
    assert place.is_here()

    from_elsewhere = await asyncio.to_thread(place.call, threading.current_thread)

    assert from_elsewhere is threading.current_thread()


async def test_stopping_somebodys_loop_cancels_our_tasks_and_leaves_the_loop_alone():
    place = LoopPlace(asyncio.get_running_loop(), threading.current_thread(), kind="main", reason="A script's loop.")
    task = place.spawn(asyncio.Event().wait(), name="transfer")

    await asyncio.to_thread(place.stop, WAIT)

    assert task.cancelled()
    assert not asyncio.get_running_loop().is_closed()


def test_a_loop_that_its_owner_closed_is_reported():
    loop = asyncio.new_event_loop()
    place = LoopPlace(loop, threading.Thread(), kind="subshell", reason="The kernel's.")
    loop.close()

    assert not place.is_alive
    with pytest.raises(EngineNotResponding, match=r"subshell .* is closed"):
        place.call(str)


# ------------------------------------------------------------------------------- forks and the end of the interpreter

FORK = """
    import os, sys
    from bgdl_jupyter.engine.loop import ThreadPlace
    from bgdl_jupyter.errors import EngineNotResponding
    import asyncio

    place = ThreadPlace(reason="A test needs one.")
    place.spawn(asyncio.sleep(3600), name="transfer")
    child = os.fork()
    if child == 0:
        try:
            place.call(print, "the child must not run this")
        except EngineNotResponding as error:
            print(error, place.is_alive, place.is_here(), flush=True)
        place.stop(5)
        sys.exit(7)
    _, status = os.waitpid(child, 0)
    print("child exit", os.waitstatus_to_exitcode(status), "parent", place.call(str, "alive"))
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
def test_a_forked_child_is_refused_and_ends_in_peace_and_the_parent_goes_on():
    done = run_script(FORK)

    assert "forked copy" in done.stdout
    assert "False False" in done.stdout
    assert "child exit 7 parent alive" in done.stdout
    assert done.stderr == ""


ENDS_WITH_A_TASK = """
    import asyncio, time
    from bgdl_jupyter.engine.loop import ThreadPlace

    async def ignores_its_cancellation():
        while True:
            try:
                await asyncio.sleep(3600)
            except asyncio.CancelledError:
                continue

    async def fails_while_it_puts_away_its_things():
        try:
            await asyncio.sleep(3600)
        finally:
            await asyncio.to_thread(print)

    async def blocks_the_loop():
        time.sleep(3600)

    place = ThreadPlace(reason="A test needs one.")
    place.spawn(TASK, name="transfer")
    print(time.monotonic())
"""


@pytest.mark.parametrize(
    "task",
    [
        "asyncio.sleep(3600)",
        "ignores_its_cancellation()",
        "fails_while_it_puts_away_its_things()",
        "blocks_the_loop()",
    ],
)
def test_the_interpreter_ends_soon_and_in_silence_whatever_a_transfer_does(task):
    """The pools are closed by then, so that putting things away may fail; nobody is left to be told."""
    done = run_script(ENDS_WITH_A_TASK.replace("TASK", task))
    took = time.monotonic() - float(done.stdout)

    assert done.returncode == 0
    assert done.stderr == ""
    assert took < 3

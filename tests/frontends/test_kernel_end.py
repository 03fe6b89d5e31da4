"""At the end of the kernel, or of a script, the state is put away, once and without holding it up."""

from __future__ import annotations

import threading
import time

import pytest

from bgdl_jupyter.frontends.kernel import shutdown
from tests.frontends.kernel_cells import SETUP, run, run_script
from tests.kernels import RealKernel

pytestmark = pytest.mark.kernel

FLUSH = """
def put_away(seconds):
    with open("flushed.txt", "a") as file:
        print(place.call_within(seconds, threading.current_thread).name, file=file)
place = kernel.provide_place()
kernel.on_shutdown(put_away)
print(place.call(threading.current_thread).name)
"""


def test_a_restart_puts_the_state_away_once_on_the_loop_of_the_downloads(tmp_path):
    with RealKernel(cwd=tmp_path) as kernel:
        name = run(kernel, SETUP + FLUSH).text
        kernel.restart()

    assert (tmp_path / "flushed.txt").read_text() == f"{name}\n"


def test_a_restart_puts_the_state_away_also_when_the_main_shell_is_stuck(tmp_path):
    """The cell swallows the interrupt that comes first, so that the kernel is killed in the end: no `atexit` then."""
    with RealKernel(cwd=tmp_path) as kernel:
        name = run(kernel, SETUP + FLUSH).text
        kernel.start("print('stuck')\nwhile True:\n  try:\n    time.sleep(60)\n  except KeyboardInterrupt:\n    pass")
        kernel.wait_for_text("stuck")
        kernel.restart()

    assert (tmp_path / "flushed.txt").read_text() == f"{name}\n"


@pytest.mark.parametrize("is_async", [False, True])
async def test_the_answer_of_the_kernels_own_shutdown_passes_through(is_async):
    """There are kernels of both kinds, and ipykernel awaits what can be awaited."""
    answer = {"status": "ok", "restart": True}

    async def asynchronously(restart: bool) -> dict[str, object]:
        return {**answer, "restart": restart}

    wrapped = shutdown._FlushingShutdown(asynchronously if is_async else lambda restart: {**answer, "restart": restart})
    told: list[float] = []
    wrapped.wishes.append(shutdown._Flush(told.append))

    given = wrapped(True)

    assert (await given if is_async else given) == answer
    assert told == [1.0]


def test_a_flush_that_hangs_does_not_hang_the_shutdown(monkeypatch, caplog):
    monkeypatch.setattr(shutdown, "FLUSH_BUDGET", 0.05)
    released = threading.Event()
    wrapped = shutdown._FlushingShutdown(lambda: "done")
    wrapped.wishes.append(shutdown._Flush(lambda _: released.wait(60)))
    began = time.monotonic()

    assert wrapped() == "done"
    assert time.monotonic() - began < 5
    assert "takes more than 0.05 s" in caplog.text
    released.set()


def test_a_flush_that_fails_is_logged_and_the_shutdown_goes_on(caplog):
    wrapped = shutdown._FlushingShutdown(lambda: "done")
    wrapped.wishes.append(shutdown._Flush(lambda _: 1 / 0))

    assert wrapped() == "done"
    assert "ZeroDivisionError" in caplog.text


def test_a_wish_that_was_withdrawn_is_not_carried_out():
    wrapped = shutdown._FlushingShutdown(lambda: "done")
    told: list[float] = []
    wish = shutdown._Flush(told.append)
    wrapped.wishes.append(wish)

    wish.withdraw()
    wrapped()
    wish.at_exit()

    assert told == []


def test_in_a_script_the_state_is_put_away_at_the_end_and_by_the_parent_only():
    done = run_script(
        """
        import os, sys
        from bgdl_jupyter.frontends import kernel

        kernel.on_shutdown(lambda seconds: print("put away", seconds, flush=True))
        if os.fork() == 0:
            sys.exit(0)
        os.wait()
        """
    )
    assert done.stdout == "put away 1.0\n"
    assert done.stderr == ""

"""The kernel we run in: where the downloads and the callbacks of users run, and which notebook and reader it has."""

from __future__ import annotations

import time

import pytest

from tests.frontends.kernel_cells import run, run_script
from tests.kernels import IPYKERNEL, RealKernel, subshells

pytestmark = pytest.mark.kernel


# ------------------------------------------------------------------------------------------- where the downloads run


@subshells
def test_the_place_is_a_subshell_of_the_kernel(kernel):
    assert run(kernel, "print(place.kind, place.loop.is_running())").text == "subshell True"
    (listed,) = kernel.request("list_subshell_request")["subshell_id"]
    assert run(kernel, "print(place.call(threading.current_thread).name)").text == f"subshell-{listed}"


@subshells
def test_the_place_is_made_while_the_main_shell_is_busy_and_soon(kernel):
    """The cell that asks is the one that keeps the main shell busy; its request is answered all the same."""
    took = run(
        kernel,
        """
        began = time.perf_counter()
        second = kernel.provide_place("subshell")
        print(time.perf_counter() - began)
        second.stop(5)
        """,
    ).text
    assert float(took) < 0.5


def test_the_loop_ticks_while_a_cell_computes(kernel):
    ticks = run(
        kernel,
        """
        ticks = []
        def tick():
            ticks.append(time.monotonic())
            place.loop.call_later(0.01, tick)
        place.call(tick)
        end = time.monotonic() + 1
        while time.monotonic() < end:
            sum(range(1000))
        print(len(ticks))
        """,
    ).text
    assert int(ticks) > 20


def test_an_interrupt_ends_the_cell_and_not_the_place(kernel):
    run(
        kernel,
        """
        async def count():
            global counted
            counted = 0
            while True:
                await asyncio.sleep(0.01)
                counted += 1
        task = place.spawn(count(), name="transfer")
        """,
    )
    cell = kernel.start("print('busy')\nwhile True: sum(range(1000))")
    kernel.wait_for_text("busy")
    kernel.interrupt()
    error = kernel.finish(cell).error

    assert error is not None
    assert error.startswith("KeyboardInterrupt")
    run(
        kernel,
        """
        before = counted
        end = time.monotonic() + 10
        while counted == before:
            assert time.monotonic() < end
        assert not task.done()
        """,
    )


@subshells
def test_subshells_of_clients_come_and_go_and_leave_ours_alone(kernel):
    theirs = kernel.request("create_subshell_request")["subshell_id"]
    kernel.request("delete_subshell_request", {"subshell_id": theirs})

    assert run(kernel, "print(place.is_alive, place.call(str, 'alive'))").text == "True alive"


@subshells
def test_a_stopped_place_gives_its_subshell_back(kernel):
    run(kernel, "thread = place.call(threading.current_thread)\nplace.stop(5)\nthread.join(10)")

    assert run(kernel, "print(thread.is_alive(), place.is_alive)").text == "False False"
    assert kernel.request("list_subshell_request")["subshell_id"] == []


@subshells
def test_a_place_stopped_by_its_own_task_gives_its_subshell_back(kernel):
    """The kernel waits for the thread that asks for its own end; nobody may wait for the kernel meanwhile."""
    run(kernel, "thread = place.call(threading.current_thread)\nplace.post(place.stop, 5)\nthread.join(10)")

    assert run(kernel, "print(thread.is_alive())").text == "False"


@subshells
def test_a_subshell_that_somebody_else_deleted_is_reported(kernel):
    (ours,) = kernel.request("list_subshell_request")["subshell_id"]
    kernel.request("delete_subshell_request", {"subshell_id": ours})

    result = kernel.run("place.call(str)")

    assert result.error is not None
    assert result.error.startswith("EngineNotResponding: The event loop of the subshell")


def test_an_older_kernel_gives_a_thread_and_says_why(kernel):
    fallen_back = run(
        kernel,
        """
        import ipykernel
        real, ipykernel.__version__ = ipykernel.__version__, "6.29.5"
        try:
            thread = kernel.provide_place()
            print(thread.kind, thread.reason)
            thread.stop(5)
            kernel.provide_place("subshell")
        except Exception as error:
            print(type(error).__name__, error)
        finally:
            ipykernel.__version__ = real
        """,
    ).text
    assert "thread ipykernel 6.29 has no subshells we can use. A thread takes the place" in fallen_back
    assert "BackgroundTransferError ipykernel 6.29 has no subshells we can use. Use loop='auto'" in fallen_back


@subshells
def test_a_kernel_that_refuses_a_subshell_gives_a_thread_and_says_why(kernel):
    reason = run(
        kernel,
        """
        handlers = get_ipython().kernel.control_handlers
        real = handlers["create_subshell_request"]
        def refuse(stream, ident, parent):
            reply = {"status": "error", "evalue": "too many threads"}
            get_ipython().kernel.session.send(stream, "create_subshell_reply", reply, parent, ident)
        handlers["create_subshell_request"] = refuse
        thread = kernel.provide_place()
        handlers["create_subshell_request"] = real
        thread.stop(5)
        print(thread.kind, thread.reason)
        """,
    ).text
    assert reason.startswith("thread The kernel refused to make a subshell: too many threads.")


@subshells
def test_a_subshell_whose_loop_cannot_be_found_gives_a_thread_and_is_given_back(kernel):
    """The name of the thread and its loop are what no protocol promises."""
    before = kernel.request("list_subshell_request")["subshell_id"]
    reason = run(
        kernel,
        """
        from unittest import mock
        with mock.patch("threading.enumerate", return_value=[]):
            thread = kernel.provide_place()
        thread.stop(5)
        print(thread.kind, thread.reason)
        """,
    ).text

    assert "thread The kernel gave no subshell we can use (LookupError: no thread" in reason
    assert wait_until(lambda: kernel.request("list_subshell_request")["subshell_id"] == before)


def test_while_the_kernel_starts_a_thread_is_given_at_once(tmp_path):
    """An extension that the configuration loads comes before the kernel answers requests: waiting would delay it."""
    startup = tmp_path / "profile_default" / "startup"
    startup.mkdir(parents=True)
    (startup / "00.py").write_text(
        "import time\n"
        "from bgdl_jupyter.frontends import kernel\n"
        "began = time.perf_counter()\n"
        "early = kernel.provide_place()\n"
        "took = time.perf_counter() - began\n"
        "early_callbacks = kernel.callback_place()\n"
    )
    with RealKernel(env={"IPYTHONDIR": str(tmp_path)}) as kernel:
        kind, took, reason = run(kernel, "print(early.kind, took, early.reason)").text.split(" ", 2)
        same = "print(early_callbacks.loop is get_ipython().kernel.io_loop.asyncio_loop)"

        assert kind == "thread"
        assert float(took) < 1
        if IPYKERNEL >= (7, 1):
            assert "still starting" in reason
        assert run(kernel, same).text == "True"


def test_the_main_shell_is_a_place_for_those_who_ask(kernel):
    seen = run(kernel, "main = kernel.provide_place('main')\nprint(main.kind, main.is_here(), main.loop.is_running())")
    assert seen.text == "main True True"


def test_a_forked_child_of_the_kernel_does_not_take_itself_for_the_kernel(kernel):
    """Its requests would reach the parent, which would make a subshell for nobody."""
    status = run(
        kernel,
        """
        child = os.fork()
        if child == 0:
            from bgdl_jupyter.frontends.kernel.running import running_kernel
            os._exit(0 if running_kernel() is None else 1)
        print(os.waitpid(child, 0)[1])
        """,
    ).text
    assert status == "0"


def test_in_a_script_a_thread_runs_the_downloads():
    done = run_script(
        """
        import sys
        from bgdl_jupyter.frontends import kernel

        place = kernel.provide_place()
        print(place.kind, "|", place.reason)
        print(kernel.callback_place().kind, kernel.notebook_path(), kernel.has_front_end(), "IPython" in sys.modules)
        try:
            kernel.provide_place("subshell")
        except Exception as error:
            print(error)
        """
    )
    assert done.stderr == ""
    first, second, third = done.stdout.splitlines()
    assert first.startswith("thread | No ipykernel runs in this process.")
    assert second == "thread None False False"
    assert third == "No ipykernel runs in this process. Use loop='auto' or loop='thread'."


# ----------------------------------------------------------------------------------------------- callbacks of users


def test_callbacks_run_on_the_main_shell_when_it_is_free(kernel):
    during = run(
        kernel,
        """
        ran_on = []
        callbacks = kernel.callback_place()
        place.call(callbacks.post, lambda: ran_on.append(threading.current_thread().name))
        time.sleep(0.1)
        print(ran_on)
        """,
    ).text
    assert during == "[]"
    assert run(kernel, "print(ran_on)").text == "['MainThread']"


# -------------------------------------------------------------------------------------- the notebook and its reader


@pytest.mark.parametrize(
    ("name", "path"),
    [
        ("/notebooks/work/data.ipynb", "/notebooks/work/data.ipynb"),
        ("work/data.ipynb", "<cwd>/data.ipynb"),
        ("/notebooks/Console 1", "None"),
        ("", "None"),
    ],
    ids=["a notebook", "a path from the server's root", "a console", "not told"],
)
def test_the_path_of_the_notebook_is_absolute_and_comes_from_the_server(kernel, name, path):
    code = f"""
        os.environ["JPY_SESSION_NAME"] = {name!r}
        print(str(kernel.notebook_path()).replace(os.getcwd(), "<cwd>"))
        """
    assert run(kernel, code).text == path


@pytest.mark.parametrize("answers", [True, False])
def test_a_front_end_is_one_that_answers_questions(kernel, answers):
    """A run by nbconvert or papermill has nobody who could press Allow."""
    cell = kernel.start("print(kernel.has_front_end())", allow_stdin=answers)

    assert kernel.finish(cell).text == str(answers)


def wait_until(is_so, seconds: float = 10) -> bool:
    """Ask again and again, each time by a request to the kernel."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if is_so():
            return True
    return False

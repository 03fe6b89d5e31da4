"""The slots through which the model gets what is above it: empty in a script, filled where a kernel runs."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import textwrap
import threading
from typing import TYPE_CHECKING

import pytest

from bgdl_jupyter.errors import BackgroundTransferError, InvalidRequest
from bgdl_jupyter.model.host import Host, Place, ThreadPlace, host, place_without_kernel
from tests.kernels import RealKernel

if TYPE_CHECKING:
    from collections.abc import Callable

WAIT = 10


class FakeKernel:
    """A provider that says where its answers come from."""

    def __init__(self) -> None:
        self.wishes: list[Callable[[float], object]] = []

    def provide_place(self, preference: str = "auto") -> Place:
        return ThreadPlace(reason=f"The kernel gave it for {preference}.")

    def callback_place(self) -> Place:
        return ThreadPlace(reason="The main shell.")

    def on_shutdown(self, flush: Callable[[float], object]) -> Callable[[], None]:
        self.wishes.append(flush)
        return self.wishes.clear

    def notebook_path(self) -> str | None:
        return "/data/ada/data.ipynb"

    def has_front_end(self) -> bool:
        return True


@pytest.fixture
def furnished() -> Host:
    furnished = Host()
    furnished.loop_provider = FakeKernel()
    return furnished


def test_empty_slots_mean_a_thread_and_text():
    empty = Host()
    place = empty.provide_place()
    place.stop(WAIT)

    assert place.kind == "thread"
    assert "No Jupyter kernel" in place.reason
    assert empty.view(object()) is None
    assert empty.notebook_path() is None
    assert not empty.has_front_end()


def test_filled_slots_are_asked(furnished):
    furnished.view_factory = lambda model: f"a view of {model}"
    place = furnished.provide_place("subshell")
    place.stop(WAIT)

    assert place.reason == "The kernel gave it for subshell."
    assert furnished.view("a group") == "a view of a group"
    assert furnished.notebook_path() == "/data/ada/data.ipynb"
    assert furnished.has_front_end()


def test_a_wish_for_the_shutdown_goes_to_the_kernel_and_can_be_taken_back(furnished):
    take_back = furnished.on_shutdown(print)
    assert furnished.loop_provider.wishes == [print]

    take_back()
    assert furnished.loop_provider.wishes == []


@pytest.mark.parametrize("is_furnished", [True, False])
def test_there_is_one_place_for_callbacks_and_a_new_one_when_it_is_gone(furnished, is_furnished):
    a_host = furnished if is_furnished else Host()
    first = a_host.callback_place()
    again = a_host.callback_place()
    first.stop(WAIT)
    second = a_host.callback_place()
    second.stop(WAIT)

    assert again is first
    assert second is not first
    assert "main shell" in first.reason.lower()


async def test_the_loop_of_a_script_is_a_place_for_those_who_ask():
    place = place_without_kernel("main")

    assert place.kind == "main"
    assert place.loop is asyncio.get_running_loop()
    assert await asyncio.to_thread(place.call, threading.current_thread) is threading.current_thread()


def test_without_a_running_loop_there_is_no_such_place():
    with pytest.raises(BackgroundTransferError, match="No event loop runs in this thread"):
        place_without_kernel("main")


def test_without_a_kernel_there_is_no_subshell():
    with pytest.raises(BackgroundTransferError, match="no subshells"):
        place_without_kernel("subshell")


def test_a_loop_that_does_not_exist_is_refused():
    with pytest.raises(InvalidRequest, match="'quick'"):
        place_without_kernel("quick")  # type: ignore[arg-type] # a user's typing mistake


def test_a_process_has_one_host():
    assert host() is host()


def test_in_a_script_neither_jupyter_nor_the_front_ends_are_loaded():
    code = """
        import sys
        from bgdl_jupyter.model.host import host
        host().on_shutdown(lambda seconds: print("put away", seconds))
        withdrawn = host().on_shutdown(lambda seconds: print("never"))
        withdrawn()
        place = host().provide_place()
        print(place.kind, {"IPython", "ipykernel", "ipywidgets", "bgdl_jupyter.frontends"} & set(sys.modules))
        """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)], capture_output=True, text=True, timeout=30, check=False
    )

    assert done.stderr == ""
    assert done.stdout == "thread set()\nput away 1.0\n"


def test_a_reload_or_a_second_import_finds_the_same_engine(tmp_path):
    code = f"""
        import importlib, sys
        import bgdl_jupyter
        from bgdl_jupyter.model import process
        downloader = bgdl_jupyter.BackgroundDownloader(loop="thread", state_file={str(tmp_path / "state.sqlite3")!r})
        downloader.create_download("http://127.0.0.1:9/a", {str(tmp_path / "a")!r})
        engine = process.current_runner()
        for module in (process, sys.modules["bgdl_jupyter.model.host"], bgdl_jupyter):
            importlib.reload(module)
        print(process.current_runner() is engine)
        for name in [each for each in sys.modules if each.partition(".")[0] == "bgdl_jupyter"]:
            del sys.modules[name]
        import bgdl_jupyter as again
        from bgdl_jupyter.model.process import current_runner
        print(again is not bgdl_jupyter, current_runner() is engine)
        print([each.is_held for each in again.BackgroundDownloader().get_current_downloads()])
        """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)], capture_output=True, text=True, timeout=30, check=False
    )

    assert done.stderr == ""
    assert done.stdout == "True\nTrue True\n[False]\n"


@pytest.mark.kernel
def test_in_a_kernel_the_slots_are_filled_at_the_first_use():
    with RealKernel() as kernel:
        result = kernel.run(
            textwrap.dedent("""
                import sys
                from bgdl_jupyter.model.host import host
                print("bgdl_jupyter.frontends" in sys.modules)
                place = host().provide_place("main")
                print(host().loop_provider.__name__, place.is_here())
                print(host().callback_place().kind, host().has_front_end())
                """)
        )
    assert result.text == "False\nbgdl_jupyter.frontends.kernel True\nmain True"

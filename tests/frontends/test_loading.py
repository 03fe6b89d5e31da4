"""What ``%load_ext bgdl_jupyter`` does."""

from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
from IPython.core.interactiveshell import InteractiveShell
from traitlets.config import Config

from bgdl_jupyter.frontends.loading import in_a_line
from bgdl_jupyter.frontends.wire import TARGET
from bgdl_jupyter.status import BackgroundTransferStatus
from tests.kernels import RealKernel
from tests.servers.files import FileSpec

if TYPE_CHECKING:
    from bgdl_jupyter.model.operation import DownloadOperation

STATUS = BackgroundTransferStatus


def restored(status: STATUS, *, is_held: bool = False) -> DownloadOperation:
    operation: Any = SimpleNamespace(status=status, standing=status, is_held=is_held)
    return operation  # type: ignore[no-any-return]  # stands for one


@pytest.mark.parametrize(
    ("operations", "line"),
    [
        ([], "no downloads from before; %bgdl URI starts one"),
        ([restored(STATUS.COMPLETED)], "1 download restored"),
        (
            [restored(STATUS.RUNNING), restored(STATUS.RUNNING), restored(STATUS.ERROR)],
            "3 downloads restored, 2 running, 1 failed",
        ),
        ([restored(STATUS.RUNNING, is_held=True)], "1 download restored, 1 held by another kernel"),
    ],
)
def test_one_line_says_what_became_of_them(operations, line):
    assert in_a_line(operations) == line


def test_a_terminal_has_the_magics_and_no_widgets(downloader, capsys):
    shell = InteractiveShell(config=Config(HistoryManager={"enabled": False}))
    shell.run_line_magic("load_ext", "bgdl_jupyter")
    assert capsys.readouterr().out == "bgdl_jupyter: no downloads from before; %bgdl URI starts one\n"
    assert shell.find_line_magic("bgdl") is not None
    shell.run_line_magic("unload_ext", "bgdl_jupyter")
    assert shell.find_line_magic("bgdl") is None


@pytest.mark.kernel
def test_what_was_over_and_seen_is_not_shown_again(fault_server, tmp_path):
    server = fault_server({"/a.bin": FileSpec(size=1000)})
    with RealKernel(cwd=tmp_path, env={"BGDL_STATE_FILE": str(tmp_path / "state" / "state.sqlite3")}) as kernel:
        kernel.run("%load_ext bgdl_jupyter")
        assert (
            kernel.run(f"import bgdl_jupyter\nbgdl_jupyter.download({server.url('/a.bin')!r}).wait(20)").error is None
        )
        kernel.restart()
        loaded = kernel.run("%load_ext bgdl_jupyter")
        assert loaded.text == "bgdl_jupyter: no downloads from before; %bgdl URI starts one"


@pytest.mark.kernel
def test_loading_begins_with_what_the_first_download_needs_and_with_nothing_else(tmp_path):
    """The transport's library is on its way, so that `%bgdl` does not wait; no widgets, no vault, no other protocol."""
    with RealKernel(cwd=tmp_path, env={"BGDL_STATE_FILE": str(tmp_path / "state" / "state.sqlite3")}) as kernel:
        kernel.run("import gc, sys, threading; before = set(sys.modules)")
        kernel.run("%load_ext bgdl_jupyter\nloaded = set(sys.modules) - before")
        assert kernel.run("gc.isenabled()").text == "True"
        others = "sorted({'ipywidgets', 'keyring', 'aioftp', 'dbus_fast', 'pooch', 'fsspec'} & loaded)"
        assert kernel.run(others).text == "[]"
        awaited = "[each.join(20) for each in threading.enumerate() if each.name == 'bgdl-load-ahead']"
        assert kernel.run(f"{awaited}\n'aiohttp' in sys.modules").text == "True"


@pytest.mark.kernel
def test_unloading_hangs_up_and_downloads_go_on(fault_server, tmp_path):
    server = fault_server({"/a.bin": FileSpec(size=50_000_000, rate=1_000_000)})
    with RealKernel(cwd=tmp_path, env={"BGDL_STATE_FILE": str(tmp_path / "state" / "state.sqlite3")}) as kernel:
        kernel.run("%load_ext bgdl_jupyter")
        opened = kernel.wait_for(lambda each: each.content.get("target_name") == TARGET, since=0)
        kernel.run(f"import bgdl_jupyter\noperation = bgdl_jupyter.download({server.url('/a.bin')!r})")
        assert kernel.run("%unload_ext bgdl_jupyter").error is None
        kernel.wait_for(lambda each: each.type == "comm_close" and each.comm_id == opened.comm_id, since=0)
        assert kernel.run("print(operation.status.name)").text == "RUNNING"
        kernel.run("%load_ext bgdl_jupyter")
        again = [each for each in kernel.messages if each.content.get("target_name") == TARGET]
        assert len(again) == 2

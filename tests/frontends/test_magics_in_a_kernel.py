"""`%bgdl` in a real kernel, where the kernel matters: completion, display, refusals and waiting."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.frontends.files import served
from tests.kernels import TIMEOUT, RealKernel, subshells

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.servers.fault_server import FaultServer
    from tests.servers.fixtures import StartFaultServer


@pytest.fixture
def server(fault_server: StartFaultServer) -> FaultServer:
    return served(fault_server)


@pytest.fixture
def kernel(state_path: Path, work: Path) -> Iterator[RealKernel]:
    with RealKernel(cwd=work) as kernel:
        assert kernel.run("%load_ext bgdl_jupyter").error is None
        yield kernel


def completed(kernel: RealKernel, line: str) -> list[str]:
    """Return what the line may become by the Tab key at its end."""
    kernel.client.complete(line, len(line))
    reply = kernel.client.get_shell_msg(timeout=TIMEOUT)["content"]
    return sorted(line[: reply["cursor_start"]] + match for match in reply["matches"])


@pytest.mark.kernel
def test_a_kernel_completes_subcommands_options_groups_and_names(kernel: RealKernel, server: FaultServer):
    kernel.run(f"%bgdl {server.url('/held.bin')} one.bin -g 'a group'")
    kernel.run(f"%bgdl {server.url('/held.bin')}?2 'two words.bin'")
    kernel.run("%config IPCompleter.use_jedi = False")  # which is slow to load, and adds Python's keywords
    assert completed(kernel, "%bgdl pa") == ["%bgdl pause"]
    assert completed(kernel, "%bgdl re") == ["%bgdl resume", "%bgdl retry"]
    assert completed(kernel, "%bgdl pause on") == ["%bgdl pause one.bin"]
    assert completed(kernel, "%bgdl resume on") == []
    assert completed(kernel, '%bgdl pause "two w') == ['%bgdl pause "two words.bin"']
    assert completed(kernel, "%bgdl pause -g ") == ['%bgdl pause -g "a group"']
    assert completed(kernel, "%bgdl limits --beh") == ["%bgdl limits --behavior"]
    assert completed(kernel, "%bgdl limits --behavior ser") == ["%bgdl limits --behavior serialized"]
    assert completed(kernel, "%bgdl network m") == ["%bgdl network metered"]
    assert completed(kernel, "%bgdl http://x/y --sh") == ["%bgdl http://x/y --sha256"]
    assert completed(kernel, "%%bgdl --gr") == ["%%bgdl --group"]


@pytest.mark.kernel
@subshells
def test_a_kernel_says_that_a_subshell_runs_the_downloads(kernel: RealKernel):
    assert "loop: subshell. " in kernel.run("%bgdl show").text


@pytest.mark.kernel
def test_a_refusal_in_a_kernel_is_a_line_and_stops_the_cells_behind_it(kernel: RealKernel):
    kernel.client.execute("%bgdl paus")
    reply = kernel.client.get_shell_msg(timeout=TIMEOUT)["content"]
    assert (reply["status"], reply["ename"]) == ("error", "UsageError")


@pytest.mark.kernel
def test_a_result_shows_itself_in_a_kernel_as_widget_html_and_text(kernel: RealKernel, server: FaultServer):
    result = kernel.run(f"%bgdl {server.url('/a.bin')}")
    shown = next(each.content["data"] for each in result.outputs if each.type == "execute_result")
    assert set(shown) == {"text/plain", "text/html", "application/vnd.jupyter.widget-view+json"}


@pytest.mark.kernel
def test_a_waiting_cell_shows_the_download_while_it_waits(kernel: RealKernel, server: FaultServer):
    request = kernel.start(f"%bgdl {server.url('/held.bin')} --wait")
    kernel.wait_for(lambda message: message.type == "display_data" and "held.bin" in message.text, since=0)
    server.events.set("go")
    result = kernel.finish(request)
    assert "completed" in result.text


@pytest.mark.kernel
def test_an_interrupted_wait_leaves_the_download_alone(kernel: RealKernel, server: FaultServer):
    request = kernel.start(f"%bgdl {server.url('/held.bin')} --wait --as held")
    kernel.wait_for(lambda message: message.type == "display_data" and "held.bin" in message.text, since=0)
    kernel.interrupt()
    assert "KeyboardInterrupt" in (kernel.finish(request).error or "")
    server.events.set("go")
    assert "completed" in kernel.run("held.wait(20)").text


@pytest.mark.kernel
def test_waiting_on_the_main_loop_is_refused_with_a_hint(state_path: Path, work: Path, server: FaultServer):
    """It would stop the very loop that downloads."""
    with RealKernel(cwd=work) as kernel:
        kernel.run("import bgdl_jupyter; bgdl_jupyter.BackgroundDownloader(loop='main')")
        kernel.run("%load_ext bgdl_jupyter")
        assert "loop: main. " in kernel.run("%bgdl show").text
        assert "await" in kernel.run(f"%bgdl {server.url('/a.bin')} --wait").text

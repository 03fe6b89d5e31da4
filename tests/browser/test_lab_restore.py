"""What comes back by itself after a kernel has started anew and after a page was loaded again."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect

from tests.browser.extension import Extension
from tests.servers.files import FileSpec

if TYPE_CHECKING:
    from playwright.sync_api import Locator

    from tests.browser.conftest import OpenNotebook
    from tests.browser.lab import Browser, LabServer
    from tests.servers.fixtures import StartFaultServer

pytestmark = pytest.mark.browser

#: Half a minute and more: it is still under way when a test ends.
SLOW = FileSpec(size=16_000_000, rate=400_000)


def load(uri: str) -> str:
    """Return a cell that loads the extension, starts a download and shows all."""
    return f"%load_ext bgdl_jupyter\n%bgdl -g data {uri}\nimport bgdl_jupyter\nbgdl_jupyter.default_downloader()"


def test_downloads_go_on_by_themselves_after_the_kernel_restarted(
    open_notebook: OpenNotebook, fault_server: StartFaultServer
):
    server = fault_server({"/a.bin": SLOW})
    notebook = open_notebook([load(server.url("/a.bin"))])
    notebook.run_cell(0)
    seen = Extension(notebook.page)
    seen.show_panel()
    expect(seen.row("a.bin")).to_contain_text("of 16.0 MB")
    notebook.restart_kernel()
    expect(seen.row("a.bin")).to_contain_text(re.compile(r"of 16\.0 MB · .*B/s"))
    server.wait_until(lambda: len(server.requests("/a.bin")) >= 2, 45)
    assert server.requests("/a.bin")[-1].header("Range") is not None


def test_the_panel_in_the_notebook_is_alive_again_after_a_restart_without_a_reload(
    open_notebook: OpenNotebook, fault_server: StartFaultServer
):
    server = fault_server({"/a.bin": SLOW})
    notebook = open_notebook([load(server.url("/a.bin"))])
    notebook.run_cell(0)
    output = notebook.output(0)
    expect(output).to_contain_text(re.compile(r"of 16\.0 MB.*left", re.DOTALL))
    notebook.restart_kernel()
    # No button can be pressed before the kernel hears it, so the first click counts.
    output.get_by_title("Pause all of this group").click()
    expect(output.get_by_role("button", name="Resume").first).to_be_visible()


def test_a_saved_panel_is_alive_after_a_reload(open_notebook: OpenNotebook, fault_server: StartFaultServer):
    server = fault_server({"/a.bin": SLOW})
    notebook = open_notebook([load(server.url("/a.bin"))])
    notebook.run_cell(0)
    notebook.save()
    notebook.page.reload()
    notebook.wait_until_idle()
    moves(notebook.output(0))
    seen = Extension(notebook.page)
    seen.show_panel()
    expect(seen.row("a.bin")).to_contain_text("of 16.0 MB")
    notebook.output(0).get_by_role("button", name="Pause").first.click()
    expect(seen.step(seen.row("a.bin"), "resume")).to_be_attached()


def test_nothing_is_restored_where_the_user_does_not_want_it(
    lab: LabServer, open_notebook: OpenNotebook, fault_server: StartFaultServer
):
    server = fault_server({"/a.bin": SLOW})
    lab.choose(restoreAfterRestart=False)
    notebook = open_notebook([load(server.url("/a.bin")), "'bgdl_jupyter' in __import__('sys').modules"])
    notebook.run_cell(0)
    seen = Extension(notebook.page)
    seen.show_panel()
    expect(seen.row("a.bin")).to_be_visible()
    notebook.restart_kernel()
    expect(seen.row("a.bin")).to_have_count(0)
    notebook.run_cell(1)
    expect(notebook.output(1)).to_contain_text("False")


def test_a_notebook_that_never_had_the_extension_is_left_alone(open_notebook: OpenNotebook):
    notebook = open_notebook(["'bgdl_jupyter' in __import__('sys').modules"])
    notebook.restart_kernel()
    notebook.run_cell(0)
    expect(notebook.output(0)).to_contain_text("False")


def test_two_browsers_show_and_pause_the_same_download(
    browser: Browser, open_notebook: OpenNotebook, fault_server: StartFaultServer
):
    server = fault_server({"/a.bin": SLOW})
    one = open_notebook([load(server.url("/a.bin"))])
    one.run_cell(0)
    one.save()
    with browser.another() as other:
        two = Extension(other.open(one.url).page)
        two.show_panel()
        two.row("a.bin").hover()
        two.step(two.row("a.bin"), "pause").click()
        expect(two.step(two.row("a.bin"), "resume")).to_be_attached()
    seen = Extension(one.page)
    seen.show_panel()
    expect(seen.step(seen.row("a.bin"), "resume")).to_be_attached()


def moves(output: Locator) -> None:
    """Check that the figures in an output change."""
    expect(output).to_contain_text("of 16.0 MB")
    before = output.inner_text()
    expect(output).not_to_have_text(before)

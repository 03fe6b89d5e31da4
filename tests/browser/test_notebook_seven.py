"""Notebook 7: no status bar, one page for each notebook, and the same widgets, panel and toasts."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect

from tests.browser.extension import BUSY, Extension, compute
from tests.servers.files import FileSpec

if TYPE_CHECKING:
    from tests.browser.conftest import OpenNotebook
    from tests.servers.fixtures import StartFaultServer

pytestmark = pytest.mark.browser

SLOW = FileSpec(size=8_000_000, rate=400_000)


def test_notebook_7_shows_and_pauses_downloads_while_a_cell_computes(
    open_notebook: OpenNotebook, fault_server: StartFaultServer
):
    server = fault_server({"/a.bin": SLOW})
    lines = ["%load_ext bgdl_jupyter", f"%bgdl -g data {server.url('/a.bin')}", "import bgdl_jupyter"]
    code = "\n".join([*lines, "bgdl_jupyter.default_downloader()"])
    notebook = open_notebook([code, BUSY], app="notebooks")
    notebook.run_cell(0)
    compute(notebook, 1)
    seen = Extension(notebook.page)
    expect(notebook.output(0)).to_contain_text("of 8.0 MB")
    expect(seen.toast("data")).to_be_visible()
    expect(seen.status_item).to_have_count(0)
    seen.show_panel()
    row = seen.row("a.bin")
    row.hover()
    seen.step(row, "pause").click()
    expect(seen.step(row, "resume")).to_be_attached()
    expect(notebook.output(0).get_by_role("button", name="Resume").first).to_be_visible()

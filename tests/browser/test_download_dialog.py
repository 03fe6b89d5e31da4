"""The dialog "Download URL…" runs a line that the user sees."""

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

SMALL = FileSpec(size=1000)


def test_the_dialog_runs_a_visible_line_in_the_notebook(open_notebook: OpenNotebook, fault_server: StartFaultServer):
    server = fault_server({"/a.bin": SMALL})
    notebook = open_notebook(["1 + 1"])
    seen = Extension(notebook.page)
    seen.execute("bgdl:download")
    dialog = notebook.page.get_by_role("dialog")
    dialog.get_by_label("Address").fill(server.url("/a.bin"))
    dialog.get_by_label("Group").fill("data")
    dialog.get_by_role("button", name="Download").click()
    line = notebook.page.locator(".jp-Notebook .jp-Cell").nth(1)
    expect(line.locator(".jp-InputArea-editor")).to_contain_text(f"%bgdl -g data {server.url('/a.bin')}")
    seen.show_panel()
    expect(seen.row("a.bin")).to_contain_text("Done")


def test_the_dialog_refuses_what_is_no_address_and_says_that_a_cell_runs(open_notebook: OpenNotebook):
    notebook = open_notebook(["1 + 1", BUSY])
    compute(notebook, 1)
    seen = Extension(notebook.page)
    seen.execute("bgdl:download")
    dialog = notebook.page.get_by_role("dialog")
    expect(dialog).to_contain_text("the line waits until it has ended")
    dialog.get_by_label("Address").fill("javascript:alert(1)")
    dialog.get_by_role("button", name="Download").click()
    expect(notebook.page.get_by_role("alert")).to_contain_text("Only http, https, ftp and ftps")
    dialog.get_by_role("button", name="Cancel").click()
    expect(notebook.page.locator(".jp-Notebook .jp-Cell")).to_have_count(2)


def test_without_a_notebook_the_line_runs_in_a_new_console(open_notebook: OpenNotebook, fault_server: StartFaultServer):
    server = fault_server({"/a.bin": SMALL})
    notebook = open_notebook(["1 + 1"])
    notebook.save()
    notebook.page.evaluate("() => window.jupyterapp.commands.execute('application:close')")
    seen = Extension(notebook.page)
    seen.execute("bgdl:download")
    dialog = notebook.page.get_by_role("dialog")
    expect(dialog).to_contain_text("A line is run in a new console.")
    dialog.get_by_label("Address").fill(server.url("/a.bin"))
    dialog.get_by_role("button", name="Download").click()
    expect(notebook.page.locator(".jp-CodeConsole")).to_contain_text(f"%bgdl {server.url('/a.bin')}")
    seen.show_panel()
    expect(seen.row("a.bin")).to_contain_text("Done")

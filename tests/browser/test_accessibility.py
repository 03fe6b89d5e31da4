"""The side panel and the panel in the notebook for those who use a keyboard or listen to the page."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect

from tests.browser.extension import Extension
from tests.servers.faults import hold_after
from tests.servers.files import FileSpec

if TYPE_CHECKING:
    from tests.browser.conftest import OpenNotebook
    from tests.browser.lab import NotebookPage
    from tests.servers.fault_server import FaultServer
    from tests.servers.fixtures import StartFaultServer

pytestmark = pytest.mark.browser


@pytest.fixture
def server(fault_server: StartFaultServer) -> FaultServer:
    return fault_server({"/a.bin": FileSpec(size=200_000, faults=(hold_after(50_000, until="go"),))})


@pytest.fixture
def notebook(open_notebook: OpenNotebook, server: FaultServer) -> NotebookPage:
    """Return a notebook with a download that stands still at a quarter."""
    lines = ["%load_ext bgdl_jupyter", f"%bgdl -g data {server.url('/a.bin')}", "import bgdl_jupyter"]
    notebook = open_notebook(["\n".join([*lines, "bgdl_jupyter.default_downloader()"])])
    notebook.run_cell(0)
    return notebook


def test_the_side_panel_is_a_grid_of_named_rows_bars_and_buttons(notebook: NotebookPage):
    seen = Extension(notebook.page)
    seen.show_panel()
    grid = seen.panel.get_by_role("treegrid", name="Downloads")
    expect(grid).to_have_attribute("aria-rowcount", "2")
    group, row = seen.group("data"), seen.row("a.bin")
    expect(group).to_have_attribute("aria-expanded", "true")
    expect(row).to_have_attribute("aria-level", "2")
    expect(row.get_by_role("img", name="Downloading")).to_be_visible()
    expect(row.get_by_role("progressbar", name="a.bin")).to_have_attribute("aria-valuenow", re.compile("^[1-9]"))
    expect(group.get_by_role("progressbar", name="data")).to_have_attribute("aria-valuemax", "100")
    expect(row.get_by_role("button", name="Pause a.bin")).to_be_attached()
    expect(group.get_by_role("button", name="Pause data")).to_be_attached()
    expect(seen.panel.get_by_role("searchbox")).to_have_accessible_name(re.compile("."))
    expect(seen.panel.get_by_role("combobox")).to_have_accessible_name(re.compile("."))
    for button in seen.panel.get_by_role("button").all():
        expect(button).to_have_accessible_name(re.compile("."))


def test_the_buttons_of_a_row_are_reached_and_pressed_by_keyboard(notebook: NotebookPage):
    seen = Extension(notebook.page)
    seen.show_panel()
    expect(seen.row("a.bin")).to_be_visible()
    seen.group("data").focus()
    for key in ("ArrowDown", "ArrowRight"):
        notebook.page.keyboard.press(key)
    expect(seen.step(seen.row("a.bin"), "pause")).to_be_focused()
    expect(seen.step(seen.row("a.bin"), "pause")).to_be_visible()
    notebook.page.keyboard.press("Enter")
    expect(seen.step(seen.row("a.bin"), "resume")).to_be_attached()


def test_the_end_is_announced_to_those_who_listen(notebook: NotebookPage, server: FaultServer):
    seen = Extension(notebook.page)
    seen.show_panel()
    expect(seen.row("a.bin")).to_be_visible()
    announced = seen.panel.get_by_role("status")
    expect(announced).to_have_attribute("aria-live", "polite")
    expect(announced).to_have_text("")
    server.events.set("go")
    expect(announced).to_contain_text("Downloaded a.bin")
    # The note in the notebook is said, too, where there is no side panel.
    expect(notebook.output(0).get_by_role("status")).to_contain_text("Downloaded a.bin")


def test_every_button_of_the_panel_in_the_notebook_says_what_it_does(notebook: NotebookPage):
    """By its text, or, where it is an icon, by what is read out after it."""
    output = notebook.output(0)
    expect(output.get_by_title("Pause", exact=True)).to_be_visible()
    said = ("Pause all of this group", "Cancel all of this group", "Pause", "Cancel")
    buttons = output.get_by_role("button")
    expect(buttons).to_have_count(len(said))
    for button, text in zip(buttons.all(), said, strict=True):
        expect(button).to_have_accessible_description(text)

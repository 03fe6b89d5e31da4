"""The side panel, the item of the status bar and the title of the tab, in a real JupyterLab beside real kernels."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect

from tests.browser.extension import BUSY, Extension, compute, is_computing
from tests.servers.files import FileSpec

if TYPE_CHECKING:
    from playwright.sync_api import Locator

    from tests.browser.conftest import OpenNotebook
    from tests.servers.fixtures import StartFaultServer

pytestmark = pytest.mark.browser

#: Twenty seconds and more: it is still under way when a test ends.
SLOW = FileSpec(size=8_000_000, rate=400_000)
SMALL = FileSpec(size=1000)


def test_the_panel_shows_the_groups_and_rows_of_every_kernel(
    open_notebook: OpenNotebook, fault_server: StartFaultServer
):
    server = fault_server({"/a.bin": SLOW, "/b.bin": SLOW, "/c.bin": SLOW})
    one = open_notebook([f"%load_ext bgdl_jupyter\n%bgdl -g data {server.url('/a.bin')}"], name="one.ipynb")
    one.run_cell(0)
    code = f"%load_ext bgdl_jupyter\n%bgdl -g data {server.url('/b.bin')}\n%bgdl {server.url('/c.bin')}"
    two = open_notebook([code], name="two.ipynb")
    two.run_cell(0)
    seen = Extension(two.page)
    seen.show_panel()
    expect(seen.kernels).to_have_count(2)
    expect(seen.kernels.filter(has_text="one.ipynb")).to_be_visible()
    expect(seen.kernels.filter(has_text="two.ipynb")).to_be_visible()
    expect(seen.group("data")).to_have_count(2)
    expect(seen.group("Downloads")).to_have_count(1)
    for name in ("a.bin", "b.bin", "c.bin"):
        expect(seen.row(name)).to_contain_text(re.compile(r"of 8\.00 MB · .*/s"))
    expect(seen.status_item).to_have_text(re.compile(r"^3 ↓ .*B/s$"))


def test_the_panel_pauses_a_download_of_a_kernel_that_the_page_does_not_show(
    open_notebook: OpenNotebook, fault_server: StartFaultServer
):
    server = fault_server({"/a.bin": SLOW})
    one = open_notebook([f"%load_ext bgdl_jupyter\n%bgdl {server.url('/a.bin')}", BUSY], name="one.ipynb")
    one.run_cell(0)
    compute(one, 1)
    two = open_notebook(["1 + 1"], name="two.ipynb")
    seen = Extension(two.page)
    seen.show_panel()
    press(seen, seen.row("a.bin"), "pause")
    expect(seen.step(seen.row("a.bin"), "resume")).to_be_attached()
    is_computing(one, 1)
    Extension(one.page).show_panel()
    expect(Extension(one.page).row("a.bin")).to_contain_text("aused")


def test_every_step_acts_at_the_kernel_while_a_cell_computes(
    open_notebook: OpenNotebook, fault_server: StartFaultServer
):
    """Pause, resume and cancel a download; retry and clear one that failed."""
    server = fault_server({"/a.bin": SLOW})
    lines = ["%load_ext bgdl_jupyter", f"%bgdl {server.url('/a.bin')}", f"%bgdl {server.url('/missing.bin')}"]
    notebook = open_notebook(["\n".join(lines), BUSY])
    notebook.run_cell(0)
    compute(notebook, 1)
    seen = Extension(notebook.page)
    seen.show_panel()
    row, missing = seen.row("a.bin"), seen.row("missing.bin")

    press(seen, row, "pause")
    press(seen, row, "resume")
    expect(seen.step(row, "pause")).to_be_attached()
    press(seen, row, "cancel")
    expect(row.locator(".bgdl-State.bgdl-mod-canceled")).to_be_visible()

    expect(missing.locator(".bgdl-State.bgdl-mod-failed")).to_be_visible()
    expect(missing).to_contain_text("404 Not Found")
    expect(seen.status_item).to_have_text("1 failed")
    server.put("/missing.bin", SMALL)
    press(seen, missing, "retry")
    expect(missing.locator(".bgdl-State.bgdl-mod-done")).to_be_visible()
    press(seen, missing, "clear")
    expect(missing).to_have_count(0)
    is_computing(notebook, 1)


def test_the_list_is_narrowed_by_a_filter_and_a_search(open_notebook: OpenNotebook, fault_server: StartFaultServer):
    server = fault_server({"/alpha.bin": SLOW, "/beta.bin": SMALL, "/gamma.bin": SLOW})
    lines = [f"%bgdl {server.url(f'/{each}.bin')}" for each in ("alpha", "beta", "gamma", "missing")]
    notebook = open_notebook(["\n".join(["%load_ext bgdl_jupyter", *lines])])
    notebook.run_cell(0)
    seen = Extension(notebook.page)
    panel = seen.show_panel()
    names = panel.locator(".bgdl-Row.bgdl-mod-operation .bgdl-Row-name")
    expect(names).to_have_count(4)
    choose = panel.get_by_role("combobox")
    choose.select_option("done")
    expect(names).to_have_text(["beta.bin"])
    choose.select_option("attention")
    expect(names).to_have_text(["missing.bin"])
    choose.select_option("live")
    expect(names).to_have_text(["alpha.bin", "gamma.bin"])
    panel.get_by_role("searchbox").fill("GAM")
    expect(names).to_have_text(["gamma.bin"])
    panel.get_by_role("searchbox").fill("nothing like it")
    expect(panel).to_contain_text("No download matches.")


def test_the_list_is_used_by_keyboard_alone(open_notebook: OpenNotebook, fault_server: StartFaultServer):
    server = fault_server({"/a.bin": SLOW})
    notebook = open_notebook([f"%load_ext bgdl_jupyter\n%bgdl -g data {server.url('/a.bin')}"])
    notebook.run_cell(0)
    seen = Extension(notebook.page)
    seen.show_panel()
    seen.group("data").focus()
    notebook.page.keyboard.press("ArrowDown")
    expect(seen.row("a.bin")).to_be_focused()
    notebook.page.keyboard.press("Space")
    expect(seen.step(seen.row("a.bin"), "resume")).to_be_attached()
    notebook.page.keyboard.press("ArrowUp")
    notebook.page.keyboard.press("ArrowLeft")
    expect(seen.row("a.bin")).to_have_count(0)
    expect(seen.group("data")).to_have_attribute("aria-expanded", "false")


def test_the_status_bar_and_the_title_of_the_tab_count_what_runs(
    open_notebook: OpenNotebook, fault_server: StartFaultServer
):
    server = fault_server({"/a.bin": SLOW})
    notebook = open_notebook([f"%load_ext bgdl_jupyter\n%bgdl {server.url('/a.bin')}"])
    seen = Extension(notebook.page)
    expect(seen.status_item).not_to_be_visible()
    notebook.run_cell(0)
    expect(seen.status_item).to_have_text(re.compile(r"^1 ↓ .*B/s$"))
    expect(notebook.page).to_have_title(re.compile(r"^\(1 ↓\) "))
    seen.status_item.click()
    expect(seen.row("a.bin")).to_be_visible()
    seen.execute("bgdl:pause-all")
    expect(seen.status_item).to_have_text("paused")
    expect(notebook.page).to_have_title(re.compile(r"^(?!\()"))


def test_the_name_of_a_file_is_never_markup(open_notebook: OpenNotebook, fault_server: StartFaultServer):
    """Neither the panel, nor a toast, nor the widgets run what a server puts into a name."""
    name = "<img src=x onerror=window.wasRun=1>"
    disposition = 'attachment; filename="' + name + '"'
    server = fault_server({"/get": FileSpec(size=8_000_000, rate=400_000, content_disposition=disposition)})
    lines = ["%load_ext bgdl_jupyter", f"%bgdl -g '{name}' {server.url('/get')}", "import bgdl_jupyter"]
    notebook = open_notebook(["\n".join(lines), "bgdl_jupyter.default_downloader()"])
    notebook.run_cell(0)
    notebook.run_cell(1)
    seen = Extension(notebook.page)
    panel = seen.show_panel()
    expect(seen.group(name)).to_be_visible()
    expect(seen.toast(name)).to_be_visible()
    expect(panel.locator(".bgdl-mod-operation .bgdl-Row-name", has_text="img src")).to_be_visible()
    expect(notebook.output(1)).to_contain_text("img src")
    assert notebook.page.locator("img[src='x']").count() == 0
    assert notebook.page.evaluate("() => window.wasRun === undefined")


_THOUSANDS = """
%load_ext bgdl_jupyter
import time, bgdl_jupyter
downloader = bgdl_jupyter.default_downloader()
downloader.max_parallel = 2
group = bgdl_jupyter.download_many(["{root}%d.bin" % number for number in range(10_000)], group="many")
"""
_SHOW = """
begun = time.monotonic()
display(downloader)
print("drawn in time" if time.monotonic() - begun < 3 else time.monotonic() - begun)
"""
#: Scroll from the top to the end in sixty steps; the rows that are drawn and the milliseconds of each step.
_SCROLL = """async () => {
    const list = document.querySelector('.bgdl-List');
    const steps = [];
    for (let step = 1; step <= 60; step += 1) {
        const begun = performance.now();
        list.scrollTop = (list.scrollHeight - list.clientHeight) * step / 60;
        await new Promise(requestAnimationFrame);
        await new Promise(requestAnimationFrame);
        const edge = list.getBoundingClientRect();
        const boxes = [...list.querySelectorAll('.bgdl-Row')].map(each => each.getBoundingClientRect());
        const reaches = edge => boxes.some(each => each.top <= edge && each.bottom >= edge);
        const isFilled = reaches(edge.top + 1) && reaches(edge.bottom - 1);
        steps.push([boxes.length, isFilled, performance.now() - begun]);
    }
    return steps;
}"""


@pytest.mark.timeout(180)  # ten thousand records are written
def test_ten_thousand_downloads_draw_what_is_in_sight_and_hold_up_no_cell(
    open_notebook: OpenNotebook, fault_server: StartFaultServer
):
    server = fault_server({f"/{number}.bin": SLOW for number in range(2)})
    notebook = open_notebook([_THOUSANDS.format(root=server.url()), _SHOW])
    seen = Extension(notebook.page)
    panel = seen.show_panel()
    notebook.start_cell(0)
    expect(seen.group("many")).to_contain_text(re.compile("of 10,000"), timeout=90_000)
    notebook.run_cell(1)
    expect(notebook.output(1)).to_contain_text("and 9,980 more")
    expect(notebook.output(1)).to_contain_text("drawn in time")
    assert notebook.output(1).get_by_role("button").count() < 60

    steps = notebook.page.evaluate(_SCROLL)
    assert all(5 < count < 60 for count, _, _ in steps)
    assert all(is_filled for _, is_filled, _ in steps)
    assert sorted(took for _, _, took in steps)[30] < 250  # as a rule two frames; the machine may be busy
    assert panel.locator("*").count() < 1500
    expect(panel.get_by_role("row", name="9999.bin")).to_be_visible()
    panel.get_by_role("row", name="9999.bin").focus()
    notebook.page.keyboard.press("Home")
    expect(seen.group("many")).to_be_focused()


def press(seen: Extension, row: Locator, step: str) -> None:
    """Press a button of a row; some show up only under the mouse."""
    row.hover()
    seen.step(row, step).click()

"""The end of a batch, as a toast in a real JupyterLab."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect

from tests.browser.extension import BUSY, Extension, compute, is_computing
from tests.servers.faults import hold_after
from tests.servers.files import FileSpec

if TYPE_CHECKING:
    from tests.browser.conftest import OpenNotebook
    from tests.browser.lab import Browser, LabServer
    from tests.servers.fixtures import StartFaultServer

pytestmark = pytest.mark.browser

SMALL = FileSpec(size=1000)
#: Four seconds: long enough for a toast that tells the progress.
SHORT = FileSpec(size=1_600_000, rate=400_000)


def many(root: str, *, count: int, group: str) -> str:
    """Return a cell that downloads many files as one batch."""
    return (
        "%load_ext bgdl_jupyter\nimport bgdl_jupyter\n"
        f"uris = ['{root}%d.bin' % number for number in range({count})]\n"
        f"bgdl_jupyter.download_many(uris, group={group!r})"
    )


def test_the_toast_of_a_group_becomes_that_of_its_end_while_a_cell_computes(
    open_notebook: OpenNotebook, fault_server: StartFaultServer
):
    server = fault_server({"/0.bin": SHORT, "/1.bin": SHORT})
    notebook = open_notebook([many(server.url(), count=2, group="data"), BUSY])
    notebook.run_cell(0)
    compute(notebook, 1)
    seen = Extension(notebook.page)
    expect(seen.toast(re.compile("data.*of 2 files", re.DOTALL))).to_be_visible()
    before = seen.toasts.get_attribute("id")
    expect(seen.toasts).to_contain_text(["2 downloads are complete"])
    assert seen.toasts.get_attribute("id") == before
    is_computing(notebook, 1)
    seen.act(seen.toasts, "Show file")
    expect(notebook.page.locator(".jp-DirListing-item.jp-mod-selected")).to_contain_text(re.compile(r"[01]\.bin"))


def test_five_hundred_downloads_end_in_one_toast(open_notebook: OpenNotebook, fault_server: StartFaultServer):
    server = fault_server({f"/{number}.bin": SMALL for number in range(500)})
    notebook = open_notebook([many(server.url(), count=500, group="data")])
    notebook.run_cell(0)
    seen = Extension(notebook.page)
    expect(seen.toast("500 downloads are complete")).to_be_visible()
    expect(seen.toasts).to_have_count(1)


def test_a_failed_batch_says_so_once_and_is_tried_again_from_its_toast(
    open_notebook: OpenNotebook, fault_server: StartFaultServer
):
    server = fault_server({"/0.bin": SMALL, "/1.bin": SMALL})
    notebook = open_notebook([many(server.url(), count=4, group="data"), BUSY])
    notebook.run_cell(0)
    compute(notebook, 1)
    seen = Extension(notebook.page)
    failed = seen.toast("2 of 4 downloads failed")
    expect(failed).to_be_visible()
    expect(seen.toasts).to_have_count(1)
    server.put("/2.bin", SMALL)
    server.put("/3.bin", SMALL)
    seen.act(failed, "Retry failed")
    expect(seen.toast("2 downloads are complete")).to_be_visible()
    expect(failed).to_have_count(0)
    is_computing(notebook, 1)


def test_an_alert_is_not_shown_again_after_a_reload(open_notebook: OpenNotebook, fault_server: StartFaultServer):
    server = fault_server({"/0.bin": SMALL})
    notebook = open_notebook([many(server.url(), count=1, group="data")])
    notebook.run_cell(0)
    seen = Extension(notebook.page)
    expect(seen.toast("Downloaded 0.bin")).to_be_visible()
    notebook.page.reload()
    notebook.wait_until_idle()
    seen.show_panel()
    expect(seen.panel.locator(".bgdl-Alert")).to_contain_text("Downloaded 0.bin")
    assert seen.toasts.count() == 0
    seen.panel.get_by_role("button", name="Dismiss Downloaded 0.bin").click()
    expect(seen.panel.locator(".bgdl-Alert")).to_have_count(0)


def test_alerts_go_only_to_the_notification_center_where_the_user_wants_it(
    lab: LabServer, open_notebook: OpenNotebook, fault_server: StartFaultServer
):
    server = fault_server({"/0.bin": SMALL})
    lab.choose(alerts="center", progress="off")
    notebook = open_notebook([many(server.url(), count=1, group="data")])
    notebook.run_cell(0)
    seen = Extension(notebook.page)
    seen.execute("apputils:display-notifications")
    center = notebook.page.locator(".jp-Notification-Center")
    expect(center).to_contain_text("Downloaded 0.bin")
    assert seen.toasts.count() == 0


#: What the page says and the cell are on their way at the same time.
_WAIT_FOR_REFUSAL = """
import time
downloader, deadline = bgdl_jupyter.default_downloader(), time.monotonic() + 45
while downloader.notification_setting.name == "ENABLED" and time.monotonic() < deadline:
    time.sleep(0.05)
downloader.notification_setting.name"""


def test_the_kernel_knows_that_the_user_wants_nothing_to_pop_up(
    lab: LabServer, open_notebook: OpenNotebook, fault_server: StartFaultServer
):
    server = fault_server({"/0.bin": SMALL})
    lab.choose(alerts="off")
    notebook = open_notebook(
        [many(server.url(), count=1, group="data"), _WAIT_FOR_REFUSAL, "bgdl_jupyter.default_downloader()"]
    )
    notebook.run_cell(0)
    seen = Extension(notebook.page)
    seen.show_panel()
    expect(seen.row("0.bin")).to_be_visible()
    notebook.run_cell(1)
    expect(notebook.output(1)).to_contain_text("DISABLED_FOR_USER", timeout=50_000)
    notebook.run_cell(2)
    # What pops up nowhere is still to be read where the downloads are.
    expect(notebook.output(2)).to_contain_text("Downloaded 0.bin")
    assert seen.toasts.count() == 0


def test_what_an_earlier_kernel_began_is_told_once_as_of_the_time_away(
    open_notebook: OpenNotebook, fault_server: StartFaultServer
):
    server = fault_server({"/0.bin": FileSpec(size=200_000, faults=(hold_after(50_000, until="go"),))})
    notebook = open_notebook([many(server.url(), count=1, group="data")])
    notebook.run_cell(0)
    server.wait_until(lambda: server.body_bytes_sent() >= 50_000)
    seen = Extension(notebook.page)
    notebook.restart_kernel()
    server.wait_until(lambda: len(server.requests("/0.bin")) == 2, 45)  # a kernel has to start meanwhile
    server.events.set("go")
    expect(seen.toast("While you were away: Downloaded 0.bin")).to_be_visible()
    expect(seen.toasts).to_have_count(1)
    notebook.restart_kernel()
    notebook.load()
    seen.show_panel()
    # What the third kernel has is known, and with it that it has no news.
    expect(seen.kernels.or_(seen.row("0.bin")).or_(seen.panel.get_by_text("No downloads")).first).to_be_visible()
    expect(seen.panel.locator(".bgdl-Alert")).to_have_count(0)
    assert seen.toasts.count() == 0


#: The tab is hidden, as far as the page knows, and what is told outside of it is kept.
_HIDE = """() => {
    window.told = [];
    const Real = window.Notification;
    window.Notification = class extends Real {
        constructor(title, options) {
            super(title, options);
            window.told.push(title);
        }
    };
    Object.defineProperty(document, 'hidden', { get: () => true });
}"""


def test_an_alert_is_told_outside_the_page_while_its_tab_is_hidden(
    lab: LabServer, browser: Browser, open_notebook: OpenNotebook, fault_server: StartFaultServer
):
    server = fault_server({"/0.bin": SMALL})
    lab.choose(browserNotifications=True)
    browser.allow("notifications")
    notebook = open_notebook([many(server.url(), count=1, group="data")])
    notebook.page.evaluate(_HIDE)
    notebook.run_cell(0)
    notebook.page.wait_for_function("() => window.told.length === 1")
    assert notebook.page.evaluate("() => window.told") == ["Downloaded 0.bin"]


def test_a_downloader_says_its_own_words(open_notebook: OpenNotebook, fault_server: StartFaultServer):
    server = fault_server({"/0.bin": SMALL})
    code = f"""%load_ext bgdl_jupyter
from bgdl_jupyter import BackgroundDownloader, ToastNotification
downloader = BackgroundDownloader()
downloader.success_toast_notification = ToastNotification("The climate is here", "<b>all</b> of it")
downloader.create_download("{server.url("/0.bin")}", "climate.bin").start()"""
    notebook = open_notebook([code])
    notebook.run_cell(0)
    seen = Extension(notebook.page)
    expect(seen.toast("The climate is here")).to_contain_text("<b>all</b> of it")

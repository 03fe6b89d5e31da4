"""The main job before a person's eyes: a real JupyterLab in a real Chromium."""

from __future__ import annotations

import re
import time
from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect

from tests.browser.lab import TIMEOUT, Browser, LabServer, NotebookPage
from tests.servers.files import FileSpec

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from playwright.sync_api import Locator

    from tests.servers.fault_server import FaultServer
    from tests.servers.fixtures import StartFaultServer

pytestmark = pytest.mark.browser

SLOW = FileSpec(size=400_000_000, rate=8_000_000)
BUSY = "import time\nprint('busy')\nend = time.monotonic() + {seconds}\nwhile time.monotonic() < end: sum(range(500))"
#: What a page would do if a name were not shown as text.
HOSTILE = "<img src=x onerror=document.title='broken'>"


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LabServer]:
    with LabServer(tmp_path_factory.mktemp("lab")) as server:
        yield server


@pytest.fixture
def browser(lab: LabServer) -> Iterator[Browser]:
    with Browser(lab) as browser:
        yield browser


@pytest.fixture
def server(fault_server: StartFaultServer) -> FaultServer:
    return fault_server({f"/{name}.nc": SLOW for name in ("ice", "ocean", "winds")})


def download_cell(server: FaultServer, group: str) -> str:
    uris = [server.url(f"/{name}.nc") for name in ("ice", "ocean", "winds")]
    return (
        f"import bgdl_jupyter\nbgdl_jupyter.default_downloader().max_connections_per_download = 1\n"
        f"group = bgdl_jupyter.download_many({uris!r}, group={group!r})\ngroup"
    )


def widths(output: Locator) -> list[float]:
    """Return how wide the bars are to be, in percent; a page takes a moment to draw them so."""
    bars = output.locator(".progress-bar")
    return [float(bars.nth(index).evaluate("bar => parseFloat(bar.style.width)")) for index in range(bars.count())]


def start_busy_cell(page: NotebookPage, index: int) -> None:
    page.start_cell(index)
    expect(page.output(index)).to_contain_text("busy")


def is_running(page: NotebookPage, index: int) -> bool:
    """Whether a cell computes; the kernel as a whole is idle for a page as soon as one of its subshells is."""
    cell = page.page.locator(".jp-Notebook .jp-Cell").nth(index)
    return "[*]" in cell.locator(".jp-InputPrompt").inner_text()


def wait_until(page: NotebookPage, is_so: Callable[[], bool]) -> None:
    """Wait until what is to be seen fulfills a condition; looked at with every frame that the page draws."""
    deadline = time.monotonic() + TIMEOUT
    while not is_so():
        assert time.monotonic() < deadline, "not in time"
        page.page.evaluate("() => new Promise(requestAnimationFrame)")


def rows_with(output: Locator, button: str) -> Locator:
    return output.get_by_title(button, exact=True)


def test_bars_move_and_buttons_act_while_a_cell_computes(browser: Browser, server: FaultServer, tmp_path: Path):
    cells = ["%load_ext bgdl_jupyter", download_cell(server, "climate"), BUSY.format(seconds=12)]
    page = browser.open_notebook("busy.ipynb", cells)
    page.run_cell(0)
    page.run_cell(1)
    output = page.output(1)
    expect(output.locator(".progress-bar")).to_have_count(4)  # the group's, and three rows
    start_busy_cell(page, 2)
    before = widths(output)
    wait_until(page, lambda: all(now > then for then, now in zip(before, widths(output), strict=True)))
    assert is_running(page, 2)

    rows_with(output, "Pause all of this group").click()
    expect(output).to_contain_text("3 paused")
    expect(rows_with(output, "Resume")).to_have_count(3)
    assert is_running(page, 2)
    still = widths(output)
    rows_with(output, "Resume").first.click()
    wait_until(page, lambda: widths(output)[1] > still[1])
    assert widths(output)[2:] == still[2:]
    page.page.screenshot(path=tmp_path / "busy.png")
    assert is_running(page, 2)


def test_a_saved_panel_is_alive_again_after_a_restart_and_a_reload(browser: Browser, server: FaultServer):
    cells = ["%load_ext bgdl_jupyter", download_cell(server, "restart")]
    page = browser.open_notebook("restart.ipynb", cells)
    page.run_cell(0)
    page.run_cell(1)
    expect(page.output(1).locator(".progress-bar")).to_have_count(4)
    page.save()
    page.restart_kernel()
    page.run_cell(0)
    expect(page.output(0)).to_contain_text("3 downloads restored, 3 running")
    page.load()
    output = page.output(1)
    expect(output.locator(".progress-bar")).to_have_count(4)
    before = widths(output)
    wait_until(page, lambda: all(now > then for then, now in zip(before, widths(output), strict=True)))
    rows_with(output, "Pause all of this group").click()
    expect(output).to_contain_text("3 paused")


def test_a_hostile_name_is_text(browser: Browser, server: FaultServer):
    code = (
        f"import bgdl_jupyter\ngroup = bgdl_jupyter.download_many([dict(uri={server.url('/ice.nc')!r}, "
        f"destination={HOSTILE!r})], group={HOSTILE!r})\nbgdl_jupyter.default_downloader()"
    )
    page = browser.open_notebook("hostile.ipynb", ["%load_ext bgdl_jupyter", code])
    page.run_cell(0)
    page.run_cell(1)
    output = page.output(1)
    expect(output.locator("bdi", has_text=HOSTILE)).to_have_count(2)
    expect(output.locator("img")).to_have_count(0)
    assert "broken" not in page.page.title()


def test_a_narrow_cell_cuts_nothing_off(lab: LabServer, server: FaultServer):
    with Browser(lab, width=640) as browser:
        page = browser.open_notebook("narrow.ipynb", ["%load_ext bgdl_jupyter", download_cell(server, "narrow")])
        page.run_cell(0)
        page.run_cell(1)
        output = page.output(1)
        expect(output).to_contain_text(re.compile(r"MB/s"))
        frame = output.bounding_box()
        assert frame is not None
        for button in ("Pause all of this group", "Cancel all of this group"):
            box = rows_with(output, button).bounding_box()
            assert box is not None
            assert box["x"] + box["width"] <= frame["x"] + frame["width"]

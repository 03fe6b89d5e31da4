"""
Take the pictures of the documentation from the real thing: JupyterLab in Chromium, downloads from a server beside it.

Run it after a change of what is to be seen: ``python docs/make_pictures.py``. It needs the extra `test`, Chromium
and the lab extension as an installation builds it, and writes into ``docs/pictures``.
"""

from __future__ import annotations

import contextlib
import re
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal

ROOT: Final = Path(__file__).resolve().parent.parent
PICTURES: Final = Path(__file__).resolve().parent / "pictures"

sys.path.insert(0, str(ROOT))  # this checkout, whatever is installed

from tests.browser.extension import Extension  # noqa: E402 (found by the line above)
from tests.browser.lab import Browser, LabServer, NotebookPage  # noqa: E402 (as above)
from tests.servers.fault_server import FaultServer  # noqa: E402 (as above)
from tests.servers.faults import chunked  # noqa: E402 (as above)
from tests.servers.files import FileSpec  # noqa: E402 (as above)

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

#: Years, and how many bytes a second come of each over one connection.
_YEARS: Final = {1990: 60_000_000, 1991: 8_000_000, 1992: 2_000_000, 1993: 1_000_000}
_SIZE: Final = 240_000_000
_SITE: Final = "import os\nsite = os.environ['SITE']\n"
_DOWNLOAD: Final = """\
from bgdl_jupyter import default_downloader, download, download_many

years = [f"{site}/temperature-{year}.nc" for year in range(1990, 1995)]
climate = download_many(years, group="climate")
stations = download(f"{site}/stations.json")
default_downloader()"""
_BUSY: Final = """\
while True:  # the kernel is busy, and the downloads go on
    sum(range(1_000))"""
_CELLS: Final = ("%load_ext bgdl_jupyter", _DOWNLOAD, _BUSY)
_MARGIN: Final = 8


def _routes() -> dict[str, FileSpec]:
    files = {f"/temperature-{year}.nc": FileSpec(size=_SIZE, rate=rate) for year, rate in _YEARS.items()}
    return files | {"/stations.json": FileSpec(size=_SIZE, rate=1_500_000, faults=(chunked(65_536),))}


Theme = Literal["light", "dark"]


def take_panel(name: str, theme: Theme, width: int) -> None:
    """Take a picture of the panel under its cell, while the next cell computes."""
    with _notebook(theme, width, 1000, has_extension=False) as page:
        page.run_cell(0)
        page.page.evaluate("() => window.jupyterapp.commands.execute('application:toggle-left-area')")
        _act(page)
        _shoot(page, PICTURES / name, cells=(0, 1, 2))


def take_lab(name: str, theme: Theme) -> None:
    """Take a picture of the whole page: the side panel, toasts, the status bar."""
    with _notebook(theme, 1400, 860, has_extension=True) as page:
        page.run_cell(0)
        seen = Extension(page.page)
        seen.show_panel()
        _act(page)
        seen.toast("climate").wait_for()
        page.page.screenshot(path=PICTURES / name)


@contextlib.contextmanager
def _notebook(theme: Theme, width: int, height: int, *, has_extension: bool) -> Iterator[NotebookPage]:
    with tempfile.TemporaryDirectory() as folder, FaultServer(_routes()) as server:
        env = {"SITE": server.url("").rstrip("/")}
        lab = LabServer(Path(folder), theme=theme, env=env, has_extension=has_extension)
        startup = Path(folder) / ".jupyter-of-the-test" / "ipython" / "profile_default" / "startup"
        startup.mkdir(parents=True)
        (startup / "site.py").write_text(_SITE, encoding="utf-8")
        with lab, Browser(lab, width=width, height=height) as browser:
            yield browser.open_notebook("climate.ipynb", _CELLS)


def _act(page: NotebookPage) -> None:
    page.start_cell(1)
    page.output(1).get_by_text(re.compile("[1-4] of 5 done")).wait_for()
    row = page.output(1).locator(".widget-box", has_text="temperature-1992").last
    row.get_by_title("Pause", exact=True).click()
    page.output(1).get_by_text("paused by you").wait_for()
    page.page.mouse.move(0, 0)
    page.start_cell(2)
    page.page.wait_for_timeout(4000)  # the plots are of a few seconds


def _shoot(page: NotebookPage, path: Path, cells: Sequence[int]) -> None:
    boxes = [page.page.locator(".jp-Notebook .jp-Cell").nth(index).bounding_box() for index in cells]
    found = [box for box in boxes if box is not None]
    left, top = min(box["x"] for box in found), min(box["y"] for box in found)
    right = max(box["x"] + box["width"] for box in found)
    bottom = max(box["y"] + box["height"] for box in found)
    clip = {
        "x": left - _MARGIN,
        "y": top - _MARGIN,
        "width": right - left + 2 * _MARGIN,
        "height": bottom - top + 2 * _MARGIN,
    }
    path.parent.mkdir(exist_ok=True)
    page.page.screenshot(path=path, clip=clip)  # type: ignore[arg-type]  # a dict of these four, as it asks for


def main() -> None:
    """Take all pictures."""
    take_panel("panel.png", "light", 1100)
    take_panel("panel_dark.png", "dark", 1100)
    take_lab("lab.png", "light")
    take_lab("lab_dark.png", "dark")


if __name__ == "__main__":
    main()

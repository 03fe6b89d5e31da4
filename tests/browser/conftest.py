"""A JupyterLab with the lab extension for all tests, and for each of them a browser that remembers nothing."""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import pytest

from tests.browser.lab import Browser, LabServer, NotebookPage
from tests.counterparts import require

if TYPE_CHECKING:
    from collections.abc import Iterator

#: One connection a download, so that the rate of a file is that of its download.
_ENV = {"BGDL_MAX_CONNECTIONS_PER_DOWNLOAD": "1"}

OpenNotebook = Callable[..., NotebookPage]


@pytest.fixture(scope="session")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LabServer]:
    """Return a JupyterLab that has the lab extension."""
    require("chromium")
    folder = tmp_path_factory.mktemp("lab")
    home = tmp_path_factory.mktemp("home-of-the-lab")
    with LabServer(folder, env={**_ENV, "HOME": str(home)}, has_extension=True) as server:
        yield server


@pytest.fixture(scope="module")
def chromium(lab: LabServer) -> Iterator[Browser]:
    """Return a Chromium for the tests of a module."""
    from playwright.sync_api import expect

    expect.set_options(timeout=20_000)
    with Browser(lab) as browser:
        yield browser


@pytest.fixture
def browser(chromium: Browser) -> Iterator[Browser]:
    """
    Return a browser without a past; the kernels that the test started end with it.

    A test in whose pages our extension broke has failed, whatever it saw.
    """
    yield chromium
    problems = [each for page in chromium.pages for each in page.own_problems]
    chromium.forget()
    chromium.server.choose()
    end_kernels(chromium.server)
    assert problems == []


@pytest.fixture
def open_notebook(browser: Browser, request: pytest.FixtureRequest) -> OpenNotebook:
    """
    Open notebooks in a folder of the test: `open_notebook(["1 + 1"], name="other.ipynb", app="notebooks")`.

    Each try of a test has a folder of its own: a notebook would take up the downloads of the try before.
    """
    folder = f"{request.node.name}-{getattr(request.node, 'execution_count', 1)}"

    def open_it(cells: Sequence[str], name: str = "demo.ipynb", app: str = "lab/tree") -> NotebookPage:
        return browser.open_notebook(f"{folder}/{name}", cells, app=app)

    return open_it


def end_kernels(server: LabServer) -> None:
    """Shut down every kernel of a server: the next page would show its downloads, too."""
    with urllib.request.urlopen(f"{server.url}/api/kernels") as answer:  # noqa: S310 (our own server)
        kernels = json.load(answer)
    for kernel in kernels:
        request = urllib.request.Request(f"{server.url}/api/kernels/{kernel['id']}", method="DELETE")  # noqa: S310
        urllib.request.urlopen(request).close()  # noqa: S310

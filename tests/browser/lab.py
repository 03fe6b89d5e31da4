"""
A real JupyterLab in a real Chromium.

::

    with LabServer(folder) as server, Browser(server) as browser:
        page = browser.open_notebook("demo.ipynb", ["1 + 1"])
        page.run_cell(0)

The server has folders of its own, so that nothing of whoever runs the tests is read or written. Chromium is the
machine's; Playwright only speaks to it.
"""

from __future__ import annotations

import contextlib
import json
import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Self

import nbformat
from playwright.sync_api import sync_playwright

from tests.counterparts import require

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from playwright.sync_api import Locator, Page

ROOT = Path(__file__).parents[2]
TIMEOUT = 30.0
_CHROMIUM = (
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
)
_SETTINGS = {"@jupyterlab/apputils-extension/notification.jupyterlab-settings": {"fetchNews": "false"}}
_IS_READY = """() => {
    const context = window.jupyterapp?.shell?.currentWidget?.sessionContext;
    const kernel = context?.session?.kernel;
    return kernel?.connectionStatus === 'connected' && kernel?.status === 'idle';
}"""


@dataclass(slots=True)
class LabServer:
    """
    A JupyterLab server.

    Parameters
    ----------
    folder:
        What it serves, and where everything that it writes goes.
    env:
        Added to the environment of the server and its kernels.
    theme:
        The theme of JupyterLab.
    has_extension:
        Whether the lab extension, as it was built, is installed.
    """

    folder: Path
    env: Mapping[str, str] | None = None
    theme: Literal["light", "dark"] = "light"
    has_extension: bool = False
    url: str = field(init=False)
    _process: subprocess.Popen[bytes] = field(init=False, repr=False)

    def __enter__(self) -> Self:
        port = _free_port()
        self.url = f"http://127.0.0.1:{port}"
        self._write_settings()
        log = (self._own / "server.log").open("wb")
        with log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", *self._program(port)],
                cwd=self.folder,
                env=self._environment(),
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        try:
            self._wait_until_it_answers()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._process.terminate()
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    @property
    def _own(self) -> Path:
        folder = self.folder / ".jupyter-of-the-test"
        folder.mkdir(exist_ok=True)
        return folder

    def choose(self, **choices: object) -> None:
        """Have settings of the lab extension hold from the next page on; without any, the defaults."""
        path = self._own / "settings" / "bgdl-jupyter" / "settings.jupyterlab-settings"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(choices))

    def _program(self, port: int) -> list[str]:
        return [
            "jupyterlab",
            "--no-browser",
            "--allow-root",
            f"--port={port}",
            "--ServerApp.ip=127.0.0.1",
            "--ServerApp.port_retries=0",
            "--IdentityProvider.token=",
            "--ServerApp.password=",
            "--ServerApp.disable_check_xsrf=True",
            f"--ServerApp.root_dir={self.folder}",
            "--expose-app-in-browser",
            "--JupyterNotebookApp.expose_app_in_browser=True",
            f"--LabApp.extra_labextensions_path={self._extensions()}",
        ]

    def _extensions(self) -> Path:
        folder = self._own / "labextensions"
        folder.mkdir(exist_ok=True)
        if self.has_extension:
            (folder / "bgdl-jupyter").symlink_to(ROOT / "bgdl_jupyter" / "labextension")
        return folder

    def _environment(self) -> dict[str, str]:
        own = self._own
        folders = {
            "JUPYTER_CONFIG_DIR": "config",
            "JUPYTER_DATA_DIR": "data",
            "JUPYTER_RUNTIME_DIR": "runtime",
            "IPYTHONDIR": "ipython",
            "JUPYTERLAB_SETTINGS_DIR": "settings",
            "JUPYTERLAB_WORKSPACES_DIR": "workspaces",
        }
        path = os.pathsep.join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH"))))
        return {
            **os.environ,
            **{name: str(own / folder) for name, folder in folders.items()},
            "BGDL_STATE_FILE": str(own / "state.sqlite3"),
            "PYTHON_KEYRING_BACKEND": "keyring.backends.fail.Keyring",
            "PYDEVD_DISABLE_FILE_VALIDATION": "1",
            "PYTHONPATH": path,
            **(self.env or {}),
        }

    def _write_settings(self) -> None:
        theme = {"theme": f"JupyterLab {self.theme.capitalize()}"}
        settings = {**_SETTINGS, "@jupyterlab/apputils-extension/themes.jupyterlab-settings": theme}
        # Where the package is installed, the server finds the extension without us.
        config = {"disabledExtensions": {} if self.has_extension else {"bgdl-jupyter": True}}
        (self._own / "config" / "labconfig").mkdir(parents=True, exist_ok=True)
        (self._own / "config" / "labconfig" / "page_config.json").write_text(json.dumps(config))
        for name, value in settings.items():
            path = self._own / "settings" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(json.dumps(value))

    def _wait_until_it_answers(self) -> None:
        deadline = time.monotonic() + TIMEOUT
        while time.monotonic() < deadline:
            if self._process.poll() is not None:
                break
            if self._answers():
                return
            time.sleep(0.1)  # a program that starts tells nobody when it listens
        raise AssertionError(f"the server did not start: {(self._own / 'server.log').read_text()[-2000:]}")

    def _answers(self) -> bool:
        try:
            urllib.request.urlopen(f"{self.url}/api", timeout=2).close()  # noqa: S310 (our own server)
        except urllib.error.HTTPError:
            return True
        except (urllib.error.URLError, ConnectionError, TimeoutError):
            return False
        return True


@dataclass(slots=True)
class VoilaServer(LabServer):
    """A Voila server, which shows the outputs of a notebook that it runs."""

    def _program(self, port: int) -> list[str]:
        return [
            "voila",
            "--no-browser",
            f"--port={port}",
            "--Voila.ip=127.0.0.1",
            "--port_retries=0",
            "--token=",
            str(self.folder),
        ]


@dataclass(slots=True)
class Browser:
    """Chromium, pointed at a server."""

    server: LabServer
    width: int = 1200
    height: int = 900
    pages: list[NotebookPage] = field(default_factory=list, init=False)
    """The notebooks that were opened since the browser was last new."""
    _stack: contextlib.ExitStack = field(default_factory=contextlib.ExitStack, init=False, repr=False)
    _chromium: Any = field(init=False, repr=False)
    _context: Any = field(init=False, repr=False)

    def __enter__(self) -> Self:
        chromium = require("chromium")
        playwright = self._stack.enter_context(sync_playwright())
        self._chromium = playwright.chromium.launch(executable_path=str(chromium), headless=True, args=[*_CHROMIUM])
        self._stack.callback(self._chromium.close)
        self._begin()
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def forget(self) -> None:
        """Close every page, and be as a browser that was never used."""
        self._context.close()
        self.pages.clear()
        self._begin()

    def _begin(self) -> None:
        self._context = self._chromium.new_context(viewport={"width": self.width, "height": self.height})
        self._context.set_default_timeout(TIMEOUT * 1000)

    def allow(self, *permissions: str) -> None:
        """Grant permissions to the pages, as a person would who is asked: "notifications"."""
        self._context.grant_permissions([*permissions], origin=self.server.url)

    @contextlib.contextmanager
    def another(self) -> Iterator[Browser]:
        """Use the Chromium of this browser as another browser, which knows nothing of the first."""
        other = Browser(self.server, self.width, self.height)
        other._chromium = self._chromium
        other._begin()
        try:
            yield other
        finally:
            other._context.close()

    def open(self, url: str) -> NotebookPage:
        """Open a notebook that is there already."""
        notebook_page = NotebookPage(self._context.new_page(), url)
        self.pages.append(notebook_page)
        notebook_page.load()
        return notebook_page

    def open_dashboard(self, name: str, cells: Sequence[str]) -> Page:
        """Write a notebook into the folder of a Voila server and open what it makes of it."""
        self._write(name, cells)
        page: Page = self._context.new_page()
        page.goto(f"{self.server.url}/voila/render/{name}")
        return page

    def open_notebook(self, name: str, cells: Sequence[str], *, app: str = "lab/tree") -> NotebookPage:
        """
        Write a notebook into the server's folder and open it, its kernel running.

        `app` is "lab/tree", or "notebooks" for Notebook 7.
        """
        self._write(name, cells)
        return self.open(f"{self.server.url}/{app}/{name}?reset")

    def _write(self, name: str, cells: Sequence[str]) -> None:
        notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in cells])
        notebook.metadata.kernelspec = {"name": "python3", "display_name": "Python 3", "language": "python"}
        path = self.server.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        nbformat.write(notebook, path)


@dataclass(slots=True)
class NotebookPage:
    """A notebook that is open in JupyterLab."""

    page: Page
    url: str
    problems: list[str] = field(default_factory=list)
    """What the page wrote to its console as an error, and the errors that nobody caught, with where they came from."""

    def __post_init__(self) -> None:
        self.page.on("console", lambda each: self.problems.append(each.text) if each.type == "error" else None)
        self.page.on("pageerror", lambda each: self.problems.append(each.stack or str(each)))

    @property
    def own_problems(self) -> list[str]:
        """Those of the problems in which our extension has a part."""
        return [each for each in self.problems if "bgdl" in each]

    def load(self) -> None:
        """Load the page, or load it again, and wait for the kernel."""
        self.page.goto(self.url)
        self.wait_until_idle()

    def wait_until_idle(self) -> None:
        """Wait until the kernel is connected and has nothing to do."""
        self.page.wait_for_function(_IS_READY, timeout=TIMEOUT * 1000)

    def start_cell(self, index: int) -> None:
        """Run a cell and do not wait."""
        self.page.evaluate(
            """index => {
                window.jupyterapp.shell.currentWidget.content.activeCellIndex = index;
                window.jupyterapp.commands.execute('notebook:run-cell');
            }""",
            index,
        )

    def run_cell(self, index: int) -> None:
        """Run a cell to its end."""
        self.start_cell(index)
        self.page.wait_for_function(
            """index => {
                const cell = window.jupyterapp.shell.currentWidget.content.widgets[index];
                const kernel = window.jupyterapp.shell.currentWidget.sessionContext.session.kernel;
                return cell.model.executionCount > 0 && kernel.status === 'idle';
            }""",
            arg=index,
        )

    @property
    def status(self) -> str:
        """What the kernel is doing: "busy", "idle", …."""
        return str(
            self.page.evaluate("() => window.jupyterapp.shell.currentWidget.sessionContext.session.kernel.status")
        )

    def save(self) -> None:
        """Save the notebook."""
        self.page.evaluate("() => window.jupyterapp.commands.execute('docmanager:save')")

    def restart_kernel(self) -> None:
        """Restart the kernel as the menu does, without the question."""
        self.page.evaluate("() => window.jupyterapp.shell.currentWidget.sessionContext.session.kernel.restart()")
        self.wait_until_idle()

    def output(self, index: int) -> Locator:
        """Return the output of a cell."""
        return self.page.locator(".jp-Notebook .jp-Cell").nth(index).locator(".jp-Cell-outputArea")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port

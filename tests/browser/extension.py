"""
What a person sees of the lab extension: toasts, the side panel, the item of the status bar.

::

    seen = Extension(notebook.page)
    seen.toast("data").button("Pause").click()
    seen.show_panel()
    seen.row("a.bin").locator(".bgdl-Row-line")
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from playwright.sync_api import expect

if TYPE_CHECKING:
    from playwright.sync_api import Locator, Page

    from tests.browser.lab import NotebookPage

# The entries of the notification center are drawn as toasts, too.
_TOASTS = ".Toastify__toast-container .Toastify__toast"


@dataclass(frozen=True, slots=True)
class Extension:
    """The lab extension in a page."""

    page: Page

    # ---------------------------------------------------------------------------------------------------- toasts

    @property
    def toasts(self) -> Locator:
        """The toasts on show."""
        return self.page.locator(_TOASTS)

    def toast(self, text: str | re.Pattern[str]) -> Locator:
        """Return the toasts that say something."""
        return self.page.locator(_TOASTS, has_text=text)

    def act(self, toast: Locator, label: str) -> None:
        """Press a button of a toast."""
        toast.get_by_role("button", name=label, exact=True).click()

    # ---------------------------------------------------------------------------------------------- the side panel

    @property
    def panel(self) -> Locator:
        """The side panel."""
        return self.page.locator("#bgdl-downloads")

    def show_panel(self) -> Locator:
        """Show the side panel, by its command."""
        self.execute("bgdl:show")
        self.panel.wait_for()
        return self.panel

    def row(self, name: str) -> Locator:
        """Return the row of an operation."""
        return self._row("operation", name)

    def group(self, name: str) -> Locator:
        """Return the row of a group."""
        return self._row("group", name)

    @property
    def kernels(self) -> Locator:
        """The headings of kernels."""
        return self.panel.locator(".bgdl-Row.bgdl-mod-kernel")

    def step(self, row: Locator, step: str) -> Locator:
        """Return a button of a row: "pause", "resume", "cancel", "retry", "clear"."""
        return row.locator(f'[data-step="{step}"]')

    def _row(self, kind: str, name: str) -> Locator:
        exactly = self.page.locator(".bgdl-Row-name", has_text=re.compile(f"^{re.escape(name)}$"))
        return self.panel.locator(f".bgdl-Row.bgdl-mod-{kind}").filter(has=exactly)

    # ------------------------------------------------------------------------------------------------------- others

    @property
    def status_item(self) -> Locator:
        """The item of the status bar."""
        return self.page.locator(".bgdl-StatusItem-button")

    def execute(self, command: str) -> None:
        """Execute a command of JupyterLab and do not wait: it may open a dialog."""
        self.page.evaluate("command => { window.jupyterapp.commands.execute(command); }", command)


#: A cell that computes until its kernel ends.
BUSY = "while True:\n    sum(range(1000))"


def is_computing(notebook: NotebookPage, cell: int) -> None:
    """Check that a cell has not come to its end; the status of the kernel is also that of its comms."""
    prompt = notebook.page.locator(".jp-Notebook .jp-Cell").nth(cell).locator(".jp-InputPrompt")
    expect(prompt).to_have_text("[*]:")


def compute(notebook: NotebookPage, cell: int) -> None:
    """Start a cell that does not end by itself, and wait until it runs."""
    notebook.start_cell(cell)
    notebook.page.wait_for_function(
        "() => window.jupyterapp.shell.currentWidget.sessionContext.session.kernel.status === 'busy'"
    )

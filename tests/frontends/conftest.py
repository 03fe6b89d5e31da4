"""A real IPython shell with the magics, for the tests of what stands in a cell, and a real kernel for those of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest
from IPython.core.interactiveshell import InteractiveShell
from traitlets.config import Config

from bgdl_jupyter.frontends import magics
from tests.frontends.kernel_cells import SETUP, run
from tests.kernels import RealKernel

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bgdl_jupyter.model.downloader import BackgroundDownloader


@dataclass(frozen=True, slots=True)
class Cells:
    """A shell in which a test runs cells."""

    shell: InteractiveShell
    capture: pytest.CaptureFixture[str]

    def run(self, cell: str) -> Any:
        """Run a cell and return its result; what it raises is raised here."""
        result = self.shell.run_cell(cell)
        result.raise_error()
        return result.result

    def refusal(self, cell: str) -> str:
        """Run a cell that is to be refused, and return all that is printed about it."""
        self.capture.readouterr()
        result = self.shell.run_cell(cell)
        assert result.error_in_exec is not None
        printed = self.capture.readouterr()
        return str(printed.out + printed.err).strip()

    def set(self, **variables: object) -> None:
        """Set variables of the notebook."""
        self.shell.push(variables)

    def get(self, name: str) -> Any:
        """Return a variable of the notebook."""
        return self.shell.user_ns[name]


@pytest.fixture
def cells(downloader: BackgroundDownloader, capsys: pytest.CaptureFixture[str]) -> Iterator[Cells]:
    """Return a shell that has the magics; its downloads are those of the fixture `downloader`."""
    shell = InteractiveShell(config=Config(HistoryManager={"enabled": False}))
    magics.register(shell)
    yield Cells(shell, capsys)
    magics.unregister(shell)


@pytest.fixture(scope="module")
def shared_kernel(tmp_path_factory) -> Iterator[RealKernel]:
    with RealKernel(env={"HOME": str(tmp_path_factory.mktemp("home"))}) as kernel:
        yield kernel


@pytest.fixture
def kernel(shared_kernel) -> Iterator[RealKernel]:
    """Give the test the kernel that many use one after the other, with a place of its own that is given back."""
    run(shared_kernel, "%reset -f")
    run(shared_kernel, SETUP + "place = kernel.provide_place()")
    yield shared_kernel
    run(shared_kernel, "place.stop(5)")

"""Runs that nobody watches: plain scripts, asyncio scripts, papermill and nbconvert; each is a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import nbformat
import pytest

from tests.integrations.conftest import BODY, LARGE
from tests.servers.files import FileSpec

if TYPE_CHECKING:
    from tests.servers.fault_server import FaultServer
    from tests.servers.fixtures import StartFaultServer

ROOT = Path(__file__).parents[2]
#: A run that hangs at its end takes longer than this.
DEADLINE = 90.0

pytestmark = pytest.mark.timeout(120)


def run(folder: Path, *command: str | Path) -> subprocess.CompletedProcess[str]:
    """Run Python in a folder, without a display and without a terminal."""
    environment = {name: value for name, value in os.environ.items() if name not in ("DISPLAY", "WAYLAND_DISPLAY")}
    return subprocess.run(
        [sys.executable, *command],
        cwd=folder,
        env=environment | {"PYTHONPATH": str(ROOT)},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=DEADLINE,
        check=False,
    )


def notebook(folder: Path, *cells: str) -> Path:
    """Write a notebook, and return its path; the first cell holds its parameters."""
    made = nbformat.v4.new_notebook(
        cells=[nbformat.v4.new_code_cell(cell) for cell in cells],
        metadata={"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}},
    )
    made.cells[0].metadata["tags"] = ["parameters"]
    path = folder / "report.ipynb"
    nbformat.write(made, path)
    return path


# ------------------------------------------------------------------------------------------------------------- scripts


def test_a_plain_script_waits_and_ends(files: FaultServer, tmp_path: Path) -> None:
    script = f"""
import bgdl_jupyter
operation = bgdl_jupyter.download({files.url("/a.bin")!r}, "data/").wait()
print(operation.result_file.stat().st_size)
"""
    done = run(tmp_path, "-c", script)
    assert (done.returncode, done.stdout, done.stderr) == (0, f"{len(BODY)}\n", "")


def test_a_script_with_asyncio_awaits_on_its_own_loop(files: FaultServer, tmp_path: Path) -> None:
    script = f"""
import asyncio, bgdl_jupyter
async def main():
    group = bgdl_jupyter.download_many([{files.url("/a.bin")!r}, {files.url("/large.bin")!r}], group="data")
    await group
    print(sorted(each.size for each in group.operations))
asyncio.run(main())
"""
    done = run(tmp_path, "-c", script)
    assert (done.returncode, done.stdout, done.stderr) == (0, f"[{len(BODY)}, {LARGE}]\n", "")


def test_a_script_whose_download_fails_says_why_and_exits_with_1(files: FaultServer, tmp_path: Path) -> None:
    script = f"""
import bgdl_jupyter
bgdl_jupyter.download({files.url("/nothing.bin")!r}).wait()
"""
    done = run(tmp_path, "-c", script)
    assert done.returncode == 1
    assert "404" in done.stderr.strip().splitlines()[-1]


def test_a_script_that_does_not_wait_ends_at_once_and_its_download_goes_on_in_the_next(
    fault_server: StartFaultServer, tmp_path: Path
) -> None:
    server = fault_server({"/a.bin": FileSpec(size=LARGE, rate=2 * LARGE)})
    start = f"import bgdl_jupyter; bgdl_jupyter.download({server.url('/a.bin')!r}, 'a.bin')"
    done = run(tmp_path, "-c", start)
    assert (done.returncode, done.stderr) == (0, "")
    assert not (tmp_path / "a.bin").exists()
    rest = "import bgdl_jupyter; [each.wait() for each in bgdl_jupyter.default_downloader().get_current_downloads()]"
    done = run(tmp_path, "-c", rest)
    assert (done.returncode, done.stderr) == (0, "")
    assert (tmp_path / "a.bin").stat().st_size == LARGE


def test_threads_of_a_script_may_wait_each_for_its_own(files: FaultServer, tmp_path: Path) -> None:
    script = f"""
import bgdl_jupyter
from concurrent.futures import ThreadPoolExecutor
def fetch(name):
    return bgdl_jupyter.download({files.url("/")!r} + name, name).wait().size
with ThreadPoolExecutor(2) as threads:
    print(sorted(threads.map(fetch, ["a.bin", "large.bin"])))
"""
    done = run(tmp_path, "-c", script)
    assert (done.returncode, done.stdout, done.stderr) == (0, f"[{len(BODY)}, {LARGE}]\n", "")


# ----------------------------------------------------------------------------------------------------------- notebooks

FETCH = """
import bgdl_jupyter
operation = bgdl_jupyter.download(uri, "a.bin")
operation
"""
COUNT = """
print(operation.wait().size)
"""


@pytest.mark.kernel
def test_papermill_runs_a_notebook_that_downloads(files: FaultServer, tmp_path: Path) -> None:
    made = notebook(tmp_path, "uri = ''", FETCH, COUNT)
    done = run(tmp_path, "-m", "papermill", made, "out.ipynb", "-p", "uri", files.url("/a.bin"), "--no-progress-bar")
    assert done.returncode == 0, done.stderr
    cells = nbformat.read(tmp_path / "out.ipynb", as_version=4).cells
    assert any(output.get("text") == f"{len(BODY)}\n" for cell in cells for output in cell.get("outputs", []))
    assert (tmp_path / "a.bin").read_bytes() == BODY


@pytest.mark.kernel
def test_a_download_that_fails_ends_the_papermill_run_with_its_error(files: FaultServer, tmp_path: Path) -> None:
    made = notebook(tmp_path, "uri = ''", FETCH, COUNT, "print('not reached')")
    uri = files.url("/nothing.bin")
    done = run(tmp_path, "-m", "papermill", made, "out.ipynb", "-p", "uri", uri, "--no-progress-bar")
    assert done.returncode != 0
    assert "HttpStatusError" in done.stderr
    assert "404" in done.stderr
    last = nbformat.read(tmp_path / "out.ipynb", as_version=4).cells[-1]
    assert not last.outputs


@pytest.mark.kernel
def test_nbconvert_executes_a_notebook_that_downloads(files: FaultServer, tmp_path: Path) -> None:
    """Awaited in a cell, this time; the saved notebook shows how the download went to who has no kernel."""
    uri = files.url("/a.bin")
    made = notebook(tmp_path, f"uri = {uri!r}", "%load_ext bgdl_jupyter", FETCH, "print((await operation).size)")
    done = run(tmp_path, "-m", "nbconvert", "--to", "html", "--execute", made)
    assert done.returncode == 0, done.stderr
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert str(len(BODY)) in page
    assert "a.bin" in page


@pytest.mark.kernel
def test_a_notebook_that_waits_for_nothing_ends_its_run_at_once(fault_server: StartFaultServer, tmp_path: Path) -> None:
    """What it started goes on when the notebook is run again."""
    server = fault_server({"/a.bin": FileSpec(size=LARGE, rate=LARGE // 4)})
    made = notebook(tmp_path, f"uri = {server.url('/a.bin')!r}", FETCH)
    done = run(tmp_path, "-m", "nbconvert", "--to", "notebook", "--execute", "--stdout", made)
    assert done.returncode == 0, done.stderr
    assert not (tmp_path / "a.bin").exists()

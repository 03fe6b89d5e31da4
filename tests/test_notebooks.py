"""The notebooks run from the first cell to the last, offline, and are kept without their outputs."""

from __future__ import annotations

import re
import shutil
from typing import TYPE_CHECKING, Any

import nbformat
import pytest
from nbclient import NotebookClient

from tests.kernels import ROOT

if TYPE_CHECKING:
    from pathlib import Path

NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
#: What a cell of a notebook shows at the least, by the notebook's name; a notebook that downloads nothing fails here.
SHOWN = {
    "cluster": ("4 of 4 shards done", "00000003.parquet", "\n400", "sent again: 0 bytes"),
    "completion_groups": ("'2 files are here'",),
    "data_libraries": ("Name: height, dtype: float64", "20000", "[True, False]", "19999", "all of them:", "\n3"),
    "groups_and_priorities": ("the last one: whenever", "max_rate: 5.0 MB/s"),
    "manifests": (
        "line 4: line 1 has the same URI",
        "leads out of the folder with '..'",
        "sent again: 0 bytes",
        "('winds.nc', 'DIGEST')",
        "ERROR",
        "1 failed, 1 repaired, whole: True",
    ),
    "notifications": ("['COMPLETED', 'COMPLETED']", "'DISABLED_FOR_APPLICATION'", "alerts: enabled"),
    "quickstart": ("MB came while this cell computed", "winds of today.nc", "True", "loop: subshell"),
    "random_access": ("The tail is right: True", "is there: True", "'60,000,000 bytes in order'"),
    "recoverable_errors": (
        "FORBIDDEN: ",
        "PAUSED_RECOVERABLE_WEB_ERROR_STATUS",
        "<ocean.nc · completed",
        "<ice.nc · comp",
    ),
    "reordering": ("chapter1 chapter4 chapter5 chapter2 chapter3",),
    "request_body": ("(True, ", "<again.json · completed"),
    "surviving_a_restart": ("1 download restored, 1 running", "The file is the same: True"),
}
named = pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a folder for the notebook, with a state file of its own beside it."""
    folder = tmp_path / "notebooks"
    folder.mkdir()
    monkeypatch.setenv("BGDL_STATE_FILE", str(tmp_path / "state" / "state.sqlite3"))
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    return folder


def executed(path: Path, folder: Path) -> Any:
    """Run a copy of a notebook, and return it; what a cell raises is raised here."""
    copy = folder / path.name
    shutil.copy(path, copy)
    notebook = nbformat.read(copy, as_version=4)
    NotebookClient(notebook, timeout=100, resources={"metadata": {"path": str(folder)}}).execute()
    return notebook


def shown(notebook: Any) -> str:
    """Return all that the cells printed or displayed as text."""
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", ())]
    texts = [output.get("text") or output.get("data", {}).get("text/plain", "") for output in outputs]
    return "\n".join(texts)


@pytest.mark.kernel
@named
def test_the_notebook_runs_to_its_end(path: Path, folder: Path):
    text = shown(executed(path, folder))
    assert [each for each in SHOWN[path.stem] if each not in text] == []


@named
def test_the_notebook_is_kept_without_outputs(path: Path):
    notebook = nbformat.read(path, as_version=4)
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert all(cell.outputs == [] and cell.execution_count is None for cell in code)
    nbformat.validate(notebook)


@named
def test_the_notebook_asks_no_server_but_its_own(path: Path):
    """It is offline: whoever runs it may have no network."""
    code = "\n".join(cell.source for cell in nbformat.read(path, as_version=4).cells if cell.cell_type == "code")
    hosts = re.findall(r"(?:https?|ftps?)://([\w.-]+)", code)
    assert set(hosts) <= {"127.0.0.1", "localhost"}


@named
def test_every_notebook_says_what_it_shows_at_the_least(path: Path):
    assert SHOWN[path.stem]

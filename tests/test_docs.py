"""The pages say what is so: their code runs as it stands, their links lead somewhere, and no public name is missing."""

from __future__ import annotations

import doctest
import inspect
import os
import re
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import nbformat
import pytest
from nbclient import NotebookClient

import bgdl_jupyter
from bgdl_jupyter.frontends.sample_server import SampleServer
from tests.kernels import ROOT
from tests.public_api import SNAPSHOT, snapshot
from tests.test_public_api import MEMBERS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.servers.fixtures import StartFtpServer

DOCS = ROOT / "docs"
PAGES = sorted(path for path in DOCS.rglob("*.md") if not {"_build", "notebooks"} & set(path.relative_to(DOCS).parts))
RUNNABLE = [DOCS / "tutorial.md", *sorted((DOCS / "how_to").glob("*.md"))]
API = "\n".join(path.read_text("utf-8") for path in sorted((DOCS / "api").glob("*.md")))
FILES = {"climate.tar": 12_000_000, **{f"{year}.nc": 2_000_000 for year in range(2001, 2007)}}
RATE = 4_000_000
_PIECE = re.compile(r"^% (restart|not run)\b.*$|^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"\]\(([^)\s]+)\)")


@dataclass(frozen=True, slots=True)
class Cell:
    """What a page has a reader run, and what it says that this prints."""

    code: str
    prints: str | None = None


def sessions_of(text: str) -> list[list[Cell]]:
    """Return the cells of a page, those of each kernel apart."""
    sessions: list[list[Cell]] = [[]]
    is_skipped = False
    for mark, language, code in _PIECE.findall(text):
        if mark == "restart":
            sessions.append([])
        elif mark:
            is_skipped = True
        elif language == "text":
            sessions[-1][-1] = Cell(sessions[-1][-1].code, code)
        elif is_skipped:
            is_skipped = False
        elif language == "python":
            sessions[-1].append(Cell(code))
        elif language == "console":
            sessions[-1].append(Cell(f"%%bash\n{code}"))
    return sessions


def run(cells: list[Cell], folder: Path) -> list[str]:
    """Run cells in a kernel of their own, and return what does not print what it should; what raises is raised."""
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell.code) for cell in cells])
    NotebookClient(notebook, timeout=60, resources={"metadata": {"path": str(folder)}}).execute()
    wrong = []
    for cell, ran in zip(cells, notebook.cells, strict=True):
        printed = "".join(output["text"] for output in ran.outputs if output.get("name") == "stdout")
        if cell.prints is not None and printed.split() != cell.prints.split():
            wrong.append(f"{cell.code}\nprints\n{printed}\nand not\n{cell.prints}")
    return wrong


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the folder of a reader who has just begun."""
    folder = tmp_path / "reader"
    folder.mkdir()
    monkeypatch.setenv("BGDL_STATE_FILE", str(tmp_path / "state" / "state.sqlite3"))
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.setenv("PATH", f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
    return folder


@pytest.fixture
def server() -> Iterator[SampleServer]:
    """Serve what the pages call https://data.example."""
    with SampleServer(FILES, rate=RATE) as server:
        yield server


@pytest.fixture
def addresses(server: SampleServer, ftp_server: StartFtpServer) -> dict[str, str]:
    """Return where the hosts of the pages are."""
    ftp = ftp_server()
    (ftp.root / "pub").mkdir()
    (ftp.root / "pub" / "climate.tar").write_bytes(b"".join(server.pieces("climate.tar")))
    return {"https://data.example/": server.url(), "ftp://data.example/": ftp.url("/")}


def with_addresses(text: str, addresses: dict[str, str]) -> str:
    """Return a page as if its hosts were those of the test."""
    for name, address in addresses.items():
        text = text.replace(name, address)
    return text


@pytest.mark.kernel
@pytest.mark.parametrize(
    "page", [page for page in RUNNABLE if any(sessions_of(page.read_text("utf-8")))], ids=lambda page: page.stem
)
def test_what_a_page_has_its_reader_run_runs_and_prints_what_it_says(
    page: Path, folder: Path, addresses: dict[str, str]
):
    sessions = sessions_of(with_addresses(page.read_text("utf-8"), addresses))
    assert [problem for cells in sessions for problem in run(cells, folder)] == []


@pytest.mark.kernel
def test_the_examples_of_the_reference_run(folder: Path, server: SampleServer):
    """Those in the docstrings of the public names, one after the other in one kernel."""
    parser = doctest.DocTestParser()
    names = ["BackgroundDownloader", *(name for name in bgdl_jupyter.__all__ if name != "BackgroundDownloader")]
    docstrings = [inspect.getdoc(getattr(bgdl_jupyter, name)) or "" for name in names]
    examples = [example for docstring in docstrings for example in parser.get_examples(docstring)]
    begin = Cell("from bgdl_jupyter import *")
    cells = [Cell(each.source, each.want or None) for each in examples]
    assert len(cells) > 5
    address = server.url()
    given = [Cell(cell.code.replace("https://data.example/", address), cell.prints) for cell in [begin, *cells]]
    assert run(given, folder) == []


def test_a_page_that_says_what_is_not_so_is_found(folder: Path):
    [cells] = sessions_of("```python\nprint(1 + 1)\n```\n\n```text\n3\n```\n")
    [problem] = run(cells, folder)
    assert "prints\n2\n\nand not\n3" in problem


@pytest.mark.parametrize("page", [*PAGES, ROOT / "README.md"], ids=lambda page: page.relative_to(ROOT).as_posix())
def test_every_link_of_a_page_leads_to_what_exists(page: Path):
    text = re.sub(r"^```.*?^```$", "", page.read_text("utf-8"), flags=re.MULTILINE | re.DOTALL)
    targets = [target for target in _LINK.findall(text) if "://" not in target]
    missing = []
    for target in targets:
        name, _, anchor = target.partition("#")
        # The notebooks are brought into the folder of the pages when these are made.
        path = (page.parent / name).resolve() if name else page
        path = ROOT / path.relative_to(DOCS) if path.is_relative_to(DOCS / "notebooks") else path
        if not path.exists() or (anchor and anchor not in anchors_of(path)):
            missing.append(target)
    assert missing == []


def anchors_of(page: Path) -> set[str]:
    """Return the anchors of a page's headings, as MyST makes them."""
    headings = re.findall(r"^#+ (.+)$", page.read_text("utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("name", bgdl_jupyter.__all__)
def test_every_public_name_is_in_the_reference(name: str):
    assert re.search(rf"^\.\. auto(class|exception|function):: {name}$", API, re.MULTILINE)


@pytest.mark.parametrize("name", ["BackgroundDownloader", "BackgroundTransferGroup", "DownloadOperation"])
def test_every_promised_member_is_in_the_reference(name: str):
    listed = re.search(rf"autoclass:: {name}\n   :members: (.*?)(?:\n   :|\n```)", API, re.DOTALL)
    assert listed
    assert set(MEMBERS[name].split()) - set(re.findall(r"\w+", listed.group(1))) == set()


def test_every_setting_is_in_the_reference():
    listed = re.search(r"autoclass:: BackgroundDownloader\n   :members: (.*?)\n   :", API, re.DOTALL)
    assert listed
    settings = set(bgdl_jupyter.BackgroundDownloader.class_trait_names(config=True))
    assert settings - set(re.findall(r"\w+", listed.group(1))) == set()


def test_signatures_are_those_that_were_promised():
    """After a change that is meant: ``python -m tests.public_api``; it lists the members that `docs/api` documents."""
    assert snapshot() == SNAPSHOT.read_text("utf-8")

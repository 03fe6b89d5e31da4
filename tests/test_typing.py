"""The public names have types that a strict checker can rely on; `tests/data/typed_user.py` asserts each."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import bgdl_jupyter

ROOT = Path(__file__).parents[1]
USER = ROOT / "tests" / "data" / "typed_user.py"


def checked(program: Path) -> subprocess.CompletedProcess[str]:
    """Run mypy as a user does who has the package installed."""
    command = [sys.executable, "-m", "mypy", "--strict", "--no-error-summary", str(program)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=110, check=False)


def test_a_strict_program_of_a_user_is_right():
    verdict = checked(USER)
    assert (verdict.returncode, verdict.stdout) == (0, "")


def test_what_is_misspelled_or_of_a_wrong_type_is_found(tmp_path: Path):
    """A package whose names were of any type would pass the test above, too."""
    program = tmp_path / "wrong.py"
    program.write_text(
        "from bgdl_jupyter import BackgroundDownloader, Downloader, download\n"
        'download("https://data.example/a", colision="fail_if_exists")\n'
        'download("https://data.example/a").paus()\n'
        'BackgroundDownloader().max_parallel = "many"\n'
        'download("https://data.example/a").progress.status.nme\n'
    )
    verdict = checked(program)
    for number, kind in enumerate(("attr-defined", "call-arg", "attr-defined", "assignment", "attr-defined"), 1):
        [line] = [line for line in verdict.stdout.splitlines() if f"wrong.py:{number}: error" in line]
        assert line.endswith(f"[{kind}]")


@pytest.mark.parametrize("name", bgdl_jupyter.__all__)
def test_a_type_checker_knows_the_name(name: str):
    """`__getattr__` gives the names when the program runs; a checker reads the imports beside it."""
    tree = ast.parse((ROOT / "bgdl_jupyter" / "__init__.py").read_text("utf-8"))
    imports = {
        alias.asname: node.module
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
        if alias.asname
    }
    assert getattr(bgdl_jupyter, name).__module__ == imports[name]

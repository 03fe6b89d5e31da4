"""The lab extension as files: what must never be in it, and its own tests where Node is on the machine."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
LAB = ROOT / "labextension"
SOURCES = sorted(path for path in (LAB / "src").rglob("*") if path.suffix in {".ts", ".tsx"})


def read(path: Path) -> str:
    return path.read_text(encoding="utf-8")


def test_both_sides_have_one_version():
    package = json.loads(read(LAB / "package.json"))
    project = tomllib.loads(read(ROOT / "pyproject.toml"))
    assert package["version"] == project["project"]["version"]


def test_the_lock_file_names_no_registry():
    assert "://" not in read(LAB / "yarn.lock")


def test_the_python_package_owns_the_extension():
    assert json.loads(read(LAB / "install.json"))["packageName"] == "bgdl_jupyter"


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.name)
def test_nothing_is_interpreted_as_markup_or_code(path):
    """Names and errors come from servers: they are text nodes, and nothing else."""
    for door in ("innerHTML", "outerHTML", "insertAdjacentHTML", "dangerouslySetInnerHTML", "eval(", "document.write"):
        assert door not in read(path)
    assert not re.search(r"[:<|,]\s*any\b|\bas any\b|\bany\[\]", strip_comments(read(path)))


def strip_comments(source: str) -> str:
    return re.sub(r"/\*.*?\*/|//[^\n]*", "", source, flags=re.DOTALL)


def test_no_command_takes_an_argument():
    """A saved notebook can hold buttons that run commands: ours do nothing that the output could choose."""
    commands = [found for path in SOURCES for found in re.findall(r"\bexecute: (async )?(\(.*?\)) =>", read(path))]
    assert commands
    assert {arguments for _, arguments in commands} == {"()"}


def test_styles_are_our_own_classes_on_the_themes_variables():
    style = re.sub(r"/\*.*?\*/", "", read(LAB / "style" / "base.css"), flags=re.DOTALL)
    selectors = re.findall(r"(?m)^\s*([.#a-z][^{};]*?)\s*\{", style)
    assert all(part.strip().startswith((".bgdl-", "from", "to")) for each in selectors for part in each.split(","))
    assert not re.search(r"#[0-9a-fA-F]{3,8}\b|\brgba?\(|\bhsla?\(", style)
    assert all(name.startswith("--jp-") for name in re.findall(r"var\((--[a-z0-9-]+)", style))


def test_its_own_tests_pass():
    """Protocol against the shared examples, model, connection, toasts, rows, format."""
    node = shutil.which("node")
    compiler = LAB / "node_modules" / "typescript" / "bin" / "tsc"
    if node is None or not compiler.exists():
        pytest.skip("needs Node, and labextension/node_modules: jlpm install")
    # The tests find the shared examples from where they are compiled to.
    built = LAB / "build-tests"
    subprocess.run([node, compiler, "-p", "tsconfig.test.json"], cwd=LAB, check=True, timeout=100)
    tests = sorted((built / "tests").glob("*.test.js"))
    assert tests
    ran = subprocess.run([node, "--test", *tests], cwd=LAB, capture_output=True, text=True, timeout=100, check=False)
    assert ran.returncode == 0, ran.stdout[-4000:]

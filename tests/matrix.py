"""
The kernel's tests with other versions of ipykernel, each in an environment of its own.

::

    python -m tests.matrix              # all rows
    python -m tests.matrix 6.29         # one
    python -m tests.matrix --keep DIR   # and use its environments again the next time

Other options are pytest's. The rows are those between which ipykernel changed what we rest on: 6.29 has no subshells,
7.1 has them, and from 7.4 on a comm says where it is heard. An environment has what the package and these tests need,
and neither JupyterLab nor a browser.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import tomllib
import venv
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Sequence

ROOT: Final = Path(__file__).resolve().parents[1]
#: What is different from version to version: the loop, the routing of clicks, the end, the comm, the question.
TESTS: Final = (
    "test_kernel.py",
    "test_kernel_commands.py",
    "test_kernel_end.py",
    "test_magics.py",
    "test_magics_in_a_kernel.py",
    "test_magics_subcommands.py",
    "test_comm.py",
    "test_consent.py",
    "test_widgets.py",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """
    A row of the matrix.

    Parameters
    ----------
    name:
        What it is called on the command line.
    requirements:
        What is asked of pip in addition to what the package asks for.
    """

    name: str
    requirements: tuple[str, ...]


ROWS: Final = (
    Row(name="6.29", requirements=("ipykernel==6.29.*",)),
    Row(name="7.1", requirements=("ipykernel==7.1.*",)),
    Row(name="newest", requirements=("ipykernel>=7.4",)),
)
#: What these tests need of the extra `test`.
_FOR_TESTS: Final = frozenset(
    {
        "cryptography",
        "hypothesis",
        "jupyter-client",
        "psutil",
        "pyftpdlib",
        "pyopenssl",
        "pytest",
        "pytest-asyncio",
        "pytest-rerunfailures",
        "pytest-timeout",
        "pytest-xdist",
        "trustme",
    }
)


def make(row: Row, folder: Path) -> Path:
    """Make the environment of a row in a folder, unless it is there; returns its Python."""
    python = folder / ("Scripts" if os.name == "nt" else "bin") / "python"
    if not python.exists():
        venv.create(folder, with_pip=True)
        asked = [*row.requirements, *_requirements()]
        subprocess.run([python, "-m", "pip", "install", "--quiet", *asked], check=True)
    return python


def run(row: Row, python: Path, options: Sequence[str]) -> bool:
    """Run the tests of the kernel in an environment; returns whether they passed."""
    versions = (
        "import ipykernel, ipywidgets; print('ipykernel', ipykernel.__version__, 'ipywidgets', ipywidgets.__version__)"
    )
    subprocess.run([python, "-c", versions], check=True)
    tests = [str(ROOT / "tests" / "frontends" / name) for name in TESTS]
    command = [str(python), "-m", "pytest", "-q", "-p", "no:cacheprovider", *options, *tests]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    return subprocess.run(command, cwd=ROOT, env=environment, check=False).returncode == 0


def _requirements() -> list[str]:
    """Return what the package needs, and these tests, as the metadata has it."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    extra = project["optional-dependencies"]["test"]
    return [*project["dependencies"], *(each for each in extra if _name(each) in _FOR_TESTS)]


def _name(requirement: str) -> str:
    return requirement.partition(">")[0].partition("[")[0].strip()


def main() -> int:
    """Make the environments, run the tests in each, and say which passed."""
    parser = argparse.ArgumentParser(prog="python -m tests.matrix", description="The kernel's tests by ipykernel.")
    names = [row.name for row in ROWS]
    parser.add_argument("rows", nargs="*", help=f"of {', '.join(names)}; without any, all")
    parser.add_argument("--keep", type=Path, metavar="DIR", help="where the environments are kept")
    arguments, options = parser.parse_known_args()
    unknown = set(arguments.rows) - set(names)
    if unknown:
        parser.error(f"There is no row {', '.join(sorted(unknown))}; there are {', '.join(names)}.")
    with tempfile.TemporaryDirectory(prefix="bgdl-matrix-") as folder:
        place: Path = arguments.keep or Path(folder)
        rows = [row for row in ROWS if not arguments.rows or row.name in arguments.rows]
        outcome = {row.name: run(row, make(row, place / row.name), options) for row in rows}
    for name, has_passed in outcome.items():
        sys.stdout.write(f"ipykernel {name}: {'passed' if has_passed else 'FAILED'}\n")
    return 0 if all(outcome.values()) else 1


if __name__ == "__main__":
    sys.exit(main())

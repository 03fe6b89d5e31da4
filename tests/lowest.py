"""
The lowest versions that `pyproject.toml` admits, in an environment of their own.

``python -m tests.lowest [FOLDER]`` makes the environment in a folder (``.venv-lowest``), asks pip for the floors, and
runs the tests of the public names, of downloads, and of a kernel. It ends with their exit status.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tomllib
import venv
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[1]
#: What the tests below need beside the package; the newest that goes with the floors.
TOOLS: Final = (
    "cryptography",
    "hypothesis",
    "pyftpdlib>=2",
    "pyopenssl",
    "pytest",
    "pytest-asyncio",
    "pytest-rerunfailures",
    "pytest-timeout",
    "pytest-xdist",
    "trustme",
)
TESTS: Final = (
    "tests/test_public_api.py",
    "tests/model/test_downloader.py",
    "tests/model/test_downloader_duplicates.py",
    "tests/model/test_downloader_limits.py",
    "tests/model/test_downloader_names.py",
    "tests/frontends/test_kernel.py",
    "tests/frontends/test_kernel_commands.py",
    "tests/frontends/test_kernel_end.py",
)
#: ipykernel 6 has no subshells: these are of the kernels that do.
LEFT_OUT: Final = "not subshell"


def floors(requirements: list[str]) -> list[str]:
    """Return the lowest version of each requirement, as pip takes it."""
    return [f"{match[1]}=={match[2]}" for each in requirements if (match := re.match(r"([\w.-]+)>=([\w.]+)", each))]


def main(arguments: list[str]) -> int:
    """Make the environment, say what is in it, and run the tests."""
    folder = Path(arguments[0]) if arguments else ROOT / ".venv-lowest"
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    wanted = floors(project["dependencies"])
    venv.create(folder, with_pip=True, clear=True)
    python = str(folder / ("Scripts" if os.name == "nt" else "bin") / "python")
    install = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    subprocess.run([*install, "--editable", str(ROOT), *wanted, *TOOLS], check=True)
    print(*wanted, sep="\n", flush=True)  # noqa: T201 (a program)
    # jupyter_core 5 warns of its own folders, and warnings are errors in the tests.
    environment = {**os.environ, "JUPYTER_PLATFORM_DIRS": "1", "PYTHONPATH": str(ROOT)}
    tests = [python, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-k", LEFT_OUT, *TESTS]
    return subprocess.run(tests, cwd=ROOT, env=environment, check=False).returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

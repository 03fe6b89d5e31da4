"""What is uploaded: complete, with nothing that does not belong in it, and installed without Node."""

from __future__ import annotations

import email
import json
import os
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from pathlib import Path, PurePosixPath

import pytest

from tests.counterparts import is_ci
from tests.lowest import floors
from tests.test_house import tracked_files

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
ASSETS = ROOT / "bgdl_jupyter" / "labextension"
SHARED = "share/jupyter/labextensions/bgdl-jupyter"
FOREIGN = {"tests", "notebooks", "node_modules", "docs", "benchmarks", "__pycache__", ".venv", ".ci"}


def is_made() -> bool:
    """Whether the lab extension is built, and not older than its sources; as `hatch_build.py` sees it."""
    sources = [path for name in ("src", "style", "schema") for path in (ROOT / "labextension" / name).rglob("*.*")]
    package = ASSETS / "package.json"
    return package.is_file() and package.stat().st_mtime >= max(path.stat().st_mtime for path in sources)


def made(kind: str, folder: Path, *, source: Path = ROOT, path: str | None = None) -> Path:
    """Build with the tools of this environment, and return what came of it."""
    if not is_made():
        report = pytest.fail if is_ci() else pytest.skip
        report("the lab extension here is older than its sources: pip install -e .")
    command = [sys.executable, "-m", "build", "--no-isolation", f"--{kind}", "--outdir", str(folder), str(source)]
    environment = os.environ if path is None else {**os.environ, "PATH": path}
    ran = subprocess.run(command, capture_output=True, text=True, timeout=100, check=False, env=environment)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    [file] = folder.glob("*.whl" if kind == "wheel" else "*.tar.gz")
    return file


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return made("wheel", tmp_path_factory.mktemp("wheel"))


@pytest.fixture(scope="module")
def sdist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return made("sdist", tmp_path_factory.mktemp("sdist"))


def names_in(wheel: Path) -> set[str]:
    with zipfile.ZipFile(wheel) as archive:
        return {name for name in archive.namelist() if not name.endswith("/")}


def names_in_source(sdist: Path) -> set[str]:
    """Return the files below the one folder of a source distribution."""
    with tarfile.open(sdist) as archive:
        return {member.name.partition("/")[2] for member in archive if member.isfile()}


def of_the_package() -> set[str]:
    """Return what git keeps of the package."""
    names = {path.relative_to(ROOT).as_posix() for path in tracked_files()}
    return {name for name in names if name.startswith("bgdl_jupyter/")}


def built_assets() -> set[str]:
    return {path.relative_to(ASSETS).as_posix() for path in ASSETS.rglob("*") if path.is_file()}


def test_the_wheel_has_the_package_its_types_its_license_and_the_extension(wheel: Path):
    names = names_in(wheel)
    assert of_the_package() - names == set()
    assert "bgdl_jupyter/py.typed" in names
    assert any(name.endswith(".dist-info/licenses/LICENSE") for name in names)
    shared = {name.partition(f"/{SHARED}/")[2] for name in names if f"/{SHARED}/" in name}
    assert shared == built_assets() | {"install.json"}


def test_the_wheel_has_nothing_else(wheel: Path):
    names = names_in(wheel)
    assert {name for name in names if FOREIGN & set(PurePosixPath(name).parts)} == set()
    version = PROJECT["version"]
    roots = {PurePosixPath(name).parts[0] for name in names}
    assert roots == {"bgdl_jupyter", f"bgdl_jupyter-{version}.dist-info", f"bgdl_jupyter-{version}.data"}
    assert {PurePosixPath(name).suffix for name in names} & {".map", ".ts", ".tsx", ".pyc", ".ipynb"} == set()


def test_the_source_distribution_has_what_git_keeps_and_what_node_made(sdist: Path):
    names = names_in_source(sdist)
    kept = {path.relative_to(ROOT).as_posix() for path in tracked_files()}
    built = {f"bgdl_jupyter/labextension/{name}" for name in built_assets()}
    assert kept - names == set()
    assert names >= built
    assert {
        name for name in names if {"node_modules", "_build", "__pycache__"} & set(PurePosixPath(name).parts)
    } == set()


def test_the_source_distribution_becomes_the_same_wheel_without_node(sdist: Path, wheel: Path, tmp_path: Path):
    with tarfile.open(sdist) as archive:
        archive.extractall(tmp_path, filter="data")
    [source] = tmp_path.iterdir()
    nowhere = tmp_path / "no programs"
    nowhere.mkdir()
    again = made("wheel", tmp_path / "again", source=source, path=str(nowhere))
    assert names_in(again) == names_in(wheel)


def test_what_is_uploaded_is_accepted(wheel: Path, sdist: Path):
    command = [sys.executable, "-m", "twine", "check", "--strict", str(wheel), str(sdist)]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert (ran.returncode, ran.stdout.count("PASSED")) == (0, 2), ran.stdout + ran.stderr


def test_the_metadata_says_what_the_project_says(wheel: Path):
    with zipfile.ZipFile(wheel) as archive:
        [name] = [name for name in archive.namelist() if name.endswith(".dist-info/METADATA")]
        metadata = email.message_from_bytes(archive.read(name))
    assert (metadata["Name"], metadata["Version"]) == ("bgdl-jupyter", PROJECT["version"])
    assert metadata["Requires-Python"] == ">=3.11"
    assert metadata["License-Expression"] == "BSD-3-Clause"
    assert "Typing :: Typed" in metadata.get_all("Classifier", [])
    assert metadata["Description-Content-Type"] == "text/markdown"
    assert json.loads((ASSETS / "package.json").read_text("utf-8"))["version"] == metadata["Version"]


def test_every_dependency_has_a_floor_that_can_be_tried():
    """``python -m tests.lowest`` installs exactly these."""
    assert len(floors(PROJECT["dependencies"])) == len(PROJECT["dependencies"])

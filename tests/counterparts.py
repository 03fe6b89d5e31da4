"""
The real programs that tests talk to, and what happens where one is missing.

A test that needs one says `require("nginx")` and gets the path of the executable. Where the program is missing the test
is skipped with the reason, and the end of the run lists it; with `CI=true` it fails: the gate cannot pass by skipping.

`python3 -m tests.counterparts` prints the Debian packages that are missing here; it needs nothing but Python.
"""

from __future__ import annotations

import functools
import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

# Debian keeps servers here, outside the PATH of ordinary users.
_SYSTEM_PLACES = "/usr/local/sbin:/usr/sbin:/sbin"
_VERSION = re.compile(r"\d+(?:\.\d+)+")


@dataclass(frozen=True, slots=True, kw_only=True)
class Counterpart:
    """A program that is not installed by pip, and how to know and get it."""

    name: str
    package: str
    """The Debian packages, separated by spaces."""
    executables: tuple[str, ...]
    """Names or absolute paths, the best first."""
    version: tuple[str, ...] = ("--version",)
    """Arguments that make it print its version."""
    must_answer: bool = False
    """Whether it is there only if it can print its version: modules of an interpreter."""


COUNTERPARTS = {
    counterpart.name: counterpart
    for counterpart in (
        Counterpart(name="nginx", package="nginx-light", executables=("nginx",), version=("-v",)),
        Counterpart(name="chromium", package="chromium", executables=("chromium", "chromium-browser", "google-chrome")),
        Counterpart(name="squid", package="squid", executables=("squid",), version=("-v",)),
        Counterpart(name="htpasswd", package="apache2-utils", executables=("htpasswd",), version=()),
        Counterpart(name="gnome-keyring-daemon", package="gnome-keyring", executables=("gnome-keyring-daemon",)),
        Counterpart(name="dbus-run-session", package="dbus dbus-daemon", executables=("dbus-run-session",)),
        Counterpart(
            name="dbusmock",
            package="python3-dbusmock",
            executables=("/usr/bin/python3",),
            version=("-c", "import dbusmock; print(dbusmock.__version__)"),
            must_answer=True,
        ),
        Counterpart(name="strace", package="strace", executables=("strace",), version=("-V",)),
        Counterpart(name="gcc", package="gcc libc6-dev", executables=("gcc",)),
        Counterpart(name="curl", package="curl", executables=("curl",)),
        Counterpart(name="git", package="git", executables=("git",)),
    )
}


def require(name: str) -> Path:
    """
    Return the executable of the counterpart, for a test that cannot do without it.

    Where it is missing, skips the test (or the module, if called there); with `CI=true`, fails it.
    Raises `KeyError` for a name that is not in `COUNTERPARTS`.
    """
    import pytest  # the list of packages is printed before pytest is installed

    counterpart = COUNTERPARTS[name]
    executable = find(name)
    if executable is not None:
        return executable
    reason = f"{name} is not on this machine (Debian: apt-get install {counterpart.package})"
    if is_ci():
        pytest.fail(f"{reason}; with CI=true every counterpart has to be there", pytrace=False)
    raise pytest.skip.Exception(reason, allow_module_level=True)


def is_ci() -> bool:
    """Whether this run is the gate, where nothing may be missing."""
    return os.environ.get("CI", "").lower() in {"1", "true"}


@functools.cache
def find(name: str) -> Path | None:
    """Return where the counterpart's executable is, or None."""
    counterpart = COUNTERPARTS[name]
    places = os.pathsep.join((os.environ.get("PATH", os.defpath), _SYSTEM_PLACES))
    for executable in counterpart.executables:
        found = shutil.which(executable, path=places)
        if found and (not counterpart.must_answer or _run(found, *counterpart.version).returncode == 0):
            return Path(found)
    return None


def version(name: str) -> str:
    """Return the version that the counterpart tells, or an empty string where it tells none."""
    counterpart, executable = COUNTERPARTS[name], find(name)
    if executable is None or not counterpart.version:
        return ""
    answer = _run(str(executable), *counterpart.version)
    match = _VERSION.search(answer.stdout + answer.stderr)
    return match.group() if match else ""


def report() -> Iterator[str]:
    """Yield a line for each counterpart: where and which, or how to get it."""
    for name, counterpart in COUNTERPARTS.items():
        executable = find(name)
        if executable is None:
            yield f"NOT FOUND  {name}: its tests did not run (Debian: apt-get install {counterpart.package})"
        else:
            yield " ".join(filter(None, ("found     ", name, version(name), f"({executable})")))


def missing_packages() -> list[str]:
    """Return the Debian packages of the counterparts that are not on this machine."""
    missing = [counterpart.package for name, counterpart in COUNTERPARTS.items() if find(name) is None]
    return sorted({package for packages in missing for package in packages.split()})


def _run(*command: str) -> subprocess.CompletedProcess[str]:
    try:
        return subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        return subprocess.CompletedProcess(command, returncode=1, stdout="", stderr=str(error))


if __name__ == "__main__":
    sys.stdout.write(" ".join(missing_packages()) + "\n")

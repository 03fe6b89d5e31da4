"""What the numbers were taken on: absolute ones hold for this machine only."""

from __future__ import annotations

import datetime as dt
import importlib.metadata
import os
import platform
import shutil
import subprocess
import tempfile
from typing import Final

import psutil

from benchmarks.peers.libraries import peer_environment

_VERSIONS: Final = {
    "curl": ("curl", "--version"),
    "aria2": ("aria2c", "--version"),
    "wget2": ("wget2", "--version"),
    "axel": ("axel", "--version"),
    "nginx": ("nginx", "-v"),
}


def describe() -> dict[str, str]:
    """Return the machine and the versions of everything that took part."""
    described = {
        "date": dt.datetime.now(dt.UTC).date().isoformat(),
        "system": f"{platform.system()} {platform.release()}, {platform.machine()}, {os.cpu_count()} cores",
        "memory": f"{os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES') / 2**30:.0f} GiB",
        "file system": _file_system(),
        "Python": platform.python_version(),
    }
    described |= {name: version for name in ("bgdl-jupyter", "aiohttp", "ipykernel") if (version := _installed(name))}
    described |= {name: _first_line(command) for name, command in _VERSIONS.items() if shutil.which(command[0])}
    return described | peer_environment().versions()


def busy_share(seconds: float = 1.0) -> float:
    """Look so long at what the processors do while nothing of ours runs; return the share of them that is at work."""
    return psutil.cpu_percent(interval=seconds) / 100


def stolen_seconds() -> float:
    """Return the seconds of the processors that the host of a virtual machine gave to others; 0 where none says."""
    return float(getattr(psutil.cpu_times(), "steal", 0.0))


def _installed(name: str) -> str | None:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None


def _first_line(command: tuple[str, ...]) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    lines = (done.stdout + done.stderr).strip().splitlines()
    words = lines[0] if lines else "unknown"
    return next((word for word in words.replace("/", " ").split() if word[0].isdigit()), words)


def _file_system() -> str:
    """Return the type of the file system that temporary files are on."""
    command = ["stat", "-f", "-c", "%T", tempfile.gettempdir()]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return done.stdout.strip() or "unknown"

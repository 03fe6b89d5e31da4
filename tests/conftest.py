"""What holds for every test: a home of its own, no proxy but the test's, and a last word on missing counterparts."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import hypothesis
import pytest

from tests.counterparts import is_ci, report

if TYPE_CHECKING:
    from pathlib import Path

pytest_plugins = ["tests.servers.fixtures", "tests.downloads"]

# Two busy cores make single examples slow now and then, which says nothing about the code.
hypothesis.settings.register_profile("everywhere", deadline=None)
# The gate must say the same about the same commit each time.
hypothesis.settings.register_profile("gate", deadline=None, derandomize=True)
hypothesis.settings.load_profile("gate" if is_ci() else "everywhere")

_OURS = ("BGDL_", "JPY_SESSION_NAME", "JUPYTER_", "IPYTHONDIR")


@pytest.fixture(autouse=True)
def home(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """
    Give the test, and the processes it starts, an empty home.

    Without it a test would find the downloads, the configuration and the credentials of whoever runs it.
    """
    home = tmp_path_factory.mktemp("home")
    for name in list(os.environ):
        if name.startswith(_OURS) or name.lower().endswith("_proxy"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("USERPROFILE", str(home))
    for variable, folder in {
        "XDG_CACHE_HOME": ".cache",
        "XDG_CONFIG_HOME": ".config",
        "XDG_DATA_HOME": ".local/share",
        "XDG_STATE_HOME": ".local/state",
    }.items():
        monkeypatch.setenv(variable, str(home / folder))
    # A test that wants a vault names one; none may open the vault of whoever runs the tests.
    monkeypatch.setenv("PYTHON_KEYRING_BACKEND", "keyring.backends.fail.Keyring")
    return home


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say which real counterparts the tests met, and which they had to do without."""
    terminalreporter.section("real counterparts")
    for line in report():
        terminalreporter.line(line, yellow=line.startswith("NOT FOUND"))

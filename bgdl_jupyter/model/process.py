"""
The one runner of a process.

It is kept where reloading or importing this package a second time finds it again: two engines in one process would
write the same files.
"""

from __future__ import annotations

import os
import sys
import threading
import types
from typing import TYPE_CHECKING, Final, cast

from bgdl_jupyter.model.application import present_application, state_file_path
from bgdl_jupyter.model.history import forget_history
from bgdl_jupyter.model.host import PlacePreference, host
from bgdl_jupyter.model.runner import Runner
from bgdl_jupyter.storage.state_file import StateFile
from bgdl_jupyter.storage.vault import Vault

if TYPE_CHECKING:
    from pathlib import Path

    from bgdl_jupyter.engine.loop import Place


_KEPT_IN: Final = "_bgdl_jupyter_process"


class _Process(types.ModuleType):
    """What is one of its kind in a process; a forked child makes its own."""

    def __init__(self) -> None:
        super().__init__(_KEPT_IN)
        self.lock = threading.Lock()
        self.runner: Runner | None = None
        self.pid = os.getpid()


def _process() -> _Process:
    kept = sys.modules.get(_KEPT_IN)
    if kept is None or cast("_Process", kept).pid != os.getpid():
        kept = sys.modules[_KEPT_IN] = _Process()
    return cast("_Process", kept)


def existing_runner() -> Runner | None:
    """Return the runner, None before the first use."""
    return _process().runner


def current_runner(loop: PlacePreference = "auto", state_file: Path | None = None) -> Runner:
    """
    Return the runner of this process, started at the first use.

    Parameters
    ----------
    loop, state_file:
        Where to run and where to keep the state; they count at the first use.

    Raises
    ------
    StateFileError
        The state file's folder cannot be trusted.
    BackgroundTransferError
        The loop that was asked for cannot be had.
    """
    process = _process()
    with process.lock:
        if process.runner is None:
            process.runner = _start(host().provide_place(loop), state_file or state_file_path())
        return process.runner


def _start(place: Place, state_file: Path) -> Runner:
    state = StateFile.open(state_file, application=present_application())
    runner = place.call(Runner, place, state, Vault())
    host().on_shutdown(_flush)
    runner.place.spawn(forget_history(runner), name="forget what is long over")
    return runner


def _flush(seconds: float) -> None:
    """Make everything durable before the process ends."""
    process = _process()
    runner, process.runner = process.runner, None
    if runner is not None:
        runner.shut_down(seconds)


def shut_down(seconds: float = 5.0) -> None:
    """End all transfers with their bytes durable, and forget the runner; the next use starts another one."""
    _flush(seconds)

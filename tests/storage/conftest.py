"""State files for tests, opened by this process or by others, and a partial file, all closed at the end."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING

import pytest

from bgdl_jupyter.storage.partial_file import PartialFile
from bgdl_jupyter.storage.state_file import StateFile
from tests.storage.kernel_process import DEADLINE, KernelProcess
from tests.storage.partial_files import GUID

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "state" / "state.sqlite3"


@pytest.fixture
def open_state(path: Path) -> Iterator[Callable[..., StateFile]]:
    states: list[StateFile] = []

    def open_state(application: str = "/a.ipynb", **options) -> StateFile:
        states.append(StateFile.open(path, application=application, **options))
        return states[-1]

    yield open_state
    for state in states:
        assert state.close(DEADLINE)


@pytest.fixture
def state(open_state: Callable[..., StateFile]) -> StateFile:
    return open_state()


@pytest.fixture
def start_kernel(path: Path) -> Iterator[Callable[..., KernelProcess]]:
    kernels: list[KernelProcess] = []

    def start_kernel(application: str = "/a.ipynb") -> KernelProcess:
        kernels.append(KernelProcess(path, application))
        return kernels[-1]

    yield start_kernel
    for kernel in kernels:
        kernel.end()


@pytest.fixture
def until() -> Callable[[StateFile, Callable[[], bool]], None]:
    """Return what lets the thread of a state file work until something is true."""

    def until(state: StateFile, is_true: Callable[[], bool]) -> None:
        deadline = time.monotonic() + DEADLINE
        while not is_true():
            assert time.monotonic() < deadline
            state.flush(DEADLINE)

    return until


@pytest.fixture
def umask():
    old = os.umask(0)
    yield os.umask
    os.umask(old)


@pytest.fixture
def part(tmp_path):
    with_bytes = PartialFile.create(tmp_path, GUID, 1)
    with_bytes.write(b"0123456789", 0)
    yield with_bytes
    with_bytes.close()

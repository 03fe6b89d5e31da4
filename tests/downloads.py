"""Downloads in tests: a runner of its own for each test, what it tells, and a restart of it."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Any, TypeVar

import pytest

from bgdl_jupyter.model.downloader import BackgroundDownloader, default_downloader
from bgdl_jupyter.model.process import current_runner, shut_down

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from bgdl_jupyter.events import Event
    from bgdl_jupyter.model.operation import DownloadOperation

E = TypeVar("E")
DEADLINE = 20.0


class Seen:
    """Every event of the runner, from the moment of its making; waits without sleeping."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self.events: list[Event] = []
        runner = current_runner()
        runner.place.call(runner.events.subscribe, self._take)

    def _take(self, event: Event) -> None:
        with self._changed:
            self.events.append(event)
            self._changed.notify_all()

    def of(self, kind: type[E], operation: DownloadOperation | None = None) -> list[E]:
        """Return the events of a kind, of one operation or of all."""
        with self._changed:
            found = [each for each in self.events if isinstance(each, kind)]
        return [each for each in found if operation is None or getattr(each, "operation_id", None) == operation.guid]

    def until(self, is_so: Callable[[], bool], timeout: float = DEADLINE) -> None:
        """Block until the condition holds; asked at every event."""
        end = time.monotonic() + timeout
        with self._changed:
            while not is_so():
                # A trait may be set a moment after the event, hence the short wait.
                if not self._changed.wait(min(0.05, end - time.monotonic())) and time.monotonic() >= end:
                    raise AssertionError(f"not in {timeout:g} s; seen: {self.events[-10:]}")


@pytest.fixture
def state_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return where the state file of the test is."""
    path = tmp_path / "state" / "state.sqlite3"
    monkeypatch.setenv("BGDL_STATE_FILE", str(path))
    return path


@pytest.fixture
def work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the working folder of the test, which is its application, too."""
    folder = tmp_path / "work"
    folder.mkdir()
    monkeypatch.chdir(folder)
    return folder


@pytest.fixture
def new_downloader(state_path: Path, work: Path) -> Iterator[Callable[..., BackgroundDownloader]]:
    """Make downloaders on the one runner of the test; everything is shut down after it."""
    default_downloader.cache_clear()
    yield lambda **traits: BackgroundDownloader(loop="thread", **traits)
    shut_down()
    default_downloader.cache_clear()


@pytest.fixture
def downloader(new_downloader: Callable[..., BackgroundDownloader]) -> BackgroundDownloader:
    """Return a downloader whose patience is short."""
    made = new_downloader(max_retries=3)
    current_runner().transfers.draw = lambda: 0.0
    return made


@pytest.fixture
def seen(downloader: BackgroundDownloader) -> Seen:
    """Return what the runner tells from now on."""
    return Seen()


@pytest.fixture
def restart(new_downloader: Callable[..., BackgroundDownloader]) -> Callable[..., BackgroundDownloader]:
    """End the runner as the end of a kernel does, and return a downloader of the next one."""

    def restart(**traits: Any) -> BackgroundDownloader:
        shut_down()
        default_downloader.cache_clear()
        return new_downloader(**traits)

    return restart


def partial_files(folder: Path) -> list[Path]:
    """Return the partial files in a folder."""
    return sorted(folder.glob(".*.bgdl"))

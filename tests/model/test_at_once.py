"""Small files that come at once and wait for their names: nobody is left waiting, and a cancel is decided."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import pytest

from bgdl_jupyter.errors import BackgroundTransferError, DiskFull, StorageFailed
from bgdl_jupyter.model.process import current_runner
from bgdl_jupyter.status import BackgroundTransferStatus as Status
from tests.downloads import partial_files
from tests.servers.files import FileSpec

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from bgdl_jupyter.model.downloader import BackgroundDownloader
    from bgdl_jupyter.model.operation import DownloadOperation
    from tests.downloads import Seen
    from tests.servers.fixtures import StartFaultServer

WAIT = 15.0
SMALL = FileSpec(size=10_000)


class Held:
    """Commits that stand still before anything is announced."""

    def __init__(self) -> None:
        self.go = threading.Event()
        self.error: Exception | None = None


@pytest.fixture
def held(downloader: BackgroundDownloader, monkeypatch: pytest.MonkeyPatch) -> Iterator[Held]:
    """Hold up the next commits; they go on, or fail, when they are told."""
    facilities, held = current_runner().facilities, Held()
    announce = facilities.committer._announce

    async def announce_late(batch: object) -> None:
        await facilities.run(held.go.wait, WAIT)
        if held.error is not None:
            raise held.error
        await announce(batch)  # type: ignore[arg-type]  # handed on as it is

    monkeypatch.setattr(facilities.committer, "_announce", announce_late)
    yield held
    held.go.set()


@pytest.fixture
def committing(
    downloader: BackgroundDownloader, fault_server: StartFaultServer, seen: Seen, held: Held
) -> DownloadOperation:
    """Return an operation whose file only waits for its name."""
    operation = downloader.create_download(fault_server({"/a": SMALL}).url("/a"), "a.bin")
    operation.start()
    seen.until(lambda: operation.activity.name == "COMMITTING")
    return operation


def test_a_cancel_that_comes_too_late_is_none(committing: DownloadOperation, held: Held, work: Path):
    canceling = committing.cancel()
    held.go.set()
    canceling.wait(WAIT)
    assert committing.status is Status.COMPLETED
    assert (work / "a.bin").read_bytes() == SMALL.read()


def test_a_cancel_is_one_where_the_commit_fails(committing: DownloadOperation, held: Held, work: Path):
    held.error = StorageFailed("The disk has gone.")
    canceling = committing.cancel()
    held.go.set()
    canceling.wait(WAIT)
    assert committing.status is Status.CANCELED
    assert list(work.iterdir()) == []


def test_a_commit_that_fails_is_an_error_that_can_be_retried(
    committing: DownloadOperation, held: Held, seen: Seen, work: Path
):
    held.error = StorageFailed("The disk has gone.")
    held.go.set()
    with pytest.raises(BackgroundTransferError, match="gone"):
        committing.wait(WAIT)
    held.error = None
    committing.retry().wait(WAIT)
    assert committing.status is Status.COMPLETED
    assert (work / "a.bin").read_bytes() == SMALL.read()
    assert partial_files(work) == []


def test_a_full_disk_lets_it_wait(committing: DownloadOperation, held: Held, seen: Seen):
    held.error = DiskFull("no room")
    held.go.set()
    seen.until(lambda: committing.status is Status.PAUSED_SYSTEM_POLICY)
    committing.cancel().wait(WAIT)

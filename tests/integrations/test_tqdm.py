"""tqdm bars in the place of our own views."""

from __future__ import annotations

import io
import re
import threading
from typing import TYPE_CHECKING

import pytest

from bgdl_jupyter.errors import HttpStatusError
from bgdl_jupyter.integrations.tqdm import progress_bar, wait
from tests.integrations.conftest import BODY, LARGE
from tests.servers.files import FileSpec

if TYPE_CHECKING:
    from bgdl_jupyter.model.downloader import BackgroundDownloader
    from tests.downloads import Seen
    from tests.servers.fault_server import FaultServer
    from tests.servers.fixtures import StartFaultServer


class Written(io.StringIO):
    """What the bar writes; tells when a text has come."""

    def __init__(self) -> None:
        super().__init__()
        self._changed = threading.Condition()

    def write(self, text: str) -> int:
        with self._changed:
            self._changed.notify_all()
            return super().write(text)

    def until(self, text: str) -> None:
        with self._changed:
            assert self._changed.wait_for(lambda: text in self.getvalue(), 20)


def last_line(written: io.StringIO) -> str:
    return written.getvalue().strip().split("\r")[-1]


def test_a_bar_is_driven_while_nobody_waits(files: FaultServer, downloader: BackgroundDownloader) -> None:
    written = Written()
    operation = downloader.create_download(files.url("/large.bin"), "large.bin")
    operation.start(progress=progress_bar(file=written, ncols=79))
    operation.wait(20)
    written.until("100%")
    assert "21.0M/21.0M" in last_line(written)


def test_waiting_with_a_bar_gives_the_operation(files: FaultServer, downloader: BackgroundDownloader) -> None:
    written = io.StringIO()
    operation = downloader.download(files.url("/a.bin"), "a.bin")
    assert wait(operation, file=written, ncols=79) is operation
    assert last_line(written).startswith("a.bin: 100%|")
    assert f"{len(BODY) / 1000:.1f}k/{len(BODY) / 1000:.1f}k" in last_line(written)


def test_a_group_has_one_bar(files: FaultServer, downloader: BackgroundDownloader) -> None:
    written = io.StringIO()
    group = downloader.download_many([files.url("/a.bin"), files.url("/large.bin")], group="data")
    assert wait(group, file=written, desc="everything") is group
    assert last_line(written).startswith("everything: 100%|")
    assert group.progress.completed == 2


def test_what_ended_the_download_is_raised_and_the_bar_is_closed(
    files: FaultServer, downloader: BackgroundDownloader
) -> None:
    written = io.StringIO()
    operation = downloader.download(files.url("/nothing.bin"), "a.bin")
    with pytest.raises(HttpStatusError):
        wait(operation, file=written)
    assert written.getvalue().endswith("\n")


def test_a_timeout_ends_the_waiting_and_not_the_download(
    fault_server: StartFaultServer, downloader: BackgroundDownloader
) -> None:
    server = fault_server({"/a.bin": FileSpec(size=LARGE, rate=LARGE)})
    operation = downloader.download(server.url("/a.bin"), "a.bin")
    with pytest.raises(TimeoutError, match=r"0\.2 s"):
        wait(operation, 0.2, file=io.StringIO())
    assert operation.wait(20).status.is_success


def test_a_bar_goes_back_with_a_download_that_begins_again(
    fault_server: StartFaultServer, downloader: BackgroundDownloader, seen: Seen
) -> None:
    written = Written()
    other = FileSpec(size=LARGE // 2, seed=2, etag='"v2"', rate=LARGE)
    server = fault_server({"/a.bin": FileSpec(size=LARGE, rate=LARGE, flip_after=1, becomes=other)})
    operation = downloader.create_download(server.url("/a.bin"), "a.bin")
    operation.start(progress=progress_bar(file=written))
    seen.until(lambda: operation.bytes_received > LARGE // 4)
    operation.pause().wait(20)
    operation.resume().wait(20)
    written.until("100%")
    assert operation.has_restarted
    assert re.search(r"100%.*10\.5M/10\.5M", last_line(written))

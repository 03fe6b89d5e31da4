"""The catalogue, done to us: the public API against the fault server, and what has to be true afterwards."""

from __future__ import annotations

import contextlib
import os
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from bgdl_jupyter import AttentionRequired, BackgroundDownloader, BackgroundTransferError, TransferActivity
from bgdl_jupyter.model.downloader import default_downloader
from bgdl_jupyter.model.process import current_runner, shut_down
from tests.bench.faults.rows import HALF, PATH, End, Mode, Row
from tests.servers.content import file_sha256
from tests.servers.fault_server import FaultServer
from tests.servers.oracle import no_descriptors_left

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bgdl_jupyter import DownloadOperation
    from tests.servers.authority import Authority

_LOOK_EVERY: Final = 0.005
_RETRIES: Final = 3


@dataclass(slots=True, kw_only=True)
class Outcome:
    """What came of a row in a mode."""

    row: Row
    mode: Mode
    scheme: str
    requests: int = 0
    bytes_twice: int = 0
    seconds: float = 0.0
    problems: list[str] = field(default_factory=list)

    @property
    def name(self) -> str:
        """Which one it is."""
        return f"{self.row.name} {self.mode.value} {self.scheme}"


def cases(rows: Iterator[Row] | tuple[Row, ...]) -> list[tuple[Row, Mode, str]]:
    """Return every way in which the rows are met."""
    return [(row, mode, scheme) for row in rows for mode in Mode if mode in row.modes for scheme in row.schemes]


def meet(row: Row, mode: Mode, scheme: str, *, folder: Path, authority: Authority) -> Outcome:
    """Let a download meet a fault in an empty folder, and return what came of it."""
    outcome = Outcome(row=row, mode=mode, scheme=scheme)
    tls = authority.server() if scheme == "https" else None
    routes = {PATH: row.file_in(mode), "/end": row.file_in(mode), **row.routes}
    with (
        no_descriptors_left(),
        FaultServer(routes, tls=tls, send_buffer=256 * 1024) as server,
        place(folder) as downloader,
    ):
        for name, value in row.settings.items():
            setattr(downloader, name, value)
        if tls is not None:
            downloader.ssl_context = authority.client()
        begun = time.monotonic()
        operation = downloader.create_download(server.url(PATH), "file.bin", **row.options)
        with contextlib.suppress(BackgroundTransferError, TimeoutError):  # what it ended with is looked at below
            run_through(operation, row, mode)
        outcome.seconds = time.monotonic() - begun
        outcome.requests = len(server.requests())
        outcome.bytes_twice = server.bytes_sent_twice(PATH)
        outcome.problems += _problems(operation, outcome)
    return outcome


@contextlib.contextmanager
def place(folder: Path) -> Iterator[BackgroundDownloader]:
    """Have an engine of one's own with its state beside the folder of the files, which is the working folder."""
    work = folder / "work"
    work.mkdir(parents=True)
    before, had = Path.cwd(), os.environ.get("BGDL_STATE_FILE")
    os.environ["BGDL_STATE_FILE"] = str(folder / "state" / "state.sqlite3")
    os.chdir(work)
    default_downloader.cache_clear()
    try:
        downloader = BackgroundDownloader(loop="thread", max_retries=_RETRIES, on_restore="pause")
        current_runner().transfers.draw = lambda: 0.0
        yield downloader
    finally:
        shut_down()
        os.chdir(before)
        if had is None:
            del os.environ["BGDL_STATE_FILE"]
        else:
            os.environ["BGDL_STATE_FILE"] = had


def run_through(operation: DownloadOperation, row: Row, mode: Mode) -> None:
    """Let an operation meet what the server does to it, as far as it comes; raises what it ended with."""
    operation.start()
    if mode is Mode.RESUMED:
        _until(lambda: operation.bytes_received >= HALF, row.seconds)
        _settled(operation.pause())
        operation.resume()
    if row.end_in(mode) is End.WAITS:
        _until(lambda: operation.activity is TransferActivity.BACKING_OFF, row.seconds)
        return
    with contextlib.suppress(AttentionRequired):
        operation.wait(row.seconds)


def _settled(outcome: Any) -> None:
    """Wait until a pause has closed its connection."""
    import asyncio

    async def wait() -> None:
        await outcome

    asyncio.run(wait())


def _until(is_so: Any, seconds: float) -> None:
    end = time.monotonic() + seconds
    while not is_so():
        if time.monotonic() > end:
            raise TimeoutError
        time.sleep(_LOOK_EVERY)


def _problems(operation: DownloadOperation, outcome: Outcome) -> Iterator[str]:
    """Say what is not as it has to be."""
    row, mode = outcome.row, outcome.mode
    end, file = row.end_in(mode), Path("file.bin")
    if operation.status not in end.statuses:
        yield f"{operation.status.name} in place of {end.value}: {operation.status_reason}"
    if operation.status.is_success:
        if file_sha256(file) not in row.versions_in(mode):
            yield "complete, and the file is none that was served"
    elif file.exists():
        yield "not complete, and the file is there"
    if operation.status.is_failure and operation.error is None:
        yield "failed without an error"
    if end is End.WAITS and not operation.status_reason:
        yield "waits without saying why"
    if outcome.requests > row.most_requests and mode is not Mode.SEGMENTED:
        yield f"{outcome.requests} requests, at most {row.most_requests}"
    if outcome.bytes_twice > row.most_twice_in(mode):
        yield f"{outcome.bytes_twice:,} bytes twice, at most {row.most_twice_in(mode):,}"

"""Ours with many operations: created, restored, finished, or all at once; prints what it took as JSON."""

from __future__ import annotations

import asyncio
import hashlib
import importlib
import json
import os
import sys
import threading
import time
from pathlib import Path
from typing import Any

from bgdl_jupyter import BackgroundDownloader, BackgroundTransferGroup, default_downloader, download_many
from bgdl_jupyter.model.intake import Intake

_GROUP = "benchmark"
_STEP = 0.01

importlib.import_module("bgdl_jupyter.transport.http")


def memory() -> int:
    """Return the bytes of memory that the process has."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


def create(parameters: dict[str, Any]) -> None:
    """Create so many, of a server that does not answer."""
    manifest = _manifest(parameters)
    before, start = memory(), time.perf_counter()
    group = download_many(manifest, group=_GROUP)
    seconds = time.perf_counter() - start
    _expect(len(group.operations), parameters["count"])
    _tell(seconds=seconds, memory=memory() - before)


def create_csv(parameters: dict[str, Any]) -> None:
    """Create so many from a CSV file whose lines have a destination and a checksum each."""
    manifest = _csv(parameters)
    checked: list[float] = []
    check = Intake.check

    def timed(intake: Intake) -> None:
        start = time.perf_counter()
        check(intake)
        checked.append(time.perf_counter() - start)

    Intake.check = timed  # type: ignore[method-assign]  # what users see is one call
    before, start, used = memory(), time.perf_counter(), time.process_time()
    group = download_many(manifest, group=_GROUP)
    seconds, used = time.perf_counter() - start, time.process_time() - used
    _expect(len(group.operations), parameters["count"])
    _tell(checked=checked[0], created=seconds - checked[0], used=used, memory=memory() - before)


def restore(parameters: dict[str, Any]) -> None:
    """Restore what `create` has left."""
    before, start = memory(), time.perf_counter()
    operations = default_downloader().get_current_downloads(group=_GROUP)
    seconds = time.perf_counter() - start
    _expect(len(operations), parameters["count"])
    _tell(seconds=seconds, memory=memory() - before)


def finish(parameters: dict[str, Any]) -> None:
    """Fetch so many very small files."""
    manifest = _manifest(parameters)
    start = time.perf_counter()
    download_many(manifest, group=_GROUP).wait().raise_for_errors()
    _tell(seconds=time.perf_counter() - start)


def transfer(parameters: dict[str, Any]) -> None:
    """Fetch from many hosts at once, and note the most memory and the lags of the engine's loop."""
    urls, folder, ceiling = parameters["urls"], Path(parameters["folder"]), parameters["ceiling"]
    downloader = BackgroundDownloader(max_parallel=ceiling)
    manifest = [{"uri": url, "destination": folder / f"{number}.bin"} for number, url in enumerate(urls)]
    most = _MostMemory()
    start = time.perf_counter()
    with most:
        group = downloader.download_many(manifest, group=_GROUP)
        lags: list[float] = []
        place = group._runner.place  # noqa: SLF001 (the loop is nobody's business but a benchmark's)
        watch = place.spawn(_ticker(lags), name="lags")
        group.wait().raise_for_errors()
    seconds = time.perf_counter() - start
    place.call(watch.cancel)
    lags = sorted(lags) or [0.0]
    _tell(seconds=seconds, memory=most.bytes, lag=lags[min(len(lags) - 1, int(0.99 * len(lags)))])


def limit(parameters: dict[str, Any]) -> None:
    """Fetch files under a limit of all transfers, or of their group."""
    downloader, folder = BackgroundDownloader(), Path(parameters["folder"])
    downloader.download(parameters["first"], folder / "first.bin").wait()
    group = BackgroundTransferGroup.create_group(_GROUP)
    if parameters["limit"] is not None:
        limited = group if parameters["in_group"] else downloader
        limited.max_rate = parameters["limit"]
    start = time.perf_counter()
    for number, url in enumerate(parameters["urls"]):
        downloader.download(url, folder / f"{number}.bin", group=_GROUP)
    group.wait().raise_for_errors()
    _tell(seconds=time.perf_counter() - start)


async def _ticker(lags: list[float]) -> None:
    while True:
        due = time.perf_counter() + _STEP
        await asyncio.sleep(_STEP)
        lags.append(time.perf_counter() - due)


class _MostMemory:
    """Looks at the memory 50 times a second while it is entered."""

    def __init__(self) -> None:
        self._before = memory()
        self.bytes = 0
        self._is_over = threading.Event()
        self._thread = threading.Thread(target=self._look)

    def __enter__(self) -> None:
        self._thread.start()

    def __exit__(self, *_: object) -> None:
        self._is_over.set()
        self._thread.join()

    def _look(self) -> None:
        while not self._is_over.wait(0.02):
            self.bytes = max(self.bytes, memory() - self._before)


def _manifest(parameters: dict[str, Any]) -> list[dict[str, Any]]:
    folder, url = Path(parameters["folder"]), parameters["url"]
    (folder / "files").mkdir(exist_ok=True)
    return [
        {"uri": url.format(number=number), "destination": folder / "files" / f"{number}.bin"}
        for number in range(parameters["count"])
    ]


def _csv(parameters: dict[str, Any]) -> Path:
    path, url = Path(parameters["folder"]) / "manifest.csv", parameters["url"]
    digests = (hashlib.sha256(str(number).encode()).hexdigest() for number in range(parameters["count"]))
    with path.open("w") as file:
        file.write("uri,destination,sha256\n")
        file.writelines(
            f"{url.format(number=number)},files/{number % 100}/{number}.bin,{digest}\n"
            for number, digest in enumerate(digests)
        )
    return path


def _expect(found: int, wanted: int) -> None:
    if found != wanted:
        raise RuntimeError(f"There are {found:,} operations where {wanted:,} should be.")


def _tell(**measured: float) -> None:
    print(json.dumps(measured), flush=True)
    # What is queued is to be found by the next process as a crash leaves it, and nothing is to be waited for.
    os._exit(0)


if __name__ == "__main__":
    actions = {
        "create": create,
        "create_csv": create_csv,
        "restore": restore,
        "finish": finish,
        "transfer": transfer,
        "limit": limit,
    }
    actions[sys.argv[1]](json.loads(sys.stdin.read()))

"""
A small scenario and its recovery, each in a process that `shim.c` watches.

As a program it loads the package once and forks a process for every line that it reads: to load it anew for each of
some thousand runs would take an hour. Buffers, watermarks and parts are made small, so that files of a few hundred
kilobytes go through everything that large ones go through.
"""

from __future__ import annotations

import ctypes
import json
import logging
import os
import signal
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from bgdl_jupyter.engine import connections, holding, sink
from bgdl_jupyter.errors import BackgroundTransferError
from bgdl_jupyter.model import transfers
from bgdl_jupyter.model.downloader import BackgroundDownloader
from bgdl_jupyter.model.process import current_runner, shut_down
from bgdl_jupyter.status import BackgroundTransferStatus as Status
from bgdl_jupyter.status import CreationCollisionOption
from bgdl_jupyter.storage import commits, writer

if TYPE_CHECKING:
    from collections.abc import Callable

    from bgdl_jupyter.model.operation import DownloadOperation

#: What the operations are named after: small, of several parts, over an old file, with a digest, and one given up.
SMALL, PARTS, OVER, CHECKED, CANCELED = "small.bin", "parts.bin", "over.bin", "checked.bin", "canceled.bin"
KIBIBYTE: Final = 1024
SIZES: Final = {
    SMALL: 20 * KIBIBYTE,
    PARTS: 1500 * KIBIBYTE,
    OVER: 300 * KIBIBYTE,
    CHECKED: 200 * KIBIBYTE,
    CANCELED: 300 * KIBIBYTE,
}
_WAIT: Final = 30.0


def make_small() -> None:
    """Scale down: a watermark every 128 KiB, buffers of 64 KiB, parts of 256 KiB, no long waits for a full disk."""
    holding._ALLOWED_BYTES = 256 * KIBIBYTE  # type: ignore[misc] # Final for everybody else
    writer.BUFFER_SIZE = 64 * KIBIBYTE  # type: ignore[misc] # as above
    sink.BUFFER_SIZE = 64 * KIBIBYTE  # type: ignore[attr-defined] # it is only imported there
    holding.BUFFER_SIZE = 64 * KIBIBYTE  # type: ignore[attr-defined] # as above
    sink._SLACK = 16 * KIBIBYTE  # type: ignore[misc] # as above
    connections.SMALLEST_PART = 256 * KIBIBYTE  # type: ignore[misc] # as above
    connections._FIRST_OPENING, connections._FIRST_LOOK = 0.02, 0.02  # type: ignore[misc] # as above
    connections._ROUND, connections._LOOK_EVERY = 0.05, 0.02  # type: ignore[misc] # as above
    transfers._LOOK_AT_DISK_EVERY = 0.2  # type: ignore[misc] # as above
    commits._RETRY_INTERVAL = 0.2  # type: ignore[misc] # as above


def _downloader() -> BackgroundDownloader:
    downloader = BackgroundDownloader(loop="thread", max_retries=3)
    current_runner().transfers.draw = lambda: 0.0
    return downloader


def begin(order: dict[str, Any], note: Callable[..., None]) -> None:
    """Create everything, give one up half-way, and wait for the others."""
    downloader = _downloader()
    operations: dict[str, DownloadOperation] = {}
    for name, uri in order["uris"].items():
        options: dict[str, Any] = {"sha256": order["sha256"]} if name == CHECKED else {}
        if name == OVER:
            options["collision"] = CreationCollisionOption.REPLACE_EXISTING
        try:
            operations[name] = downloader.create_download(uri, name, **options)
        except BackgroundTransferError as error:
            note("refused", name, type(error).__name__)
            continue
        note("created", name, operations[name].guid, *current_runner().state.notices)
        operations[name].start()
    _give_up(operations.pop(CANCELED, None), note)
    for name, operation in operations.items():
        _await(name, operation, note)


def _give_up(operation: DownloadOperation | None, note: Callable[..., None]) -> None:
    """Cancel an operation that has some bytes."""
    if operation is None:
        return
    deadline = time.monotonic() + _WAIT
    while not operation.bytes_received and not operation.status.is_final and time.monotonic() < deadline:
        time.sleep(0.005)
    try:
        operation.pause().wait(_WAIT)
        operation.cancel().wait(_WAIT)
    except BackgroundTransferError as error:
        note("refused", CANCELED, type(error).__name__)
    else:
        note("canceled", CANCELED)


def recover(_: dict[str, Any], note: Callable[..., None]) -> None:
    """Restore everything, and bring it to its end."""
    for operation in _downloader().get_current_downloads():
        name = operation.result_file.name if operation.result_file else ""
        note("restored", name, operation.guid, operation.status.name)
        if operation.status is Status.ERROR:
            operation.retry()
        elif operation.status in (Status.PAUSED_BY_APPLICATION, Status.PAUSED_RECOVERABLE_WEB_ERROR_STATUS):
            operation.resume()
        elif operation.status is Status.IDLE:
            operation.start()
        if not operation.status.is_canceled:
            _await(name, operation, note)


def _await(name: str, operation: DownloadOperation, note: Callable[..., None]) -> None:
    """Wait for an operation; one that failed is told to go on, once."""
    for word in ("failed", "ended"):
        try:
            operation.wait(_WAIT)
        except (BackgroundTransferError, TimeoutError) as error:
            is_failed = operation.status is Status.ERROR
            note(word if is_failed else "ended", name, operation.status.name, f"{type(error).__name__}: {error}")
            if not is_failed:
                return
            operation.retry()
        else:
            note("completed", name, operation.guid)
            return


_ACTS: Final = {"begin": begin, "recover": recover}


def _run(order: dict[str, Any]) -> None:
    """Be one kernel; never returns."""
    folder = Path(order["folder"])
    os.chdir(folder / "work")
    os.environ["BGDL_STATE_FILE"] = str(folder / "state" / "state.sqlite3")
    shim = ctypes.CDLL(None)

    def note(*words: object) -> None:
        shim.shim_note("\x1f".join(map(str, words)).replace("\n", " ").encode())

    log = os.open(order["log"], os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    kinds = order["kinds"].encode()
    shim.shim_arm(os.fsencode(folder), log, ctypes.c_long(order["at"]), order["error"], kinds, int(order["keeps_data"]))
    try:
        _ACTS[order["act"]](order, note)
        shut_down()
        note("over")
    except BaseException as error:  # whatever it is, it is a finding
        note("broke", type(error).__name__, error)
        logging.getLogger(__name__).exception("The scenario broke")
    finally:
        os._exit(0)


def main() -> None:
    """Fork a process for every order, and answer how it ended."""
    make_small()
    for line in sys.stdin:
        order = json.loads(line)
        child = os.fork()
        if not child:
            _run(order)
        sys.stdout.write(json.dumps(_outcome(child, time.monotonic() + order["seconds"])) + "\n")
        sys.stdout.flush()


def _outcome(child: int, deadline: float) -> str:
    """Wait for a process: "over", "killed", or "hung" when it had to be killed at the deadline."""
    while time.monotonic() < deadline:
        pid, status = os.waitpid(child, os.WNOHANG)
        if pid:
            return "killed" if os.WIFSIGNALED(status) else "over"
        time.sleep(0.002)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return "hung"


if __name__ == "__main__":
    logging.basicConfig(level=logging.CRITICAL)
    main()

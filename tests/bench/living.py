"""
Kernels that live as long as a test wants: forked from a server that has loaded the package, told what to do by a pipe.

Each runs the package for real, on a real state file; a kill is a SIGKILL. Buffers and watermarks are small
(`scenario`), the disk may be filled (`shim.c`), and the clock may be set.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import multiprocessing
import os
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Self
from uuid import UUID

from bgdl_jupyter.errors import BackgroundTransferError
from bgdl_jupyter.model.downloader import BackgroundDownloader
from bgdl_jupyter.model.process import current_runner, shut_down
from tests.bench.scenario import make_small
from tests.bench.stage import EVERY

if TYPE_CHECKING:
    from collections.abc import Iterator
    from multiprocessing.connection import Connection

    from bgdl_jupyter.model.operation import DownloadOperation

_WAIT: Final = 40.0
_RIGHT_TIME: Final = time.time


@dataclass(frozen=True, slots=True)
class Refused:
    """What a kernel did not do, and the name of the error."""

    error: str
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """An operation as a user of the kernel sees it; `kept` is what the file behind it holds."""

    guid: str
    uri: str
    name: str | None
    status: str
    reason: str
    received: int
    total: int | None
    has_restarted: bool
    is_held: bool
    allowed: frozenset[str]


class Living:
    """
    A kernel in a process of its own; a context manager, at whose end it is killed.

    Parameters
    ----------
    folder:
        With `work`, where it runs, and `state`.
    """

    def __init__(self, folder: Path) -> None:
        context = multiprocessing.get_context("forkserver")
        context.set_forkserver_preload([__name__])
        self._pipe, theirs = context.Pipe()
        self._process = context.Process(target=_live, args=(theirs, str(folder)), daemon=True)
        self._process.start()
        theirs.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()

    def ask(self, verb: str, *arguments: Any) -> Any:
        """Return what a method of `_Kernel` gives, or `Refused`; raises ``AssertionError`` when it breaks or hangs."""
        self._pipe.send((verb, *arguments))
        assert self._pipe.poll(_WAIT), f"the kernel does not answer to {verb}"
        answer = self._pipe.recv()
        assert not isinstance(answer, str) or not answer.startswith("BROKE"), answer
        return answer

    def kill(self) -> None:
        """Kill it, and collect it."""
        self._process.kill()
        self._process.join(_WAIT)
        self._pipe.close()

    def end(self) -> None:
        """Let it shut down as a kernel does."""
        self.ask("end")
        self.kill()


@contextlib.contextmanager
def watched(shim: Path) -> Iterator[None]:
    """Have the kernels that are forked in the block loaded with the shim; the server that forks is started anew."""
    from multiprocessing import forkserver

    before = os.environ.get("LD_PRELOAD")
    forkserver._forkserver._stop()  # type: ignore[attr-defined] # one that runs already was loaded without it
    os.environ["LD_PRELOAD"] = str(shim)
    try:
        yield
    finally:
        os.environ.pop("LD_PRELOAD") if before is None else os.environ.update(LD_PRELOAD=before)
        forkserver._forkserver._stop()  # type: ignore[attr-defined] # as above


def _live(pipe: Connection, folder: str) -> None:
    os.chdir(Path(folder) / "work")
    os.environ["BGDL_STATE_FILE"] = str(Path(folder) / "state" / "state.sqlite3")
    os.environ["PYTHON_KEYRING_BACKEND"] = "keyring.backends.fail.Keyring"
    make_small()
    kernel = _Kernel(folder)
    with contextlib.suppress(EOFError):
        while True:
            verb, *arguments = pipe.recv()
            pipe.send(_answer(kernel, verb, arguments))
    os._exit(0)


def _answer(kernel: _Kernel, verb: str, arguments: list[Any]) -> Any:
    try:
        return getattr(kernel, verb)(*arguments)
    except BackgroundTransferError as error:
        return Refused(type(error).__name__, str(error))
    except Exception as error:  # noqa: BLE001 (the test is told)
        return f"BROKE {verb}{arguments}: {type(error).__name__}: {error}"


class _Kernel:
    """What a kernel can be asked, in its own process."""

    def __init__(self, folder: str) -> None:
        self._folder = folder
        self._downloader = BackgroundDownloader(loop="thread", max_retries=2)
        current_runner().transfers.draw = lambda: 0.0
        self._downloader.restore()

    def create(self, uri: str, name: str) -> str:
        return str(self._downloader.create_download(uri, name).guid)

    def take(self, guid: str, step: str) -> None:
        """Take a step of a user: start, pause, resume, cancel, retry."""
        getattr(self._find(guid), step)()

    def look(self) -> list[Seen]:
        return [_seen(operation) for operation in self._all()]

    def settle(self, seconds: float) -> None:
        """Wait until nothing runs, but no longer."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline and any(each.status.is_running for each in self._all()):
            time.sleep(0.01)

    def is_idle(self) -> bool:
        """Whether nothing is under way: connections closed, bytes durable, leftovers removed."""
        runner = current_runner()
        return all(runner.place.call(runner.is_settled, each) for each in self._all())

    def set_clock(self, ahead: float) -> None:
        time.time = lambda: _RIGHT_TIME() + ahead

    def fill_disk(self, is_full: bool) -> None:
        shim = ctypes.CDLL(None)
        at, error = (EVERY, errno.ENOSPC) if is_full else (-1, 0)
        shim.shim_arm(os.fsencode(self._folder), -1, ctypes.c_long(at), error, b"pwrite", 0)

    def notices(self) -> list[str]:
        return list(current_runner().state.notices)

    def end(self) -> None:
        shut_down()

    def _all(self) -> list[DownloadOperation]:
        runner = current_runner()
        return runner.place.call(runner.registry.all)

    def _find(self, guid: str) -> DownloadOperation:
        runner = current_runner()
        found = runner.place.call(runner.registry.find, UUID(guid))
        assert found is not None, "the operation is not there"
        return found


def _seen(operation: DownloadOperation) -> Seen:
    progress = operation.progress
    return Seen(
        guid=str(operation.guid),
        uri=operation.requested_uri,
        name=operation.result_file.name if operation.result_file else None,
        status=operation.status.name,
        reason=operation.status_reason,
        received=progress.bytes_received,
        total=progress.total_bytes_to_receive,
        has_restarted=progress.has_restarted,
        is_held=operation.is_held,
        allowed=frozenset(step.value for step in operation.allowed_steps),
    )

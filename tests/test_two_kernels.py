"""Two kernels on one state file: an operation runs in one of them, and the other takes over when that one dies."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import pytest

from bgdl_jupyter.errors import HeldByAnotherKernel
from bgdl_jupyter.model.held import LOOK_EVERY
from bgdl_jupyter.model.process import shut_down
from bgdl_jupyter.resource import OVERLAP
from bgdl_jupyter.status import BackgroundTransferStatus as Status
from bgdl_jupyter.storage import kernels
from tests.downloads import Seen, partial_files
from tests.servers.content import file_sha256
from tests.servers.faults import hold_after
from tests.servers.files import FileSpec
from tests.servers.programs import poll

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from bgdl_jupyter.model.downloader import BackgroundDownloader
    from bgdl_jupyter.model.operation import DownloadOperation
    from tests.servers.fault_server import FaultServer
    from tests.servers.fixtures import StartFaultServer

ROOT = Path(__file__).parents[1]
SIZE = 2_000_000
HALF = SIZE // 2
WAIT = 30.0
PROGRAM = """
    import json, sys, threading
    import bgdl_jupyter
    from bgdl_jupyter.model.process import current_runner

    def half_way(uri, size):
        operation = downloader.download(uri, "file.bin")
        changed = threading.Event()
        operation.on_ranges_downloaded(lambda **_: changed.set())
        while operation.bytes_received < size:
            changed.wait(0.1)
        operation.pause().wait(10)
        operation.resume()
        assert current_runner().state.flush(10)
        return operation

    downloader = bgdl_jupyter.BackgroundDownloader(loop="thread")
    names = {"downloader": downloader, "half_way": half_way}
    print(json.dumps("ready"), flush=True)
    for line in sys.stdin:
        try:
            answer = eval(json.loads(line), names)
        except Exception as error:
            answer = f"{type(error).__name__}: {error}"
        print(json.dumps(answer, default=repr), flush=True)
"""


#: Before the program, what makes its process one of another machine that shares a disk without locks.
ELSEWHERE = """
    from bgdl_jupyter.storage import kernels
    kernels._try_lock = lambda _: None
    kernels._boot_id = lambda: "another machine"
"""


class OtherKernel:
    """A process with a downloader of its own, that evaluates what it is told."""

    def __init__(self, *, before: str = "") -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", textwrap.dedent(before) + textwrap.dedent(PROGRAM)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
        )

    def __enter__(self) -> Self:
        assert self._answer() == "ready"
        return self

    def __exit__(self, *_: object) -> None:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.close()
        self.process.wait(WAIT)
        self.process.stdout.close()

    def ask(self, expression: str) -> Any:
        """Return what an expression is there."""
        self.tell(expression)
        return self._answer()

    def tell(self, expression: str) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps(expression) + "\n")
        self.process.stdin.flush()

    def _answer(self) -> Any:
        assert self.process.stdout is not None
        return json.loads(self.process.stdout.readline())

    def signal(self, number: signal.Signals) -> None:
        """Send a signal, and wait for the end where it is one."""
        self.process.send_signal(number)
        if number is signal.SIGKILL:
            self.process.wait(WAIT)


@pytest.fixture
def other_kernel(state_path: Path, work: Path) -> Iterator[Callable[..., OtherKernel]]:
    """Start processes of the same application."""
    with ExitStack() as stack:
        yield lambda **how: stack.enter_context(OtherKernel(**how))


@pytest.fixture
def server(fault_server: StartFaultServer) -> FaultServer:
    """Serve a file that stops half-way, and before the rest of it, until the test lets it go on."""
    return fault_server(
        {"/a": FileSpec(size=SIZE, faults=(hold_after(HALF, until="go", on=1), hold_after(0, until="go", on=2)))}
    )


def half_way(kernel: OtherKernel, server: FaultServer) -> None:
    """Have the other kernel run an operation that has half of its bytes, and these recorded: it was paused once."""
    answer = kernel.ask(f"globals().__setitem__('op', half_way({server.url('/a')!r}, {HALF}))")
    assert answer is None, answer


def shown(downloader: BackgroundDownloader) -> DownloadOperation:
    (operation,) = downloader.get_current_downloads()
    return operation


def test_a_live_kernels_operation_is_shown_as_held_and_by_whom(
    other_kernel: Callable[[], OtherKernel],
    new_downloader: Callable[..., BackgroundDownloader],
    server: FaultServer,
):
    kernel = other_kernel()
    half_way(kernel, server)
    operation = shown(new_downloader())
    assert operation.is_held
    assert f"kernel {kernel.process.pid} on " in operation.status_reason
    assert operation.allowed_steps == frozenset()
    for step in (operation.attach, operation.pause, operation.cancel, operation.resume):
        with pytest.raises(HeldByAnotherKernel, match=str(kernel.process.pid)):
            step()
    with pytest.raises(HeldByAnotherKernel):
        operation.priority = 1
    with pytest.raises(HeldByAnotherKernel):
        operation.set_request_header("X-Test", "a")
    assert server.connections_peak == 1, "it ran in both"


def test_what_the_other_kernel_finishes_is_shown_as_finished(
    other_kernel: Callable[[], OtherKernel],
    new_downloader: Callable[..., BackgroundDownloader],
    server: FaultServer,
):
    kernel = other_kernel()
    half_way(kernel, server)
    operation = shown(new_downloader())
    seen = Seen()
    server.events.set("go")
    kernel.ask("op.wait(20).status.name")
    seen.until(lambda: operation.status is Status.COMPLETED, 3 * LOOK_EVERY)
    assert not operation.is_held
    assert operation.wait(1).size == SIZE
    assert server.connections_peak == 1


def test_a_dead_kernels_operation_is_taken_over_within_seconds_by_whoever_has_it_in_hands(
    other_kernel: Callable[[], OtherKernel],
    new_downloader: Callable[..., BackgroundDownloader],
    server: FaultServer,
    work: Path,
):
    kernel = other_kernel()
    half_way(kernel, server)
    operation = shown(new_downloader())
    seen = Seen()
    kernel.signal(signal.SIGKILL)
    died_at = time.monotonic()
    seen.until(lambda: not operation.is_held, 10)
    assert time.monotonic() - died_at < 3 * LOOK_EVERY
    operation.wait(WAIT)
    assert file_sha256(work / "file.bin") == FileSpec(size=SIZE).sha256
    assert server.bytes_sent_twice("/a") <= OVERLAP
    assert partial_files(work) == []


def test_a_stopped_kernel_is_alive_and_keeps_what_it_has(
    other_kernel: Callable[[], OtherKernel],
    new_downloader: Callable[..., BackgroundDownloader],
    server: FaultServer,
):
    kernel = other_kernel()
    half_way(kernel, server)
    kernel.signal(signal.SIGSTOP)
    try:
        operation = shown(new_downloader())
        assert operation.is_held
        looked = threading.Event()
        operation.observe(lambda _: looked.set(), "status")
        assert not looked.wait(1.5 * LOOK_EVERY)
        assert operation.is_held
    finally:
        kernel.signal(signal.SIGCONT)
    server.events.set("go")
    assert kernel.ask("op.wait(20).status.name") == "COMPLETED"


def test_a_kernel_that_was_silent_for_too_long_writes_nothing_when_it_is_back(
    other_kernel: Callable[..., OtherKernel],
    new_downloader: Callable[..., BackgroundDownloader],
    server: FaultServer,
    state_path: Path,
    monkeypatch: pytest.MonkeyPatch,
):
    monkeypatch.setattr(kernels, "_try_lock", lambda _: None)
    kernel = other_kernel(before=ELSEWHERE)
    half_way(kernel, server)
    server.wait_until(lambda: len(server.requests()) == 2)
    kernel.signal(signal.SIGSTOP)
    try:
        (sign_of_life,) = (state_path.parent / "kernels").iterdir()
        os.utime(sign_of_life, (time.time() - 2 * kernels.SILENCE,) * 2)
        path = shown(new_downloader()).wait(WAIT).result_file
        assert path is not None
        written = path.stat()
    finally:
        kernel.signal(signal.SIGCONT)
    server.events.set("go")
    lost = "op.is_held or op.status.is_success"
    poll(lambda: kernel.ask(lost), deadline=WAIT, what="that it is another kernel's now")
    after = path.stat()
    assert (after.st_ino, after.st_mtime_ns) == (written.st_ino, written.st_mtime_ns)
    assert file_sha256(path) == FileSpec(size=SIZE).sha256
    assert partial_files(path.parent) == []
    assert list(path.parent.glob("file*")) == [path]


def test_the_same_file_is_not_fetched_by_a_second_kernel(
    other_kernel: Callable[[], OtherKernel],
    new_downloader: Callable[..., BackgroundDownloader],
    server: FaultServer,
):
    kernel = other_kernel()
    half_way(kernel, server)
    operation = new_downloader().download(server.url("/a"), "file.bin")
    assert operation.is_held
    assert server.connections_peak == 1


def test_two_hundred_creations_of_each_of_two_kernels_are_all_there(
    other_kernel: Callable[[], OtherKernel],
    new_downloader: Callable[..., BackgroundDownloader],
):
    kernels = [other_kernel(), other_kernel()]
    for number, kernel in enumerate(kernels):
        uri = f"'http://127.0.0.1:1/{number}/%d' % index"
        kernel.tell(f"len([downloader.create_download({uri}, 'file') for index in range(200)])")
    assert [kernel._answer() for kernel in kernels] == [200, 200]
    operations = new_downloader().get_current_downloads()
    assert len(operations) == 400
    assert len({each.requested_uri for each in operations}) == 400
    assert len({each.result_file for each in operations}) == 400, "two would write the same file"


def test_of_two_kernels_that_begin_at_once_each_operation_runs_in_one(
    *,
    downloader: BackgroundDownloader,
    other_kernel: Callable[[], OtherKernel],
    fault_server: StartFaultServer,
    work: Path,
):
    server = fault_server({f"/{number}": FileSpec(size=1000, seed=number) for number in range(1, 41)})
    for number in range(1, 41):
        downloader.create_download(server.url(f"/{number}"), f"{number}")
    shut_down()
    kernels = [other_kernel(), other_kernel()]
    for kernel in kernels:
        kernel.tell("sum(1 for each in downloader.get_current_downloads() if not each.is_held and each.start())")
    owned = [kernel._answer() for kernel in kernels]
    assert sum(owned) == 40, owned
    for kernel in kernels:
        kernel.ask("[each.wait(20) and None for each in downloader.get_current_downloads() if not each.is_held]")
    assert len(server.requests()) == 40
    assert sorted(int(each.name) for each in work.iterdir()) == list(range(1, 41))


WAITING = """
from pathlib import Path
import threading
def wait(path):
    Path("began").touch()
    while not Path("go").exists():
        threading.Event().wait(0.02)
    with Path("calls").open("a") as file:
        file.write(f"{path.name}\\n")
    return "done"
"""


@pytest.fixture
def processing(
    other_kernel: Callable[[], OtherKernel], server: FaultServer, work: Path, monkeypatch: pytest.MonkeyPatch
) -> OtherKernel:
    """Return a kernel that has a file, and calls a function with it that waits for a file `go`."""
    server.events.set("go")
    (work / "waiting.py").write_text(WAITING)
    monkeypatch.syspath_prepend(str(work))
    other = other_kernel()
    answer = other.ask(f"downloader.download({server.url('/a')!r}, 'file.bin', post_process='waiting:wait').name")
    assert answer == "file.bin", answer
    poll((work / "began").exists, deadline=WAIT, what="the call of the function")
    return other


def test_what_a_live_kernel_does_with_a_file_is_shown_as_held_until_it_is_done(
    processing: OtherKernel, downloader: BackgroundDownloader, work: Path, seen: Seen
):
    operation = shown(downloader)
    assert operation.is_held
    assert (operation.status, operation.standing) == (Status.COMPLETED, Status.RUNNING)
    with pytest.raises(HeldByAnotherKernel):
        operation.cancel()
    (work / "go").touch()
    seen.until(lambda: operation.is_over, timeout=LOOK_EVERY + WAIT)
    assert operation.post_processing.was_done
    assert (work / "calls").read_text() == "file.bin\n"


def test_what_a_dead_kernel_did_with_a_file_is_begun_again_here(
    processing: OtherKernel, downloader: BackgroundDownloader, work: Path, seen: Seen
):
    operation = shown(downloader)
    assert operation.is_held
    processing.signal(signal.SIGKILL)
    (work / "go").touch()
    seen.until(lambda: operation.is_over, timeout=LOOK_EVERY + WAIT)
    assert operation.post_process_result == "done"
    assert (work / "calls").read_text() == "file.bin\n"

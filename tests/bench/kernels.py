"""
Two kernels on one state file: the second takes what a dead one had, within seconds, and nothing from a living one.

What the first does in the meantime: it works, it is stopped, its clock or the second's is wrong by ten years, it has
forked a child that outlives it, it is killed.
"""

from __future__ import annotations

import contextlib
import errno
import os
import signal
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final

from bgdl_jupyter.storage.state_file import StateFile
from tests.bench import judge
from tests.bench.results import Family
from tests.bench.stage import EVERY, Stage
from tests.storage.kernel_process import KernelProcess

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_APPLICATION: Final = "/a.ipynb"
_OPERATIONS: Final = 20
_SECONDS: Final = 5.0
_YEARS: Final = 10 * 365 * 86400.0


@dataclass(slots=True)
class _Account:
    n: int = 0
    slowest: float = 0.0
    failures: list[str] = field(default_factory=list)

    def expect(self, what: str, found: object, wanted: object) -> None:
        self.n += 1
        if found != wanted:
            self.failures.append(f"{what}: {found!r} instead of {wanted!r}")


def run(rounds: int = 25, *, first: bool = False) -> Family:
    """Do everything ``rounds`` times; ``first`` ends with the first failure."""
    account = _Account()
    for number in range(rounds):
        for step in _STEPS:
            with tempfile.TemporaryDirectory(prefix="kernels-") as folder:
                step(account, Path(folder) / "state" / "state.sqlite3", number)
        if first and account.failures:
            break
    if not account.failures:
        _without_locks(account)
    return Family(
        name="kernels",
        title="Several kernels on one state file",
        section="Several kernels",
        claim=(
            "Kernels in processes of their own. A second one asks for what the first has while that works, while it is "
            "stopped (SIGSTOP), while the clocks are ten years apart: it gets nothing. Then the first is killed, one "
            "with a forked child that outlives it: the second gets everything. Where no lock can be had (ENOLCK), "
            "downloads are kept in memory, which is said, and end well."
        ),
        n=account.n,
        passed=account.n - len(account.failures),
        details={"slowest hand-over after a death, s": round(account.slowest, 2)},
        failures=account.failures[:20],
        command=f"python -m tests.bench kernels --count {rounds}",
    )


@contextlib.contextmanager
def _first_kernel(path: Path, number: int) -> Iterator[KernelProcess]:
    kernel = KernelProcess(path, _APPLICATION)
    try:
        start = number * _OPERATIONS
        made = f"[each.result(10) for each in state.insert([row({start} + n) for n in range({_OPERATIONS})])]"
        kernel.evaluate(f"len({made})")
        yield kernel
    finally:
        kernel.end()


@contextlib.contextmanager
def _second_kernel(path: Path, clock: Callable[[], float] = time.time) -> Iterator[StateFile]:
    state = StateFile.open(path, application=_APPLICATION, clock=clock)
    try:
        yield state
    finally:
        state.close(10)


def _taken(state: StateFile) -> int:
    return sum(len(piece) for piece in state.acquire(_APPLICATION, timeout=10))


def _works(account: _Account, path: Path, number: int) -> None:
    with _first_kernel(path, number), _second_kernel(path) as second:
        account.expect("taken from a kernel that works", _taken(second), 0)


def _is_stopped(account: _Account, path: Path, number: int) -> None:
    with _first_kernel(path, number) as first, _second_kernel(path) as second:
        first.stop()
        account.expect("taken from a kernel that is stopped", _taken(second), 0)


def _clock_is_wrong(account: _Account, path: Path, number: int) -> None:
    years = _YEARS if number % 2 else -_YEARS
    with _first_kernel(path, number) as first, _second_kernel(path, lambda: time.time() + years) as second:
        account.expect("taken with a clock that is wrong", _taken(second), 0)
        first.kill()
        _hand_over(account, second, "with a clock that is wrong")


def _is_killed(account: _Account, path: Path, number: int) -> None:
    with _first_kernel(path, number) as first, _second_kernel(path) as second:
        first.kill()
        _hand_over(account, second, "from a kernel that was killed")


def _has_a_child(account: _Account, path: Path, number: int) -> None:
    with _first_kernel(path, number) as first, _second_kernel(path) as second:
        child = int(first.evaluate("(lambda pid: pid or time.sleep(60) or os._exit(0))(os.fork())"))
        try:
            account.expect("taken from a kernel with a child", _taken(second), 0)
            first.kill()
            _hand_over(account, second, "from a kernel whose child lives on")
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.kill(child, signal.SIGKILL)


def _hand_over(account: _Account, second: StateFile, how: str) -> None:
    began = time.monotonic()
    taken = 0
    while taken < _OPERATIONS and time.monotonic() - began < _SECONDS:
        taken += _taken(second)
    account.slowest = max(account.slowest, time.monotonic() - began)
    account.expect(f"taken {how}", taken, _OPERATIONS)


def _without_locks(account: _Account) -> None:
    """Run the scenario where every lock is refused: it is said that nothing would survive, and all files come."""
    with Stage() as stage, stage.performance() as folder:
        played = stage.play("begin", folder, at=EVERY, error=errno.ENOLCK, kinds="lock")
        account.expect("without locks", list(judge.survived_errors(played)), [])
        silent = [name for name, _, *notices in played.said("created") if not notices]
        account.expect("accepted without locks and without a word", silent, [])
        account.expect("complete without locks", len(played.said("completed")), 4)


_STEPS: Final = (_works, _is_stopped, _clock_is_wrong, _is_killed, _has_a_child)

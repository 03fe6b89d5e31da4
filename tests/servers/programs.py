"""Real programs as counterparts: started on a free port, waited for, ended."""

from __future__ import annotations

import contextlib
import signal
import socket
import subprocess
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

READY = 15.0
_POLL = 0.02


def free_ports(count: int, host: str = "127.0.0.1") -> list[int]:
    """Return ports that nobody listened on a moment ago."""
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind((host, 0))
        return [int(each.getsockname()[1]) for each in sockets]


def poll(condition: Callable[[], bool], *, deadline: float, what: str) -> None:
    """Ask a program that cannot call back until the condition holds. Raises `TimeoutError`."""
    end = time.monotonic() + deadline
    while not condition():
        if time.monotonic() > end:
            raise TimeoutError(f"not within {deadline} s: {what}")
        time.sleep(_POLL)


def answers(host: str, port: int) -> bool:
    """Whether somebody accepts connections there."""
    with contextlib.suppress(OSError), socket.create_connection((host, port), timeout=1):
        return True
    return False


@contextlib.contextmanager
def running(
    command: Sequence[str | Path], *, ports: Sequence[int], output: Path, host: str = "127.0.0.1"
) -> Iterator[subprocess.Popen[bytes]]:
    """
    Run a server until the block ends.

    Raises `RuntimeError` with what it printed to `output` when it ends before it listens on all `ports`.
    """
    with output.open("ab") as file, subprocess.Popen(command, stdout=file, stderr=file) as process:
        try:
            for port in ports:
                poll(
                    lambda port=port: process.poll() is not None or answers(host, port),  # type: ignore[misc] # a bound default
                    deadline=READY,
                    what=f"{command[0]} listens on {port}",
                )
            if process.poll() is not None:
                raise RuntimeError(f"{command[0]} ended with {process.returncode}: {output.read_text()[-2000:]}")
            yield process
        finally:
            _end(process)


def _end(process: subprocess.Popen[bytes]) -> None:
    process.send_signal(signal.SIGTERM)
    try:
        process.wait(5)
    except subprocess.TimeoutExpired:
        process.kill()

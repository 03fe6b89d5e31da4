"""
A kernel in a process of its own, that can be killed, stopped and forked.

As a program it opens the state file of its arguments and evaluates one expression a line, in which `state` is the
state file, and answers with what it is.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import UUID

from bgdl_jupyter.storage.state_file import OperationRow, StateFile

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bgdl_jupyter.storage.state_file import Acquired

DEADLINE = 20


def row(number: int, *, application: str = "/a.ipynb", **columns) -> OperationRow:
    """Return an operation of its own, told from others by its number."""
    record = columns.pop("record", {"requested_uri": f"https://host/{number}"})
    return OperationRow(
        operation_id=UUID(int=number),
        application=application,
        group=columns.pop("group", ""),
        identity=columns.pop("identity", f"identity-{number}"),
        destination_key=columns.pop("destination_key", f"/data/{number}"),
        position=columns.pop("position", number),
        created_at=columns.pop("created_at", 1_700_000_000.0),
        record=record,
        **columns,
    )


def all_of(pieces: Iterator[list[Acquired]]) -> list[Acquired]:
    """Return what was acquired, in one list."""
    return [each for piece in pieces for each in piece]


class KernelProcess:
    """The other side: starts the program, and asks it."""

    def __init__(self, path: Path, application: str = "/a.ipynb") -> None:
        self._process = subprocess.Popen(
            [sys.executable, __file__, str(path), application],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            bufsize=1,
            cwd=Path(__file__).parent.parent.parent,
        )
        self.pid = self._process.pid
        self.kernel_id = self.answer()

    def ask(self, expression: str) -> None:
        assert self._process.stdin
        self._process.stdin.write(expression + "\n")

    def answer(self) -> str:
        assert self._process.stdout
        return self._process.stdout.readline().strip()

    def evaluate(self, expression: str) -> str:
        self.ask(expression)
        return self.answer()

    def kill(self) -> None:
        """Kill it and do not collect it: what a Jupyter server has for a moment."""
        self._process.kill()
        os.waitid(os.P_PID, self.pid, os.WEXITED | os.WNOWAIT)

    def stop(self) -> None:
        self._process.send_signal(signal.SIGSTOP)
        os.waitid(os.P_PID, self.pid, os.WSTOPPED)

    def end(self) -> None:
        self._process.kill()
        self._process.communicate()


def main() -> None:
    path, application = sys.argv[1:]
    state = StateFile.open(Path(path), application=application)
    print(state.kernel_id, flush=True)  # noqa: T201 (it is the answer)
    names = {"state": state, "row": row, "UUID": UUID, "os": os, "time": time, "sys": sys}
    for line in sys.stdin:
        # One write, whatever buffering the environment asks for: a forked child may answer at the same time.
        os.write(1, f"{eval(line, names)!r}\n".encode())  # noqa: S307 (its only caller is above)


if __name__ == "__main__":
    main()

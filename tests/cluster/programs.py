"""A scheduler and workers as programs of their own, as they run on a real cluster."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING, Self

from tests.servers.programs import free_ports

if TYPE_CHECKING:
    from pathlib import Path


class Programs:
    """A scheduler at an address that stays, and a worker; both can end and begin again."""

    def __init__(self, folder: Path) -> None:
        (self._port,) = free_ports(1)
        self._folder = folder
        self._running: list[subprocess.Popen[bytes]] = []
        self.address = f"tcp://127.0.0.1:{self._port}"

    def start(self) -> None:
        """Start both."""
        scheduler = ["dask_scheduler", "--host", "127.0.0.1", "--port", str(self._port), "--no-dashboard"]
        scheduler += ["--dashboard-address", "127.0.0.1:0"]
        worker = ["dask_worker", self.address, "--nthreads", "1", "--no-dashboard", "--no-nanny"]
        worker += ["--local-directory", str(self._folder), "--death-timeout", "60"]
        for name, *arguments in (scheduler, worker):
            command = [sys.executable, "-m", f"distributed.cli.{name}", *arguments]
            self._running.append(subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL))

    def kill(self) -> None:
        """End both at once, as a power failure would."""
        while self._running:
            each = self._running.pop()
            each.kill()
            each.wait()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()

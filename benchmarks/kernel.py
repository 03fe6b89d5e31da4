"""A real kernel, driven as a front end drives one."""

from __future__ import annotations

import contextlib
import json
import time
from typing import TYPE_CHECKING, Any

from jupyter_client.manager import KernelManager

from benchmarks.peers.base import Job, environment
from benchmarks.scratch import ROOT

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from jupyter_client.blocking.client import BlockingKernelClient

_TIME_LIMIT = 120.0


class CellFailed(Exception):
    """A cell raised; the message has what."""


class Kernel:
    """A kernel whose state and files are in a folder."""

    def __init__(self, client: BlockingKernelClient) -> None:
        self._client = client

    def run(self, code: str) -> Any:
        """Run a cell, and return what it printed, as JSON when it printed something; raises `CellFailed`."""
        printed: list[str] = []

        def keep(message: dict[str, Any]) -> None:
            if message["msg_type"] == "stream" and message["content"]["name"] == "stdout":
                printed.append(message["content"]["text"])

        reply = self._client.execute_interactive(code, timeout=_TIME_LIMIT, output_hook=keep, allow_stdin=False)
        content = reply["content"]
        if content["status"] != "ok":
            raise CellFailed(f"{content.get('ename')}: {content.get('evalue')}")
        text = "".join(printed).strip()
        return json.loads(text.splitlines()[-1]) if text else None

    def empty_cell(self) -> float:
        """Run a cell with nothing in it; returns the seconds from the request to the reply."""
        start = time.perf_counter()
        self._client.execute("", silent=True, reply=True, timeout=_TIME_LIMIT)
        return time.perf_counter() - start


@contextlib.contextmanager
def running_kernel(folder: Path) -> Iterator[Kernel]:
    """Start a kernel that works in a folder, and end it afterwards."""
    job = Job(urls=(), destinations=(), sizes=(), folder=folder)
    manager = KernelManager(connection_file=str(folder / "kernel.json"))
    with (folder / "kernel.log").open("wb") as log:
        manager.start_kernel(cwd=str(folder), env=environment(job, {"PYTHONPATH": str(ROOT)}), stdout=log, stderr=log)
        client = manager.client()
        client.start_channels()
        try:
            client.wait_for_ready(timeout=_TIME_LIMIT)
            yield Kernel(client)
        finally:
            client.stop_channels()
            manager.shutdown_kernel(now=True)
            manager.cleanup_resources()


def percentile(values: list[float], share: float) -> float:
    """Return the value that this share of all does not exceed."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]

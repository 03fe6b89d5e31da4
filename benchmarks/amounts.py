"""W10, W12 and the growth: what many operations and many connections cost."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING, Any, Final

from benchmarks.peers.base import Job, environment
from benchmarks.results import Result
from benchmarks.scratch import ROOT, emptied
from benchmarks.servers import ADDRESS, host_address, silent_server

if TYPE_CHECKING:
    from pathlib import Path

    from benchmarks.workloads import Setting

_TIME_LIMIT: Final = 900.0
#: The bytes of each of very many files.
_TINY: Final = 100


def queue(setting: Setting) -> Result:
    """W10: create operations from a manifest, and restore them in a new process."""
    count = setting.sizes.queued
    result = Result(workload="W10", title=f"a queue of {count:,} operations")
    created, restored = _create_and_restore(setting, count)
    with silent_server() as port, emptied(setting.folder / "queue") as folder:
        listed = measure(folder, "create_csv", count=count, url=f"http://{ADDRESS}:{port}/{{number}}.bin")
    result.measures = {
        "create, s": created["seconds"],
        "memory of the created, MB": created["memory"] / 1e6,
        "restore in a new process, s": restored["seconds"],
        "memory of the restored, MB": restored["memory"] / 1e6,
        "CSV with destinations and checksums: check, s": listed["checked"],
        "CSV: create, s": listed["created"],
        "CSV: processor time of both, s": listed["used"],
        "CSV: memory, MB": listed["memory"] / 1e6,
    }
    result.notes.append(
        "The server takes connections and never answers, so that nothing else happens. Memory is what the process has "
        "more afterwards than before the first call. To restore ends when `get_current_downloads` has returned all."
    )
    return result


def _create_and_restore(setting: Setting, count: int) -> tuple[dict[str, Any], dict[str, Any]]:
    with silent_server() as port, emptied(setting.folder / "queue") as folder:
        url = f"http://{ADDRESS}:{port}/{{number}}.bin"
        created = measure(folder, "create", count=count, url=url)
        return created, measure(folder, "restore", count=count)


def concurrent_transfers(setting: Setting) -> Result:
    """W12: a fixed total in 1, 10, 100, … files, all at once, each from a host of its own."""
    total = setting.sizes.fixed_total
    result = Result(
        workload="W12", title=f"{total >> 20} MiB in 1 to {setting.sizes.transfers[-1]:,} transfers at once"
    )
    rates: list[tuple[float, float]] = []
    memories: list[tuple[float, float]] = []
    lags: list[tuple[float, float]] = []
    for count in setting.sizes.transfers:
        measured = _transfer(setting, count, total // count)
        rates.append((count, total / measured["seconds"] / 1e6))
        memories.append((count, measured["memory"] / 1e6))
        lags.append((count, measured["lag"] * 1e3))
    result.series = {"throughput, MB/s": rates, "memory, MB": memories, "lag of the loop, p99, ms": lags}
    result.measures = {
        "slowest over best throughput": min(rate for _, rate in rates) / max(rate for _, rate in rates),
        "most memory over least, MB": max(each for _, each in memories) - min(each for _, each in memories),
        "lag of the engine's loop, worst p99, ms": max(lag for _, lag in lags),
    }
    result.measures |= {f"{amount:,g} at once, MB/s": rate for amount, rate in rates}
    result.notes.append("The ceilings are raised to the number of transfers; each has its own loopback address.")
    return result


def _transfer(setting: Setting, count: int, size: int) -> dict[str, Any]:
    with emptied(setting.folder / "many") as folder, emptied(setting.nginx.root / f"w12-{count}") as served:
        (served / "one.bin").write_bytes(bytes(size))
        path = f"w12-{count}/one.bin"
        urls = [setting.nginx.plain(path, address=host_address(number)) for number in range(count)]
        return measure(folder, "transfer", urls=urls, ceiling=count)


def growth(setting: Setting) -> Result:
    """Create, restore and finish 1, 10, 100, … operations."""
    sizes = setting.sizes
    result = Result(workload="growth", title=f"1 to {sizes.operations[-1]:,} operations")
    lines: dict[str, list[tuple[float, float]]] = {"created": [], "restored": [], "finished": []}
    (setting.nginx.root / "one.bin").write_bytes(bytes(_TINY))
    for count in sizes.operations:
        created, restored = _create_and_restore(setting, count)
        measured = {"created": created, "restored": restored}
        if count in sizes.finished:
            with emptied(setting.folder / "finish") as folder:
                url = setting.nginx.plain("same/{number}.bin")
                measured["finished"] = measure(folder, "finish", count=count, url=url)
        for name, each in measured.items():
            lines[name].append((count, each["seconds"]))
    result.series = lines
    if sizes.finished[-1] < sizes.operations[-1]:
        result.notes.append(f"No more than {sizes.finished[-1]:,} are fetched: that takes minutes, and says no more.")
    for name, points in lines.items():
        if len(points) > 1:
            result.measures[f"{name}, last decade, times as long"] = points[-1][1] / points[-2][1]
    return result


def measure(folder: Path, action: str, **parameters: Any) -> dict[str, Any]:
    """Run an action of `inner.amounts` in a process whose state is in a folder, and return what it measured."""
    job = Job(urls=(), destinations=(), sizes=(), folder=folder)
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.peers.inner.amounts", action],
        input=json.dumps({"folder": str(folder), **parameters}),
        env=environment(job, {"PYTHONPATH": str(ROOT)}),
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=_TIME_LIMIT,
        check=False,
    )
    if done.returncode:
        raise RuntimeError(f"{action} failed: {done.stderr[-2000:]}")
    measured: dict[str, Any] = json.loads(done.stdout.strip().splitlines()[-1])
    return measured

"""
Very much at once in a real kernel: transfers, queued operations, and a soak of short rounds full of faults.

Looked at from inside: memory, descriptors, and how long the engine's loop keeps others waiting; and from outside: how
many messages come, and how many toasts. On a machine that has others to serve, a loop also waits for the processor,
which says nothing about it; so what is judged is the processor time that it spends between two looks.
"""

from __future__ import annotations

import json
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from tests.bench.results import Family, Table
from tests.kernels import RealKernel
from tests.servers.addresses import black_hole
from tests.servers.content import Pattern, digest, file_sha256
from tests.servers.fault_server import FaultServer
from tests.servers.faults import cut_after, status
from tests.servers.files import FileSpec
from tests.servers.nginx import Nginx

if TYPE_CHECKING:
    from collections.abc import Sequence

_SIZE: Final = 200_000
_RATE: Final = 40_000
_LONG: Final = 900.0
_MEBIBYTE: Final = 1 << 20

_WATCH: Final = """
%load_ext bgdl_jupyter
import asyncio, gc, json, os, psutil, time
import bgdl_jupyter
from bgdl_jupyter.events import AlertRaised
from bgdl_jupyter.model.process import current_runner
downloader = bgdl_jupyter.default_downloader()
runner, process = current_runner(), psutil.Process()
lags, works, toasts, peak = [], [], [], {"memory": 0, "descriptors": 0}
passes, collected = [0.0], {"begun": 0.0, "here": 0.0}
def collecting(phase, info):
    if phase == "start":
        collected["begun"] = time.thread_time()
        return
    passes.append(time.thread_time() - collected["begun"])
    if runner.place.is_here():
        collected["here"] += passes[-1]
gc.callbacks.append(collecting)
async def watch():
    while True:
        began, worked = time.perf_counter(), time.thread_time() - collected["here"]
        await asyncio.sleep(0.02)
        lags.append(time.perf_counter() - began - 0.02)
        works.append(time.thread_time() - collected["here"] - worked)
        if len(lags) % 10 == 0:
            peak["memory"] = max(peak["memory"], process.memory_info().rss)
            peak["descriptors"] = max(peak["descriptors"], process.num_fds())
runner.place.call(runner.events.subscribe, lambda event: isinstance(event, AlertRaised) and toasts.append(event))
runner.place.spawn(watch(), name="watch")
before = {"memory": process.memory_info().rss, "descriptors": process.num_fds()}
"""
_TELL: Final = """
def share(values, of):
    return sorted(values)[int(len(values) * of)] if values else 0.0
print(json.dumps({"before": before, "peak": peak, "after": {"memory": process.memory_info().rss,
    "descriptors": process.num_fds()}, "lag": share(lags, 0.99), "work": share(works, 0.99), "toasts": len(toasts),
    "collector": max(passes),
    "threads": process.num_threads()}))
"""
_TRANSFERS: Final = """
downloader.max_parallel = downloader.max_parallel_per_host = downloader.max_connections_per_host = {count}
group = bgdl_jupyter.download_many(
    [{{"uri": "{root}?%d" % number, "destination": "%d.bin" % number}} for number in range({count})], group="load")
group.wait(600)
print(sorted({{operation.status.name for operation in group.operations}}))
"""
_QUEUE: Final = """
worked = time.process_time()
group = bgdl_jupyter.download_many(
    ({{"uri": "{root}%d.bin" % number, "destination": "%d.bin" % number}} for number in range({count})), group="queue")
created, worked = time.process_time() - worked, time.process_time()
group.pause()
print(json.dumps({{"created": created, "paused": time.process_time() - worked,
    "others": sum(operation.status.name != "PAUSED_BY_APPLICATION" for operation in group.operations)}}))
"""
_RESTORE: Final = """
worked = time.process_time()
count = len(downloader.get_current_downloads(group="queue"))
print(json.dumps({"processor": time.process_time() - worked, "count": count}))
"""
_ROUND: Final = """
group = bgdl_jupyter.download_many(
    [{{"uri": "{root}%d.bin?{round}" % number, "destination": "{round}-%d.bin" % number}} for number in range({files})],
    group="soak")
group.wait(120)
ended = sorted({{operation.status.name for operation in group.operations}})
%bgdl clear -g soak
print("ENDED", ended, "STATE", json.dumps({{"memory": process.memory_info().rss, "descriptors": process.num_fds()}}))
"""


@dataclass(frozen=True, slots=True)
class _Measure:
    """Something that was measured; judged where there is a ceiling."""

    name: str
    value: float
    ceiling: float | None = None

    @property
    def is_kept(self) -> bool:
        return self.ceiling is None or self.value <= self.ceiling


def run(transfers: int = 1000, *, queued: int = 100_000, rounds: int = 60) -> Family:
    """
    Load a kernel.

    Parameters
    ----------
    transfers, queued:
        How many at once, and how many operations wait.
    rounds:
        Of the soak; each has 50 files.
    """
    measures = [*_at_once(transfers), *_queue(queued), *_soak(rounds)]
    judged = [each for each in measures if each.ceiling is not None]
    rows = [[each.name, each.value, "" if each.ceiling is None else each.ceiling] for each in measures]
    return Family(
        name="load",
        title="Very much at once, and for long",
        section="Load",
        claim=(
            f"A real kernel with JupyterLab's line open: {transfers:,} transfers at once from a real nginx, {queued:,} "
            "operations that wait, are paused and are restored by the next kernel, and "
            f"{rounds} rounds of 50 files each of which the server "
            "cuts off or refuses at first. Survived means here that a ceiling was kept. Memory and "
            "descriptors are what there is more than before. The work of the loop is the processor time that its "
            "thread spends between two looks, 99 of 100 are below it, without the passes of Python's collector, which "
            "take the longer, the more objects there are, and come upon whatever thread makes one more; its "
            "lag includes them, and the waiting for a processor."
        ),
        n=len(judged),
        passed=sum(each.is_kept for each in judged),
        tables=[Table(columns=("measured", "value", "ceiling"), rows=rows)],
        failures=[f"{each.name}: {each.value:,} is above {each.ceiling:,}" for each in judged if not each.is_kept],
        command=f"python -m tests.bench load --count {transfers}",
    )


def _kernel(folder: Path, **variables: str) -> RealKernel:
    (folder / "work").mkdir(exist_ok=True)
    environment = {"BGDL_STATE_FILE": str(folder / "state" / "state.sqlite3"), **variables}
    return RealKernel(cwd=folder / "work", env=environment)


def _open_line(kernel: RealKernel) -> None:
    """Do what JupyterLab does: subscribe."""
    opened = kernel.wait_for(lambda each: each.content.get("target_name") == "bgdl_jupyter", since=0)
    assert opened.comm_id is not None
    kernel.send_comm(opened.comm_id, {"verb": "subscribe"})


def _run(kernel: RealKernel, cell: str) -> str:
    """Run a cell, and return the last line that it printed."""
    result = kernel.run(cell, timeout=_LONG)
    assert result.error is None, result.error
    return result.text.splitlines()[-1] if result.text else ""


def _told(kernel: RealKernel) -> dict[str, Any]:
    told: dict[str, Any] = json.loads(_run(kernel, _TELL))
    return told


def _at_once(count: int) -> list[_Measure]:
    content = Pattern(_SIZE, 5)
    with tempfile.TemporaryDirectory(prefix="load-") as name:
        folder = Path(name)
        (folder / "nginx").mkdir()
        with Nginx(folder / "nginx", rate=_RATE) as nginx, _kernel(folder) as kernel:
            nginx.put("one.bin", content)
            _run(kernel, _WATCH)
            _open_line(kernel)
            began, first = time.monotonic(), len(kernel.messages)
            statuses = _run(kernel, _TRANSFERS.format(count=count, root=nginx.url("/one.bin")))
            seconds = time.monotonic() - began
            said = sum(each.type.startswith("comm_") for each in kernel.messages[first:])
            told = _told(kernel)
        files = list((folder / "work").glob("*.bin"))
        wrong = sum(file_sha256(path) != digest(content).hex() for path in files)
    assert statuses == "['COMPLETED']", statuses
    return [
        _Measure(f"{count:,} transfers: files that are missing or wrong", count - len(files) + wrong, 0),
        _Measure(f"{count:,} transfers: memory, MB", _more_memory(told), 256),
        _Measure(f"{count:,} transfers: descriptors at most", told["peak"]["descriptors"]),
        _Measure(f"{count:,} transfers: work of the loop, ms", round(told["work"] * 1e3, 1), 100),
        _Measure(f"{count:,} transfers: lag of the loop, ms", round(told["lag"] * 1e3, 1)),
        _Measure(f"{count:,} transfers: the longest pass of Python's collector, ms", round(told["collector"] * 1e3, 1)),
        _Measure(f"{count:,} transfers: messages a second", round(said / seconds, 1), 20),
        _Measure(f"{count:,} transfers: toasts", told["toasts"], 20),
    ]


def _queue(count: int) -> list[_Measure]:
    with tempfile.TemporaryDirectory(prefix="load-") as name, black_hole() as port:  # nobody answers: all of them wait
        folder = Path(name)
        with _kernel(folder) as kernel:
            _run(kernel, _WATCH)
            created = json.loads(_run(kernel, _QUEUE.format(count=count, root=f"http://127.0.0.1:{port}/")))
            told = _told(kernel)
        with _kernel(folder, BGDL_ON_RESTORE="pause") as kernel:
            _run(kernel, _WATCH.replace("%load_ext bgdl_jupyter", ""))  # which would restore them before the watch
            restored = json.loads(_run(kernel, _RESTORE))
            told_later = _told(kernel)
    return [
        _Measure(f"{count:,} queued: operations that were not paused", created["others"], 0),
        _Measure(f"{count:,} queued: operations that were not restored", count - restored["count"], 0),
        _Measure(f"{count:,} queued: memory, MB", _more_memory(told)),
        _Measure(f"{count:,} queued: memory when they are restored, MB", _more_memory(told_later), 250),
        _Measure(f"{count:,} queued: work of the loop, ms", round(told["work"] * 1e3, 1), 100),
        _Measure(
            f"{count:,} queued: work of the loop when they are restored, ms", round(told_later["work"] * 1e3, 1), 100
        ),
        _Measure(f"{count:,} queued: to create, s of the processor", round(created["created"], 1)),
        _Measure(f"{count:,} queued: to pause, s of the processor", round(created["paused"], 1)),
        _Measure(f"{count:,} queued: to restore, s of the processor", round(restored["processor"], 1)),
        _Measure(f"{count:,} queued: toasts", told["toasts"], 20),
    ]


def _more_memory(told: dict[str, Any]) -> float:
    """Return what there was more at most than before, in megabytes."""
    more: int = max(told["peak"]["memory"], told["after"]["memory"]) - told["before"]["memory"]
    return round(more / 1e6, 1)


def _soak(rounds: int, files: int = 50) -> list[_Measure]:
    specs = {
        f"/{number}.bin": FileSpec(size=20_000 + number, seed=number + 1, faults=_trouble(number))
        for number in range(files)
    }
    states: list[dict[str, int]] = []
    with tempfile.TemporaryDirectory(prefix="load-") as name, FaultServer(specs) as server:
        folder = Path(name)
        with _kernel(folder) as kernel:
            _run(kernel, _WATCH + "runner.place.call(setattr, runner.transfers, 'draw', lambda: 0.0)\n")
            for number in range(rounds):
                line = _run(kernel, _ROUND.format(root=server.url(), round=number, files=files))
                ended, _, state = line.partition(" STATE ")
                assert ended == "ENDED ['COMPLETED']", line
                states.append(json.loads(state))
                server.exchanges.clear()
            told = _told(kernel)
        wrong = sum(
            file_sha256(folder / "work" / f"{rounds - 1}-{number}.bin") != specs[f"/{number}.bin"].sha256
            for number in range(files)
        )
    half = len(states) // 2
    return [
        _Measure(f"soak of {rounds * files:,} files: files of the last round that are wrong", wrong, 0),
        _Measure("soak: memory, second half above the first, MB", _growth(states, half, "memory") / 1e6, 8),
        _Measure("soak: descriptors, second half above the first", _growth(states, half, "descriptors"), 8),
        _Measure("soak: threads in the end", told["threads"]),
    ]


def _trouble(number: int) -> tuple[Any, ...]:
    """Return what the server does to every third request for a file."""
    kinds = ((), (cut_after(9_000, on=_is_first),), (status(503, on=_is_first),))
    return kinds[number % len(kinds)]


def _is_first(request: Any) -> bool:
    return bool(request.number % 2)


def _growth(states: Sequence[dict[str, int]], half: int, name: str) -> float:
    """Return by how much the most of the second half is above the most of the first."""
    return max(0.0, float(max(each[name] for each in states[half:]) - max(each[name] for each in states[:half])))

"""
Very many small files over a cluster: a worker is killed half-way, and the notebook's kernel restarts once.

The cluster is two worker processes of this machine; the kernel is told its scheduler's address, so that it outlives
the kernel. The server is a real nginx that refuses, and logs, every request beyond the host's limit.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import signal
import tempfile
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

import psutil

from tests.bench.results import Family, Table
from tests.kernels import RealKernel
from tests.servers.nginx import Nginx

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

#: Connections to the one host, over the whole cluster.
LIMIT: Final = 8
_LONG: Final = 7200.0
_SOON: Final = 30.0
_REFUSED: Final = 503
_FLAT: Final = 1.25

_BEGIN: Final = """
%load_ext bgdl_jupyter
import json, time, bgdl_jupyter
from bgdl_jupyter.model.process import current_runner
from bgdl_jupyter.events import GroupChanged
downloader = bgdl_jupyter.default_downloader()
downloader.max_parallel_per_host = {limit}
told = []
runner = current_runner()
runner.place.call(runner.events.subscribe, lambda event: told.append(1) if isinstance(event, GroupChanged) else None)
"""
_START: Final = """
group = bgdl_jupyter.download_many("manifest.csv", group="many", directory="out", cluster="{address}")
"""
_AGAIN: Final = 'group = downloader.create_group("many")'
_TELL: Final = """
progress = group.progress
print(json.dumps([progress.completed, progress.failed, group.standing.is_final, len(told), group.remark]))
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """What came of one run, and what it took; times in seconds."""

    files: int
    wrong: int
    left: int
    again: int
    needless: int
    more_than_twice: int
    beyond_limit: int
    shards: int
    seconds: float
    taking_in: float
    client_processor: float
    client_peak: float
    scheduler_processor: float
    worker_processor: float
    told: int


def run(count: int = 20_000) -> Family:
    """Fetch so many files while a worker is killed and the kernel is restarted."""
    found = measure(count, does_harm=True)
    expected = {
        "files that are missing or wrong": (found.wrong, 0),
        "unfinished files that are left": (found.left, 0),
        "requests beyond the limit of the host": (found.beyond_limit, 0),
        "files fetched again that were there when the worker died": (found.needless, 0),
        "files fetched more than twice": (found.more_than_twice, 0),
    }
    failures = [f"{name}: {value:,}" for name, (value, wanted) in expected.items() if value != wanted]
    return Family(
        name="cluster",
        title="A cluster, a killed worker, a restarted kernel",
        section="Load",
        claim=(
            f"{count:,} small files from a real nginx over two worker processes. At a third one worker is killed "
            "(SIGKILL), at two thirds the kernel of the notebook. Survived: every file is right, nothing unfinished is "
            f"left, the host never has more than {LIMIT} requests at once by its own count, and what is fetched again "
            "was not there yet when the worker died."
        ),
        n=len(expected),
        passed=len(expected) - len(failures),
        details={
            "fetched again": found.again,
            "shards": found.shards,
            "seconds": round(found.seconds, 1),
            "changes told to views": found.told,
        },
        failures=failures,
        command=f"python -m tests.bench cluster --count {count}",
    )


def sizes(counts: Sequence[int] = (2_000, 10_000, 100_000)) -> Family:
    """Fetch manifests of several lengths, and compare what they take."""
    runs = [measure(count) for count in counts]
    first, last = runs[0], runs[-1]
    growth = last.client_peak / first.client_peak
    failures = [f"{each.files:,} files: {each.wrong:,} missing or wrong" for each in runs if each.wrong]
    failures += [f"{each.files:,} files: {each.beyond_limit:,} beyond the limit" for each in runs if each.beyond_limit]
    if growth > _FLAT:
        failures.append(f"the kernel's memory grew {growth:.2f}-fold from {first.files:,} to {last.files:,} files")
    columns = ["files", "shards", "kernel, MB", "kernel, s", "to take in, s", "scheduler, s", "workers, ms a file"]
    columns.append("messages to views")
    rows = [
        [
            each.files,
            each.shards,
            round(each.client_peak, 1),
            round(each.client_processor, 1),
            round(each.taking_in, 1),
            round(each.scheduler_processor, 1),
            round(each.worker_processor / each.files * 1e3, 2),
            each.told,
        ]
        for each in runs
    ]
    return Family(
        name="cluster_sizes",
        title="A cluster and the length of a manifest",
        section="Load",
        claim=(
            "The same with nothing killed, for manifests of several lengths. The memory of the kernel at its peak does "
            "not grow with the number of files. Seconds are those of the processor."
        ),
        n=2 * len(runs) + 1,
        passed=2 * len(runs) + 1 - len(failures),
        tables=[Table(columns=columns, rows=rows)],
        failures=failures,
        command=f"python -m tests.bench cluster_sizes --count {counts[-1]}",
    )


def measure(count: int, *, does_harm: bool = False) -> Run:
    """Fetch so many files, and return what came of it."""
    with tempfile.TemporaryDirectory(prefix="cluster-") as name, _cluster(Path(name)) as cluster:
        folder = Path(name)
        (folder / "nginx").mkdir()
        with Nginx(folder / "nginx", max_connections=LIMIT) as nginx:
            work = _prepare(folder, nginx, count)
            began = time.monotonic()
            scheduler = time.process_time()
            notebook = _Notebook(folder, work, cluster, port=urlsplit(nginx.url()).port or 0)
            try:
                notebook.follow(count, does_harm=does_harm)
            finally:
                notebook.close()
            seconds = time.monotonic() - began
            scheduler = time.process_time() - scheduler
            return _judged(work, nginx, count, notebook, seconds=seconds, scheduler=scheduler)


@contextlib.contextmanager
def _cluster(folder: Path) -> Iterator[Any]:
    from distributed import LocalCluster

    logging.getLogger("distributed").setLevel(logging.CRITICAL)  # it says much when it ends
    with LocalCluster(
        n_workers=2,
        threads_per_worker=1,
        processes=True,
        dashboard_address="127.0.0.1:0",
        local_directory=str(folder / "scratch"),
        silence_logs=logging.CRITICAL,
    ) as cluster:
        yield cluster


def _content(number: int) -> bytes:
    return f"{number:09d}\n".encode() * (1 + number % 100)


def _prepare(folder: Path, nginx: Nginx, count: int) -> Path:
    work = folder / "work"
    work.mkdir()
    with (work / "manifest.csv").open("w", encoding="ascii") as manifest:
        manifest.write("uri,destination\n")
        for number in range(count):
            place = nginx.root / f"{number // 1000}"
            place.mkdir(exist_ok=True)
            (place / f"{number}.bin").write_bytes(_content(number))
            path = f"{number // 1000}/{number}.bin"
            manifest.write(f"{nginx.url('/' + path)},{path}\n")
    return work


class _Notebook:
    """A kernel that has the cluster fetch, and the next one."""

    def __init__(self, folder: Path, work: Path, cluster: Any, *, port: int) -> None:
        self._environment = {"BGDL_STATE_FILE": str(folder / "state" / "state.sqlite3")}
        self._work = work
        self._cluster = cluster
        self._port = port
        self.peak = self.processor = self.workers = self.taking_in = 0.0
        self.told = 0
        self.there: set[str] = set()
        self._present = 0.0
        self._of_workers: dict[int, float] = {}
        self._kernel = self._new_kernel()
        began = time.monotonic()
        self._run(_START.format(address=cluster.scheduler_address))
        self.taking_in = time.monotonic() - began

    def _new_kernel(self) -> RealKernel:
        kernel = RealKernel(cwd=self._work, env=self._environment)
        kernel.__enter__()
        self._kernel = kernel
        self._run(_BEGIN.format(limit=LIMIT))
        return kernel

    def _run(self, cell: str) -> str:
        result = self._kernel.run(cell, timeout=_LONG)
        assert result.error is None, result.error
        return result.text.splitlines()[-1] if result.text else ""

    def _progress(self) -> list[Any]:
        self._look()
        told: list[Any] = json.loads(self._run(_TELL))
        return told

    def _look(self) -> None:
        """Take note of what the kernel and the workers have taken so far."""
        status = Path(f"/proc/{self._kernel.pid}/status").read_text("utf-8")
        peak = next(line for line in status.splitlines() if line.startswith("VmHWM"))
        self.peak = max(self.peak, int(peak.split()[1]) / 1000)
        times = psutil.Process(self._kernel.pid).cpu_times()
        self._present = times.user + times.system
        for pid in self._pids():
            with contextlib.suppress(psutil.NoSuchProcess):
                spent = psutil.Process(pid).cpu_times()
                self._of_workers[pid] = spent.user + spent.system

    def _pids(self) -> list[int]:
        return [each.pid for each in self._cluster.workers.values() if getattr(each, "pid", None)]

    def follow(self, count: int, *, does_harm: bool) -> None:
        """Wait for the end, with the harm at its time."""
        harms = [(count // 3, self._kill_worker), (2 * count // 3, self._restart)] if does_harm else []
        while True:
            completed, failed, is_final, self.told, remark = self._progress()
            if harms and completed >= harms[0][0]:
                harms.pop(0)[1]()
            if is_final:
                break
            time.sleep(0.2)
        assert not harms, "it was over before the harm was done"
        assert not failed, remark
        self.processor += self._present
        self.workers = sum(self._of_workers.values())

    def _kill_worker(self) -> None:
        out = self._work / "out"
        self.there = {f"/{path.relative_to(out).as_posix()}" for path in out.rglob("*.bin") if path.suffix == ".bin"}
        deadline = time.monotonic() + _SOON
        victims: list[int] = []
        while not victims:  # between two shards nothing is under way
            assert time.monotonic() < deadline, "it was over before the harm was done"
            time.sleep(0.01)
            victims = [pid for pid in self._pids() if self._is_fetching(pid)]
        os.kill(victims[0], signal.SIGKILL)

    def _is_fetching(self, pid: int) -> bool:
        process = psutil.Process(pid)
        look = getattr(process, "net_connections", None) or process.connections  # what releases before 6 call it
        return any(each.raddr and each.raddr.port == self._port for each in look(kind="tcp"))

    def _restart(self) -> None:
        self.processor += self._present
        self._kernel.sigkill()
        self._kernel.__exit__(None, None, None)
        self._new_kernel()
        self._run(_AGAIN)

    def close(self) -> None:
        self._kernel.__exit__(None, None, None)


def _judged(work: Path, nginx: Nginx, count: int, notebook: _Notebook, *, seconds: float, scheduler: float) -> Run:
    out = work / "out"
    paths = (out / f"{number // 1000}" / f"{number}.bin" for number in range(count))
    wrong = sum(not path.is_file() or path.read_bytes() != _content(number) for number, path in enumerate(paths))
    log = nginx.log()
    asked = Counter(line.target for line in log if line.status != _REFUSED)
    return Run(
        files=count,
        wrong=wrong,
        left=sum(1 for _ in out.rglob("*.bgdl")),
        again=sum(each > 1 for each in asked.values()),
        needless=sum(asked[path] > 1 for path in notebook.there),
        more_than_twice=sum(each > 2 for each in asked.values()),
        beyond_limit=sum(line.status == _REFUSED for line in log),
        shards=len(list(out.glob(".bgdl-cluster/*/results/*.parquet"))),
        seconds=seconds,
        taking_in=notebook.taking_in,
        client_processor=notebook.processor,
        client_peak=notebook.peak,
        scheduler_processor=scheduler,
        worker_processor=notebook.workers,
        told=notebook.told,
    )

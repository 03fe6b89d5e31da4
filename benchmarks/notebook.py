"""W8, W9, W11: what a person at a notebook notices, in a real kernel."""

from __future__ import annotations

import compileall
import contextlib
import os
import subprocess
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from statistics import median
from typing import TYPE_CHECKING, Final

from benchmarks.kernel import Kernel, percentile, running_kernel
from benchmarks.peers.base import Job, environment
from benchmarks.results import Result
from benchmarks.scratch import ROOT, emptied
from benchmarks.servers import ADDRESS, line

if TYPE_CHECKING:
    from collections.abc import Iterator

    from benchmarks.workloads import Setting

_RATE: Final = 120_000_000

#: What a kernel runs first. What the process wrote is what arrived: the bytes go from the socket to the file, and
#: nothing else writes much.
PREPARE: Final = """
import asyncio, json, time
import bgdl_jupyter

def written():
    with open("/proc/self/io") as file:
        return next(int(text.split()[1]) for text in file if text.startswith("wchar"))

def compute(seconds):
    count, end = 0, time.perf_counter() + seconds
    while time.perf_counter() < end:
        for number in range(1000):
            count += number & 1
    return count

def watched(action, seconds):
    before, start = written(), time.perf_counter()
    done = action(seconds)
    elapsed = time.perf_counter() - start
    return {"rate": (written() - before) / elapsed, "done": (done or 0) / elapsed}

def await_bytes(operation, deadline=20.0):
    end = time.monotonic() + deadline
    while operation.progress.bytes_received == 0:
        if time.monotonic() > end:
            raise TimeoutError(str(operation))
        time.sleep(0.01)

async def ticker(seconds, step=0.01):
    lags, loop = [], asyncio.get_running_loop()
    end = loop.time() + seconds
    while loop.time() < end:
        due = loop.time() + step
        await asyncio.sleep(step)
        lags.append(loop.time() - due)
    return lags
"""
_START_THREE: Final = """
import bgdl_jupyter
start = time.perf_counter()
operations = [bgdl_jupyter.download(url, f"{{number}}.bin") for number, url in enumerate({urls})]
seconds = time.perf_counter() - start
print(json.dumps(seconds))
"""
#: Ends ``operation``, which must not have ended before.
END: Final = """
if operation.status.is_final:
    raise RuntimeError(f"the download ended while it was measured: {operation}")
operation.cancel()
del operation
"""


def busy_cell(setting: Setting) -> Result:
    """W8: a cell computes while a download goes on, at 120 MB/s and then without a limit."""
    seconds = setting.sizes.cell_seconds
    result = Result(workload="W8", title=f"beside a cell of pure Python of {seconds:g} s")
    with flood(setting) as path, emptied(setting.folder / "kernel") as folder, running_kernel(folder) as kernel:
        kernel.run(PREPARE)
        alone = kernel.run(f"print(json.dumps(watched(compute, {seconds / 2})))")
        with line(setting.folder, setting.nginx.plain_port, rate=_RATE) as port:
            paced = _idle_and_busy(kernel, f"http://{ADDRESS}:{port}/{path}", seconds)
        free = _idle_and_busy(kernel, setting.nginx.plain(path), seconds / 2)
    result.measures = {
        "idle at 120 MB/s, MB/s": paced["idle"]["rate"] / 1e6,
        "in a busy cell at 120 MB/s, MB/s": paced["busy"]["rate"] / 1e6,
        "in a busy cell at 120 MB/s, over idle": paced["busy"]["rate"] / paced["idle"]["rate"],
        "idle without limit, MB/s": free["idle"]["rate"] / 1e6,
        "in a busy cell without limit, MB/s": free["busy"]["rate"] / 1e6,
        "in a busy cell without limit, over idle": free["busy"]["rate"] / free["idle"]["rate"],
        "speed of the cell at 120 MB/s, over alone": paced["busy"]["done"] / alone["done"],
        "speed of the cell without limit, over alone": free["busy"]["done"] / alone["done"],
    }
    result.notes.append("The rates are what the kernel's process wrote, by /proc/self/io.")
    return result


def _idle_and_busy(kernel: Kernel, url: str, seconds: float) -> dict[str, dict[str, float]]:
    measured = {}
    for name, action in (("idle", "time.sleep"), ("busy", "compute")):
        kernel.run(f"operation = bgdl_jupyter.download({url!r}, {name + '.bin'!r})\nawait_bytes(operation)")
        measured[name] = kernel.run(f"print(json.dumps(watched({action}, {seconds})))")
        kernel.run(END)
    return measured


def responsiveness(setting: Setting) -> Result:
    """W9: empty cells, and a ticker on the main shell's loop, without transfers and with one at full speed."""
    result = Result(workload="W9", title="the notebook at full speed of a download")
    count = setting.sizes.round_trips
    with flood(setting) as path, emptied(setting.folder / "kernel") as folder, running_kernel(folder) as kernel:
        kernel.run(PREPARE)
        quiet = feel(kernel, count)
        begin = f"operation = bgdl_jupyter.download({setting.nginx.plain(path)!r}, {{name!r}})\nawait_bytes(operation)"
        kernel.run(begin.format(name="flood.bin"))
        full = feel(kernel, count)
        kernel.run(END)
    for name, unloaded, loaded in zip(("empty cell", "ticker of the main shell"), quiet, full, strict=True):
        for words, values in (("without transfers", unloaded), ("at full speed", loaded)):
            result.measures[f"{name} {words}, p50, ms"] = median(values) * 1e3
            result.measures[f"{name} {words}, p99, ms"] = percentile(values, 0.99) * 1e3
        over = f"{name} at full speed, p99, over without transfers"
        result.measures[over] = percentile(loaded, 0.99) / percentile(unloaded, 0.99)
    return result


def feel(kernel: Kernel, count: int) -> tuple[list[float], list[float]]:
    """Return the seconds of so many empty cells, and how late each tick of a ticker on the main shell's loop was."""
    round_trips = [kernel.empty_cell() for _ in range(count)]
    lags: list[float] = kernel.run(f"print(json.dumps(await ticker({count * 0.01})))")
    return round_trips, lags


@contextlib.contextmanager
def flood(setting: Setting) -> Iterator[str]:
    """Serve a file of zeros that takes no room, larger than what can arrive while it is measured."""
    with emptied(setting.nginx.root / "flood") as folder:
        path = folder / f"{setting.sizes.flood}.bin"
        path.touch()
        os.truncate(path, setting.sizes.flood)
        yield f"flood/{path.name}"


def beginning(setting: Setting) -> Result:
    """W11: how long it takes to import the package, to load the extension, and to get a first byte."""
    result = Result(workload="W11", title="from nothing to the first byte")
    compileall.compile_dir(ROOT / "bgdl_jupyter", quiet=1)  # as whoever installs a package does
    imports = [_import_seconds() for _ in range(max(3, setting.runs))]
    result.measures["import bgdl_jupyter over import traitlets, s"] = median(imports)
    loads, firsts, threes = [], [], []
    for _ in range(setting.runs):
        with emptied(setting.folder / "kernel") as folder, running_kernel(folder) as kernel:
            timed = "import json, time\nstart = time.perf_counter()\n%load_ext bgdl_jupyter\n"
            loads.append(kernel.run(timed + "print()\nprint(json.dumps(time.perf_counter() - start))"))
            firsts.append(_first_byte(kernel))
            threes.append(_three_started(setting, kernel))
    result.measures["%load_ext bgdl_jupyter, s"] = median(loads)
    result.measures["first byte after %bgdl, s"] = median(firsts)
    result.measures["cell that starts three downloads, s"] = median(threes)
    result.notes.append("The first byte: from the cell's start to the server's first byte of the body.")
    return result


def _import_seconds() -> float:
    code = (
        "import time, traitlets; start = time.perf_counter(); import bgdl_jupyter; print(time.perf_counter() - start)"
    )
    command = [sys.executable, "-c", code]
    more = {"PYTHONPATH": str(ROOT)}
    job = Job(urls=(), destinations=(), sizes=(), folder=ROOT)
    done = subprocess.run(command, env=environment(job, more), check=True, capture_output=True, text=True)
    return float(done.stdout)


def _three_started(setting: Setting, kernel: Kernel) -> float:
    with flood(setting) as path:
        urls = [f"{setting.nginx.plain(path)}?{number}" for number in range(3)]
        seconds: float = kernel.run(_START_THREE.format(urls=urls))
        kernel.run("for operation in operations: operation.cancel()")
    return seconds


def _first_byte(kernel: Kernel) -> float:
    with _clocked_server() as (url, answered):
        started: float = kernel.run(f"start = time.time()\n%bgdl {url} first.bin\nprint()\nprint(start)")
        if not answered.ready.wait(10.0):
            raise TimeoutError("%bgdl asked the server for nothing in 10 s.")
        return answered.at - started


class _Answered:
    def __init__(self) -> None:
        self.ready = threading.Event()
        self.at = 0.0


@contextlib.contextmanager
def _clocked_server() -> Iterator[tuple[str, _Answered]]:
    """Run a server that notes when it sends its first byte of a body."""
    answered = _Answered()

    class OneAnswer(BaseHTTPRequestHandler):
        """Answers with one short body."""

        def do_GET(self) -> None:
            body = b"first"
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            if not answered.ready.is_set():
                answered.at = time.time()
                answered.ready.set()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with ThreadingHTTPServer((ADDRESS, 0), OneAnswer) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://{ADDRESS}:{server.server_port}/first.bin", answered
        finally:
            server.shutdown()
            thread.join()

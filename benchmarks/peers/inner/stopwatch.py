"""Takes the time of a library: from the first call to the end, without the interpreter's start and the imports."""

from __future__ import annotations

import json
import sys
import time
from typing import TYPE_CHECKING

from benchmarks.peers.base import Job

if TYPE_CHECKING:
    from collections.abc import Callable


def measure(fetch: Callable[[Job], object]) -> None:
    """Read a job from the standard input, do it, and print the seconds as JSON."""
    job = Job.from_json(sys.stdin.read())
    start = time.perf_counter()
    fetch(job)
    print(json.dumps({"seconds": time.perf_counter() - start}))

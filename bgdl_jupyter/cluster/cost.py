"""
What very many files cost over a cluster, as a model: ``python -m bgdl_jupyter.cluster.cost --files 1e8 --workers 100``.

The engine's cost of a file was measured, and so was what the notebook and the scheduler spend on a shard; all else
follows from how jobs are cut and handed out. Measure your own with ``python -m tests.bench cluster_sizes``.
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from bgdl_jupyter.cluster.shards import files_in_shard

if TYPE_CHECKING:
    from collections.abc import Sequence

#: Of a shard's own: lines, results and marker; its beginning and the end of that; who hands out, twice.
_WRITES: Final = 7
_READS: Final = 4
_BEATS: Final = 8.0
_LONGEST_BEAT: Final = 10.0
_DAY: Final = 86400.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Rates:
    """
    What was measured with small files and short names; seconds of a processor, and bytes.

    Those of shards and messages are rounded up: with two workers they are too few to be told from the rest.

    Attributes
    ----------
    file, line:
        To fetch a small file in a worker, and to look at a line of the manifest twice in the notebook.
    shard_client, shard_scheduler:
        What a shard costs beside that.
    message:
        What the scheduler spends on a message.
    line_stored, result_stored:
        A line and its result, compressed, in the ledger.
    indexed:
        What the notebook keeps in memory of a shard.
    """

    file: float = 0.003_6
    line: float = 0.000_3
    shard_client: float = 0.01
    shard_scheduler: float = 0.02
    message: float = 0.001
    line_stored: float = 19.0
    result_stored: float = 51.0
    indexed: float = 400.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """What a job costs; times in seconds, sizes in bytes, rates a second."""

    shards: int
    files_per_shard: int
    taking_in: float
    fetching: float
    shards_per_second: float
    scheduler_share: float
    messages_to_client: float
    messages_to_scheduler: float
    client_memory: float
    state_file: float
    ledger_objects: int
    ledger_bytes: float
    store_writes: int
    store_reads: int


def cost_of(
    files: int,
    *,
    workers: int,
    per_host: int = 16,
    hosts: int = 1,
    latency: float = 0.05,
    mean_size: float = 0.0,
    bandwidth: float = float("inf"),
    shard_files: int | None = None,
    rates: Rates | None = None,
) -> Cost:
    """
    Return what so many small files cost.

    Parameters
    ----------
    files, workers:
        How many files, and how many threads of workers, each with a processor of its own.
    per_host, hosts:
        The limit of connections to a host, and over how many hosts the files are spread.
    latency:
        Seconds that a server takes for a request.
    mean_size, bandwidth:
        Bytes of a file, and bytes a second of all together.
    shard_files:
        As for `download_many`.
    """
    each = rates or Rates()
    size = shard_files or files_in_shard(files, workers)
    shards = -(-files // size)
    at_once = min(workers, hosts * per_host)
    # The slowest of: the processors, the connections, the network.
    by_processor = files * each.file / max(1, at_once)
    by_connections = files * latency / (hosts * per_host)
    by_bandwidth = files * mean_size / bandwidth
    fetching = max(by_processor, by_connections, by_bandwidth, shards * each.shard_client)
    beat = min(_LONGEST_BEAT, max(1.0, workers / _BEATS))
    beats = at_once / beat
    messages = 2 * beats + 2 * at_once + 4 * shards / fetching  # each thread also says that it lives
    return Cost(
        shards=shards,
        files_per_shard=size,
        taking_in=files * each.line,
        fetching=fetching,
        shards_per_second=shards / fetching,
        scheduler_share=(messages * each.message) + shards * each.shard_scheduler / fetching,
        messages_to_client=beats + shards / fetching,
        messages_to_scheduler=messages,
        client_memory=shards * each.indexed,
        state_file=2000.0,
        ledger_objects=3 * shards + 3,
        ledger_bytes=files * (each.line_stored + each.result_stored),
        store_writes=_WRITES * shards,
        store_reads=_READS * shards,
    )


def in_words(files: int, workers: int, cost: Cost) -> str:
    """Return a cost as lines of text."""
    lines = {
        "files, threads of workers": f"{files:,}, {workers:,}",
        "shards": f"{cost.shards:,} of {cost.files_per_shard:,} files",
        "to take in, once": _time(cost.taking_in),
        "to fetch": _time(cost.fetching),
        "shards a second": f"{cost.shards_per_second:.2f}",
        "the scheduler's processor": f"{cost.scheduler_share:.1%}",
        "messages a second to the scheduler": f"{cost.messages_to_scheduler:.0f}",
        "messages a second to the notebook": f"{cost.messages_to_client:.1f}",
        "memory of the notebook for the index": f"{cost.client_memory / 1e6:.1f} MB",
        "its state file": f"{cost.state_file / 1e3:.0f} kB, whatever the number of files",
        "the ledger": f"{cost.ledger_objects:,} objects, {cost.ledger_bytes / 1e9:.1f} GB",
        "writes and reads of the ledger": f"{cost.store_writes:,} and {cost.store_reads:,}",
    }
    width = max(map(len, lines))
    return "\n".join(f"{name:<{width}}  {value}" for name, value in lines.items())


def _time(seconds: float) -> str:
    if seconds >= 2 * _DAY:
        return f"{seconds / _DAY:.1f} days"
    return f"{seconds / 3600:.1f} h" if seconds >= 7200 else f"{seconds:.0f} s"  # noqa: PLR2004 (two hours)


def main(arguments: Sequence[str]) -> int:
    """Print what a job costs."""
    parser = argparse.ArgumentParser(prog="python -m bgdl_jupyter.cluster.cost", description=cost_of.__doc__)
    parser.add_argument("--files", type=float, default=1e8)
    parser.add_argument("--workers", type=int, default=100, help="threads of workers")
    parser.add_argument("--hosts", type=int, default=1)
    parser.add_argument("--per-host", type=int, default=16, help="connections to a host")
    parser.add_argument("--latency", type=float, default=0.05, help="seconds of a request")
    parser.add_argument("--mean-size", type=float, default=0.0, help="bytes of a file")
    parser.add_argument("--bandwidth", type=float, default=float("inf"), help="bytes a second")
    given = parser.parse_args(arguments)
    files = int(given.files)
    cost = cost_of(
        files,
        workers=given.workers,
        hosts=given.hosts,
        per_host=given.per_host,
        latency=given.latency,
        mean_size=given.mean_size,
        bandwidth=given.bandwidth,
    )
    sys.stdout.write(in_words(files, given.workers, cost) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

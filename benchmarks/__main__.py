"""The command: ``python -m benchmarks [W1 W2 … | all] [--size …] [--runs …] [--peers …]``."""

from __future__ import annotations

import argparse
import json
import logging
import os
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Final

from benchmarks import amounts, limits, machine, notebook, plots, report, workloads
from benchmarks.judge import verdicts
from benchmarks.results import Result
from benchmarks.scratch import ROOT, cache_folder, scratch_folder, spread
from benchmarks.servers import Nginx
from benchmarks.sizes import SIZES, Sizes

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

# What of the processors others may have without a word.
_QUIET: Final = 0.05

log = logging.getLogger("benchmarks")

WORKLOADS: Final[dict[str, Callable[[workloads.Setting], Result]]] = {
    "W1": workloads.one_large_file,
    "W2": workloads.one_large_file_by_tls,
    "W3": workloads.one_large_file_with_digest,
    "W4": workloads.many_small_files,
    "W5": workloads.many_middle_files,
    "W6": workloads.several_connections,
    "W7": workloads.several_connections_far_away,
    "W8": notebook.busy_cell,
    "W9": notebook.responsiveness,
    "W10": amounts.queue,
    "W11": notebook.beginning,
    "W12": amounts.concurrent_transfers,
    "limits": limits.limits,
    "growth": amounts.growth,
}


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    """Return the options of a command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description="Measure ours beside its peers.")
    parser.add_argument("workloads", nargs="*", default=["all"], help=f"{', '.join(WORKLOADS)}; or all")
    parser.add_argument("--runs", type=int, default=3, help="how often each contestant runs")
    parser.add_argument("--size", choices=list(SIZES), default="full", help="tiny only shows that everything runs")
    parser.add_argument("--peers", nargs="*", default=[], help="only these contestants beside us, by their names")
    parser.add_argument("--output", type=Path, help="the folder of the page; docs for the full size, else a cache")
    parser.add_argument("--anew", action="store_true", help="forget the results of workloads that are not run now")
    options = parser.parse_args(arguments)
    unknown = [name for name in options.workloads if name not in (*WORKLOADS, "all")]
    if unknown:
        parser.error(f"there is no workload {unknown[0]}; there are {', '.join(WORKLOADS)}")
    if "all" in options.workloads:
        options.workloads = list(WORKLOADS)
    if options.output is None:
        options.output = ROOT / "docs" if options.size == "full" else cache_folder() / options.size
    return options


def run(names: Sequence[str], sizes: Sizes, *, runs: int, only: frozenset[str] = frozenset()) -> list[Result]:
    """
    Run workloads, and print each when it is done.

    Parameters
    ----------
    names:
        Of `WORKLOADS`.
    sizes:
        How much.
    runs:
        How often each contestant runs.
    only:
        The contestants that are wanted beside us; empty for all.
    """
    results = []
    with scratch_folder() as folder:
        (folder / "server").mkdir()
        with Nginx(folder / "server") as nginx:
            for name in names:
                work = folder / name
                work.mkdir()
                spread(work)
                setting = workloads.Setting(nginx=nginx, sizes=sizes, folder=work, runs=runs, only=only)
                results.append(_run_one(name, setting))
                print(report.summary(results[-1]), flush=True)
    return results


def _run_one(name: str, setting: workloads.Setting) -> Result:
    busy, stolen, start = machine.busy_share(), machine.stolen_seconds(), time.monotonic()
    try:
        result = WORKLOADS[name](setting)
    except Exception as error:  # the other workloads are to be kept, and the page names this one
        log.exception("%s failed", name)
        result = Result(workload=name, title="failed", trouble=f"{type(error).__name__}: {error}")
    seconds = time.monotonic() - start
    log.info("%s took %.0f s", name, seconds)
    stolen = (machine.stolen_seconds() - stolen) / (seconds * (os.cpu_count() or 1))
    if busy > _QUIET:
        result.notes.append(f"The machine was not quiet: {busy:.0%} of it was busy before this began.")
    if stolen > _QUIET:
        result.notes.append(
            f"The host of this virtual machine gave {stolen:.0%} of its processors to others meanwhile."
        )
    return result


def write(results: Sequence[Result], options: argparse.Namespace) -> Path:
    """Write the results, the pictures and the page; what an earlier command found for other workloads is kept."""
    kept_in = cache_folder() / f"results-{options.size}.json"
    by_name = {} if options.anew else _kept(kept_in)
    by_name |= {result.workload: result for result in results}
    ordered = [by_name[name] for name in WORKLOADS if name in by_name]
    kept_in.write_text(json.dumps([result.to_dict() for result in ordered], indent=1))
    output: Path = options.output
    pictures = plots.draw(ordered, output / "pictures")
    names = [str(path.relative_to(output)) for path in pictures]
    page = output / "benchmarks.md"
    page.write_text(report.page(ordered, size=options.size, facts=machine.describe(), pictures=names))
    return page


def _kept(path: Path) -> dict[str, Result]:
    if not path.exists():
        return {}
    return {each["workload"]: Result.from_dict(each) for each in json.loads(path.read_text())}


def main(arguments: Sequence[str]) -> int:
    """Do what the command line says; returns 1 when a workload failed or a target that must be met is not."""
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    options = parse(arguments)
    results = run(options.workloads, SIZES[options.size], runs=options.runs, only=frozenset(options.peers))
    print(f"Written: {write(results, options)}")
    has_failed = any(result.trouble for result in results)
    misses = options.size == "full" and any(each.is_met is False for each in verdicts(results, "must"))
    return int(has_failed or misses)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

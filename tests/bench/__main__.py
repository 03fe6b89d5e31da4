"""The command: ``python -m tests.bench kills --count 200``; ``--help`` lists the others."""

from __future__ import annotations

import argparse
import logging
import sys
from typing import TYPE_CHECKING, Final

from tests.bench import (
    calls,
    cluster,
    fuzz,
    kernels,
    kills,
    load,
    machine,
    mutants,
    power,
    proofs,
    report,
    secrets,
    state_fuzz,
)
from tests.bench.faults import table as faults

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from tests.bench.results import Family

_BENCHES: Final[dict[str, Callable[[argparse.Namespace], Family]]] = {
    "faults": lambda _: faults.run_ours(),
    "peers": lambda _: faults.run_peers(),
    "catalogue": lambda _: proofs.run(),
    "kills": lambda given: kills.run(given.count or 200, seed=given.seed),
    "kills_at_calls": lambda given: calls.kills(
        given.count, seed=given.seed, first=given.first, kinds=given.kind or ()
    ),
    "kills_of_recovery": lambda given: calls.kills_of_recovery(given.count, seed=given.seed, first=given.first),
    "errors_of_calls": lambda given: calls.errors(
        given.count, seed=given.seed, first=given.first, kinds=given.kind or calls.KINDS
    ),
    "power": lambda given: power.run(given.count, seed=given.seed, first=given.first),
    "mutants": lambda _: mutants.run(),
    "any_order": lambda given: machine.run(given.count or 100),
    "bad_input": lambda given: fuzz.run(given.count or 100_000, seed=given.seed),
    "state_files": lambda given: state_fuzz.run(given.count or 1000, seed=given.seed),
    "secrets": lambda _: secrets.run(),
    "load": lambda given: load.run(given.count or 1000, queued=100 * (given.count or 1000)),
    "cluster": lambda given: cluster.run(given.count or 20_000),
    "cluster_sizes": lambda given: cluster.sizes((2_000, 10_000, given.count or 100_000)),
    "kernels": lambda given: kernels.run(given.count or 25, first=given.first),
}


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    """Return the options of a command line."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description="Do harm, and see what comes of it.")
    parser.add_argument("bench", choices=[*_BENCHES, "report"], help="what to do; report writes the page")
    parser.add_argument("--count", type=int, help="how many, where that is for you to say")
    parser.add_argument("--kind", action="append", choices=calls.KINDS, help="of calls that are met; all if not given")
    parser.add_argument("--seed", type=int, default=1, help="of everything that is drawn")
    parser.add_argument("--first", action="store_true", help="end with the first thing that was not survived")
    parser.add_argument("--dry", action="store_true", help="keep no result")
    return parser.parse_args(arguments)


def main(arguments: Sequence[str]) -> int:
    """Run a bench; return 0 if everything was survived."""
    options = parse(arguments)
    if options.bench == "report":
        sys.stdout.write(f"{report.write()}\n")
        return 0
    family = _BENCHES[options.bench](options)
    sys.stdout.write(f"{family.title}: {family.passed}/{family.n}\n")
    sys.stdout.writelines(f"  {name}: {value}\n" for name, value in family.details.items())
    sys.stdout.writelines(f"  {' | '.join(map(str, row))}\n" for table in family.tables for row in table.rows)
    sys.stdout.writelines(f"  FAILED {failure}\n" for failure in family.failures)
    if not options.dry:
        family.save()
    return 0 if family.has_passed else 1


if __name__ == "__main__":
    logging.basicConfig(level=logging.WARNING)
    sys.exit(main(sys.argv[1:]))

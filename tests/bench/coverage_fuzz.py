"""
The targets of `fuzz` under atheris: ``python -m tests.bench.coverage_fuzz headers -runs=1000000``.

Needs ``pip install atheris``, which has wheels for Linux. What follows the name of the target is for libFuzzer; a
folder keeps the inputs that were found to take other ways.
"""

from __future__ import annotations

import sys

import atheris

with atheris.instrument_imports(include=["bgdl_jupyter"]):
    from tests.bench import fuzz


def main(arguments: list[str]) -> None:
    """Fuzz the target of the first argument until it breaks, or for as long as libFuzzer is told."""
    name, *rest = arguments
    target, _ = fuzz.TARGETS[name]
    atheris.Setup([sys.argv[0], *rest], target)
    atheris.Fuzz()


if __name__ == "__main__":
    main(sys.argv[1:])

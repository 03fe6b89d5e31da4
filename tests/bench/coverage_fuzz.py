"""
The targets of `fuzz` under atheris: ``python -m tests.bench.coverage_fuzz headers -runs=1000000``.

Needs ``pip install atheris``, which has wheels for Linux. What follows the name of the target is for libFuzzer; a
folder keeps the inputs that were found to take other ways. It begins with the good inputs of the target: by chance
alone nothing would come past the first brace of a message.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["bgdl_jupyter"]):
    from tests.bench import fuzz


def main(arguments: list[str]) -> None:
    """Fuzz the target of the first argument until it breaks, or for as long as libFuzzer is told."""
    name, *rest = arguments
    target, seeds = fuzz.TARGETS[name]
    with tempfile.TemporaryDirectory(prefix="fuzz-") as folder:
        for number, seed in enumerate(seeds):
            (Path(folder) / str(number)).write_bytes(seed)
        atheris.Setup([sys.argv[0], *rest, folder], target)
        atheris.Fuzz()


if __name__ == "__main__":
    main(sys.argv[1:])

"""
The package with one rule of the order of effects broken: a bench that does not notice proves nothing.

Each mutant is a copy of the package in which one text is replaced; the bench that has to notice runs on the copy, and
the first thing that it finds is shown.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from tests.bench.results import ROOT, Family, Table

if TYPE_CHECKING:
    from collections.abc import Sequence

_PACKAGE: Final = "bgdl_jupyter"
_SECONDS: Final = 900


@dataclass(frozen=True, slots=True)
class Mutant:
    """What is broken, in which module, how, and the arguments of the bench that has to notice."""

    name: str
    module: str
    old: str
    new: str
    bench: str

    def change(self, package: Path) -> None:
        """Break a copy of the package; raises ``ValueError`` where the text is not there just once."""
        path = package / self.module
        text = path.read_text(encoding="utf-8")
        if text.count(self.old) != 1:
            raise ValueError(f"{self.module} has {text.count(self.old)} times: {self.old!r}")
        path.write_text(text.replace(self.old, self.new), encoding="utf-8")


MUTANTS: Final = (
    Mutant(
        "a watermark before its bytes are durable",
        "engine/holding.py",
        "        await self._facilities.sync(self.file)\n",
        "",
        "power --count 1200",
    ),
    Mutant(
        "a name that no sync of its folder made durable",
        "engine/naming.py",
        "    each(folder, entries, _give_name)\n    folder.sync()\n",
        "    each(folder, entries, _give_name)\n",
        "power --count 1200",
    ),
    Mutant(
        "bytes that are not durable under the file's name",
        "engine/naming.py",
        "    entry.file.sync()\n",
        "",
        "power --count 1200",
    ),
    Mutant(
        "the size of the partial file taken for progress",
        "engine/holding.py",
        "        await self._facilities.run(self.file.truncate, recorded.finished.stop)\n",
        "        self.written = RangeSet.of([(0, self.file.size)])\n",
        "power --count 1200",
    ),
    Mutant(
        "the state written in place",
        "storage/schema.py",
        'wanted = "delete" if is_on_network(path) else "wal"',
        'wanted = "off"',
        "kills_at_calls --count 160",
    ),
    Mutant(
        "a creation that is told before it is durable",
        "storage/schema.py",
        "{'FULL' if present == 'wal' else 'EXTRA'}",
        "{'OFF'}",
        "power --count 600",
    ),
    Mutant(
        "no lease: a living kernel's operations are taken",
        "storage/leases.py",
        "        return life is Life.DEAD or (life is Life.SILENT and application == self._me.application)\n",
        "        return bool(life or application)\n",
        "kernels --count 2",
    ),
    Mutant(
        "a commit that was not announced",
        "engine/commit.py",
        "            await self._announce(batch)\n",
        "",
        "kills_at_calls --count 160",
    ),
    Mutant(
        "a replacement that removes the old file first",
        "storage/publishing.py",
        "            self._refuse_what_is_no_file(status)\n        try:\n            self._rename(name)\n",
        "            self._refuse_what_is_no_file(status)\n        try:\n"
        "            if status is not None:\n                os.unlink(name, dir_fd=self.folder.descriptor)\n"
        "            self._rename(name)\n",
        "kills_at_calls --kind rename",
    ),
    Mutant(
        "an error of a write that is not noticed",
        "storage/partial_file.py",
        '                raise storage_failed(error, self, "write") from error\n',
        "                return\n",
        "errors_of_calls --count 300",
    ),
)


def run(mutants: Sequence[Mutant] = MUTANTS) -> Family:
    """Run each mutant against the bench that has to notice it."""
    found = {mutant.name: _first_finding(mutant) for mutant in mutants}
    rows = [[each.name, each.bench.split()[0], found[each.name] or "not noticed"] for each in mutants]
    missed = [name for name, finding in found.items() if not finding]
    return Family(
        name="mutants",
        title="Mutants that the benches notice",
        section="Mutants",
        claim=(
            "The package with one rule of the order of effects broken, run against the bench that has to notice. "
            "Survived means noticed here."
        ),
        n=len(mutants),
        passed=len(mutants) - len(missed),
        tables=[Table(columns=("what is broken", "noticed by", "what it found first"), rows=rows)],
        failures=missed,
        command="python -m tests.bench mutants",
    )


def _first_finding(mutant: Mutant) -> str:
    """Return what the bench finds first in the mutant; empty where it finds nothing."""
    with tempfile.TemporaryDirectory(prefix="mutant-") as folder:
        root = Path(folder)
        shutil.copytree(ROOT / _PACKAGE, root / _PACKAGE, ignore=shutil.ignore_patterns("__pycache__", "labextension"))
        (root / "tests").symlink_to(ROOT / "tests")
        mutant.change(root / _PACKAGE)
        command = [sys.executable, "-m", "tests.bench", *mutant.bench.split(), "--dry", "--first"]
        environment = {**os.environ, "PYTHONPATH": folder, "PYTHONDONTWRITEBYTECODE": "1"}
        answer = subprocess.run(
            command, cwd=root, env=environment, capture_output=True, text=True, timeout=_SECONDS, check=False
        )
    findings = [line.strip() for line in answer.stdout.splitlines() if line.startswith("  FAILED ")]
    if answer.returncode == 0:
        return ""
    if not findings:
        raise RuntimeError(f"the bench itself failed on {mutant.name!r}: {answer.stderr[-2000:]}")
    return findings[0].removeprefix("FAILED ")[:200]

"""Runs what proves the rows of the catalogue, and makes the account."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import tempfile
from collections import defaultdict
from pathlib import Path
from typing import TYPE_CHECKING, Final
from xml.etree import ElementTree as ET  # the file is pytest's own

from tests.bench.catalogue import PROOFS, ROWS_OF, WORDS
from tests.bench.faults.table import ROWS
from tests.bench.results import ROOT, Family, Table

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_NUMBER: Final = re.compile(r"[A-Z]\d+")


def rows() -> Iterator[str]:
    """Give the number of every row."""
    for letter, count in ROWS_OF.items():
        yield from (f"{letter}{number}" for number in range(1, count + 1))


def rows_of_the_table() -> frozenset[str]:
    """Return the rows that `faults` does in every way."""
    return frozenset(_NUMBER.match(row.name)[0] for row in ROWS)  # type: ignore[index]  # each begins with its number


def places(folder: Path = ROOT / "tests") -> dict[str, str]:
    """Return for the name of each test where pytest finds it."""
    found = {}
    for path in sorted(folder.rglob("test_*.py")):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        for name, within in _tests_of(tree):
            found[name] = "::".join([str(path.relative_to(ROOT)), *within, name])
    return found


def _tests_of(tree: ast.Module) -> Iterator[tuple[str, list[str]]]:
    for node in tree.body:
        if isinstance(node, ast.ClassDef):
            yield from ((each.name, [node.name]) for each in node.body if _is_test(each))  # type: ignore[attr-defined]  # as asked
        elif _is_test(node):
            yield node.name, []  # type: ignore[attr-defined]  # as asked


def _is_test(node: ast.stmt) -> bool:
    return isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name.startswith("test_")


def run() -> Family:
    """Run every test that proves a row, and return the account."""
    came = _outcomes(sorted({name for proof in PROOFS.values() for name in proof.tests}))
    proven = [number for number in rows() if number in PROOFS and PROOFS[number].tests]
    failures = [f"{number}: {name}" for number in proven for name in PROOFS[number].tests if came.get(name) != "passed"]
    passed = len(proven) - len({each.partition(":")[0] for each in failures})
    return Family(
        name="catalogue",
        title="The whole catalogue of faults",
        claim="Rows that a server can be made to do are met in every way (see the table of faults); the others "
        "are proven by tests of their own, which are named here, and a row has passed when all of its tests have.",
        n=len(proven),
        passed=passed,
        section="Faults",
        command="python -m tests.bench catalogue",
        failures=failures,
        tables=[_table(letter, came) for letter in ROWS_OF],
    )


def _outcomes(names: list[str]) -> Mapping[str, str]:
    where = places()
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.xml"
        command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", f"--junitxml={report}"]
        subprocess.run([*command, *(where[name] for name in names)], cwd=ROOT, check=False)
        return _read(report)


def _read(report: Path) -> Mapping[str, str]:
    """Return what became of each test: a parametrized one has passed when every one of it has."""
    seen: dict[str, set[str]] = defaultdict(set)
    for case in ET.parse(report).iter("testcase"):  # noqa: S314 (the file is pytest's own)
        name = case.attrib["name"].partition("[")[0]
        bad = [each.tag for each in case if each.tag in {"failure", "error", "skipped"}]
        seen[name].add(bad[0] if bad else "passed")
    return {
        name: "passed" if outcomes == {"passed"} else ", ".join(sorted(outcomes)) for name, outcomes in seen.items()
    }


def _table(letter: str, came: Mapping[str, str]) -> Table:
    lines = []
    for number in (each for each in rows() if each.startswith(letter)):
        proof = PROOFS.get(number)
        if proof is None:
            lines.append([number, "in the table of faults", ""])
            continue
        words = [name.removeprefix("test_").replace("_", " ") for name in proof.tests]
        is_well = all(came.get(name) == "passed" for name in proof.tests)
        lines.append([number, proof.fault, proof.reason or f"{'' if is_well else 'FAILED: '}{'; '.join(words)}"])
    return Table(columns=["row", "fault", "proven by"], rows=lines, title=f"{WORDS[letter]}:")

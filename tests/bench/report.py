"""The page `docs/what_it_survives.md`, out of the results."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from tests.bench.results import RESULTS, ROOT, Family, Table, saved

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path

PAGE: Final = ROOT / "docs" / "what_it_survives.md"
#: The order of the headings; others follow.
_SECTIONS: Final = (
    "Faults",
    "Kills and power loss",
    "Mutants",
    "Bad input",
    "Secrets",
    "Several kernels",
    "Load",
)
_INTRODUCTION: Final = """# What it survives

Nothing corrupt is called complete, nothing that was accepted is lost, nothing is done twice. This page says how that
was tried, how often, and with what end. It is written by `python -m tests.bench report` from the results in
`docs/what_it_survives/`; each line names the command that repeats it, on Linux and with what the tests need
(`pip install -e '.[test]'`). A short version of each runs with the tests.

Not promised: that the content is right when the server gives no digest and lies; durability on disks that lie about
fsync; that a POST has its effect at the server exactly once.
"""


def page(families: Sequence[Family]) -> str:
    """Return the page."""
    return "\n".join([_INTRODUCTION, *_summary(families), *_sections(families)]).rstrip("\n") + "\n"


def write(folder: Path = RESULTS, path: Path = PAGE) -> Path:
    """Write the page from the results in a folder, and return its path."""
    path.write_text(page(saved(folder)), encoding="utf-8")
    return path


def _summary(families: Sequence[Family]) -> Iterator[str]:
    yield "| what was done | survived | with |"
    yield "| --- | ---: | --- |"
    for family in _in_order(families):
        yield f"| [{family.title}](#{_anchor(family.title)}) | {_score(family)} | `{family.command}` |"
    yield ""


def _sections(families: Sequence[Family]) -> Iterator[str]:
    present = [*_SECTIONS, *sorted({each.section for each in families} - set(_SECTIONS))]
    for section in present:
        members = [each for each in families if each.section == section]
        if members:
            yield f"## {section}\n"
        for family in members:
            yield from _family(family)


def _family(family: Family) -> Iterator[str]:
    yield f"### {family.title}\n"
    yield f"{family.claim}\n"
    yield f"**{_score(family)}** survived. `{family.command}`, {family.date}; {_together(family.versions.items())}.\n"
    if family.details:
        yield from _rows(Table(columns=("counted", "value"), rows=list(family.details.items())))
    for table in family.tables:
        if table.title:
            yield f"{table.title}\n"
        yield from _rows(table)
    for failure in family.failures:
        yield f"- not survived: {_cell(failure)}"
    if family.failures:
        yield ""


def _rows(table: Table) -> Iterator[str]:
    yield f"| {' | '.join(map(_cell, table.columns))} |"
    yield f"|{' --- |' * len(table.columns)}"
    for row in table.rows:
        yield f"| {' | '.join(map(_cell, row))} |"
    yield ""


def _score(family: Family) -> str:
    return f"{family.passed:,}/{family.n:,}"


def _cell(value: object) -> str:
    text = f"{value:,}" if isinstance(value, int | float) and not isinstance(value, bool) else str(value)
    return text.replace("|", "\\|").replace("\n", " ")


def _together(pairs: Iterable[tuple[str, str]]) -> str:
    return ", ".join(f"{name} {version}" for name, version in pairs)


def _in_order(families: Sequence[Family]) -> list[Family]:
    order = {name: number for number, name in enumerate(_SECTIONS)}
    return sorted(families, key=lambda family: (order.get(family.section, len(order)), family.section, family.name))


def _anchor(title: str) -> str:
    """Return what MyST makes of a heading."""
    kept = "".join(each for each in title.lower() if each.isalnum() or each in " -_")
    return kept.replace(" ", "-")

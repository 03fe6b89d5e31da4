"""The results as a page of Markdown."""

from __future__ import annotations

from statistics import median
from typing import TYPE_CHECKING, Final

from benchmarks.judge import verdicts
from benchmarks.reasons import REASONS
from benchmarks.results import OURS, Result

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

_INTRODUCTION: Final = """# Benchmarks

Made by `python -m benchmarks`, which writes this page and its pictures; workloads that ran at other times are kept.

What is measured is the public API with its defaults, as a notebook calls it: state file, partial file, commit and
all. The contestants run one after the other in an order that turns around; the tables have medians.
*Durable* is the time from the first call until the files are on the disk: ours says COMPLETED only then, the others
are followed by an fdatasync of each file. *Last byte* is the time without any sync (ours then runs with fsync and
fdatasync made to do nothing). The start of the interpreter and imports are nobody's time. Every file was compared
with what the server has. On ext4 each run has a part of the disk of its own (`chattr +T`), for whoever makes files
where many were just deleted needs ten times as long. The C floor is a loop of recv and pwrite (`benchmarks/floor.c`),
for many files with a temporary name and a rename. Absolute times are this machine's; what is judged are ratios within
one run, and the times of W9 to W12.

The command needs nginx, openssl and a C compiler, and `pip install bgdl-jupyter[bench]`. It makes an environment of its
own for the peers that are Python libraries, and takes those that are programs from the system; one that is missing is
named in the table. `python -m benchmarks W1 W4 --size small --peers curl` runs a part; `--help` says the rest.
"""
_SIZE_NOTE: Final = """
:::{{warning}}
This page was made with `--size {size}`: it shows that everything runs, and says nothing about speed.
:::
"""


# What stands for itself in a cell of a table.
_BAR: Final = "\\|"


def page(results: Sequence[Result], *, size: str, facts: Mapping[str, str], pictures: Iterable[str]) -> str:
    """
    Return the page.

    Parameters
    ----------
    results:
        What the workloads found.
    size:
        The size that was run; only the full one is judged for the record, and the page says so.
    facts:
        The machine and the versions.
    pictures:
        The names of the pictures, relative to the page.
    """
    parts = [_INTRODUCTION]
    if size != "full":
        parts.append(_SIZE_NOTE.format(size=size))
    parts += [_targets(results), _missed(results)]
    parts += [f"![{name}]({name})\n" for name in pictures]
    parts += [_section(result) for result in results]
    parts.append(_facts(facts))
    return "\n".join(parts)


def _targets(results: Sequence[Result]) -> str:
    titles = {result.workload: result.title for result in results}
    rows = [
        (verdict.rule.workload, titles[verdict.rule.workload], verdict.rule.column, verdict.rule.text, verdict.words)
        for verdict in verdicts(results)
    ]
    return "## Targets\n\n" + table(("", "workload", "kind", "target", "found"), rows)


def _missed(results: Sequence[Result]) -> str:
    """Return the reasons of the musts that were missed."""
    workloads = {
        each.rule.workload for each in verdicts(results) if each.rule.column == "must" and each.is_met is False
    }
    lines = [f"* {name}: {REASONS[name]}" for name in REASONS if name in workloads]
    if not lines:
        return ""
    head = "### Musts that were missed, and why\n\n`python -m benchmarks.profile` shows where the time goes.\n\n"
    return head + "\n".join(lines) + "\n"


def _section(result: Result) -> str:
    parts = [f"## {result.workload}: {result.title}\n"]
    if result.trouble:
        parts.append(f"It failed: {result.trouble}\n")
    if result.entries:
        runs = max(len(entry.durable) for entry in result.entries)
        parts.append(f"Times each ran: {runs}.\n")
        parts.append(_contestants(result))
    plain = {name: value for name, value in result.measures.items() if "files/s" not in name}
    if plain:
        parts.append(table(("measure", "value"), [(name, f"{value:,.4g}") for name, value in plain.items()]))
    parts += [table(("amount", name), [(f"{x:,g}", f"{y:,.4g}") for x, y in line]) for name, line in _lines(result)]
    parts += [f"{note}\n" for note in result.notes]
    return "\n".join(parts)


def _lines(result: Result) -> list[tuple[str, list[tuple[float, float]]]]:
    return list(result.series.items())


def _contestants(result: Result) -> str:
    ours = result.durable(OURS)
    has_rates = any("files/s" in name for name in result.measures)
    head = ["", "durable, s", "last byte, s", "spread of durable, s", "ours / theirs"]
    rows = []
    for entry in sorted(result.entries, key=lambda each: result.durable(each.name) or float("inf")):
        if entry.trouble:
            rows.append([entry.name, entry.trouble, *[""] * (len(head) - 2 + 2 * has_rates)])
            continue
        durable, last_byte = result.durable(entry.name), result.last_byte(entry.name)
        name = f"**{entry.name}**" if entry.name == OURS else entry.name
        spread = f"{min(entry.durable):.3f} to {max(entry.durable):.3f}" if entry.durable else ""
        ratio = f"{ours / durable:.2f}" if ours and durable else ""
        row = [name, _seconds(durable), _seconds(last_byte), spread, ratio]
        if has_rates:
            row += [_rate(result, entry.name, column) for column in ("durable", "last byte")]
        rows.append(row)
    return table([*head, *(["durable, files/s", "last byte, files/s"] if has_rates else [])], rows)


def _rate(result: Result, name: str, column: str) -> str:
    rate = result.measures.get(f"{name}, {column}, files/s")
    return "" if rate is None else f"{rate:,.0f}"


def _seconds(value: float | None) -> str:
    return "" if value is None else f"{value:.3f}"


def _facts(facts: Mapping[str, str]) -> str:
    return "## Taken on\n\n" + table(("", ""), list(facts.items()))


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a table in Markdown."""
    lines = [f"| {' | '.join(head)} |", f"|{' --- |' * len(head)}"]
    lines += [f"| {' | '.join(cell.replace('|', _BAR) for cell in row)} |" for row in rows]
    return "\n".join(lines) + "\n"


def summary(result: Result) -> str:
    """Return a workload in a few lines, for the terminal."""
    lines = [f"{result.workload}: {result.title}", *([result.trouble] if result.trouble else [])]
    for entry in result.entries:
        times = [f"{median(values):9.3f} s" if values else " " * 11 for values in (entry.durable, entry.last_byte)]
        lines.append(f"  {entry.name:30}{entry.trouble or ' '.join(times)}")
    lines += [f"  {name}: {value:,.4g}" for name, value in result.measures.items() if "files/s" not in name]
    lines += [f"  {note}" for note in result.notes]
    lines += [f"  {each.rule.column} {each.rule.text}: {each.words}" for each in verdicts([result])]
    return "\n".join(lines)

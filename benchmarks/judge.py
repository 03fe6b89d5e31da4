"""The targets, as rules over what was measured, and whether they are met."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

from benchmarks.results import OURS, Result

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

Column = Literal["must", "goal"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """
    One target.

    Attributes
    ----------
    text:
        The target as it is written in the table.
    value:
        Makes the number that is judged; None where something is missing.
    limit:
        What it is held against.
    is_ceiling:
        Whether the number must not be above the limit; else it must not be below.
    """

    workload: str
    column: Column
    text: str
    value: Callable[[Result], float | None]
    limit: float
    is_ceiling: bool = True

    def is_met(self, value: float) -> bool:
        """Whether a number meets the target."""
        return value <= self.limit if self.is_ceiling else value >= self.limit


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What became of a target; `value` and `is_met` are None where it could not be judged."""

    rule: Rule
    value: float | None
    is_met: bool | None

    @property
    def words(self) -> str:
        """Return the verdict for the table."""
        if self.value is None:
            return "not judged"
        return f"{'met' if self.is_met else '**not met**'} ({self.value:.3g})"


def _times(workload: str, column: Column, factor: float, peer: str) -> Rule:
    """Ours takes at most so many times as long as a peer, both until the files are durable."""

    def value(result: Result) -> float | None:
        ours, theirs = result.durable(OURS), result.durable(peer)
        return ours / theirs if ours and theirs else None

    return Rule(workload=workload, column=column, text=f"<= {factor:g} x {peer}", value=value, limit=factor)


def _as_fast(workload: str, column: Column, factor: float, peer: str) -> Rule:
    """Ours is at least so many times as fast as a peer, both until the files are durable."""

    def value(result: Result) -> float | None:
        ours, theirs = result.durable(OURS), result.durable(peer)
        return theirs / ours if ours and theirs else None

    text = f">= {factor:g} x {peer}"
    return Rule(workload=workload, column=column, text=text, value=value, limit=factor, is_ceiling=False)


def _at_most(workload: str, column: Column, limit: float, measure: str) -> Rule:
    text = f"{measure} <= {limit:g}"
    return Rule(workload=workload, column=column, text=text, value=_measure(measure), limit=limit)


def _at_least(workload: str, column: Column, limit: float, measure: str) -> Rule:
    text = f"{measure} >= {limit:g}"
    return Rule(workload=workload, column=column, text=text, value=_measure(measure), limit=limit, is_ceiling=False)


def _measure(name: str) -> Callable[[Result], float | None]:
    return lambda result: result.measures.get(name)


RULES: Final = (
    _times("W1", "must", 0.6, "curl"),
    _times("W1", "must", 0.35, "aria2 -x8"),
    _times("W1", "goal", 1.1, "C floor"),
    _times("W2", "must", 0.7, "curl"),
    _times("W2", "must", 1.0, "obstore"),
    _times("W2", "goal", 1.1, "sockets in a thread"),
    _times("W3", "must", 1.1, "curl | tee | sha256sum"),
    _at_most("W3", "goal", 1.1, "ours over SHA-256 of the file in memory"),
    _as_fast("W4", "must", 3.0, "aria2 -j16"),
    _as_fast("W4", "must", 1.5, "parfive"),
    _at_least("W4", "goal", 4_000, "bgdl_jupyter, last byte, files/s"),
    _times("W5", "must", 1.1, "curl -Z"),
    _times("W5", "must", 0.6, "aria2 -j16"),
    _times("W5", "goal", 1.0, "curl -Z"),
    _times("W6", "must", 1.05, "aria2 -x8"),
    _times("W6", "goal", 1.05, "C floor, as many connections"),
    _times("W7", "must", 1.0, "aria2 -x16"),
    _times("W7", "goal", 1.05, "C floor, as many connections"),
    _at_least("W8", "must", 0.9, "in a busy cell at 120 MB/s, over idle"),
    _at_least("W8", "must", 300, "in a busy cell without limit, MB/s"),
    _at_least("W8", "goal", 0.6, "in a busy cell without limit, over idle"),
    _at_least("W8", "goal", 0.85, "speed of the cell at 120 MB/s, over alone"),
    _at_most("W9", "must", 20, "empty cell at full speed, p99, ms"),
    _at_most("W9", "must", 5, "ticker of the main shell at full speed, p99, ms"),
    _at_most("W9", "goal", 1.1, "empty cell at full speed, p99, over without transfers"),
    _at_most("W9", "goal", 1.1, "ticker of the main shell at full speed, p99, over without transfers"),
    _at_most("W10", "must", 20, "create, s"),
    _at_most("W10", "must", 5, "restore in a new process, s"),
    _at_most("W10", "must", 250, "memory of the restored, MB"),
    _at_most("W10", "goal", 5, "create, s"),
    _at_most("W10", "goal", 2, "restore in a new process, s"),
    _at_most("W10", "goal", 150, "memory of the restored, MB"),
    _at_most("W11", "must", 0.1, "import bgdl_jupyter over import traitlets, s"),
    _at_most("W11", "must", 0.4, "%load_ext bgdl_jupyter, s"),
    _at_most("W11", "must", 0.15, "first byte after %bgdl, s"),
    _at_most("W11", "must", 0.2, "cell that starts three downloads, s"),
    _at_most("W11", "goal", 0.05, "import bgdl_jupyter over import traitlets, s"),
    _at_most("W11", "goal", 0.2, "%load_ext bgdl_jupyter, s"),
    _at_most("W11", "goal", 0.075, "first byte after %bgdl, s"),
    _at_least("W12", "must", 0.8, "slowest over best throughput"),
    _at_most("W12", "must", 256, "most memory over least, MB"),
    _at_most("W12", "must", 100, "lag of the engine's loop, worst p99, ms"),
    _at_least("W12", "goal", 0.95, "slowest over best throughput"),
    _at_most("limits", "must", 0.03, "farthest from its limit"),
)


def verdicts(results: Iterable[Result], column: Column | None = None) -> list[Verdict]:
    """Return what became of the targets of these workloads."""
    by_workload = {result.workload: result for result in results}
    return [
        _verdict(rule, by_workload[rule.workload])
        for rule in RULES
        if rule.workload in by_workload and column in (None, rule.column)
    ]


def _verdict(rule: Rule, result: Result) -> Verdict:
    value = rule.value(result)
    return Verdict(rule=rule, value=value, is_met=None if value is None else rule.is_met(value))

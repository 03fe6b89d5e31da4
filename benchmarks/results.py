"""What the workloads found, as values, and their way into JSON and back."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from statistics import median
from typing import Any, Final, Self

OURS: Final = "bgdl_jupyter"


@dataclass(slots=True, kw_only=True)
class Entry:
    """
    The times of one contestant, in seconds, one of each run.

    Attributes
    ----------
    durable:
        From the first call until the files are durable.
    last_byte:
        From the first call to the last byte, without any sync.
    trouble:
        Why there are none: what is not installed, or how it failed.
    """

    name: str
    durable: list[float] = field(default_factory=list)
    last_byte: list[float] = field(default_factory=list)
    trouble: str | None = None


@dataclass(slots=True, kw_only=True)
class Result:
    """
    What one workload found.

    Attributes
    ----------
    workload, title:
        "W1", and what was done in a line.
    entries:
        The contestants, where there are some.
    measures:
        Everything else that was measured, by name; the unit is in the name.
    series:
        For the plots of growth: a line for each name, of points (amount, value).
    notes:
        What a reader must know.
    trouble:
        Why it has no results.
    """

    workload: str
    title: str
    entries: list[Entry] = field(default_factory=list)
    measures: dict[str, float] = field(default_factory=dict)
    series: dict[str, list[tuple[float, float]]] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    trouble: str | None = None

    def entry(self, name: str) -> Entry | None:
        """Return the entry of a contestant."""
        return next((each for each in self.entries if each.name == name), None)

    def durable(self, name: str) -> float | None:
        """Return the median of a contestant until its files are durable, None where it has none."""
        entry = self.entry(name)
        return median(entry.durable) if entry and entry.durable else None

    def last_byte(self, name: str) -> float | None:
        """Return the median of a contestant to the last byte, None where it has none."""
        entry = self.entry(name)
        return median(entry.last_byte) if entry and entry.last_byte else None

    def to_dict(self) -> dict[str, Any]:
        """Return the result as JSON has it."""
        return dataclasses.asdict(self)

    @classmethod
    def from_dict(cls, fields: dict[str, Any]) -> Self:
        """Return the result that was kept so."""
        entries = [Entry(**each) for each in fields["entries"]]
        series = {name: [(x, y) for x, y in points] for name, points in fields["series"].items()}
        return cls(**{**fields, "entries": entries, "series": series})

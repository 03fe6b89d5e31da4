"""
What a bench found, as one JSON file a family; the page in `docs/` is written from these files and from nothing else.

A family is a kind of harm that is done n times: kills at random times, a power loss at every moment, a row of the
fault catalogue. It has passed when every single one was survived.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
import importlib.metadata
import json
import platform
import sqlite3
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Self

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

ROOT: Final = Path(__file__).parents[2]
#: Where the results are that the page is made of.
RESULTS: Final = ROOT / "docs" / "what_it_survives"
_PACKAGES: Final = ("bgdl-jupyter", "aiohttp", "aioftp", "ipykernel")

Value = str | int | float | bool | None


def present_versions() -> dict[str, str]:
    """Return what a run was made with; nothing of it says on whose machine."""
    found = {
        "Python": platform.python_version(),
        "system": f"{platform.system()} {platform.release().split('-')[0]}",
        "SQLite": sqlite3.sqlite_version,
    }
    for name in _PACKAGES:
        found[name] = importlib.metadata.version(name)
    return found


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """A table of the page; cells are text or numbers."""

    columns: Sequence[str]
    rows: Sequence[Sequence[Value]]
    title: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Family:
    """
    The result of one family.

    Attributes
    ----------
    name:
        The name of its file: letters, digits and underscores.
    title, claim:
        A heading, and what was done and looked at, in a sentence or two.
    n, passed:
        How many there were, and how many were survived.
    section:
        Under which heading of the page it stands; families of one section are one table.
    details:
        What else was counted or measured, by name; the unit is in the name.
    failures:
        What was not survived, a line each.
    tables:
        What the page shows beside it.
    command, date, versions:
        How, when and with what it was made.
    """

    name: str
    title: str
    claim: str
    n: int
    passed: int
    command: str
    section: str = "Families"
    details: Mapping[str, Value] = field(default_factory=dict)
    failures: Sequence[str] = ()
    tables: Sequence[Table] = ()
    date: str = field(default_factory=lambda: dt.datetime.now(dt.UTC).date().isoformat())
    versions: Mapping[str, str] = field(default_factory=present_versions)

    @property
    def has_passed(self) -> bool:
        """Whether all were survived, and there were some."""
        return 0 < self.n == self.passed

    def to_json(self) -> str:
        """Return the text of its file."""
        return json.dumps(dataclasses.asdict(self), indent=2, ensure_ascii=False) + "\n"

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Return the family of a file."""
        fields: dict[str, Any] = json.loads(text)
        fields["tables"] = [Table(**each) for each in fields["tables"]]
        return cls(**fields)

    def save(self, folder: Path = RESULTS) -> Path:
        """Write its file, in place of the one of the last run."""
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / f"{self.name}.json"
        path.write_text(self.to_json(), encoding="utf-8")
        return path


def saved(folder: Path = RESULTS) -> list[Family]:
    """Return all families that have a file, by name."""
    return [Family.from_json(path.read_text(encoding="utf-8")) for path in sorted(folder.glob("*.json"))]

"""The account of the catalogue: what came of it with us, and with others beside us."""

from __future__ import annotations

import tempfile
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Final

from tests.bench.faults import answers, framing, ranges
from tests.bench.faults.ours import Outcome, cases, meet
from tests.bench.faults.peers import Came, Peer, present
from tests.bench.faults.rows import Mode, Row
from tests.bench.results import Family, Table
from tests.servers.authority import Authority

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

#: Every row, in the order of the catalogue's letters and numbers.
ROWS: Final[tuple[Row, ...]] = (*framing.ROWS, *ranges.ROWS, *answers.ROWS)
_MODES_OF_PEERS: Final[tuple[Mode, ...]] = (Mode.FRESH, Mode.RESUMED)


def run_ours() -> Family:
    """Meet every row in every way, and return the account."""
    authority = Authority()
    outcomes = [_meet(row, mode, scheme, authority) for row, mode, scheme in cases(ROWS)]
    failures = [f"{each.name}: {problem}" for each in outcomes for problem in each.problems]
    passed = sum(1 for each in outcomes if not each.problems)
    return Family(
        name="faults",
        title="Faults of servers and networks",
        claim="Every row meets a download in every way that applies: from the first request on, on resuming after a "
        "pause, and by the connections that bring parts of a file while others go on; over http and https. The right "
        "end has to come, at a bounded number of requests, bytes fetched twice and seconds; nothing may stand under "
        "the final name but a version that was served.",
        n=len(outcomes),
        passed=passed,
        section="Faults",
        command="python -m tests.bench faults",
        details={
            "rows": len(ROWS),
            "corrupt files reported complete": sum("none that was served" in each for each in failures),
            "most seconds for one": round(max(each.seconds for each in outcomes), 1),
        },
        failures=failures,
        tables=[_table_of_ours(outcomes)],
    )


def _meet(row: Row, mode: Mode, scheme: str, authority: Authority) -> Outcome:
    with tempfile.TemporaryDirectory() as folder:
        return meet(row, mode, scheme, folder=Path(folder), authority=authority)


def _table_of_ours(outcomes: Sequence[Outcome]) -> Table:
    rows = []
    for row in ROWS:
        mine = [each for each in outcomes if each.row is row]
        cells = [_score([each for each in mine if each.mode is mode]) for mode in Mode]
        rows.append([row.name, row.fault, row.end.value, *cells, max(each.requests for each in mine)])
    columns = ["row", "fault", "right end", *(mode.value for mode in Mode), "most requests"]
    return Table(columns=columns, rows=rows)


def _score(outcomes: Sequence[Outcome]) -> str:
    return f"{sum(1 for each in outcomes if not each.problems)}/{len(outcomes)}" if outcomes else "-"


def run_peers() -> Family:
    """Let others meet what they can be shown, and return what came of it beside ours."""
    here, missing = present()
    authority = Authority()
    shown = [(row, mode) for row in ROWS if row.for_peers for mode in _MODES_OF_PEERS if mode in row.modes]
    shown = [(row, mode) for row, mode in shown if "http" in row.schemes]
    came = {(row.name, mode): {each.name: each.meet(row, mode) for each in here} for row, mode in shown}
    ours = {(row.name, mode): not _meet(row, mode, "http", authority).problems for row, mode in shown}
    return Family(
        name="peers",
        title="The same faults, and what others make of them",
        claim="Each as it is installed, with three tries and redirects followed where that has to be asked for; to "
        "resume, it is interrupted half-way and started again with its option for that. *wrong* means that it reported "
        "success and what it left is no version that was served. "
        + " ".join(f"Not there: {each}." for each in missing),
        n=len(shown),
        passed=sum(ours.values()),
        section="Faults",
        command="python -m tests.bench peers",
        tables=[_totals(here, shown, came), *_tables_of_peers(here, shown, came, ours)],
    )


Shown = list[tuple[Row, Mode]]
Met = dict[tuple[str, Mode], dict[str, Came | None]]


def _totals(here: Sequence[Peer], shown: Shown, came: Met) -> Table:
    rows: list[list[str | int]] = []
    for peer in here:
        counts = Counter(came[row.name, mode][peer.name] for row, mode in shown)
        right = sum(
            1 for row, mode in shown if (it := came[row.name, mode][peer.name]) is not None and it.is_right(row.end)
        )
        met = sum(counts.values()) - counts[None]
        rows.append([f"{peer.name} {peer.version()}", met, right, *(counts[each] for each in Came)])
    return Table(
        columns=["", "met", "right end", *(each.value for each in Came)],
        rows=rows,
        title="An error where the whole file can be had is not the right end, but it is honest; a wrong file is not.",
    )


def _tables_of_peers(
    here: Sequence[Peer], shown: Shown, came: Met, ours: dict[tuple[str, Mode], bool]
) -> Iterator[Table]:
    for mode in _MODES_OF_PEERS:
        rows = [
            [
                row.name,
                row.fault,
                (Came.WHOLE if row.end.value == "the whole file" else Came.ERROR).value
                if ours[row.name, mode]
                else "no",
                *(_cell(came[row.name, mode][each.name]) for each in here),
            ]
            for row, present_mode in shown
            if present_mode is mode
        ]
        columns = ["row", "fault", "bgdl_jupyter", *(each.name for each in here)]
        yield Table(columns=columns, rows=rows, title=f"Met {_WORDS[mode]}:")


_WORDS: Final = {Mode.FRESH: "from the first request on", Mode.RESUMED: "on resuming"}


def _cell(came: Came | None) -> str:
    return "-" if came is None else came.value

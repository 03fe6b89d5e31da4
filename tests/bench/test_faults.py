"""Every row of the catalogue that a server can be made to do; the whole table is `python -m tests.bench faults`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.bench.faults.ours import cases, meet
from tests.bench.faults.rows import Mode, Row
from tests.bench.faults.table import ROWS

if TYPE_CHECKING:
    from pathlib import Path

    from tests.servers.authority import Authority

_ALL = cases(ROWS)
#: From the first request on all of them, and some of each other way, others whenever a row is added.
_HERE = [each for number, each in enumerate(_ALL) if each[1:] == (Mode.FRESH, "http") or number % 5 == 0]


def _name(case: tuple[Row, Mode, str]) -> str:
    row, mode, scheme = case
    return f"{row.name}-{mode.value}-{scheme}"


@pytest.mark.parametrize("case", _HERE, ids=_name)
def test_a_fault_comes_to_its_right_end(case: tuple[Row, Mode, str], tmp_path: Path, authority: Authority):
    row, mode, scheme = case
    assert meet(row, mode, scheme, folder=tmp_path, authority=authority).problems == []


@pytest.mark.long
@pytest.mark.parametrize("case", [each for each in _ALL if each not in _HERE], ids=_name)
def test_and_so_in_every_other_way(case: tuple[Row, Mode, str], tmp_path: Path, authority: Authority):
    row, mode, scheme = case
    assert meet(row, mode, scheme, folder=tmp_path, authority=authority).problems == []


def test_each_row_has_a_name_of_its_own():
    names = [row.name for row in ROWS]
    assert len(names) == len(set(names))

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.bench import report
from tests.bench.results import RESULTS, Family, Table, saved

FAMILY = Family(
    name="cuts",
    title="A cable that is cut",
    section="Faults",
    claim="It was cut.",
    n=1200,
    passed=1200,
    details={"cuts": 1200},
    tables=[Table(columns=("fault", "curl"), rows=[["H1 | cut", "survived"]], title="By fault.")],
    command="python -m tests.bench cuts",
)


def test_a_family_comes_back_from_its_file(tmp_path):
    FAMILY.save(tmp_path)
    (family,) = saved(tmp_path)
    assert family.to_json() == FAMILY.to_json()
    assert family.tables[0].rows == FAMILY.tables[0].rows


@pytest.mark.parametrize(("n", "passed", "verdict"), [(2, 2, True), (2, 1, False), (0, 0, False)])
def test_a_family_has_passed_when_there_were_some_and_all_were_survived(n, passed, verdict):
    assert replace(FAMILY, n=n, passed=passed).has_passed is verdict


def test_the_page_shows_the_score_the_command_and_the_tables():
    page = report.page([FAMILY])
    assert "| [A cable that is cut](#a-cable-that-is-cut) | 1,200/1,200 | `python -m tests.bench cuts` |" in page
    assert "| H1 \\| cut | survived |" in page


def test_what_was_not_survived_is_on_the_page():
    assert "- not survived: the third cut" in report.page([replace(FAMILY, passed=1199, failures=["the third cut"])])


def test_the_page_is_what_the_results_say():
    """`python -m tests.bench report` writes it anew."""
    assert report.PAGE.read_text(encoding="utf-8") == report.page(saved())


def test_every_published_family_was_survived():
    families = saved(RESULTS)
    assert families
    assert [family.name for family in families if not family.has_passed] == []

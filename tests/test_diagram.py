"""The README draws the table of statuses as it is."""

from __future__ import annotations

import runpy
from pathlib import Path

import pytest

from bgdl_jupyter.status import diagram

ROOT = Path(__file__).parent.parent
SCRIPT = runpy.run_path(str(ROOT / "docs" / "make_diagram.py"))
with_diagram, BEGIN, END = SCRIPT["with_diagram"], SCRIPT["BEGIN"], SCRIPT["END"]


def test_the_readme_shows_the_table_as_it_is():
    """After a change of the table: `python docs/make_diagram.py`."""
    text = (ROOT / "README.md").read_text("utf-8")
    assert with_diagram(text, diagram()) == text


def test_what_stands_around_the_diagram_stays():
    old = f"before\n{BEGIN}\nan old diagram\n{END}\nafter\n"
    assert with_diagram(old, "new") == f"before\n{BEGIN}\n```mermaid\nnew\n```\n{END}\nafter\n"


@pytest.mark.parametrize("text", ["", BEGIN, END, END + BEGIN, BEGIN + END + BEGIN + END])
def test_a_text_without_the_markers_is_left_alone(text):
    with pytest.raises(ValueError, match="needed once each"):
        with_diagram(text, "new")

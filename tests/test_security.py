"""The page about threats names tests that exist; and what has no better place among them."""

from __future__ import annotations

import re

import pytest

from bgdl_jupyter.storage.filenames import HOSTILE_CHARACTERS
from tests.bench.proofs import places
from tests.kernels import ROOT

ROWS = [
    line.split(" | ")
    for line in (ROOT / "docs" / "security.md").read_text("utf-8").splitlines()
    if line.startswith("| ") and "---" not in line and "proven by" not in line
]
PLACES = places()


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row[0].removeprefix("| ").replace(" ", "-")[:40])
def test_each_threat_is_proven_by_tests_that_exist(row: list[str]):
    _, _, tests = row
    named = re.findall(r"`(test_\w+)`", tests)
    assert named
    assert [name for name in named if name not in PLACES] == []


def test_control_characters_of_a_name_are_not_shown(new_downloader):
    downloader = new_downloader()
    operation = downloader.create_download("http://127.0.0.1:9/x", "a\x1b]0;b\x07c\u202etxt.bin")
    for shown in (repr(operation), str(operation), repr(downloader)):
        assert not HOSTILE_CHARACTERS.search(shown.replace("\n", ""))
    with pytest.raises(TimeoutError) as late:
        operation.wait(0)
    assert not HOSTILE_CHARACTERS.search(str(late.value))

"""A few of what `python -m tests.bench secrets` looks through, and that it finds what is there."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from bgdl_jupyter.model import masking
from tests.bench.faults.rows import Mode
from tests.bench.faults.table import ROWS
from tests.bench.secrets import Way, search

if TYPE_CHECKING:
    from pathlib import Path

    from tests.servers.authority import Authority

_BY_NAME = {row.name: row for row in ROWS}


@pytest.mark.parametrize("way", Way)
@pytest.mark.parametrize(("name", "mode"), [("H1b", Mode.RESUMED), ("H36.404", Mode.FRESH), ("H37.9", Mode.FRESH)])
def test_a_secret_goes_through_a_fault_and_is_found_nowhere(
    *, name: str, mode: Mode, way: Way, tmp_path: Path, authority: Authority
):
    found = search(_BY_NAME[name], mode, "https", way, folder=tmp_path, authority=authority)
    assert found.was_sent
    assert found.hits == []


def test_an_answer_that_says_the_secret_back_and_is_not_masked_is_noticed(
    *, tmp_path: Path, authority: Authority, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(masking, "redact", lambda text, _: text)
    found = search(_BY_NAME["H1b"], Mode.RESUMED, "http", Way.QUERY_AND_HEADERS, folder=tmp_path, authority=authority)
    kinds = {kind for kind in found.texts if any(f": {kind}: " in hit for hit in found.hits)}
    assert {"reprs", "events", "files of the state"} <= kinds

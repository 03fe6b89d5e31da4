"""The catalogue has no gap: each row is in the table, has a test, or says why it has none."""

from __future__ import annotations

import pytest

from tests.bench.catalogue import PROOFS
from tests.bench.proofs import places, rows, rows_of_the_table


@pytest.mark.parametrize("number", list(rows()))
def test_each_row_is_proven_or_says_why_not(number: str):
    proof = PROOFS.get(number)
    if proof is None:
        assert number in rows_of_the_table()
    else:
        assert bool(proof.tests) != bool(proof.reason)


def test_what_proves_a_row_exists():
    named = {name for proof in PROOFS.values() for name in proof.tests}
    assert named - places().keys() == set()


def test_no_row_is_proven_that_is_none():
    assert PROOFS.keys() <= set(rows())

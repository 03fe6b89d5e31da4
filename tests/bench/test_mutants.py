from __future__ import annotations

import shutil

import pytest

from tests.bench.mutants import MUTANTS, run
from tests.bench.results import ROOT

NAMES = [mutant.name for mutant in MUTANTS]


@pytest.mark.parametrize("mutant", MUTANTS, ids=NAMES)
def test_a_mutant_still_breaks_what_is_there(mutant, tmp_path):
    """The text that it replaces is in the package, just once."""
    (tmp_path / mutant.module).parent.mkdir()
    shutil.copy(ROOT / "bgdl_jupyter" / mutant.module, tmp_path / mutant.module)
    mutant.change(tmp_path)
    compile((tmp_path / mutant.module).read_text("utf-8"), mutant.module, "exec")


@pytest.mark.timeout(300)
def test_a_bench_notices_that_the_lease_is_not_looked_at():
    """`python -m tests.bench mutants` tries all of them."""
    family = run([mutant for mutant in MUTANTS if mutant.bench.startswith("kernels")])
    assert list(family.failures) == []
    assert family.passed == family.n == 1


@pytest.mark.long
@pytest.mark.timeout(7200)
def test_the_benches_notice_every_mutant():
    assert list(run().failures) == []

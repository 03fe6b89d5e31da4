from __future__ import annotations

import pytest

from tests.bench import kernels


@pytest.mark.timeout(240)
def test_a_dead_kernels_operations_are_taken_over_and_a_living_ones_are_not():
    """`python -m tests.bench kernels --count 25` does it more often."""
    family = kernels.run(2)
    assert list(family.failures) == []
    assert family.passed == family.n

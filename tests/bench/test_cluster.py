from __future__ import annotations

import pytest

from tests.bench import cluster


@pytest.mark.kernel
@pytest.mark.timeout(120)
def test_a_killed_worker_and_a_restarted_kernel_cost_no_file():
    """`python -m tests.bench cluster --count 20000` does it with more of them."""
    family = cluster.run(1500)
    assert list(family.failures) == []
    assert family.passed == family.n

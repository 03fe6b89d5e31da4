from __future__ import annotations

import pytest

from tests.bench import kills


@pytest.mark.kernel
@pytest.mark.timeout(300)
def test_ten_kills_of_a_real_kernel_lose_nothing():
    """`python -m tests.bench kills --count 200` does it for longer."""
    family = kills.run(10, size=64 * kills.MEBIBYTE)
    assert family.failures == []
    assert family.passed == family.n >= 10

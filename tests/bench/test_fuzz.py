from __future__ import annotations

import random

import pytest

from tests.bench import fuzz, state_fuzz


@pytest.mark.parametrize("name", fuzz.TARGETS)
def test_what_is_read_is_refused_or_right(name):
    """`python -m tests.bench bad_input` gives each a hundred thousand."""
    target, seeds = fuzz.TARGETS[name]
    draw = random.Random(7)
    for _ in range(1500):
        target(fuzz.changed(draw.choice(seeds), seeds, draw))


def test_a_target_that_breaks_is_noticed(monkeypatch):
    def breaks(data: bytes) -> None:
        assert data != b"a.bin"

    monkeypatch.setattr(fuzz, "TARGETS", {"names": (breaks, (b"a.bin",))})
    monkeypatch.setattr(fuzz, "changed", lambda seed, *_: seed)
    family = fuzz.run(3)
    assert (family.passed, family.n) == (0, 3)


@pytest.mark.timeout(240)
def test_a_state_file_may_hold_anything():
    """`python -m tests.bench state_files` opens very many."""
    family = state_fuzz.run(12, seed=7)
    assert list(family.failures) == []
    assert family.passed == family.n

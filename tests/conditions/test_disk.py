"""How much room is to stay free, and when the disk is almost full."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bgdl_jupyter.conditions.disk import Reserve, judge_disk, look_at_disk

GIB = 1 << 30


@pytest.mark.parametrize(
    ("total", "reserve"),
    [
        (64 << 20, int((64 << 20) * 0.1)),
        (10 * GIB, GIB),
        (100 * GIB, 5 * GIB),
        (20_000 * GIB, 16 * GIB),
    ],
    ids=["tmpfs", "small volume", "disk", "array"],
)
def test_the_reserve_is_a_share_within_bounds(total: int, reserve: int):
    assert Reserve().of(total) == reserve


@given(st.integers(0, 1 << 60))
def test_the_reserve_never_takes_more_than_a_tenth(total: int):
    assert 0 <= Reserve().of(total) <= total // 10 + 1


def test_a_disk_is_almost_full_below_the_reserve():
    assert judge_disk(Path("/"), free=99, reserve=100, was_almost_full=False).is_almost_full is True
    assert judge_disk(Path("/"), free=100, reserve=100, was_almost_full=False).is_almost_full is False


def test_a_pause_ends_only_with_some_room_to_spare():
    assert judge_disk(Path("/"), free=124, reserve=100, was_almost_full=True).is_almost_full is True
    assert judge_disk(Path("/"), free=125, reserve=100, was_almost_full=True).is_almost_full is False


def test_the_reason_names_both_figures():
    reason = judge_disk(Path("/"), free=1_500_000, reserve=2_000_000_000, was_almost_full=False).reason
    assert reason == "1.5 MB are free, 2 GB are to stay free."


def test_a_real_disk_is_looked_at(tmp_path: Path):
    seen = look_at_disk(tmp_path, Reserve(least=0, share=0), was_almost_full=False)
    assert seen.free is not None
    assert seen.free > 0
    assert seen.is_almost_full is False


def test_a_reserve_of_everything_makes_any_disk_almost_full(tmp_path: Path):
    reserve = Reserve(share=1, most=1 << 62, largest_share=1)
    assert look_at_disk(tmp_path, reserve, was_almost_full=False).is_almost_full is True


def test_a_folder_that_is_still_to_be_made_counts_as_the_one_above(tmp_path: Path):
    seen = look_at_disk(tmp_path / "a/b", Reserve(), was_almost_full=False)
    assert seen.folder == tmp_path / "a/b"
    assert seen.free is not None


def test_a_disk_that_cannot_be_read_is_unknown(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    def fail(_: object) -> None:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr("shutil.disk_usage", fail)
    seen = look_at_disk(tmp_path, Reserve(), was_almost_full=True)
    assert seen.is_almost_full is None
    assert "Input/output error" in seen.reason

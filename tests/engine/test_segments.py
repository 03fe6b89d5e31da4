"""What to ask for next: nothing twice, nothing left out, the first missing first, and the slowest tail helped."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bgdl_jupyter.engine.segments import (
    ActiveSegment,
    Split,
    cut_by,
    next_range_for,
    plan,
    split_tail,
    split_tails,
    unclaimed,
)
from bgdl_jupyter.ranges import ByteRange, RangeSet

MIB = 1024 * 1024

gap_lists = st.lists(st.tuples(st.integers(0, 50 * MIB), st.integers(1, 20 * MIB)), max_size=8).map(
    lambda pairs: RangeSet.of((start, start + length) for start, length in pairs).ranges
)
segments = st.builds(
    lambda position, remaining, rate: ActiveSegment(position, position + remaining, rate),
    st.integers(0, 50 * MIB),
    st.integers(0, 20 * MIB),
    st.sampled_from([0.0, 1e3, 1e6, 2e7, 1e9]),
)


def test_one_connection_takes_the_first_gap_whole():
    assert plan((ByteRange(5, 10), ByteRange(20, 30)), connections=1, smallest=1) == [ByteRange(5, 10)]


def test_several_connections_share_one_gap_evenly():
    pieces = plan((ByteRange(0, 256 * MIB),), connections=4, smallest=MIB)
    assert pieces == [ByteRange(n * 64 * MIB, (n + 1) * 64 * MIB) for n in range(4)]


def test_gaps_come_before_splits_and_the_widest_gap_is_split():
    gaps = (ByteRange(0, 10), ByteRange(100, 1100))
    assert plan(gaps, connections=3, smallest=10) == [ByteRange(0, 10), ByteRange(100, 600), ByteRange(600, 1100)]


def test_more_gaps_than_connections_leaves_the_last_for_later():
    gaps = tuple(ByteRange(n * 10, n * 10 + 5) for n in range(5))
    assert plan(gaps, connections=2, smallest=1) == [ByteRange(0, 5), ByteRange(10, 15)]


def test_nothing_is_split_below_the_smallest_piece():
    assert plan((ByteRange(0, 3 * MIB),), connections=16, smallest=MIB) == [
        ByteRange(n * MIB, (n + 1) * MIB) for n in range(3)
    ]


@pytest.mark.parametrize("connections", [0, -1])
def test_without_a_connection_nothing_is_asked_for(connections):
    assert plan((ByteRange(0, 100),), connections=connections, smallest=1) == []


def test_nothing_missing_is_nothing_to_ask_for():
    assert plan((), connections=4, smallest=1) == []


@given(gaps=gap_lists, connections=st.integers(0, 32), smallest=st.integers(1, 4 * MIB))
def test_a_plan_covers_the_first_gaps_exactly_once_in_order(gaps, connections, smallest):
    pieces = plan(gaps, connections=connections, smallest=smallest)
    assert len(pieces) <= connections
    assert pieces == sorted(pieces)
    assert all(piece.length > 0 for piece in pieces)
    taken = gaps[: min(connections, len(gaps))]
    assert RangeSet.of(pieces) == RangeSet.of(taken)
    assert sum(piece.length for piece in pieces) == sum(gap.length for gap in taken), "a byte is asked for twice"


@given(gaps=gap_lists, connections=st.integers(1, 32))
def test_no_piece_is_much_larger_than_another_of_its_gap(gaps, connections):
    for gap in gaps[:1]:
        lengths = [piece.length for piece in plan((gap,), connections=connections, smallest=1)]
        assert max(lengths) - min(lengths) <= 2 * 64 * 1024, "cuts are aligned to 64 KiB"


def test_what_is_on_its_way_is_not_asked_for_again():
    missing = (ByteRange(0, 100), ByteRange(200, 300))
    active = [ActiveSegment(10, 50), ActiveSegment(250, 300), ActiveSegment(70, 70)]
    assert unclaimed(missing, active) == (ByteRange(0, 10), ByteRange(50, 100), ByteRange(200, 250))


@given(gaps=gap_lists, active=st.lists(segments, max_size=5))
def test_unclaimed_and_claimed_are_all_that_is_missing(gaps, active):
    free = unclaimed(gaps, active)
    claimed = RangeSet.of((each.position, each.stop) for each in active)
    for piece in free:
        assert all(piece.intersection(each).length == 0 for each in claimed)
        assert any(piece.intersection(gap) == piece for gap in gaps)
    covered = RangeSet.of([*free, *claimed])
    assert all(covered.contiguous_from(gap.start) >= gap.stop for gap in gaps)


def test_the_only_segment_is_halved():
    assert split_tail([ActiveSegment(0, 128 * MIB, 2e7)], smallest=MIB) == Split(0, ByteRange(64 * MIB, 128 * MIB))


def test_the_segment_that_would_end_last_is_helped():
    active = [ActiveSegment(0, 10 * MIB, 1e7), ActiveSegment(20 * MIB, 25 * MIB, 1e5)]
    split = split_tail(active, smallest=64 * 1024)
    assert split is not None
    assert split.index == 1
    assert split.taken.start - 20 * MIB < split.taken.length / 10, "a slow segment keeps little of its rest"


def test_a_segment_that_stands_still_keeps_the_least():
    active = [ActiveSegment(0, 10 * MIB, 0.0), ActiveSegment(20 * MIB, 30 * MIB, 1e7)]
    assert split_tail(active, smallest=MIB) == Split(0, ByteRange(MIB, 10 * MIB))


def test_a_segment_that_is_not_open_yet_is_not_cut():
    active = [ActiveSegment(0, 10 * MIB, 1e7), ActiveSegment(20 * MIB, 60 * MIB, is_open=False)]
    split = split_tail(active, smallest=MIB)
    assert split is not None
    assert split.index == 0


def test_three_newcomers_at_once_take_three_quarters():
    ends, taken = split_tails([ActiveSegment(0, 128 * MIB, 2e7)], newcomers=3, smallest=MIB)
    assert [each.stop for each in ends] == [32 * MIB]
    assert sorted(each.start for each in taken) == [32 * MIB, 64 * MIB, 96 * MIB]


def test_newcomers_that_get_no_more_than_so_much_take_it_from_the_end():
    ends, taken = split_tails([ActiveSegment(0, 128 * MIB, 2e7)], newcomers=3, smallest=MIB, largest=8 * MIB)
    assert [each.stop for each in ends] == [104 * MIB]
    assert sorted(each.start for each in taken) == [104 * MIB, 112 * MIB, 120 * MIB]


@given(active=st.lists(segments, max_size=6), newcomers=st.integers(0, 20), smallest=st.integers(1, 4 * MIB))
def test_what_newcomers_take_is_what_the_others_leave(active, newcomers, smallest):
    ends, taken = split_tails(active, newcomers=newcomers, smallest=smallest)
    assert len(taken) <= newcomers
    assert all(part.length >= smallest for part in taken)
    assert sum(each.remaining for each in active) == sum(each.remaining for each in ends) + sum(
        part.length for part in taken
    )


def test_a_tail_that_is_nearly_there_is_left_alone():
    assert split_tail([ActiveSegment(0, 2 * MIB - 1, 1e5)], smallest=MIB) is None
    assert split_tail([], smallest=MIB) is None


@given(active=st.lists(segments, max_size=6), smallest=st.integers(1, 4 * MIB))
def test_a_split_leaves_both_parts_worth_a_request(active, smallest):
    split = split_tail(active, smallest=smallest)
    if split is None:
        assert all(each.remaining < 2 * smallest for each in active)
        return
    halved = active[split.index]
    assert split.taken.stop == halved.stop
    assert split.taken.start - halved.position >= smallest
    assert split.taken.length >= smallest


@given(lengths=st.integers(2 * MIB, 200 * MIB), fast=st.floats(1e5, 1e9), slow=st.floats(1e5, 1e9))
def test_after_a_split_both_end_at_about_the_same_time(lengths, fast, slow):
    """The newcomer is taken to be as fast as the others on average."""
    active = [ActiveSegment(0, lengths, slow), ActiveSegment(lengths, lengths + 1, fast)]
    split = split_tail(active, smallest=64 * 1024)
    assert split is not None
    assert split.index == 0
    newcomer = (fast + slow) / 2
    kept, taken = split.taken.start / slow, split.taken.length / newcomer
    assert math.isclose(kept, taken, abs_tol=(128 * 1024 + 2) / min(slow, newcomer))


def test_a_reader_is_served_first_from_where_it_reads():
    missing = (ByteRange(0, 100 * MIB),)
    active = [ActiveSegment(10 * MIB, 100 * MIB, 1e7)]
    wanted = next_range_for(60 * MIB, missing, active=active, smallest=MIB)
    assert wanted == ByteRange(60 * MIB, 100 * MIB)
    assert cut_by(wanted, active) == Split(0, wanted)


def test_a_reader_in_a_gap_that_nobody_fetches_cuts_nothing_short():
    wanted = next_range_for(50, (ByteRange(0, 100), ByteRange(200, 300)), smallest=1)
    assert wanted == ByteRange(50, 100)
    assert cut_by(wanted, []) is None


def test_a_reader_waits_for_a_segment_that_is_almost_there():
    active = [ActiveSegment(50 * MIB, 100 * MIB, 1e7)]
    assert next_range_for(50 * MIB + 1000, (ByteRange(50 * MIB, 100 * MIB),), active=active, smallest=MIB) is None


def test_a_reader_of_bytes_that_are_there_is_given_what_comes_behind_them():
    assert next_range_for(10, (ByteRange(40, 100),), smallest=1) == ByteRange(40, 100)
    assert next_range_for(10, (ByteRange(0, 5),), smallest=1) is None


@given(
    gaps=gap_lists,
    active=st.lists(segments, max_size=4),
    position=st.integers(0, 80 * MIB),
    smallest=st.integers(1, MIB),
)
def test_what_a_reader_is_given_is_missing_and_in_the_way_of_nobody(gaps, active, position, smallest):
    wanted = next_range_for(position, gaps, active=active, smallest=smallest)
    if wanted is None:
        return
    assert wanted.length > 0
    assert wanted.start >= position
    assert any(wanted.intersection(gap) == wanted for gap in gaps)
    assert all(not wanted.start < each.position < wanted.stop for each in active)

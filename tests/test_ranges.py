"""Half-open ranges and sets of them, against the plain truth: sets of positions."""

from __future__ import annotations

import json
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bgdl_jupyter.ranges import EMPTY, ByteRange, RangeSet

SIZE = 40

pairs = st.tuples(st.integers(0, SIZE), st.integers(0, SIZE)).map(lambda pair: (min(pair), max(pair)))
pair_lists = st.lists(pairs, max_size=10)
range_sets = pair_lists.map(RangeSet.of)
lengths = st.integers(0, SIZE + 5)


def positions(ranges):
    """Return the positions in some ranges, one by one."""
    return {position for start, stop in ranges for position in range(start, stop)}


def check_form(ranges):
    """Fail unless the ranges are sorted, not empty, and neither touch nor overlap."""
    assert all(start < stop for start, stop in ranges)
    assert all(one.stop < other.start for one, other in pairwise(ranges))


@given(pair_lists)
def test_a_set_has_the_positions_of_its_ranges_in_one_form(ranges):
    made = RangeSet.of(ranges)
    assert positions(made) == positions(ranges)
    check_form(made.ranges)


@given(range_sets, range_sets)
def test_equal_sets_are_those_with_the_same_positions(one, other):
    assert (one == other) is (positions(one) == positions(other))


@given(range_sets, pairs)
def test_adding_a_range_adds_its_positions(ranges, added):
    more = ranges.add(*added)
    assert positions(more) == positions(ranges) | positions([added])
    check_form(more.ranges)


@given(st.lists(st.integers(1, 9), max_size=20))
def test_growing_at_the_end_leaves_one_range(chunks):
    grown, end = EMPTY, 0
    for chunk in chunks:
        grown, end = grown.add(end, end + chunk), end + chunk
    assert grown == RangeSet.of([(0, end)])


@given(range_sets, range_sets)
def test_a_union_has_the_positions_of_both(one, other):
    assert positions(one | other) == positions(one) | positions(other)


@given(range_sets, range_sets)
def test_what_is_here_and_not_there(one, other):
    rest = one.without(other)
    assert positions(rest) == positions(one) - positions(other)
    check_form(rest)


@given(range_sets, lengths)
def test_missing_are_the_gaps_in_the_length(ranges, length):
    gaps = ranges.missing(length)
    assert positions(gaps) == set(range(length)) - positions(ranges)
    check_form(gaps)


@given(range_sets, lengths)
def test_what_lies_right_before_a_position_is_there_and_has_a_gap_before_it(ranges, position):
    start = position - ranges.contiguous_before(position)
    assert positions(ranges) >= set(range(start, position))
    assert start - 1 not in positions(ranges)


@given(range_sets, lengths)
def test_covering_a_length_means_that_nothing_is_missing_in_it(ranges, length):
    assert ranges.covers(length) is (not ranges.missing(length))


@given(range_sets, lengths)
def test_contiguous_is_what_follows_without_a_gap(ranges, position):
    end = position
    while end in positions(ranges):
        end += 1
    assert ranges.contiguous_from(position) == end


@given(range_sets, st.integers(-3, SIZE + 3))
def test_a_position_is_in_the_set_or_not(ranges, position):
    assert (position in ranges) is (position in positions(ranges))
    assert "3" not in ranges


@given(range_sets)
def test_a_set_knows_how_much_it_holds_and_where_it_ends(ranges):
    assert ranges.total == len(positions(ranges))
    assert ranges.stop == max(positions(ranges), default=-1) + 1
    assert bool(ranges) is bool(positions(ranges))


@given(range_sets)
def test_a_set_outlives_the_kernel(ranges):
    assert RangeSet.of(json.loads(json.dumps(ranges.to_pairs()))) == ranges


@given(pairs, pairs)
def test_an_intersection_has_the_common_positions(one, other):
    common = ByteRange(*one).intersection(ByteRange(*other))
    assert positions([common]) == positions([one]) & positions([other])
    assert common.length == len(positions([common]))


@pytest.mark.parametrize("bad", [(-1, 3), (5, 4), (-5, -2)])
def test_what_is_no_range_is_refused(bad):
    with pytest.raises(ValueError, match="is not a byte range"):
        RangeSet.of([(0, 1), bad])


def test_positions_beyond_four_gibibytes_are_positions_like_others():
    far = RangeSet.of([(0, 5 << 30), (6 << 30, 7 << 30)])
    assert far.missing(8 << 30) == (ByteRange(5 << 30, 6 << 30), ByteRange(7 << 30, 8 << 30))
    assert far.total == 6 << 30


def test_nothing_is_missing_in_nothing():
    assert EMPTY.missing(0) == ()
    assert EMPTY.covers(0)
    assert EMPTY.missing(3) == (ByteRange(0, 3),)


@given(lengths)
def test_the_whole_is_all_of_its_bytes(length):
    assert RangeSet.whole(length) == RangeSet.of([(0, length)])
    assert RangeSet.whole(length).covers(length)

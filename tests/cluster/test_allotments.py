from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from bgdl_jupyter.cluster.allotments import Allotments


@given(
    st.integers(1, 40),
    st.lists(st.tuples(st.sampled_from("ab"), st.integers(1, 60), st.booleans()), max_size=100),
)
def test_what_is_given_of_a_host_is_never_more_than_its_limit(limit, steps):
    """However many workers there are, and whenever shards begin and end."""
    allotments = Allotments(limit)
    out: list[tuple[str, int]] = []
    for host, sharers, ends in steps:
        if ends and out:
            allotments.give_back(*out.pop(0))
        part = allotments.take(host, sharers)
        if part:
            out.append((host, part))
        for each in "ab":
            given_away = sum(part for owner, part in out if owner == each)
            assert given_away == allotments.given(each) <= limit


def test_a_limit_is_shared_by_those_that_can_run_at_once():
    allotments = Allotments(16)
    assert [allotments.take("a", 2) for _ in range(3)] == [8, 8, 0]
    allotments.give_back("a", 8)
    assert allotments.take("a", 2) == 8
    assert allotments.take("b", 100) == 1


def test_what_an_earlier_notebook_gave_counts():
    allotments = Allotments(4)
    allotments.claim("a", 3)
    assert allotments.take("a", 1) == 1
    assert allotments.take("a", 1) == 0

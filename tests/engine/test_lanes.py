"""Lanes stay sorted whatever comes and goes."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bgdl_jupyter.engine.lanes import Lane, Lanes


@dataclass(frozen=True)
class Waiting:
    number: int
    host: str = "a"
    group: str = "g"
    rank: int = 1
    position: float = 0.0

    @property
    def order(self):
        return self.rank, self.position, self.number


members = st.builds(
    Waiting,
    number=st.integers(0, 999),
    host=st.sampled_from("abc"),
    group=st.sampled_from("gh"),
    rank=st.integers(0, 2),
    position=st.integers(0, 9).map(float),
)
queues = st.lists(members, max_size=40, unique_by=lambda each: each.number)


def in_order(waiting):
    return sorted(waiting, key=lambda each: each.order)


@given(queue=queues, data=st.data())
def test_a_lane_is_a_sorted_sequence_whatever_comes_and_goes(queue, data):
    lane = Lane[Waiting]()
    model: list[Waiting] = []
    for each in queue:
        lane.add(each)
        model.append(each)
        if data.draw(st.booleans()):
            lane.remove(model.pop(data.draw(st.integers(0, len(model) - 1))))
    model = in_order(model)
    assert list(lane) == list(Lane(model[::-1])) == model
    assert [lane[n] for n in range(len(lane))] == model
    assert list(lane[1:3]) == model[1:3]
    assert not model or lane[-1] == model[-1]
    with pytest.raises(IndexError):
        lane[len(model)]


def test_a_lane_of_many_pieces_keeps_its_order():
    lane = Lane[Waiting]()
    scattered = [Waiting(n, position=float(n * 7919 % 5003)) for n in range(5003)]
    for each in scattered:
        lane.add(each)
    assert [each.position for each in lane] == [float(n) for n in range(5003)]
    for each in scattered[::2]:
        lane.remove(each)
    assert sorted(each.position for each in scattered[1::2]) == [each.position for each in lane]
    assert lane[2000].position == list(lane)[2000].position


def check(lanes, model):
    """Fail unless the lanes hold the model, each in order, and know the first of each by group."""
    keys = {(each.host, each.group) for each in model}
    assert set(lanes) == keys
    for host, group in keys:
        assert list(lanes[host, group]) == in_order(each for each in model if (each.host, each.group) == (host, group))
    assert set(lanes.heads) == {group for _, group in keys}
    for group in lanes.heads:
        firsts = [lanes[key][0] for key in keys if key[1] == group]
        assert list(lanes.heads[group]) == in_order(firsts)
        assert in_order(lanes.of_group(group)) == in_order(each for each in model if each.group == group)


@given(queue=queues, data=st.data())
def test_the_lanes_know_what_is_first_in_each_whatever_comes_and_goes(queue, data):
    lanes = Lanes[Waiting]()
    model: list[Waiting] = []
    for each in queue:
        lanes.add(each)
        model.append(each)
        if data.draw(st.booleans()):
            lanes.remove(model.pop(data.draw(st.integers(0, len(model) - 1))))
        check(lanes, model)


@given(queue=queues, cuts=st.lists(st.integers(0, 40), max_size=4))
def test_many_at_once_are_the_same_as_one_after_the_other(queue, cuts):
    lanes = Lanes[Waiting]()
    places = [0, *sorted(cuts), len(queue)]
    for start, stop in pairwise(places):
        lanes.add_all(queue[start:stop])
        check(lanes, queue[: max(start, stop)] if stop else [])


def test_a_lane_takes_many_in_any_order():
    lane = Lane[Waiting](Waiting(n, position=float(n)) for n in range(1000))
    lane.add_all(Waiting(n, position=float(n)) for n in range(1000, 3000))
    lane.add_all(Waiting(5000 - n, position=n + 0.5) for n in range(2000))
    assert [each.position for each in lane] == sorted([*range(3000), *(n + 0.5 for n in range(2000))])
    assert len(lane) == 5000
    assert lane[4999].position == 2999.0


@given(queue=queues, others=queues)
def test_a_group_can_be_replaced_as_a_whole(queue, others):
    lanes = Lanes[Waiting]()
    for each in queue:
        lanes.add(each)
    others = [each for each in others if each.group == "g"]
    lanes.replace_group("g", others)
    check(lanes, [each for each in queue if each.group != "g"] + others)

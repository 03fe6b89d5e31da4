"""Who may run: priority, then the order of start, inside the limits; and what it costs."""

from __future__ import annotations

from collections import Counter
from itertools import count
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bgdl_jupyter.engine.scheduler import Candidate, GroupLimits, Limits, Queue, Running, admit
from bgdl_jupyter.status import BackgroundTransferBehavior, BackgroundTransferPriority

HIGH, DEFAULT, LOW = (BackgroundTransferPriority[name] for name in ("HIGH", "DEFAULT", "LOW"))
SERIAL = GroupLimits(behavior=BackgroundTransferBehavior.SERIALIZED)


def waiting(number, *, host="a.example", group="", priority=DEFAULT, position=None):
    return Candidate.of(
        operation_id=UUID(int=number),
        host=host,
        group=group,
        priority=priority,
        position=float(number) if position is None else position,
    )


def numbers(operation_ids):
    return [each.int for each in operation_ids]


def counted(candidates):
    """Return the count of operations that run."""
    running = Running()
    for each in candidates:
        running.add(each)
    return running


def admitted(candidates, *, running=(), limits=None, held=()):
    queue = Queue(candidates)
    return numbers(admit(queue.lanes, counted(running), limits or Limits(), held_hosts=frozenset(held)))


def test_high_goes_first_low_goes_last_and_otherwise_the_order_of_start_decides():
    queue = [waiting(1, priority=LOW), waiting(2), waiting(3, priority=HIGH), waiting(4)]
    assert admitted(queue) == [3, 2, 4, 1]


def test_no_more_run_than_all_may():
    assert admitted([waiting(n) for n in range(10)], limits=Limits(max_parallel=3)) == [0, 1, 2]


def test_what_runs_counts():
    running = [waiting(n, host="b.example") for n in range(2)]
    assert admitted([waiting(n) for n in range(2, 10)], running=running, limits=Limits(max_parallel=3)) == [2]


def test_more_running_than_allowed_admits_nothing():
    """The limits may have been lowered meanwhile."""
    assert admitted([waiting(9)], running=[waiting(1), waiting(2)], limits=Limits(max_parallel=1)) == []


def test_a_full_host_lets_others_pass():
    queue = [waiting(1), waiting(2), waiting(3), waiting(4, host="b.example")]
    assert admitted(queue, limits=Limits(max_parallel_per_host=2)) == [1, 2, 4]


def test_a_held_host_is_not_asked():
    assert admitted([waiting(1), waiting(2, host="b.example")], held=["a.example"]) == [2]


def test_a_group_has_a_limit_of_its_own():
    queue = [waiting(1, group="g"), waiting(2, group="g"), waiting(3, group="h"), waiting(4)]
    assert admitted(queue, limits=Limits(groups={"g": GroupLimits(max_parallel=1)})) == [1, 3, 4]


def test_a_serial_group_runs_one_at_a_time():
    queue = [waiting(1, group="g"), waiting(2, group="g", host="b.example"), waiting(3, group="g", priority=LOW)]
    limits = Limits(groups={"g": SERIAL})
    assert admitted(queue, limits=limits) == [1]
    assert admitted(queue[1:], running=queue[:1], limits=limits) == []


def test_high_runs_beside_the_one_of_a_serial_group():
    limits = Limits(groups={"g": SERIAL})
    queue = [waiting(1, group="g"), waiting(2, group="g", priority=HIGH), waiting(3, group="g", priority=HIGH)]
    assert admitted(queue, limits=limits) == [2, 3, 1]
    assert admitted(queue[:1], running=queue[1:], limits=limits) == [1]


def test_a_serial_group_lets_the_next_pass_while_the_host_of_its_head_is_held():
    """Otherwise a Retry-After of an hour would stop a whole group (M11); it still runs one at a time."""
    queue = [waiting(1, group="g"), *(waiting(n, group="g", host="b.example") for n in (2, 3))]
    limits = Limits(groups={"g": SERIAL})
    assert admitted(queue, limits=limits, held=["a.example"]) == [2]
    assert admitted(queue, limits=limits) == [1], "the head is first again when its time has come"


def naively_admitted(candidates, running, limits, held):
    """Go through all that wait, in order: slow, and plainly right."""
    running = list(running)
    chosen = []
    for each in sorted(candidates, key=lambda candidate: candidate.order):
        hosts, groups = Counter(one.host for one in running), Counter(one.group for one in running)
        own = limits.groups.get(each.group, GroupLimits())
        is_serial = own.behavior is BackgroundTransferBehavior.SERIALIZED
        beside = [one for one in running if one.group == each.group and not one.is_high]
        if (
            len(running) < limits.max_parallel
            and hosts[each.host] < limits.max_parallel_per_host
            and each.host not in held
            and (own.max_parallel is None or groups[each.group] < own.max_parallel)
            and (not is_serial or each.is_high or not beside)
        ):
            running.append(each)
            chosen.append(each.operation_id)
    return chosen


hosts = st.sampled_from(["a", "b", "c"])
groups = st.sampled_from(["", "g", "h"])
candidates = st.builds(
    Candidate.of,
    operation_id=st.integers(0, 2**128 - 1).map(lambda number: UUID(int=number)),
    host=hosts,
    group=groups,
    priority=st.sampled_from(BackgroundTransferPriority),
    position=st.integers(0, 9).map(float),
)
queues = st.lists(candidates, max_size=40, unique_by=lambda each: each.operation_id)
group_limits = st.builds(
    GroupLimits,
    behavior=st.sampled_from(BackgroundTransferBehavior),
    max_parallel=st.none() | st.integers(1, 4),
)
all_limits = st.builds(
    Limits,
    max_parallel=st.integers(1, 12),
    max_parallel_per_host=st.integers(1, 6),
    groups=st.dictionaries(groups, group_limits),
)


@given(queue=queues, share=st.integers(0, 10), limits=all_limits, held=st.frozensets(hosts))
def test_it_admits_what_a_walk_through_the_whole_queue_would(queue, share, limits, held):
    running, rest = queue[:share], queue[share:]
    lanes = Queue(rest).lanes
    expected = naively_admitted(rest, running, limits, held)
    assert admit(lanes, counted(running), limits, held_hosts=held) == expected


@given(queue=queues, share=st.integers(0, 40))
def test_what_ended_counts_no_more(queue, share):
    running = counted(queue)
    for each in queue[:share]:
        running.remove(each)
    assert running == counted(queue[share:])


@pytest.mark.parametrize("hosts", [1, 10, 10_000])
@pytest.mark.parametrize("running", [0, 15])
def test_the_cost_does_not_grow_with_what_waits(monkeypatch, hosts, running):
    """Neither with the length of the queue nor with the number of its hosts."""
    queue = Queue(waiting(n, host=f"{n % hosts}.example") for n in range(20_000))
    looks = []

    def order(candidate):
        looks.append(candidate)
        return tuple(candidate)[-1]

    monkeypatch.setattr(Candidate, "order", property(order))
    assert len(admit(queue.lanes, Running(total=running), Limits())) == 16 - running
    assert len(looks) < 100


def test_a_full_house_costs_nothing(monkeypatch):
    queue = Queue(waiting(n) for n in range(100))
    monkeypatch.delattr(Candidate, "order")
    assert admit(queue.lanes, Running(total=16), Limits()) == []


def test_a_queue_forgets_what_was_removed():
    queue = Queue([waiting(1), waiting(2)])
    assert queue.remove(UUID(int=1)) == waiting(1)
    assert UUID(int=1) not in queue
    assert queue.remove(UUID(int=1)) is None
    queue.remove(UUID(int=2))
    assert len(queue) == 0
    assert queue.lanes == {}


def test_those_ahead_are_the_first_of_each_lane_and_then_the_second():
    queue = Queue(waiting(number, host=host) for number, host in enumerate("aabac"))
    assert [each.position for each in queue.first_of_each_lane()] == [0, 2, 4, 1, 3]


def test_adding_what_waits_already_puts_it_into_its_new_place():
    queue = Queue([waiting(1), waiting(2)])
    queue.add(waiting(1, host="b.example", position=9.0))
    assert len(queue) == 2
    assert set(queue.lanes) == {("a.example", ""), ("b.example", "")}


def test_adding_many_puts_those_that_wait_already_into_their_new_places():
    queue = Queue([waiting(1), waiting(2)])
    queue.add_all([waiting(3), waiting(1, host="b.example"), waiting(0)])
    assert len(queue) == 4
    assert numbers(admit(queue.lanes, Running(), Limits())) == [0, 1, 2, 3]
    assert {each: len(lane) for each, lane in queue.lanes.items()} == {("a.example", ""): 3, ("b.example", ""): 1}


def test_another_priority_is_another_place():
    queue = Queue([waiting(1), waiting(2), waiting(3)])
    assert queue.move(UUID(int=3), priority=HIGH).priority is HIGH
    assert numbers(admit(queue.lanes, Running(), Limits())) == [3, 1, 2]
    queue.move(UUID(int=3), priority=LOW)
    assert numbers(admit(queue.lanes, Running(), Limits())) == [1, 2, 3]


def test_only_what_waits_can_be_moved():
    with pytest.raises(KeyError):
        Queue().move(UUID(int=1), priority=HIGH)
    with pytest.raises(KeyError):
        Queue().make_current(UUID(int=1))


def test_an_operation_and_its_followers_move_up_in_their_group():
    """As when a listener skips to the third track: the fourth comes next, the first two come again at the end."""
    queue = Queue(waiting(n, group="album", host=f"{n % 2}.example") for n in range(1, 6))
    moved = queue.make_current(UUID(int=3))
    assert sorted(numbers(each.operation_id for each in moved)) == [1, 2, 3, 4, 5]
    assert numbers(admit(queue.lanes, Running(), Limits())) == [3, 4, 5, 1, 2]


def test_the_present_first_of_a_group_stays_where_it_is():
    queue = Queue(waiting(n, group="album") for n in (1, 2))
    assert queue.make_current(UUID(int=1)) == []


def test_the_places_of_the_group_stay_where_they_are():
    """Nobody outside the group is put back."""
    queue = Queue([waiting(1, group="g"), waiting(2), waiting(3, group="g"), waiting(4, group="g"), waiting(5)])
    queue.make_current(UUID(int=3))
    assert numbers(admit(queue.lanes, Running(), Limits())) == [3, 2, 4, 1, 5]


def test_what_is_started_later_comes_behind_those_that_had_to_step_back():
    queue = Queue(waiting(n, group="g") for n in range(1, 30))
    queue.make_current(UUID(int=29))
    queue.add(waiting(30, group="g"))
    order = numbers(admit(queue.lanes, Running(), Limits(max_parallel=99, max_parallel_per_host=99)))
    assert order == [29, *range(1, 29), 30]


@given(
    steps=st.lists(st.tuples(st.sampled_from(["make current", "start"]), st.integers(0, 99)), max_size=20),
    size=st.integers(1, 12),
)
def test_making_current_turns_the_order_of_the_group(steps, size):
    started = count(1)
    queue = Queue(waiting(next(started), group="g") for _ in range(size))
    model = list(range(1, size + 1))
    for step, choice in steps:
        if step == "start":
            number = next(started)
            queue.add(waiting(number, group="g", position=1000.0 + number))
            model.append(number)
        else:
            at = choice % len(model)
            queue.make_current(UUID(int=model[at]))
            model = model[at:] + model[:at]
    everything = Limits(max_parallel=999, max_parallel_per_host=999)
    assert numbers(admit(queue.lanes, Running(), everything)) == model


def test_a_host_in_trouble_gets_fewer_and_others_what_they_always_get():
    candidates = [waiting(number, host=f"{'ab'[number % 2]}.example") for number in range(10)]
    let_in = admitted(candidates, running=[waiting(11, host="a.example")], limits=Limits(hosts={"a.example": 2}))
    assert let_in == [0, 1, 3, 5, 7, 9]

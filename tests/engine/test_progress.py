from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bgdl_jupyter.engine.progress import TICK, Pace, RateMeter, StallWatch, seconds_left


def test_the_rate_is_that_of_the_last_five_seconds():
    meter = RateMeter(0.0)
    for second in range(1, 21):
        meter.count(1_000_000 if second <= 10 else 1000)
        rate = meter.sample(float(second))
    assert rate == pytest.approx(1000)
    assert meter.total == 10 * 1_000_000 + 10 * 1000


@given(st.lists(st.tuples(st.floats(0.01, 10), st.integers(0, 10**9)), min_size=1))
def test_a_rate_is_never_negative_and_never_above_what_came_in_the_shortest_time(steps: list[tuple[float, int]]):
    meter, now = RateMeter(0.0), 0.0
    for seconds, count in steps:
        now += seconds
        meter.count(count)
        rate = meter.sample(now)
        assert 0 <= rate <= sum(each for _, each in steps) / min(each for each, _ in steps) * 1.001


def ticks(watch: StallWatch, start: float, stop: float, *, total: int, is_held_back: bool = False) -> list[float]:
    """Look at every tick, and return when the watch said that nothing comes."""
    said, now = [], start
    while now < stop:
        now += TICK
        if watch.look(now, total, is_held_back=is_held_back):
            said.append(now)
    return said


def test_too_few_bytes_in_the_window_are_a_stall():
    watch = StallWatch(0.0, window=30.0, least=4096)
    assert ticks(watch, 0.0, 31.0, total=4095)[0] == 30.0


def test_enough_bytes_begin_a_new_window():
    watch = StallWatch(0.0, window=30.0, least=4096)
    assert ticks(watch, 0.0, 29.0, total=0) == []
    assert ticks(watch, 29.0, 58.0, total=4096) == []
    assert ticks(watch, 58.0, 60.0, total=4096)[0] == pytest.approx(29.25 + 30.0)


def test_time_in_which_we_hold_the_bytes_back_does_not_count():
    watch = StallWatch(0.0, window=30.0, least=4096)
    assert ticks(watch, 0.0, 120.0, total=0, is_held_back=True) == []
    assert ticks(watch, 120.0, 149.0, total=0) == []


def test_time_in_which_the_loop_stood_still_does_not_count():
    """A cell that blocks the loop for a minute is not the server's stall."""
    watch = StallWatch(0.0, window=30.0, least=4096)
    assert ticks(watch, 0.0, 10.0, total=0) == []
    assert not watch.look(70.0, 0, is_held_back=False)
    assert ticks(watch, 70.0, 89.0, total=0) == []


def test_the_time_that_is_left_is_said_only_where_it_can_be():
    assert seconds_left(1000, 100.0) == 10.0
    assert seconds_left(None, 100.0) is None
    assert seconds_left(1000, 0.0) is None
    assert seconds_left(10**9, 5e-324) is None


def test_the_pace_is_that_of_the_last_moment():
    pace = Pace(0.0)
    for tick in range(1, 11):
        pace.count(1_000_000, tick * 0.02, held_back=0.0)
    assert pace.rate == pytest.approx(50e6)
    for tick in range(1, 11):
        pace.count(10_000, 0.2 + tick * 0.02, held_back=0.0)
    assert pace.rate == pytest.approx(0.5e6)


def test_time_in_which_bytes_had_to_wait_for_us_does_not_slow_the_pace():
    pace = Pace(0.0)
    for second in range(1, 5):
        pace.count(10_000_000, float(second), held_back=second * 0.75)
    assert pace.rate == pytest.approx(40e6)


def test_a_server_that_sends_in_bursts_is_not_taken_for_a_faster_one():
    pace, rates = Pace(0.0), []
    for burst in range(1, 20):
        for piece in range(8):
            pace.count(250_000, burst * 0.1 + piece * 0.001, held_back=0.0)
            rates.append(pace.rate)
    assert max(rates) <= 1.5 * 20e6

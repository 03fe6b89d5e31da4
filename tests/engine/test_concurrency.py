"""How many connections: more while they help, back when they do not, half at trouble, and never past the ceiling."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bgdl_jupyter.engine.concurrency import HostControl, Trouble

MB = 1_000_000


class Host:
    """A server whose rate depends on the number of connections alone."""

    def __init__(self, control, rate_of, *, wanted=100):
        self.control = control
        self.rate_of = rate_of
        self.wanted = wanted
        self.now = 0.0
        self.received = 0
        self.others_get = nothing_comes
        self.others = 0
        self.seen = []

    def run(self, seconds, *, step=0.05, **facts):
        end = self.now + seconds
        while self.now < end:
            active = min(self.control.allowed, self.wanted)
            self.received += int(self.rate_of(active) * step)
            self.others += int(self.others_get(active) * step)
            self.now += step
            self.control.observe(self.now, self.received, active=active, others=self.others, **facts)
            self.seen.append(self.control.allowed)
        return self.control.allowed


def per_connection(connections):
    return connections * 20 * MB


def one_fills_the_line(connections):
    return 1000 * MB


def nothing_comes(connections):
    return 0


def test_it_starts_with_four():
    assert HostControl().allowed == 4


def test_where_each_connection_has_its_own_limit_all_are_used_within_a_second():
    assert Host(HostControl(), per_connection).run(1.0) == 16


def test_a_line_that_is_full_with_four_stays_with_four():
    host = Host(HostControl(), one_fills_the_line)
    assert host.run(60) == 4
    assert host.seen.count(4) / len(host.seen) > 0.9, "trials are rare where they bring nothing"


def test_a_line_that_one_fills_is_left_with_one_where_that_is_allowed():
    host = Host(HostControl(least=1), one_fills_the_line)
    assert host.run(4) == 1
    host.run(60)
    assert host.seen.count(1) / len(host.seen) > 0.8


def test_what_is_only_taken_from_other_files_is_no_gain():
    """Nine other files share a line with this one, by connections: each more of ours makes them slower."""
    host = Host(HostControl(start=1, least=1), lambda connections: 500 * MB * connections / (connections + 9))
    host.others_get = lambda connections: 500 * MB * 9 / (connections + 9)
    host.run(20)
    assert host.seen.count(1) / len(host.seen) > 0.8


def test_what_helps_beside_other_files_that_lose_nothing_is_kept():
    host = Host(HostControl(start=1, least=1), per_connection)
    host.others_get = one_fills_the_line
    assert host.run(2.0) == 16


def test_the_first_growth_waits_only_for_a_short_look():
    """Each connection too few costs most while there are few: four become sixteen a twentieth of a second later."""
    host = Host(HostControl(start=4, least=1, shortest_round=0.2), per_connection)
    host.run(0.1, step=0.02)
    assert host.control.allowed == 16
    host.run(0.15, step=0.02)
    assert host.control.is_finding_out, "what came of it is judged by a whole round"


def test_few_bytes_that_wait_for_the_disk_do_not_mean_that_the_disk_is_full():
    """What waits is an answer of the disk: with more under way, more fits into the same time."""
    host = Host(HostControl(start=4, least=1), lambda connections: connections * 10 * MB)
    for _ in range(40):
        host.run(0.05, held_back=0.6 * host.now)
    assert host.control.allowed == 16


def test_one_bad_moment_does_not_end_the_climb():
    host = Host(HostControl(start=1), per_connection)
    host.run(0.12)
    assert host.control.allowed == 4
    host.rate_of = nothing_comes
    host.run(1.05)
    host.rate_of = per_connection
    assert host.run(2.0) == 16


def test_connections_that_each_have_their_own_limit_are_not_taken_back():
    assert Host(HostControl(least=1, ceiling=8), per_connection).run(60) == 8


def test_a_disk_that_takes_no_more_means_no_more_connections():
    """The rate may grow a little all the same: what was in the buffers is counted, too."""
    host = Host(HostControl(least=1), lambda connections: (100 + 10 * connections) * MB)
    for _ in range(100):
        host.run(0.05, held_back=0.6 * host.now)
    assert max(host.seen) <= 4
    assert host.control.allowed == 1


def test_what_clearly_helped_is_kept_though_the_disk_is_full_and_nothing_is_added():
    host = Host(HostControl(start=2, least=1, ceiling=64), per_connection)
    host.run(0.12)
    assert host.control.allowed == 8
    for _ in range(100):
        host.run(0.05, held_back=0.6 * host.now)
    assert host.control.allowed == 8


def test_it_finds_the_number_from_which_on_more_bring_nothing():
    host = Host(HostControl(ceiling=64), lambda connections: min(connections, 10) * 20 * MB)
    host.run(120)
    assert set(host.seen[-400:]) <= set(range(10, 21)), "ten give it all; doubling may go a little too far"


def test_what_begins_to_help_later_is_found_later():
    host = Host(HostControl(), one_fills_the_line)
    host.run(20)
    host.rate_of = per_connection
    assert host.run(120) == 16


@pytest.mark.parametrize("ceiling", [1, 2, 7])
def test_never_more_than_the_ceiling(ceiling):
    host = Host(HostControl(ceiling=ceiling), per_connection)
    assert host.run(10) == ceiling
    assert max(host.seen) == ceiling


def test_a_lower_ceiling_holds_at_once():
    host = Host(HostControl(), per_connection)
    host.run(2)
    host.control.ceiling = 3
    assert host.control.allowed == 3
    host.control.ceiling = 16
    assert host.run(60) == 16


def test_unused_connections_are_no_reason_for_more():
    assert Host(HostControl(), per_connection, wanted=2).run(30) == 4


def test_our_own_rate_limit_says_nothing_about_the_host():
    host = Host(HostControl(), one_fills_the_line)
    assert host.run(30, is_throttled=True) == 4
    host.rate_of = per_connection
    assert host.run(1.0) == 16, "no trial was wasted while the limit held"


@pytest.mark.parametrize("kind", list(Trouble))
def test_trouble_halves(kind):
    host = Host(HostControl(), per_connection)
    host.run(2)
    host.control.error(kind)
    assert host.control.allowed == 8


def test_many_errors_in_one_moment_are_one_piece_of_news():
    host = Host(HostControl(), per_connection)
    host.run(2)
    for _ in range(16):
        host.control.error(Trouble.REFUSED)
    assert host.control.allowed == 8


def test_trouble_that_goes_on_leaves_one_connection_to_find_out_when_it_ends():
    host = Host(HostControl(), nothing_comes)
    for _ in range(10):
        host.control.error(Trouble.BUSY)
        host.run(0.3)
    assert host.control.allowed == 1
    host.rate_of = per_connection
    assert host.run(120) == 16


def test_a_host_that_refuses_the_ninth_connection_is_soon_not_asked_for_it_any_more():
    control = HostControl()
    host = Host(control, per_connection)
    refusals = 0
    for _ in range(600):
        host.run(0.1)
        if control.allowed > 8:
            control.error(Trouble.REFUSED)
            refusals += 1
    assert control.allowed == 8
    assert refusals <= 4, "each refusal costs a connection attempt at the host"


def test_a_loop_that_has_no_time_left_means_no_more_connections():
    host = Host(HostControl(least=1, start=1), per_connection)
    for _ in range(100):
        host.run(0.05, worked=0.9 * host.now)
    assert host.control.allowed == 1


def test_a_refusal_during_a_trial_takes_back_the_trial_alone():
    """What was allowed before it was fine."""
    host = Host(HostControl(start=2), per_connection)
    host.run(0.2)
    assert host.control.allowed == 8
    host.control.error(Trouble.REFUSED)
    assert host.control.allowed == 2


@given(
    steps=st.lists(
        st.tuples(
            st.floats(0, 2),
            st.integers(0, 10 * MB),
            st.integers(0, 40),
            st.none() | st.sampled_from(Trouble),
            st.floats(0, 10),
        ),
        max_size=60,
    ),
    start=st.integers(1, 8),
    ceiling=st.integers(1, 32),
)
def test_it_always_allows_at_least_one_and_at_most_the_ceiling(steps, start, ceiling):
    control = HostControl(start=start, ceiling=ceiling)
    now, received = 0.0, 0
    for seconds, count, active, trouble, held_back in steps:
        now, received = now + seconds, received + count
        control.observe(now, received, active=active, held_back=held_back)
        if trouble:
            control.error(trouble)
        assert 1 <= control.allowed <= ceiling

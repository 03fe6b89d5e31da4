"""What a host may have, over all files: the limit, half after trouble, and one more each second."""

from __future__ import annotations

import pytest

from bgdl_jupyter.engine.hosts import Hosts

HOST = "data.example"


@pytest.fixture
def hosts():
    hosts = Hosts()
    for _ in range(16):
        hosts.opened(HOST)
    return hosts


def test_the_limit_holds_over_files_and_parts(hosts):
    assert hosts.room(HOST, 0.0) == 0
    hosts.closed(HOST)
    assert hosts.room(HOST, 0.0) == 1
    hosts.max_connections = 4
    assert hosts.room(HOST, 0.0) == -11, "so many are to be closed"


def test_trouble_halves_what_all_files_have_together_and_no_other_host(hosts):
    hosts.trouble(HOST, 100.0)
    assert hosts.allowed(HOST, 100.0) == 8
    assert hosts.allowed("other.example", 100.0) == 16
    assert hosts.troubled(100.0) == {HOST: 8}


def test_many_failures_in_one_moment_count_once(hosts):
    for number in range(16):
        hosts.trouble(HOST, 100.0 + number / 100)
    assert hosts.allowed(HOST, 100.2) == 8


def test_trouble_that_goes_on_leaves_one(hosts):
    for second in range(20):
        hosts.trouble(HOST, 100.0 + 1.01 * second)
    assert hosts.allowed(HOST, 100.0 + 1.01 * 19) == 1


def test_one_more_comes_back_each_second_up_to_the_limit(hosts):
    hosts.trouble(HOST, 100.0)
    assert hosts.allowed(HOST, 102.5) == 10
    assert hosts.next_release(102.5) == pytest.approx(103.0)
    assert hosts.allowed(HOST, 108.5) == 16
    assert hosts.troubled(108.5) == {}
    assert hosts.next_release(108.5) is None

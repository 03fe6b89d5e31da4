"""What a host may have, over all files: the limit, half after trouble, and one more each second."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from bgdl_jupyter.engine.hosts import Hosts
from tests.servers.faults import hold_after, hold_head
from tests.servers.files import FileSpec

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.engine.conftest import Fetch
    from tests.servers.fixtures import StartFaultServer

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


def test_many_connections_in_all_leave_no_room_for_parts_at_any_host(hosts):
    """What then comes slowly does so because of this machine, and each further connection makes it slower."""
    assert hosts.room_for_parts("other.example", 0.0) == 16
    for _ in range(12):
        hosts.opened("third.example")
    assert hosts.room_for_parts("other.example", 0.0) == 4
    for _ in range(12):
        hosts.opened("third.example")
    assert hosts.room_for_parts("other.example", 0.0) == 0
    assert hosts.room("other.example", 0.0) == 16, "a file of its own is another matter"
    hosts.max_connections = 4
    assert hosts.room_for_parts(HOST, 0.0) == -12, "so many are to be closed"


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


def test_answers_that_take_ever_longer_mean_fewer_connections(hosts):
    for _ in range(12):
        hosts.opened("a")
    for _ in range(50):
        hosts.answered("a", 0.0, seconds=0.05)
    assert hosts.allowed("a", 0.0) == 16
    for _ in range(20):
        hosts.answered("a", 1.0, seconds=1.0)
    assert hosts.allowed("a", 1.0) == int(13 * 0.75)
    assert hosts.allowed("b", 1.0) == 16


def test_a_distant_host_is_not_taken_for_a_busy_one(hosts):
    for _ in range(12):
        hosts.opened("a")
    for second in range(100):
        hosts.answered("a", second, seconds=2.0)
    assert hosts.allowed("a", 100.0) == 16


def test_slow_answers_leave_a_host_what_it_gets_to_begin_with(hosts):
    for _ in range(3):
        hosts.opened("a")
    hosts.answered("a", 0.0, seconds=0.01)
    for second in range(1, 20):
        hosts.answered("a", second, seconds=5.0)
    assert hosts.allowed("a", 20.0) >= 4


def test_what_helped_one_file_is_known_for_the_next_until_there_is_trouble(hosts):
    assert hosts.helpful("a") is None
    hosts.learn("a", 12)
    assert hosts.helpful("a") == 12
    hosts.trouble("a", 0.0)
    assert hosts.helpful("a") is None


def test_not_every_host_is_remembered_for_ever(hosts):
    for number in range(5000):
        hosts.learn(str(number), 4)
    assert hosts.helpful("0") is None
    assert hosts.helpful("4999") == 4


async def test_a_host_is_known_by_the_time_that_its_answers_take(
    fault_server: StartFaultServer, fetch: Callable[..., Fetch], monkeypatch: pytest.MonkeyPatch
):
    """From the request to the head of the answer: what the body takes says nothing about a queue."""
    faults = (hold_head(until="asked", on=1), hold_after(500_000, until="begun", on=1))
    server = fault_server({"/a": FileSpec(size=1_000_000, faults=faults)})
    one = fetch(server.url("/a"))
    told: list[float] = []
    monkeypatch.setattr(one.facilities.hosts, "answered", lambda _host, _now, *, seconds: told.append(seconds))
    loop = asyncio.get_running_loop()
    began = loop.time()
    running = one.start()
    await server.until(lambda: bool(server.requests("/a")))
    assert not told
    loop.call_later(0.2, server.events.set, "asked")
    await one.until(lambda: bool(told))
    assert 0.2 <= told[0] <= loop.time() - began
    server.events.set("begun")
    await running
    assert len(told) == 1

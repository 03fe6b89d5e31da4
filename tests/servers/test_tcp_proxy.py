"""The cable is as bad as it was told to be."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest

from tests.servers.files import FileSpec
from tests.servers.raw_client import RawClient, fetch
from tests.servers.tcp_proxy import Link

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.servers.fixtures import StartFaultServer, StartTcpProxy
    from tests.servers.tcp_proxy import TcpProxy

    Lay = Callable[..., TcpProxy]

FILE = FileSpec(size=300_000, seed=5, date="Sat, 01 Jun 2024 00:00:00 GMT")


@pytest.fixture
def lay(fault_server: StartFaultServer, tcp_proxy: StartTcpProxy) -> Lay:
    """Lay a cable to a server of one file."""
    server = fault_server({"/a": FILE})
    return lambda *args, **options: tcp_proxy(("127.0.0.1", server.listener.port), *args, **options)


def url(cable: TcpProxy) -> str:
    return f"http://{cable.authority}/a"


@pytest.mark.parametrize("link", [Link(), Link(piece=1000), Link(delay=0.01), Link(rate=10_000_000)])
def test_the_bytes_stay_the_same(lay: Lay, link: Link):
    answer = fetch(url(lay(link)))
    assert (answer.body, answer.ending) == (FILE.read(), "fin")


def test_a_byte_is_flipped(lay: Lay):
    data = fetch(url(lay(Link(flip=1000)))).data
    plain = fetch(url(lay())).data
    assert [at for at in range(len(plain)) if data[at] != plain[at]] == [1000]
    assert data[1000] == plain[1000] ^ 0xFF


@pytest.mark.parametrize(("link", "ending"), [(Link(reset_after=50_000), "reset"), (Link(cut_after=50_000), "fin")])
def test_the_connection_ends_after_so_many_bytes(lay: Lay, link: Link, ending: str):
    cable = lay(link)
    for _ in range(2):
        answer = fetch(url(cable))
        assert (len(answer.data), answer.ending) == (50_000, ending)


def test_each_connection_may_have_a_link_of_its_own(lay: Lay):
    cable = lay(links={1: Link(cut_after=10)})
    assert len(fetch(url(cable)).data) == 10
    assert len(fetch(url(cable)).body) == 300_000


def test_a_pulled_cable_is_silent_and_then_goes_on(lay: Lay):
    cable = lay(Link(rate=2_000_000))
    with RawClient(url(cable)) as client:
        client.get()
        begun = client.receive(until=10_000)
        cable.pull()
        silent = client.receive(timeout=0.3)
        assert silent.ending == "open"
        assert len(begun.data) + len(silent.data) < 300_000
        with RawClient(url(cable)) as other:
            other.get()
            assert other.is_silent()
            cable.plug_in()
            assert other.receive(until=10).status == 200
        rest = client.receive(until=300_000 - len(begun.body) - len(silent.data))
    assert begun.body + silent.data + rest.data == FILE.read()


def test_present_connections_are_reset(lay: Lay):
    cable = lay(Link(rate=100_000))
    with RawClient(url(cable)) as client:
        client.get()
        client.receive(until=1000)
        cable.cut_all()
        assert client.receive().ending == "reset"


def test_delay_and_rate_take_their_time(lay: Lay):
    began = time.monotonic()
    fetch(url(lay(Link(delay=0.1))))
    assert time.monotonic() - began > 0.2
    began = time.monotonic()
    fetch(url(lay(Link(rate=1_000_000))))
    assert time.monotonic() - began > 0.25

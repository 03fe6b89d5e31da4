"""Several connections for one file: what the server counts."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from tests.servers.content import file_sha256
from tests.servers.files import FileSpec, Limit
from tests.servers.range_faults import start_earlier

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.engine.conftest import Fetch
    from tests.servers.fixtures import StartFaultServer

LARGE = 64_000_000
CAPPED = 8_000_000
TOO_MANY = 429


async def test_connections_are_added_while_each_brings_its_own_share(
    fault_server: StartFaultServer, fetch: Callable[..., Fetch]
):
    spec = FileSpec(size=LARGE, rate=CAPPED)
    server = fault_server({"/a": spec}, send_buffer=64 * 1024)
    one = fetch(server.url("/a"))
    await one.run()
    assert file_sha256(one.path) == spec.sha256
    assert server.connections_peak >= 4
    assert server.body_bytes_sent("/a") <= 1.2 * LARGE, "what a connection leaves to another is not sent twice"


async def test_at_first_a_host_gets_four(fault_server: StartFaultServer, fetch: Callable[..., Fetch]):
    """At once, and not one after the other: these are asked for before any of them has brought what it is to bring."""
    spec = FileSpec(size=LARGE, rate=CAPPED)
    server = fault_server({"/a": spec})
    one = fetch(server.url("/a"))
    transfer = one.start()
    await server.until(lambda: len(server.requests("/a")) >= 4)
    asked = [request.header("Range") for request in server.requests("/a")[:4]]
    transfer.cancel()
    await asyncio.wait([transfer])
    assert asked[0] is None
    starts = sorted(int(each.removeprefix("bytes=").split("-")[0]) for each in asked[1:] if each)
    assert starts == pytest.approx([LARGE * n / 16 for n in (13, 14, 15)], rel=0.1), "as if there were 16 already"


@pytest.mark.parametrize("most", [1, 3])
async def test_never_more_than_a_download_may_have(
    fault_server: StartFaultServer, fetch: Callable[..., Fetch], most: int
):
    spec = FileSpec(size=LARGE // 2, rate=CAPPED * 2)
    server = fault_server({"/a": spec})
    one = fetch(server.url("/a"), max_connections=most)
    await one.run()
    assert file_sha256(one.path) == spec.sha256
    assert server.connections_peak == most


async def test_a_host_that_refuses_more_keeps_those_that_it_gave(
    fault_server: StartFaultServer, fetch: Callable[..., Fetch]
):
    spec = FileSpec(size=LARGE // 2, rate=CAPPED, limit=Limit(connections=2))
    server = fault_server({"/a": spec})
    one = fetch(server.url("/a"))
    await one.run()
    assert file_sha256(one.path) == spec.sha256
    refused = sum(each.status == TOO_MANY for each in server.exchanges_for("/a"))
    assert 1 <= refused <= 6, "it is not asked again and again"


async def test_a_host_that_refuses_every_further_connection_is_asked_a_few_times(
    fault_server: StartFaultServer, fetch: Callable[..., Fetch]
):
    """Connections that were refused stay open at the server, which goes on refusing because of them."""
    spec = FileSpec(size=LARGE // 2, rate=CAPPED, limit=Limit(connections=1))
    server = fault_server({"/a": spec})
    one = fetch(server.url("/a"))
    await one.run()
    assert file_sha256(one.path) == spec.sha256
    refused = sum(each.status == TOO_MANY for each in server.exchanges_for("/a"))
    assert 1 <= refused <= 7, "three at once, and one after each pause"


async def test_parts_that_begin_earlier_than_asked_are_taken_from_where_they_were_asked(
    fault_server: StartFaultServer, fetch: Callable[..., Fetch]
):
    """What comes from before a part has nothing in the file to be compared with: another connection has yet to come."""
    spec = FileSpec(size=LARGE // 2, rate=CAPPED, faults=(start_earlier(100_000, on=range(2, 100)),))
    server = fault_server({"/a": spec})
    one = fetch(server.url("/a"))
    await one.run()
    assert file_sha256(one.path) == spec.sha256
    assert one.restarts == []
    assert server.connections_peak >= 2


async def test_a_server_that_gives_all_to_one_connection_is_left_with_one(
    fault_server: StartFaultServer, fetch: Callable[..., Fetch]
):
    """More are tried, and do not stay."""
    spec = FileSpec(size=8 * LARGE)
    server = fault_server({"/a": spec})
    one = fetch(server.url("/a"))
    await one.run()
    assert one.path.stat().st_size == spec.size
    carried = sorted((each.body_bytes_sent for each in server.exchanges_for("/a")), reverse=True)
    assert sum(carried) <= 1.2 * spec.size
    assert server.connections_peak <= 8

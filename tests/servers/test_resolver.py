"""Names resolve as the table says, also through aiohttp."""

from __future__ import annotations

import asyncio
import socket
from typing import TYPE_CHECKING

import aiohttp
import pytest

from tests.servers.files import FileSpec
from tests.servers.resolver import EMPTY, NXDOMAIN, SILENCE, FakeResolver, Records, many

if TYPE_CHECKING:
    from tests.servers.fixtures import StartFaultServer


async def addresses(names: FakeResolver, host: str, family: socket.AddressFamily = socket.AF_UNSPEC) -> list[str]:
    return [record["host"] for record in await names.resolve(host, 80, family)]


async def test_a_name_leads_to_a_server(fault_server: StartFaultServer):
    server = fault_server({"/a": FileSpec(body=b"here")})
    names = FakeResolver({"files.test": Records("127.0.0.1")})
    connector = aiohttp.TCPConnector(resolver=names)
    async with aiohttp.ClientSession(connector=connector) as session:
        async with session.get(server.url("/a", host="files.test")) as response:
            assert await response.read() == b"here"
        with pytest.raises(aiohttp.ClientConnectorDNSError):
            await session.get(server.url("/a", host="other.test"))
    assert names.queries == ["files.test", "other.test"]
    assert server.requests()[0].header("Host") == f"files.test:{server.listener.port}"


async def test_failures_silence_and_nothing():
    names = FakeResolver({"no.test": NXDOMAIN, "slow.test": SILENCE, "empty.test": EMPTY})
    with pytest.raises(socket.gaierror):
        await names.resolve("no.test")
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(names.resolve("slow.test"), 0.05)
    assert await addresses(names, "empty.test") == []


async def test_an_answer_changes_and_the_last_one_stays():
    names = FakeResolver({"a.test": [Records("192.0.2.1"), NXDOMAIN, Records("127.0.0.1")]})
    assert await addresses(names, "a.test") == ["192.0.2.1"]
    with pytest.raises(socket.gaierror):
        await names.resolve("a.test")
    assert [await addresses(names, "a.test") for _ in range(2)] == [["127.0.0.1"], ["127.0.0.1"]]


async def test_many_addresses_and_both_families():
    names = FakeResolver({"many.test": many(1000), "both.test": Records("::1", "127.0.0.1")})
    found = await addresses(names, "many.test")
    assert (len(found), len(set(found)), found[-1]) == (1000, 1000, "127.0.0.1")
    assert await addresses(names, "both.test", socket.AF_INET6) == ["::1"]
    assert await addresses(names, "both.test", socket.AF_INET) == ["127.0.0.1"]

from __future__ import annotations

import asyncio
import socket
import threading

import pytest

from bgdl_jupyter.transport.addresses import Resolver, is_private_address, is_private_name


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1",
        "127.1.2.3",
        "10.0.0.1",
        "172.16.0.1",
        "192.168.1.1",
        "169.254.169.254",
        "100.64.0.1",
        "0.0.0.0",
        "224.0.0.1",
        "255.255.255.255",
        "::1",
        "::",
        "fe80::1",
        "fe80::1%eth0",
        "fd00::1",
        "ff02::1",
        "::ffff:127.0.0.1",
        "::ffff:10.0.0.1",
        "64:ff9b::a00:1",
        "fec0::1",
        "::127.0.0.1",
        "::ffff:0:10.0.0.1",
        "2002:7f00:1::",
        "192.0.2.1",
        "not an address",
        "",
    ],
)
def test_what_is_not_on_the_public_internet_is_private(address):
    assert is_private_address(address)


@pytest.mark.parametrize(
    "address", ["8.8.8.8", "93.184.216.34", "2606:4700::1111", "::ffff:8.8.8.8", "64:ff9b::808:808"]
)
def test_the_public_internet_is_not(address):
    assert not is_private_address(address)


@pytest.mark.parametrize("host", ["localhost", "a.localhost", "127.1", "0x7f.1", "2130706433", "10.1", "::1", "0"])
def test_a_name_may_be_a_private_address_in_another_spelling(host):
    assert is_private_name(host)


@pytest.mark.parametrize("host", ["files.test", "8.8.8.8", "134744072", "localhost.example", "2606:4700::1111"])
def test_other_names_are_not(host):
    assert not is_private_name(host)


async def test_a_name_that_is_an_address_is_looked_up_as_such():
    [found] = await Resolver().resolve("127.0.0.1", 80, socket.AF_INET)
    assert (found["host"], found["port"]) == ("127.0.0.1", 80)


async def test_a_name_that_does_not_exist_is_the_systems_error():
    with pytest.raises(OSError, match=r".+"):
        await Resolver().resolve("does-not-exist.invalid", 80, socket.AF_INET)


async def test_a_name_that_cannot_be_one_is_an_error_of_the_same_kind():
    with pytest.raises(socket.gaierror):
        await Resolver().resolve("a" * 70 + ".test", 80, socket.AF_INET)


async def test_lookups_that_hang_hold_up_no_more_than_their_slots(monkeypatch):
    """A lookup that was given up does not come back to disturb, and its thread does not keep the process."""
    release = threading.Event()

    def hang(*_: object, **__: object) -> list[object]:
        release.wait(10)
        return []

    monkeypatch.setattr(socket, "getaddrinfo", hang)
    resolver = Resolver(max_lookups=1)
    first = asyncio.ensure_future(resolver.resolve("a.test", 80, socket.AF_INET))
    await asyncio.sleep(0)
    assert all(thread.daemon for thread in threading.enumerate() if thread.name == "bgdl-resolver")
    first.cancel()
    with pytest.raises(asyncio.CancelledError):
        await first
    release.set()
    assert await resolver.resolve("b.test", 80, socket.AF_INET) == []

"""A body that comes fast wakes the loop when there is more of it; nothing of one that is slow, or at its end, waits."""

from __future__ import annotations

import asyncio
import socket
import sys
from typing import TYPE_CHECKING

import pytest

from bgdl_jupyter.transport.http_waking import Waking
from tests.servers.faults import hold_after
from tests.servers.files import FileSpec
from tests.transport.ftp_sinks import Collector
from tests.transport.http_client import request_for

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

MUCH = 10_000_000
PIECE = 256 * 1024
only_linux = pytest.mark.skipif(sys.platform != "linux", reason="only Linux waits for so many bytes")


@pytest.fixture
async def transport() -> AsyncIterator[asyncio.Transport]:
    ours, theirs = socket.socketpair(socket.AF_UNIX if sys.platform != "win32" else socket.AF_INET)
    made, _ = await asyncio.get_running_loop().create_connection(asyncio.Protocol, sock=ours)
    yield made
    made.abort()
    theirs.close()


def awaited(transport: asyncio.Transport) -> int:
    """Return how many bytes have to have come before the loop is woken."""
    count: int = transport.get_extra_info("socket").getsockopt(socket.SOL_SOCKET, socket.SO_RCVLOWAT)
    return count


@only_linux
async def test_a_fast_body_is_waited_for(transport):
    waking = Waking(transport)
    waking.read(65_536, room=1 << 20, left=MUCH)
    assert awaited(transport) == PIECE
    waking.end()
    assert awaited(transport) == 1


@pytest.mark.parametrize(
    ("count", "room", "left"),
    [(20_000, 1 << 20, MUCH), (65_536, 1 << 20, PIECE - 1), (65_536, 1 << 20, 0)],
    ids=["little comes", "little is left", "nothing is left"],
)
@only_linux
async def test_what_is_no_fast_body_wakes_the_loop_with_its_first_byte(transport, count, room, left):
    waking = Waking(transport)
    waking.read(count, room=room, left=left)
    assert awaited(transport) == 1
    waking.read(1 << 20, room=1 << 20, left=MUCH)
    waking.read(count, room=room, left=left)
    assert awaited(transport) == 1
    waking.end()


@only_linux
async def test_a_buffer_that_is_nearly_full_says_nothing_of_the_pace(transport):
    waking = Waking(transport)
    waking.read(65_536, room=1 << 20, left=MUCH)
    waking.read(5000, room=5000, left=MUCH)
    assert awaited(transport) == PIECE
    waking.end()


@only_linux
async def test_a_body_that_pauses_is_not_waited_for_long(transport):
    waking = Waking(transport)
    waking.read(65_536, room=1 << 20, left=MUCH)
    async with asyncio.timeout(5):
        while awaited(transport) > 1:  # noqa: ASYNC110 (the system tells nobody)
            await asyncio.sleep(0.02)


@only_linux
async def test_a_connection_that_is_closed_meanwhile_is_no_error(transport):
    waking = Waking(transport)
    waking.read(65_536, room=1 << 20, left=MUCH)
    transport.abort()
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    waking.read(65_536, room=1 << 20, left=MUCH)
    waking.end()


@pytest.mark.parametrize("rest", [1, 100_000])
async def test_what_came_before_a_pause_of_the_server_is_delivered(ask, serve, rest):
    """However fast the bytes before it came, and though fewer than the system is told to wait for have come since."""
    held = MUCH + rest
    server = serve({"/a": FileSpec(size=2 * MUCH, faults=(hold_after(held, until="go"),))})
    sink = Collector()
    async with ask.args[0].open(request_for(server.url("/a"), **ask.keywords)) as exchange:
        receiving = asyncio.ensure_future(exchange.receive(sink))
        async with asyncio.timeout(10):
            await sink.until(held)
        server.events.set("go")
        await receiving
    assert len(sink.body) == 2 * MUCH

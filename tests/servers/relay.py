"""Bytes carried between two connections: the common part of the proxies."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from typing import TYPE_CHECKING

from tests.servers.wire import Wire

if TYPE_CHECKING:
    from collections.abc import Awaitable


async def connect(host: str, port: int) -> Wire:
    """Return a connection to somewhere. Raises `OSError`."""
    sock = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
    sock.setblocking(False)
    try:
        await asyncio.get_running_loop().sock_connect(sock, (host, port))
    except BaseException:
        sock.close()
        raise
    return Wire(sock)


async def carry(source: Wire, target: Wire) -> None:
    """Pass on bytes until the source ends, then end the target's direction."""
    while received := await source.receive():
        await target.send(received)
    target.half_close()


async def both_ways(near: Wire, far: Wire, up: Awaitable[None], down: Awaitable[None]) -> None:
    """Run both directions until both have ended or one has failed, then close both connections."""
    directions = [asyncio.ensure_future(up), asyncio.ensure_future(down)]
    try:
        await asyncio.wait(directions, return_when=asyncio.FIRST_EXCEPTION)
        for direction in directions:
            if direction.done():
                direction.result()
    finally:
        for direction in directions:
            direction.cancel()
        await asyncio.gather(*directions, return_exceptions=True)
        with contextlib.suppress(OSError):
            near.abandon()
        far.abandon()

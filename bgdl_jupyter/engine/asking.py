"""Asks the place that has the file: a request as the operation is now, an exchange by its scheme's transport."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from bgdl_jupyter.uris import origin_of

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from contextlib import AbstractAsyncContextManager
    from types import TracebackType

    from bgdl_jupyter.engine.facilities import Facilities
    from bgdl_jupyter.engine.hosts import Hosts
    from bgdl_jupyter.engine.order import RequestMaker
    from bgdl_jupyter.engine.sources import Sources
    from bgdl_jupyter.ranges import ByteRange
    from bgdl_jupyter.resource import Validator
    from bgdl_jupyter.transport.base import Exchange, Request


class Asking:
    """
    Makes requests and opens exchanges.

    Attributes
    ----------
    host:
        Which was asked last.
    """

    def __init__(self, make_request: RequestMaker, sources: Sources, facilities: Facilities) -> None:
        self._make_request = make_request
        self._sources = sources
        self._facilities = facilities
        self.host = ""

    async def request(self, asked: ByteRange | None, gap: ByteRange, condition: Validator | None) -> Request:
        """Return a request for what is asked, up to the end of a gap (0 where it is open); None asks for all."""
        source = self._sources.current
        if asked is None:
            return await self._make_request(start=None, stop=None, condition=None, source=source)
        return await self._make_request(start=asked.start, stop=gap.stop or None, condition=condition, source=source)

    async def open(self, request: Request) -> _Asked:
        """Return what asks, when it is entered, and gives the exchange."""
        origin = origin_of(request.uri.public)
        self.host = origin.host
        transport = await self._facilities.transport_for(origin.scheme)
        return _Asked(transport.open(request), self._facilities.hosts, origin.host)

    @asynccontextmanager
    async def part(self, part: ByteRange, validator: Validator | None) -> AsyncIterator[Exchange]:
        """Open an exchange for a part, under the validator that the bytes have."""
        async with await self.open(await self.request(part, part, validator)) as exchange:
            yield exchange


class _Asked:
    """An exchange that is asked for when it is entered; the host is told how long its answer took."""

    __slots__ = ("_host", "_hosts", "_opening")

    def __init__(self, opening: AbstractAsyncContextManager[Exchange], hosts: Hosts, host: str) -> None:
        self._opening = opening
        self._hosts = hosts
        self._host = host

    async def __aenter__(self) -> Exchange:
        loop = asyncio.get_running_loop()
        asked_at = loop.time()
        exchange = await self._opening.__aenter__()
        now = loop.time()
        self._hosts.answered(self._host, now, seconds=now - asked_at)
        return exchange

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> bool | None:
        return await self._opening.__aexit__(kind, error, traceback)

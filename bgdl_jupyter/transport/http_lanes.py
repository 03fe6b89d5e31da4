"""
Connections by what they may be used for.

aiohttp tells connections apart by host, TLS and proxy. A lane is a pool of its own for one set of credentials: what
was opened with one user's is never used with another's, nor without. Requests with a body take fresh connections,
since one that died at rest would lose the body's only chance.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import aiohttp

from bgdl_jupyter.transport.http_connector import Connector
from bgdl_jupyter.transport.http_parsing import BOUNDS, READ_BUFFER
from bgdl_jupyter.transport.http_request import own_headers

if TYPE_CHECKING:
    from collections.abc import Callable

    from aiohttp.abc import AbstractResolver

    from bgdl_jupyter.secret import Credential, Secret

# Lanes at rest beyond these are closed, the longest unused first.
_MAX_LANES: Final = 32
_KEEP_ALIVE: Final = 15.0
_DNS_CACHE: Final = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class LaneKey:
    """What sets connections apart beyond their destination."""

    credential: Credential | None = None
    secrets: tuple[Secret, ...] = ()
    proxy_credential: Credential | None = None
    has_body: bool = False


@dataclass(slots=True, eq=False)
class Lane:
    """A pool of connections, and a session for the requests that need one."""

    connector: Connector
    session: aiohttp.ClientSession
    users: int = 0


class Lanes:
    """All connections of one transport."""

    def __init__(self, *, resolver: AbstractResolver, is_private: Callable[[str], bool]) -> None:
        self._resolver = resolver
        self._is_private = is_private
        self._lanes: OrderedDict[LaneKey, Lane] = OrderedDict()

    def acquire(self, key: LaneKey) -> Lane:
        """Return a lane; it stays open until it is released as often as acquired."""
        lane = self._lanes.get(key)
        if lane is None:
            lane = self._lanes[key] = self._make_lane(key)
        self._lanes.move_to_end(key)
        lane.users += 1
        return lane

    async def release(self, key: LaneKey) -> None:
        """Give a lane back."""
        lane = self._lanes.get(key)
        if lane is not None:
            lane.users -= 1
        if len(self._lanes) > _MAX_LANES:
            await self._close_oldest()

    async def _close_oldest(self) -> None:
        for key, lane in list(self._lanes.items()):
            if not lane.users:
                del self._lanes[key]
                await lane.session.close()
                return

    async def close_idle(self) -> None:
        """Close the connections of lanes that nobody uses."""
        for key in [key for key, lane in self._lanes.items() if not lane.users]:
            await self._lanes.pop(key).session.close()

    async def aclose(self) -> None:
        """Close all connections."""
        while self._lanes:
            _, lane = self._lanes.popitem()
            await lane.session.close()
        await self._resolver.close()

    def _make_lane(self, key: LaneKey) -> Lane:
        reuse = {"force_close": True} if key.has_body else {"keepalive_timeout": _KEEP_ALIVE}
        connector = Connector(
            is_private=self._is_private,
            limit=0,  # how many is the engine's decision
            resolver=self._resolver,
            ttl_dns_cache=_DNS_CACHE,
            **reuse,
        )
        session = aiohttp.ClientSession(
            connector=connector,
            cookie_jar=aiohttp.DummyCookieJar(),
            headers=own_headers(),
            timeout=aiohttp.ClientTimeout(total=None),
            trust_env=False,
            auto_decompress=False,
            read_bufsize=READ_BUFFER,
            **BOUNDS,
        )
        return Lane(connector, session)

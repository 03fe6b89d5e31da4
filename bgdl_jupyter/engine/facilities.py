"""What every transfer of a process shares: a loop, a writer, a pool, the transports and the limits."""

from __future__ import annotations

import asyncio
import functools
import importlib
import itertools
import logging
from concurrent.futures import ThreadPoolExecutor
from importlib.metadata import EntryPoint, entry_points
from typing import TYPE_CHECKING, Final, ParamSpec, Protocol, TypeVar

from bgdl_jupyter.engine.commit import Committer
from bgdl_jupyter.engine.hosts import Hosts
from bgdl_jupyter.engine.looking import Looking
from bgdl_jupyter.engine.middle_bodies import MiddleBodies
from bgdl_jupyter.engine.progress import TICK
from bgdl_jupyter.engine.rate_limit import RateLimiter
from bgdl_jupyter.engine.receipts import Receipts
from bgdl_jupyter.engine.turns import ShortTurns
from bgdl_jupyter.engine.uploads import Uploads
from bgdl_jupyter.storage.writer import Writer

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator

    from bgdl_jupyter.engine.loop import Place
    from bgdl_jupyter.engine.order import Journal
    from bgdl_jupyter.storage.partial_file import PartialFile
    from bgdl_jupyter.transport.base import Transport

log = logging.getLogger(__name__)

P = ParamSpec("P")
T = TypeVar("T")

#: Transports of other packages: an entry point named after the scheme gives a `Transport` class.
ENTRY_POINTS: Final = "bgdl_jupyter.transports"
_OWN_TRANSPORTS: Final = {
    "http": "bgdl_jupyter.transport.http:HttpTransport",
    "https": "bgdl_jupyter.transport.http:HttpTransport",
    "ftp": "bgdl_jupyter.transport.ftp:FtpTransport",
    "ftps": "bgdl_jupyter.transport.ftp:FtpTransport",
}
_POOL_SIZE: Final = 4
_TICKS_AT_ONCE: Final = 16
# Of very many, each has its tick less often: more than so many a second would be what the loop does most.
_TICKS_A_SECOND: Final = 2000


@functools.cache
def _foreign_transports() -> dict[str, EntryPoint]:
    """Return the transports of other packages; asked for once, since it reads what every package declares."""
    return {point.name: point for point in entry_points(group=ENTRY_POINTS)}


def known_schemes() -> frozenset[str]:
    """Return the URI schemes that a transport exists for."""
    return frozenset(_OWN_TRANSPORTS) | frozenset(_foreign_transports())


def _transport_class(scheme: str) -> Callable[[], Transport]:
    foreign = _foreign_transports().get(scheme)
    if foreign is not None:
        found: Callable[[], Transport] = foreign.load()
        return found
    module, _, name = _OWN_TRANSPORTS[scheme].partition(":")
    own: Callable[[], Transport] = getattr(importlib.import_module(module), name)
    return own


async def _always(_: str) -> bool:
    return True


class Ticking(Protocol):
    """What looks around a few times a second."""

    def tick(self, now: float) -> None:
        """Do so; ``now`` is monotonic."""


class Facilities:
    """
    The shared means of all transfers of one process.

    Made on any thread; used on the loop of ``place``.

    Attributes
    ----------
    is_reachable:
        Whether this machine has a network to reach a host by; set by who watches it.
    received:
        The bytes that all transfers ever wrote into their files.
    """

    def __init__(self, place: Place, journal: Journal) -> None:
        self.place = place
        self.journal = journal
        self.limiter = RateLimiter(None)
        self.is_reachable: Callable[[str], Awaitable[bool]] = _always
        self.received = 0
        self.hosts = Hosts()
        self.writer = Writer()
        self.receipts = Receipts(place.loop)
        self.bodies = MiddleBodies(self)
        self.committer = Committer(self)
        self.uploads = Uploads(self)
        self.looking = Looking(self.run)
        self._pool = ThreadPoolExecutor(_POOL_SIZE, thread_name_prefix="bgdl-disk")
        self._loading = asyncio.Lock()
        self._kinds: dict[str, Callable[[], Transport]] = {}
        self._transports: dict[Callable[[], Transport], Transport] = {}
        self._active: set[Ticking] = set()
        self._turns = ShortTurns()
        self._timer: asyncio.TimerHandle | None = None

    async def transport_for(self, scheme: str) -> Transport:
        """Return the transport of a scheme, made at its first use."""
        kind = self._kinds.get(scheme)
        if kind is None:
            # Of a thousand that wait for it, one goes on in a turn of the loop; and one thread of the pool waits.
            async with self._loading:
                kind = self._kinds.get(scheme)
                if kind is None:
                    # Loading a library takes tenths of a second, in which the loop would stand still.
                    kind = self._kinds[scheme] = await self.run(_transport_class, scheme)
        if kind not in self._transports:
            self._transports[kind] = kind()
        return self._transports[kind]

    def preload(self) -> None:
        """Begin to load what nearly every download needs."""
        self._pool.submit(_transport_class, "https")

    async def run(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run something that blocks in the pool; here where the interpreter is ending and its pools take nothing."""
        try:
            running = asyncio.get_running_loop().run_in_executor(self._pool, lambda: function(*args, **kwargs))
        except RuntimeError:
            return function(*args, **kwargs)
        return await running

    async def sync(self, file: PartialFile) -> None:
        """Make the bytes that were written to a file durable."""
        await self.run(file.sync)

    def watch(self, transfer: Ticking) -> None:
        """Call ``transfer.tick(now)`` four times a second until `unwatch`, less often among more than 500."""
        self._active.add(transfer)
        self._turns.begin()
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(TICK, self._tick)

    def unwatch(self, transfer: Ticking) -> None:
        """End the ticks."""
        self._active.discard(transfer)
        if not self._active:
            self._turns.end()

    def _tick(self) -> None:
        loop = asyncio.get_running_loop()
        pause = max(TICK, len(self._active) / _TICKS_A_SECOND)
        self._timer = loop.call_later(pause, self._tick) if self._active else None
        self.receipts.take_in()
        self._tick_some(iter(tuple(self._active)))

    def _tick_some(self, active: Iterator[Ticking]) -> None:
        """Give some their tick, and the others in the next turn of the loop: a thousand would hold it up."""
        loop = asyncio.get_running_loop()
        some = tuple(itertools.islice(active, _TICKS_AT_ONCE))
        for transfer in some:
            try:
                if transfer in self._active:
                    transfer.tick(loop.time())
            except Exception:
                log.exception("A transfer failed to take its tick")
        if len(some) == _TICKS_AT_ONCE:
            loop.call_soon(self._tick_some, active)

    async def close_idle(self) -> None:
        """Close connections that wait for another request, where a transport keeps such."""
        for transport in self._transports.values():
            close_idle = getattr(transport, "close_idle", None)
            if close_idle is not None:
                await close_idle()

    async def aclose(self) -> None:
        """Close connections and threads; every transfer must have ended."""
        if self._timer is not None:
            self._timer.cancel()
        self._turns.end()
        for transport in self._transports.values():
            await transport.aclose()
        self._transports.clear()
        self.writer.close()
        self._pool.shutdown(wait=False, cancel_futures=True)

"""
The conditions of this machine, looked at every few seconds and when the system says that they changed.

All looks happen off the loop; those at disks have a thread of their own, since a dead network file system holds whoever
asks it.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Final, TypeVar

from bgdl_jupyter.conditions.disk import Reserve, look_at_disk
from bgdl_jupyter.conditions.network import NetworkCostMonitor, network_probe
from bgdl_jupyter.conditions.power import power_probe
from bgdl_jupyter.conditions.system_bus import SystemBus
from bgdl_jupyter.conditions.values import CostOverride, DiskConditions, NetworkConditions, PowerConditions

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from pathlib import Path

    from bgdl_jupyter.conditions.base import Probe

log = logging.getLogger(__name__)

T = TypeVar("T")

#: Seconds between two looks.
INTERVAL: Final = 5.0
# A look that takes longer goes on without us: what was last seen stays.
_DEADLINE: Final = 10.0


class Conditions:
    """
    Implements `ConditionsMonitor`; made, started and closed on one loop.

    Parameters
    ----------
    network, power:
        What looks; by default what this platform has.
    reserve:
        What transfers leave free on a disk.
    interval:
        Seconds between two looks.
    override:
        What the user says about the network's cost.
    """

    def __init__(
        self,
        *,
        network: Probe[NetworkConditions] | None = None,
        power: Probe[PowerConditions] | None = None,
        reserve: Reserve | None = None,
        interval: float = INTERVAL,
        override: CostOverride = CostOverride.AUTO,
    ) -> None:
        self._bus = SystemBus()
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="bgdl-conditions")
        self._disk_pool = ThreadPoolExecutor(1, thread_name_prefix="bgdl-disks")
        self._network = NetworkCostMonitor(network or network_probe(self._bus, self._run), override=override)
        self._power_probe = power or power_probe(self._bus, self._run)
        self._power = PowerConditions(reason="The power has not been looked at yet.")
        self._reserve = reserve or Reserve()
        self._disks: dict[Path, DiskConditions] = {}
        self._listeners: list[Callable[[], None]] = []
        self._interval = interval
        self._poked = asyncio.Event()
        self._watching: list[asyncio.Task[None]] = []
        self._failures: set[str] = set()
        self._is_closed = False

    @property
    def network(self) -> NetworkConditions:
        """Whether there is a network, and what it costs (the user's word comes first)."""
        return self._network.conditions

    @property
    def power(self) -> PowerConditions:
        """Whether the machine saves its battery."""
        return self._power

    @property
    def cost_override(self) -> CostOverride:
        """What the user says about the cost."""
        return self._network.override

    def override_cost(self, override: CostOverride) -> None:
        """Take the user's word about the cost; listeners hear of it at once."""
        before = self._seen()
        self._network.override = override
        self._publish_since(before)

    def disk(self, folder: Path) -> DiskConditions:
        """Return what is known of the file system of a folder; asking for one begins to watch it."""
        if folder not in self._disks:
            self._disks[folder] = DiskConditions(folder=folder, reason="The disk has not been looked at yet.")
            self._poked.set()
        return self._disks[folder]

    def forget_disk(self, folder: Path) -> None:
        """Watch the folder no longer."""
        self._disks.pop(folder, None)

    def listen(self, listener: Callable[[], None]) -> Callable[[], None]:
        """Call the listener on the loop after something changed; returns what ends that."""
        self._listeners.append(listener)

        def stop() -> None:
            if listener in self._listeners:
                self._listeners.remove(listener)

        return stop

    async def start(self) -> None:
        """Look once, and go on looking."""
        self._network.notify(self._poked.set)
        self._power_probe.notify(self._poked.set)
        await self.refresh()
        if not self._is_closed:  # a process may end while it looks for the first time
            self._watching.append(asyncio.create_task(self._watch(), name="conditions"))

    async def aclose(self) -> None:
        """Stop looking; a look that hangs is left behind."""
        self._is_closed = True
        for task in self._watching:
            task.cancel()
        await asyncio.gather(*self._watching, return_exceptions=True)
        self._watching.clear()
        for probe in (self._network, self._power_probe):
            await probe.aclose()
        await self._bus.aclose()
        for pool in (self._pool, self._disk_pool):
            pool.shutdown(wait=False, cancel_futures=True)

    async def refresh(self) -> None:
        """Look at everything now; listeners are told if something changed."""
        if self._is_closed:
            return
        before = self._seen()
        await asyncio.gather(
            self._guarded("the network", self._network.look),
            self._guarded("the power", self._look_at_power),
            self._guarded("the disks", self._look_at_disks),
        )
        self._publish_since(before)

    async def _watch(self) -> None:
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._interval):
                    await self._poked.wait()
            self._poked.clear()
            await self.refresh()

    async def _look_at_power(self) -> None:
        self._power = await self._power_probe.look()

    async def _look_at_disks(self) -> None:
        for folder, before in list(self._disks.items()):
            was_almost_full = before.is_almost_full is True
            seen = await self._look_at(folder, was_almost_full=was_almost_full)
            if folder in self._disks:
                self._disks[folder] = seen

    async def _look_at(self, folder: Path, *, was_almost_full: bool) -> DiskConditions:
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(
            self._disk_pool, lambda: look_at_disk(folder, self._reserve, was_almost_full=was_almost_full)
        )

    async def _guarded(self, what: str, look: Callable[[], Awaitable[object]]) -> None:
        """Keep what was last seen when a look hangs or fails: it must not stop the others, or the transfers."""
        try:
            async with asyncio.timeout(_DEADLINE):
                await look()
        except Exception as error:
            is_over = self._is_closed or not threading.main_thread().is_alive() or _pools_are_gone(error)
            if what not in self._failures and not is_over:
                self._failures.add(what)
                log.warning("Cannot look at %s; what was last seen stays.", what, exc_info=True)
        else:
            self._failures.discard(what)

    def _run(self, function: Callable[[], T]) -> Awaitable[T]:
        return asyncio.get_running_loop().run_in_executor(self._pool, function)

    def _seen(self) -> tuple[object, ...]:
        # Free bytes change with every write; what matters is whether there is room.
        disks = {folder: seen.is_almost_full for folder, seen in self._disks.items()}
        return self.network, self._power, disks

    def _publish_since(self, before: tuple[object, ...]) -> None:
        if self._seen() == before:
            return
        for listener in tuple(self._listeners):
            try:
                listener()
            except Exception:
                # A broken listener must not keep the others from hearing.
                log.exception("A listener to the machine's conditions failed.")


def _pools_are_gone(error: Exception) -> bool:
    """Whether the interpreter is ending: nobody is told, and pools say it in no other way."""
    return isinstance(error, RuntimeError) and "shutdown" in str(error)

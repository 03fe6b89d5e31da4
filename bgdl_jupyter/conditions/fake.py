"""Conditions that a test sets: what `ConditionsMonitor` is without a machine behind it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bgdl_jupyter.conditions.values import CostOverride, DiskConditions, NetworkConditions, PowerConditions

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


class FakeConditions:
    """Implements `ConditionsMonitor`; everything is allowed until `change` says otherwise."""

    def __init__(self) -> None:
        self._network = NetworkConditions(is_up=True)
        self._power = PowerConditions(on_battery_saver=False)
        self._disks: dict[Path, DiskConditions] = {}
        self.watched: set[Path] = set()
        self._override = CostOverride.AUTO
        self._listeners: list[Callable[[], None]] = []
        self.is_started = False
        self.looks = 0

    @property
    def network(self) -> NetworkConditions:
        """What `change` said, at the cost of the override."""
        return self._network.overridden(self._override)

    @property
    def power(self) -> PowerConditions:
        """What `change` said."""
        return self._power

    @property
    def cost_override(self) -> CostOverride:
        """What the user says about the cost."""
        return self._override

    def change(
        self,
        *,
        network: NetworkConditions | None = None,
        power: PowerConditions | None = None,
        disk: DiskConditions | None = None,
    ) -> None:
        """Let it be so from now on, and tell the listeners."""
        self._network = network or self._network
        self._power = power or self._power
        if disk is not None:
            self._disks[disk.folder] = disk
        self._tell()

    def override_cost(self, override: CostOverride) -> None:
        """Take the user's word, and tell the listeners."""
        self._override = override
        self._tell()

    def disk(self, folder: Path) -> DiskConditions:
        """Return what `change` said of the folder; otherwise there is room."""
        self.watched.add(folder)
        return self._disks.get(folder, DiskConditions(folder=folder, is_almost_full=False))

    def forget_disk(self, folder: Path) -> None:
        """Forget what `change` said of the folder."""
        self.watched.discard(folder)
        self._disks.pop(folder, None)

    def listen(self, listener: Callable[[], None]) -> Callable[[], None]:
        """Call the listener at each change; returns what ends that."""
        self._listeners.append(listener)
        return lambda: self._listeners.remove(listener) if listener in self._listeners else None

    async def start(self) -> None:
        """Remember that it was started."""
        self.is_started = True

    async def refresh(self) -> None:
        """Count the looks: what there is to see is known."""
        self.looks += 1

    async def aclose(self) -> None:
        """Remember that it was closed."""
        self.is_started = False

    def _tell(self) -> None:
        for listener in tuple(self._listeners):
            listener()

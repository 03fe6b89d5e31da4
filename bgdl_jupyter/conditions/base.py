"""The seams: a `Probe` looks at one thing; a `ConditionsMonitor` is what the rest of the house sees."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, TypeVar

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from pathlib import Path

    from bgdl_jupyter.conditions.values import (
        CostOverride,
        DiskConditions,
        NetworkConditions,
        PowerConditions,
    )

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)


class Runner(Protocol):
    """Runs what may block somewhere else than on the loop."""

    def __call__(self, function: Callable[[], T]) -> Awaitable[T]:
        """Return what the function returns, when it does."""


class Probe(Protocol[T_co]):
    """Looks at one condition of the machine; made and used on one loop."""

    async def look(self) -> T_co:
        """Return what is there now; what cannot be observed is unknown with a reason, not an error."""

    def notify(self, poke: Callable[[], None]) -> None:
        """Call ``poke`` on the loop when another look would show something else, where the system tells so."""

    async def aclose(self) -> None:
        """Let go of what was opened."""


class ConditionsMonitor(Protocol):
    """What the machine allows now, as it was last seen; reading never blocks."""

    @property
    def network(self) -> NetworkConditions:
        """Whether there is a network, and what it costs (the user's word comes first)."""

    @property
    def power(self) -> PowerConditions:
        """Whether the machine saves its battery."""

    @property
    def cost_override(self) -> CostOverride:
        """What the user says about the cost."""

    def override_cost(self, override: CostOverride) -> None:
        """Take the user's word about the cost; listeners hear of it at once."""

    def disk(self, folder: Path) -> DiskConditions:
        """Return what is known of the file system of a folder; asking for one begins to watch it."""

    def forget_disk(self, folder: Path) -> None:
        """Watch the folder no longer."""

    def listen(self, listener: Callable[[], None]) -> Callable[[], None]:
        """Call the listener on the loop after something changed; returns what ends that."""

    async def start(self) -> None:
        """Look once, and go on looking."""

    async def refresh(self) -> None:
        """Look now; listeners are told if something changed."""

    async def aclose(self) -> None:
        """Stop looking."""

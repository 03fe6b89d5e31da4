"""What other kernels hold: looked after while it is shown, and taken over when its kernel has died."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Final

from bgdl_jupyter.errors import BackgroundTransferError
from bgdl_jupyter.model.restoring import look_after

if TYPE_CHECKING:
    from bgdl_jupyter.model.runner import Runner

log = logging.getLogger(__name__)

#: Seconds between two looks.
LOOK_EVERY: Final = 2.0


class HeldWatch:
    """Looks while held operations are shown, and rests otherwise; belongs to the engine's loop."""

    def __init__(self, runner: Runner) -> None:
        self._runner = runner
        self._looking: asyncio.Task[None] | None = None

    def begin(self) -> None:
        """Look from now on, until nothing is held any more."""
        if self._looking is None:
            self._looking = self._runner.place.spawn(self._look(), name="look after what others hold")

    def end(self) -> None:
        """Look no longer."""
        if self._looking is not None:
            self._looking.cancel()

    async def _look(self) -> None:
        try:
            while applications := self._applications():
                await asyncio.sleep(LOOK_EVERY)
                for application in applications:
                    await self._look_after(application)
        finally:
            self._looking = None

    def _applications(self) -> set[str]:
        return {each.application for each in self._runner.registry.all() if each.is_held}

    async def _look_after(self, application: str) -> None:
        try:
            await self._runner.facilities.run(look_after, self._runner, application)
        except BackgroundTransferError as error:
            log.warning("What other kernels hold could not be looked after: %s", error)

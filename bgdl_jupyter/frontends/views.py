"""Everything that shows downloads in this process: what is to be shown, the widgets, the comm, and their one ticker."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Final, Protocol

from bgdl_jupyter.frontends.alerts import Alerts
from bgdl_jupyter.frontends.ledger import Ledger
from bgdl_jupyter.frontends.ticker import Ticker
from bgdl_jupyter.model.application import present_application

if TYPE_CHECKING:
    import asyncio

    from bgdl_jupyter.events import AlertRaised, Event
    from bgdl_jupyter.frontends.comm import LabComm
    from bgdl_jupyter.frontends.ledger import Changes
    from bgdl_jupyter.frontends.widgets.sets import WidgetSets
    from bgdl_jupyter.model.downloader import BackgroundDownloader
    from bgdl_jupyter.model.runner import Runner

#: Between two slices of what changed, in seconds.
_PAUSE: Final = 0.05


class Viewer(Protocol):
    """Somebody who shows downloads."""

    def take(self, changes: Changes, alerts: tuple[list[AlertRaised], set[str]]) -> None:
        """Have sent what shows something that changed; alerts are those that came, and the ids of those that went."""

    def pulse(self) -> int:
        """Send something small; returns how many messages it took."""


class Views:
    """
    The views of the one runner.

    Made by `views_of`; belongs to the engine's loop. Events cost a note each; everything else happens in the ticks,
    and there are none while nothing changes.
    """

    def __init__(self, runner: Runner) -> None:
        self.runner = runner
        self.place = runner.place
        self.ledger = Ledger(runner.registry)
        self.alerts = Alerts()
        self.ticker = Ticker(
            runner.place.loop, prepare=self._prepare, is_live=lambda: self.ledger.is_live, pulse=self._pulse
        )
        self._viewers: list[Viewer] = []
        self._rest: asyncio.TimerHandle | None = None
        runner.events.subscribe(self._hear)

    @functools.cached_property
    def widgets(self) -> WidgetSets:
        """The widgets; made at the first use."""
        from bgdl_jupyter.frontends.widgets.sets import WidgetSets

        sets = WidgetSets(self)
        self._viewers.append(sets)
        return sets

    @functools.cached_property
    def comm(self) -> LabComm:
        """The conversation with the lab extension; begun at the first use."""
        from bgdl_jupyter.frontends.comm import LabComm

        comm = LabComm(self)
        self._viewers.insert(0, comm)
        return comm

    def application_of(self, downloader: BackgroundDownloader) -> str:
        """Return whose downloads a downloader's are."""
        return downloader.application or present_application()

    def catch_up(self) -> None:
        """Know everything that happened, now: somebody is about to see it."""
        self._tell(self.ledger.refresh_all())

    def _hear(self, event: Event) -> None:
        # Both have to hear it.
        is_news = self.ledger.note(event) | self.alerts.note(event)
        if is_news and self._viewers:
            self.ticker.arm()

    def _prepare(self) -> None:
        changes = self.ledger.refresh()
        self._tell(changes)
        if changes.has_more and self._rest is None:
            self._rest = self.place.loop.call_later(_PAUSE, self._go_on)

    def _go_on(self) -> None:
        """Look at the rest of what changed, in slices between which transfers run."""
        self._rest = None
        self._prepare()

    def _tell(self, changes: Changes) -> None:
        alerts = self.alerts.take_changes()
        for viewer in self._viewers:
            viewer.take(changes, alerts)

    def _pulse(self) -> int:
        for viewer in self._viewers:
            sent = viewer.pulse()
            if sent:
                return sent
        return 0


@functools.lru_cache(maxsize=1)
def views_of(runner: Runner) -> Views:
    """Return the views of the runner; there is one of it at a time. Engine's loop only."""
    return Views(runner)

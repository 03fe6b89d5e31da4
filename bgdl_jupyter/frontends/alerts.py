"""Which alerts are on show: raised, not yet dismissed, not expired; the latest of those that bear the same tag."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final

from bgdl_jupyter.events import AlertDismissed, AlertRaised, TileChanged

if TYPE_CHECKING:
    from collections.abc import Callable

    from bgdl_jupyter.events import Event

#: The most that are kept: the oldest make room.
_MOST: Final = 50


class Alerts:
    """The alerts of this process, in the order in which they were raised; belongs to the engine's loop."""

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        self._alerts: dict[str, AlertRaised] = {}
        self._removed: set[str] = set()
        self._raised: dict[str, AlertRaised] = {}
        self._tiles: dict[str, tuple[str, ...]] = {}

    def note(self, event: Event) -> bool:
        """Take in an alert, or the end of one; returns whether there is anything to show anew."""
        match event:
            case AlertRaised():
                self._raise(event)
            case AlertDismissed():
                self._remove(event.alert_id)
            case TileChanged():
                self._tiles[event.application] = event.texts
            case _:
                return False
        return True

    def of(self, application: str) -> list[AlertRaised]:
        """Return the alerts of an application."""
        self._expire()
        return [alert for alert in self._alerts.values() if alert.application == application]

    def tiles(self, application: str) -> tuple[str, ...]:
        """Return the lines that stay at the head of an application's panel, the latest last."""
        return self._tiles.get(application, ())

    def find(self, alert_id: str) -> AlertRaised | None:
        """Return the alert of this id, if it is on show."""
        return self._alerts.get(alert_id)

    def take_changes(self) -> tuple[list[AlertRaised], set[str]]:
        """Return what was raised and the ids of what went since the last call."""
        self._expire()
        raised, removed = list(self._raised.values()), self._removed
        self._raised, self._removed = {}, set()
        return raised, removed

    def _raise(self, alert: AlertRaised) -> None:
        for other in [each for each in self._alerts.values() if _replaces(alert, each)]:
            self._remove(other.alert_id)
        self._removed.discard(alert.alert_id)
        self._alerts[alert.alert_id] = self._raised[alert.alert_id] = alert
        while len(self._alerts) > _MOST:
            self._remove(next(iter(self._alerts)))

    def _remove(self, alert_id: str) -> None:
        if self._alerts.pop(alert_id, None) is not None and self._raised.pop(alert_id, None) is None:
            self._removed.add(alert_id)

    def _expire(self) -> None:
        now = self._clock()
        over = [
            each.alert_id for each in self._alerts.values() if each.expires_at is not None and each.expires_at <= now
        ]
        for alert_id in over:
            self._remove(alert_id)


def _replaces(alert: AlertRaised, other: AlertRaised) -> bool:
    return alert.tag is not None and (alert.application, alert.tag) == (other.application, other.tag)

"""What is said at the end of a batch, in words, and the tiles that are on show."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING
from uuid import uuid4

from bgdl_jupyter.events import AlertDismissed, AlertKind, AlertRaised, TileChanged
from bgdl_jupyter.model import display
from bgdl_jupyter.model.notifications import TileNotification, ToastNotification
from bgdl_jupyter.status import NotificationSetting

if TYPE_CHECKING:
    from bgdl_jupyter.model.notifications import Notifications
    from bgdl_jupyter.model.runner import Runner


@dataclass(frozen=True, slots=True, kw_only=True)
class Ending:
    """The end of a batch: how many of it ended how, and what its downloader wants said."""

    application: str
    batch_id: str
    notifications: Notifications
    completed: int
    failed: int
    canceled: int
    group: str = ""
    name: str = ""
    failure: str = ""
    while_away: bool = False

    @property
    def kind(self) -> AlertKind | None:
        """Which pair it is; None where nobody wanted an end: all were canceled."""
        if self.failed:
            return AlertKind.FAILURE
        return AlertKind.SUCCESS if self.completed else None

    @property
    def toast(self) -> ToastNotification:
        """The toast: the downloader's, or a plain one."""
        own = self.notifications
        if self.failed:
            return own.failure_toast or ToastNotification(self._failure_title(), display.plain(self.failure))
        return own.success_toast or ToastNotification(self._success_title(), self._success_body())

    @property
    def tile(self) -> TileNotification | None:
        """The tile, where the downloader has one."""
        return self.notifications.failure_tile if self.failed else self.notifications.success_tile

    def _success_title(self) -> str:
        if self.completed == 1 and not self.canceled:
            return f"Downloaded {display.plain(self.name)}"
        return f"{self.completed:,} downloads are complete"

    def _success_body(self) -> str:
        parts = [display.plain(self.group)] if self.group else []
        parts += [f"{self.canceled:,} canceled"] if self.canceled else []
        return ", ".join(parts)

    def _failure_title(self) -> str:
        total = self.completed + self.failed
        if total == 1:
            return f"The download of {display.plain(self.name)} failed"
        return f"{self.failed:,} of {total:,} downloads failed"


def announce(runner: Runner, ending: Ending) -> None:
    """Publish what is to be seen of the end of a batch; once, by whoever closes it."""
    kind = ending.kind
    if kind is None:
        return
    if ending.tile is not None:
        runner.tiles.show(ending.application, ending.tile)
    setting = runner.alerts.setting(toast_capable=ending.notifications.toast_capable)
    # Where only the pop-ups are refused, the note in the panel stays.
    if setting in (NotificationSetting.ENABLED, NotificationSetting.DISABLED_FOR_USER):
        _raise(runner, ending, kind, is_quiet=setting is NotificationSetting.DISABLED_FOR_USER)


def _raise(runner: Runner, ending: Ending, kind: AlertKind, *, is_quiet: bool) -> None:
    toast = ending.toast
    if _is_over(toast.expires_at):
        return
    alert = AlertRaised(
        alert_id=uuid4().hex,
        application=ending.application,
        kind=kind,
        title=toast.title,
        body=toast.body,
        # A retry that succeeds takes the note of the failure away.
        tag=toast.tag or f"batch-{ending.batch_id}",
        group=ending.group or None,
        while_away=ending.while_away,
        expires_at=toast.expires_at,
        is_quiet=toast.suppress_popup or is_quiet,
    )
    runner.publish(alert)
    if toast.expires_at is not None:
        dismissed = AlertDismissed(alert_id=alert.alert_id)
        runner.place.loop.call_later(toast.expires_at - time.time(), runner.publish, dismissed)


class Tiles:
    """The tiles of the applications, the latest of each tag; belongs to the engine's loop."""

    def __init__(self, runner: Runner) -> None:
        self._runner = runner
        self._tiles: dict[tuple[str, str | None], TileNotification] = {}

    def of(self, application: str) -> list[str]:
        """Return the texts that are on show, the latest last."""
        return [
            tile.text
            for (owner, _), tile in self._tiles.items()
            if owner == application and not _is_over(tile.expires_at)
        ]

    def show(self, application: str, tile: TileNotification) -> None:
        """Show a tile in place of the one of the same tag."""
        if _is_over(tile.expires_at):
            return
        key = application, tile.tag
        self._tiles.pop(key, None)
        self._tiles[key] = tile
        self._tell(application)
        if tile.expires_at is not None:
            self._runner.place.loop.call_later(tile.expires_at - time.time(), self._expire, key, tile)

    def _expire(self, key: tuple[str, str | None], tile: TileNotification) -> None:
        if self._tiles.get(key) is tile:
            del self._tiles[key]
            self._tell(key[0])

    def _tell(self, application: str) -> None:
        self._runner.publish(TileChanged(application=application, texts=tuple(self.of(application))))


def _is_over(expires_at: float | None) -> bool:
    return expires_at is not None and expires_at <= time.time()

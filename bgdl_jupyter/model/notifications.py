"""
What the user is told when a batch ends: toasts, tiles, and whether toasts are shown at all.

A toast becomes an `AlertRaised`: a note in the panel, and a toast where the lab extension is. A tile becomes a
`TileChanged`: a line that stays at the head of the panel until the next one or its expiry.
"""

from __future__ import annotations

import functools
import json
import logging
import math
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, fields
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from traitlets import Bool, HasTraits, Instance, observe

from bgdl_jupyter.errors import InvalidRequest
from bgdl_jupyter.model.application import present_application
from bgdl_jupyter.status import NotificationSetting

if TYPE_CHECKING:
    from concurrent.futures import Future

    from bgdl_jupyter.model.runner import Runner

log = logging.getLogger(__name__)

#: Under which name an application's wish for alerts is kept.
ALERTS_SETTING: Final = "alerts"
_OFF: Final = "off"
_ON: Final = "on"
_SECTION: Final = "BackgroundDownloader"
_PASSED_BY: Final = frozenset({"traitlets", "bgdl_jupyter"})

_REASONS: Final = {
    NotificationSetting.DISABLED_BY_MANIFEST: "toast_capable is False",
    NotificationSetting.DISABLED_BY_GROUP_POLICY: "the configuration of this system turns them off",
    NotificationSetting.DISABLED_FOR_APPLICATION: "%bgdl alerts off turned them off for this notebook",
    NotificationSetting.DISABLED_FOR_USER: "the settings of JupyterLab or the browser let nothing pop up",
}


@dataclass(frozen=True, slots=True)
class ToastNotification:
    """
    A message for the end of a batch: ``Windows.UI.Notifications.ToastNotification``.

    Parameters
    ----------
    title, body:
        What it says, as plain text.
    tag:
        A toast replaces an earlier one of the same notebook that bears the same tag.
    expiration_time:
        When it is of no use any more, a `datetime` with a time zone; None for never.
    suppress_popup:
        Show it among the notes only, without popping up.

    Raises
    ------
    InvalidRequest
        A value is of another type.
    """

    title: str
    body: str
    tag: str | None = None
    expiration_time: datetime | None = None
    suppress_popup: bool = False

    def __post_init__(self) -> None:
        _check_texts(self, "title", "body")
        _check_common(self)
        if not isinstance(self.suppress_popup, bool):
            raise InvalidRequest(f"suppress_popup is True or False, not {self.suppress_popup!r}.")

    @property
    def expires_at(self) -> float | None:
        """The expiry in seconds since 1970, UTC; None for never."""
        return _seconds(self.expiration_time)


@dataclass(frozen=True, slots=True)
class TileNotification:
    """
    A line that stays until the next one: ``Windows.UI.Notifications.TileNotification``.

    Parameters
    ----------
    text:
        What it says, as plain text.
    tag, expiration_time:
        As those of a `ToastNotification`.

    Raises
    ------
    InvalidRequest
        A value is of another type.
    """

    text: str
    tag: str | None = None
    expiration_time: datetime | None = None

    def __post_init__(self) -> None:
        _check_texts(self, "text")
        _check_common(self)

    @property
    def expires_at(self) -> float | None:
        """The expiry in seconds since 1970, UTC; None for never."""
        return _seconds(self.expiration_time)


Notification = ToastNotification | TileNotification


def _check_texts(notification: Notification, *names: str) -> None:
    for name in names:
        value = getattr(notification, name)
        if not isinstance(value, str):
            raise InvalidRequest(f"{name} is a text, not {type(value).__name__}.")


def _check_common(notification: Notification) -> None:
    if notification.tag is not None:
        _check_texts(notification, "tag")
    when: object = notification.expiration_time
    if when is not None and (not isinstance(when, datetime) or when.tzinfo is None):
        raise InvalidRequest(f"expiration_time is a datetime with a time zone, not {when!r}.")


def _seconds(when: datetime | None) -> float | None:
    return when.timestamp() if when is not None else None


def record_of(notification: Notification | None) -> dict[str, Any] | None:
    """Return the JSON form of a notification."""
    if notification is None:
        return None
    values = {each.name: getattr(notification, each.name) for each in fields(notification)}
    return values | {"expiration_time": notification.expires_at}


def from_record(kind: type[Any], record: Any) -> Any:
    """Return the notification that a record describes; raises `InvalidRequest` or `TypeError` for what is none."""
    if record is None:
        return None
    if not isinstance(record, Mapping):
        raise InvalidRequest("The record of a notification is an object.")
    values = dict(record)
    when = values.get("expiration_time")
    if when is not None:
        if not isinstance(when, int | float) or not math.isfinite(when):
            raise InvalidRequest("An expiry is a number of seconds.")
        values["expiration_time"] = datetime.fromtimestamp(when, UTC)
    return kind(**values)


@dataclass(frozen=True, slots=True, kw_only=True)
class Notifications:
    """What a downloader wants said at the end of a batch, as it was when the batch was made."""

    success_toast: ToastNotification | None = None
    failure_toast: ToastNotification | None = None
    success_tile: TileNotification | None = None
    failure_tile: TileNotification | None = None
    toast_capable: bool = True

    def to_record(self) -> dict[str, Any]:
        """Return the JSON form."""
        values = {each.name: getattr(self, each.name) for each in fields(self)}
        return {name: each if isinstance(each, bool) else record_of(each) for name, each in values.items()}

    @classmethod
    def from_record(cls, record: Mapping[str, Any]) -> Notifications:
        """Return what a JSON form says; raises `InvalidRequest`, `KeyError` or `TypeError` for what is none."""
        return cls(
            success_toast=from_record(ToastNotification, record["success_toast"]),
            failure_toast=from_record(ToastNotification, record["failure_toast"]),
            success_tile=from_record(TileNotification, record["success_tile"]),
            failure_tile=from_record(TileNotification, record["failure_tile"]),
            toast_capable=record["toast_capable"] is True,
        )


#: Nothing of its own to say.
PLAIN: Final = Notifications()


class AlertSwitch:
    """Whether this process may show toasts: what the notebook, the front end and the system say."""

    def __init__(self, runner: Runner) -> None:
        self._runner = runner
        self._wish: Future[Any] = runner.state.setting(present_application(), ALERTS_SETTING)
        self._is_refused_by_user = False
        # Off the loop, so that the answer is there when the first batch ends.
        runner.place.spawn(runner.facilities.run(lambda: self._is_refused_by_system), name="look at the configuration")

    @functools.cached_property
    def _is_refused_by_system(self) -> bool:
        return system_refuses_toasts()

    def turn(self, *, on: bool) -> None:
        """Show alerts in this notebook, or none; kept for the next kernel."""
        runner, application = self._runner, present_application()
        runner.state.put_setting(application, ALERTS_SETTING, _ON if on else _OFF).result(5.0)
        self._wish = runner.state.setting(application, ALERTS_SETTING)

    def refuse_for_user(self, *, is_refused: bool) -> None:
        """Note what a front end found: that the user's settings or the browser allow no toasts, or do again."""
        self._is_refused_by_user = is_refused

    def setting(self, *, toast_capable: bool = True) -> NotificationSetting:
        """Return whether toasts are shown, or the first reason why they are not."""
        if not toast_capable:
            return NotificationSetting.DISABLED_BY_MANIFEST
        if self._is_refused_by_system:
            return NotificationSetting.DISABLED_BY_GROUP_POLICY
        if self._is_off():
            return NotificationSetting.DISABLED_FOR_APPLICATION
        if self._is_refused_by_user:
            return NotificationSetting.DISABLED_FOR_USER
        return NotificationSetting.ENABLED

    def _is_off(self) -> bool:
        wish = self._wish
        if self._runner.place.is_here() and not wish.done():
            return False  # the loop must not wait for the disk
        error = wish.exception(5.0)
        if error is not None:
            log.warning("Whether alerts are wanted cannot be read: %s", error)
            return False
        return bool(wish.result() == _OFF)


def system_refuses_toasts() -> bool:
    """
    Whether the system's configuration turns toasts off, for all of its users.

    The file is ``config.json`` in the platform's folder for a site's configuration of ``bgdl_jupyter``, in the form of
    traitlets: ``{"BackgroundDownloader": {"toast_capable": false}}``.
    """
    from platformdirs import site_config_dir  # slow to load, and not needed to import this module

    path = Path(site_config_dir("bgdl_jupyter", appauthor=False)) / "config.json"
    try:
        section = json.loads(path.read_text("utf-8"))[_SECTION]
        return bool(section["toast_capable"] is False)
    except FileNotFoundError:
        return False
    except (OSError, ValueError, KeyError, TypeError) as error:
        log.warning("%s turns nothing off, since it cannot be read: %s", path, error)
        return False


class Notifying(HasTraits):
    """The part of a downloader that says what is to be shown at the end of its batches."""

    success_toast_notification = Instance(ToastNotification, allow_none=True, help="The toast when all succeeded.")
    failure_toast_notification = Instance(ToastNotification, allow_none=True, help="The toast when one failed.")
    success_tile_notification = Instance(TileNotification, allow_none=True, help="The tile when all succeeded.")
    failure_tile_notification = Instance(TileNotification, allow_none=True, help="The tile when one failed.")
    toast_capable = Bool(default_value=True, help="Whether toasts are shown at all.").tag(config=True)

    if TYPE_CHECKING:

        @property
        def _runner(self) -> Runner: ...

    @property
    def notification_setting(self) -> NotificationSetting:
        """Whether toasts are shown, or the first reason why they are not."""
        return self._runner.alerts.setting(toast_capable=self.toast_capable)

    def turn_alerts(self, *, on: bool) -> None:
        """Show alerts in this notebook, or none at all (``%bgdl alerts off``); kept for the next kernel."""
        self._runner.alerts.turn(on=on)

    def _notifications(self) -> Notifications:
        return Notifications(
            success_toast=self.success_toast_notification,
            failure_toast=self.failure_toast_notification,
            success_tile=self.success_tile_notification,
            failure_tile=self.failure_tile_notification,
            toast_capable=self.toast_capable,
        )

    @observe("success_toast_notification", "failure_toast_notification", "toast_capable")
    def _warn_of_silence(self, _: Any) -> None:
        has_toast = self.success_toast_notification is not None or self.failure_toast_notification is not None
        if not has_toast or self.__dict__.get("_has_warned"):
            return
        setting = self.notification_setting
        if setting in _REASONS:
            self.__dict__["_has_warned"] = True
            warnings.warn(f"The toast will not be shown: {_REASONS[setting]}.", UserWarning, stacklevel=_user_level())


def _user_level() -> int:
    """Return how far up the caller is that is neither traitlets nor we, so that the warning names the user's line."""
    import inspect

    level, frame = 0, inspect.currentframe()
    while frame is not None and frame.f_globals.get("__name__", "").partition(".")[0] in _PASSED_BY:
        frame, level = frame.f_back, level + 1
    return level

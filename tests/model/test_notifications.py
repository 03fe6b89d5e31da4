"""Toasts and tiles as values, and whether they are shown."""

from __future__ import annotations

import json
import warnings
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bgdl_jupyter import NotificationSetting, TileNotification, ToastNotification
from bgdl_jupyter.errors import InvalidRequest
from bgdl_jupyter.events import AlertDismissed, AlertRaised, TileChanged
from bgdl_jupyter.frontends.alerts import Alerts
from bgdl_jupyter.model.notifications import Notifications
from bgdl_jupyter.model.process import current_runner
from tests.servers.faults import status
from tests.servers.files import FileSpec

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from bgdl_jupyter.events import Event
    from tests.servers.fault_server import FaultServer

TOAST = ToastNotification("All there", "The corpus is complete.")


@pytest.fixture
def server(fault_server: Callable[..., FaultServer]) -> FaultServer:
    """Serve files, and one that is not there."""
    files = {f"/{name}": FileSpec(size=2000) for name in "abc"}
    return fault_server({**files, "/gone": FileSpec(size=2000, faults=(status(404),))})


@pytest.mark.parametrize(
    "values",
    [
        {"title": 1, "body": ""},
        {"title": "a", "body": None},
        {"title": "a", "body": "b", "tag": 3},
        {"title": "a", "body": "b", "expiration_time": 60.0},
        {"title": "a", "body": "b", "expiration_time": datetime(2030, 1, 1)},  # noqa: DTZ001 (that is what is refused)
        {"title": "a", "body": "b", "suppress_popup": "yes"},
    ],
)
def test_a_toast_of_wrong_values_is_refused(values):
    with pytest.raises(InvalidRequest):
        ToastNotification(**values)


def test_a_tile_of_wrong_values_is_refused():
    with pytest.raises(InvalidRequest, match="text"):
        TileNotification(3)  # type: ignore[arg-type]  # what is refused


# Hypothesis takes its bounds without a time zone.
FIRST, LAST = datetime(1971, 1, 1), datetime(2100, 1, 1)  # noqa: DTZ001 (as above)
MOMENTS = st.none() | st.datetimes(min_value=FIRST, max_value=LAST, timezones=st.just(UTC))
TAGS = st.none() | st.text()


@given(
    toast=st.none() | st.builds(ToastNotification, st.text(), st.text(), TAGS, MOMENTS, st.booleans()),
    tile=st.none() | st.builds(TileNotification, st.text(), TAGS, MOMENTS),
    capable=st.booleans(),
)
def test_what_is_to_be_said_comes_back_from_its_record(toast, tile, capable):
    said = Notifications(success_toast=toast, failure_tile=tile, toast_capable=capable)
    assert Notifications.from_record(json.loads(json.dumps(said.to_record()))) == said


def alerts(seen) -> list[AlertRaised]:
    found: list[AlertRaised] = seen.of(AlertRaised)
    return found


async def test_the_toast_of_the_downloader_is_shown_at_the_end(downloader, seen, server):
    downloader.success_toast_notification = TOAST
    await downloader.download(server.url("/a"), "a")
    seen.until(lambda: alerts(seen))
    (alert,) = alerts(seen)
    assert (alert.title, alert.body, alert.is_quiet) == ("All there", "The corpus is complete.", False)


async def test_a_toast_without_a_pop_up_is_quiet(downloader, seen, server):
    downloader.success_toast_notification = ToastNotification("t", "b", suppress_popup=True)
    await downloader.download(server.url("/a"), "a")
    seen.until(lambda: alerts(seen))
    assert alerts(seen)[0].is_quiet


async def test_the_same_tag_replaces(downloader, seen, server):
    on_show = Alerts()
    runner = current_runner()

    def note(event: Event) -> None:
        on_show.note(event)

    runner.place.call(runner.events.subscribe, note)
    for name in "ab":
        downloader.success_toast_notification = ToastNotification(f"{name} is there", "", tag="corpus")
        await downloader.download(server.url(f"/{name}"), name)
        seen.until(lambda name=name: any(each.title == f"{name} is there" for each in alerts(seen)))
    assert [each.title for each in on_show.of(alerts(seen)[0].application)] == ["b is there"]


async def test_a_toast_goes_when_its_time_is_over(downloader, seen, server):
    soon = datetime.now(UTC) + timedelta(seconds=1.5)
    downloader.success_toast_notification = ToastNotification("t", "b", expiration_time=soon)
    await downloader.download(server.url("/a"), "a")
    seen.until(lambda: seen.of(AlertDismissed))
    (alert,) = alerts(seen)
    assert seen.of(AlertDismissed) == [AlertDismissed(alert_id=alert.alert_id)]
    assert alert.expires_at == soon.timestamp()


async def test_a_toast_whose_time_is_over_already_is_not_shown(downloader, seen, server):
    downloader.success_toast_notification = ToastNotification(
        "t", "b", expiration_time=datetime(2020, 1, 1, tzinfo=UTC)
    )
    downloader.success_tile_notification = TileNotification("done")
    await downloader.download(server.url("/a"), "a")
    seen.until(lambda: seen.of(TileChanged))
    assert alerts(seen) == []


async def test_tiles_stay_until_the_next_of_their_tag(downloader, seen, server):
    downloader.success_tile_notification = TileNotification("a is there")
    first = await downloader.download(server.url("/a"), "a")
    seen.until(lambda: seen.of(TileChanged))
    downloader.success_tile_notification = TileNotification("b is there")
    await downloader.download(server.url("/b"), "b")
    seen.until(lambda: len(seen.of(TileChanged)) == 2)
    assert [each.texts for each in seen.of(TileChanged)] == [("a is there",), ("b is there",)]
    runner = current_runner()
    assert runner.place.call(runner.tiles.of, first.application) == ["b is there"]


async def test_a_tile_goes_when_its_time_is_over(downloader, seen, server):
    soon = datetime.now(UTC) + timedelta(seconds=1.5)
    downloader.success_tile_notification = TileNotification("done", expiration_time=soon)
    await downloader.download(server.url("/a"), "a")
    seen.until(lambda: len(seen.of(TileChanged)) == 2)
    assert [each.texts for each in seen.of(TileChanged)] == [("done",), ()]


def test_toasts_are_shown_unless_somebody_says_otherwise(downloader):
    assert downloader.notification_setting is NotificationSetting.ENABLED


def test_a_downloader_that_may_show_no_toasts_says_so(new_downloader):
    assert new_downloader(toast_capable=False).notification_setting is NotificationSetting.DISABLED_BY_MANIFEST


def test_alerts_off_is_kept_for_the_next_kernel(downloader, restart):
    downloader.turn_alerts(on=False)
    later = restart()
    settings = [downloader.notification_setting, later.notification_setting]
    assert settings == [NotificationSetting.DISABLED_FOR_APPLICATION] * 2
    later.turn_alerts(on=True)
    assert later.notification_setting is NotificationSetting.ENABLED


def test_a_front_end_tells_what_the_user_refuses(downloader):
    settings = []
    for is_refused in (True, False):
        current_runner().alerts.refuse_for_user(is_refused=is_refused)
        settings.append(downloader.notification_setting)
    assert settings == [NotificationSetting.DISABLED_FOR_USER, NotificationSetting.ENABLED]


@pytest.fixture
def site_configuration(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return where the configuration of the whole system is."""
    folder = tmp_path / "site"
    folder.mkdir()
    monkeypatch.setattr("platformdirs.site_config_dir", lambda *_, **__: str(folder))
    return folder / "config.json"


def test_the_configuration_of_the_system_turns_toasts_off(site_configuration, new_downloader):
    site_configuration.write_text('{"BackgroundDownloader": {"toast_capable": false}}')
    assert new_downloader().notification_setting is NotificationSetting.DISABLED_BY_GROUP_POLICY


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"BackgroundDownloader": {"toast_capable": true}}', "\x00"])
def test_a_configuration_that_says_nothing_turns_nothing_off(text, site_configuration, new_downloader):
    site_configuration.write_text(text)
    assert new_downloader().notification_setting is NotificationSetting.ENABLED


async def test_where_alerts_are_off_nothing_is_shown(downloader, seen, server):
    downloader.turn_alerts(on=False)
    downloader.success_tile_notification = TileNotification("done")
    await downloader.download(server.url("/a"), "a")
    seen.until(lambda: seen.of(TileChanged))
    assert alerts(seen) == []


async def test_where_only_pop_ups_are_refused_the_note_stays(downloader, seen, server):
    current_runner().alerts.refuse_for_user(is_refused=True)
    await downloader.download(server.url("/a"), "a")
    seen.until(lambda: alerts(seen))
    assert alerts(seen)[0].is_quiet


def test_a_toast_that_will_not_be_shown_is_warned_of_once_with_the_reason(new_downloader):
    downloader = new_downloader(toast_capable=False)
    with pytest.warns(UserWarning, match="toast_capable is False") as told:
        downloader.success_toast_notification = TOAST
    assert told[0].filename == __file__
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        downloader.failure_toast_notification = TOAST


def test_turning_toasts_off_after_one_was_set_is_warned_of_too(downloader):
    downloader.success_toast_notification = TOAST
    with pytest.warns(UserWarning, match="will not be shown"):
        downloader.toast_capable = False

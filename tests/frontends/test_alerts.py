"""Which alerts are on show."""

from __future__ import annotations

from typing import Any

import pytest

from bgdl_jupyter.events import AlertDismissed, AlertKind, AlertRaised, GroupChanged
from bgdl_jupyter.frontends.alerts import Alerts


def alert(alert_id: str, **changes: Any) -> AlertRaised:
    values = {"application": "/a", "kind": AlertKind.SUCCESS, "title": "done", "body": "3 files"}
    return AlertRaised(alert_id=alert_id, **{**values, **changes})


@pytest.fixture
def clock():
    return [1000.0]


@pytest.fixture
def alerts(clock):
    return Alerts(clock=lambda: clock[0])


def shown(alerts: Alerts, application: str = "/a") -> list[str]:
    return [each.alert_id for each in alerts.of(application)]


def test_an_alert_is_on_show_until_it_is_dismissed(alerts):
    alerts.note(alert("1"))
    assert shown(alerts) == ["1"]
    alerts.note(AlertDismissed(alert_id="1"))
    assert shown(alerts) == []


def test_each_application_has_its_own(alerts):
    alerts.note(alert("1"))
    assert shown(alerts, "/b") == []


def test_the_latest_of_a_tag_replaces_the_others(alerts):
    alerts.note(alert("1", tag="t"))
    alerts.note(alert("2", tag="t", application="/b"))
    alerts.note(alert("3", tag="t"))
    assert shown(alerts) == ["3"]
    assert shown(alerts, "/b") == ["2"]


def test_an_alert_expires(alerts, clock):
    alerts.note(alert("1", expires_at=1010.0))
    assert shown(alerts) == ["1"]
    clock[0] = 1010.0
    assert shown(alerts) == []


def test_changes_are_told_once(alerts):
    alerts.note(alert("1"))
    raised, removed = alerts.take_changes()
    assert ([each.alert_id for each in raised], removed) == (["1"], set())
    alerts.note(AlertDismissed(alert_id="1"))
    assert alerts.take_changes() == ([], {"1"})
    assert alerts.take_changes() == ([], set())


def test_what_came_and_went_unseen_is_no_news(alerts):
    alerts.note(alert("1"))
    alerts.note(AlertDismissed(alert_id="1"))
    assert alerts.take_changes() == ([], set())


def test_the_oldest_make_room(alerts):
    for number in range(60):
        alerts.note(alert(str(number)))
    assert shown(alerts) == [str(number) for number in range(10, 60)]


def test_other_events_are_no_news(alerts):
    assert not alerts.note(GroupChanged(application="/a", name="g"))

"""What happened is told to all, in order, and nobody who listens can stop it."""

from __future__ import annotations

import dataclasses
import inspect
from typing import Any
from uuid import uuid4

import pytest

from bgdl_jupyter import events
from bgdl_jupyter.events import AlertDismissed, Event, EventStream, OperationsAdded, OptionsChanged

KINDS = [each for _, each in inspect.getmembers(events, inspect.isclass) if issubclass(each, Event)]


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_an_event_is_a_frozen_value_that_is_named_in_full(kind):
    parameters = kind.__dataclass_params__
    assert parameters.frozen
    assert not hasattr(kind, "__dict__") or "__slots__" in vars(kind)
    assert all(field.kw_only for field in dataclasses.fields(kind))
    assert inspect.getdoc(kind)


def test_what_happened_cannot_be_changed_afterwards():
    happened = OperationsAdded(operation_ids=(uuid4(),))
    with pytest.raises(dataclasses.FrozenInstanceError):
        happened.was_restored = True  # type: ignore[misc]  # that it is refused is the claim


def test_two_events_that_say_the_same_are_equal():
    number = uuid4()
    assert OptionsChanged(operation_id=number) == OptionsChanged(operation_id=number, names=frozenset())


def test_every_listener_is_told_every_event_in_order():
    stream = EventStream()
    first: list[Event] = []
    second: list[Event] = []
    stream.subscribe(first.append)
    stream.subscribe(second.append)
    told = [AlertDismissed(alert_id=str(n)) for n in range(5)]
    for event in told:
        stream.publish(event)
    assert first == second == told


def test_a_listener_hears_the_kinds_that_it_asked_for():
    stream = EventStream()
    heard: list[Event] = []
    end = stream.subscribe(heard.append, OperationsAdded, OptionsChanged)
    told = [OperationsAdded(operation_ids=(uuid4(),)), OptionsChanged(operation_id=uuid4())]
    for event in (told[0], AlertDismissed(alert_id="1"), told[1]):
        stream.publish(event)
    end()
    stream.publish(told[0])
    assert heard == told


def test_a_listener_hears_from_its_subscription_to_its_end():
    stream = EventStream()
    heard: list[Any] = []
    stream.publish(AlertDismissed(alert_id="before"))
    unsubscribe = stream.subscribe(heard.append)
    stream.publish(AlertDismissed(alert_id="during"))
    unsubscribe()
    stream.publish(AlertDismissed(alert_id="after"))
    assert [event.alert_id for event in heard] == ["during"]


def test_ending_twice_ends_nobody_else():
    stream = EventStream()
    heard: list[Any] = []
    unsubscribe = stream.subscribe(lambda _: None)
    unsubscribe()
    stream.subscribe(heard.append)
    assert unsubscribe() is None
    stream.publish(Event())
    assert len(heard) == 1


def test_the_same_listener_may_subscribe_twice():
    stream = EventStream()
    heard: list[Any] = []
    end_one = stream.subscribe(heard.append)
    stream.subscribe(heard.append)
    stream.publish(Event())
    end_one()
    stream.publish(Event())
    assert len(heard) == 3


def test_a_listener_that_fails_is_logged_and_stops_nothing(caplog):
    def fail(event):
        raise RuntimeError("a broken view")

    stream = EventStream()
    heard: list[Any] = []
    stream.subscribe(fail)
    stream.subscribe(heard.append)
    stream.publish(AlertDismissed(alert_id="1"))
    stream.publish(AlertDismissed(alert_id="2"))
    assert len(heard) == 2
    assert caplog.text.count("RuntimeError: a broken view") == 2, "it stays subscribed"
    assert "AlertDismissed" in caplog.text


def test_listeners_may_come_and_go_while_they_are_told():
    stream = EventStream()
    heard: list[Any] = []

    def hear_once(event):
        heard.append("once")
        unsubscribe()
        stream.subscribe(lambda _: heard.append("later"))

    unsubscribe = stream.subscribe(hear_once)
    stream.publish(Event())
    assert heard == ["once"]
    stream.publish(Event())
    assert heard == ["once", "later"]


def test_an_event_published_by_a_listener_reaches_all():
    stream = EventStream()
    heard: list[Any] = []

    def answer(event):
        if isinstance(event, OperationsAdded):
            stream.publish(AlertDismissed(alert_id="because"))

    stream.subscribe(answer)
    stream.subscribe(heard.append)
    stream.publish(OperationsAdded(operation_ids=(uuid4(),)))
    assert {type(event) for event in heard} == {OperationsAdded, AlertDismissed}

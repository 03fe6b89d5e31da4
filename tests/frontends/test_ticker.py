"""One ticker for all views, on a clock that the test turns."""

from __future__ import annotations

import heapq
import itertools
from typing import Any

import pytest

from bgdl_jupyter.frontends.ticker import HEARTBEAT, PERIOD, Ticker


class Loop:
    """A loop whose time passes when the test says so."""

    def __init__(self) -> None:
        self.now = 100.0
        self._calls: list[tuple[float, int, Any, tuple[Any, ...]]] = []
        self._numbers = itertools.count()

    def call_later(self, delay: float, function: Any, *args: Any) -> object:
        heapq.heappush(self._calls, (self.now + delay, next(self._numbers), function, args))
        return object()

    def pass_time(self, seconds: float) -> None:
        end = self.now + seconds
        while self._calls and self._calls[0][0] <= end:
            self.now, _, function, args = heapq.heappop(self._calls)
            function(*args)
        self.now = end

    @property
    def is_quiet(self) -> bool:
        return not self._calls


class FakeView:
    def __init__(self, ticker: Ticker | None = None, *, messages: int = 1, weight: float = 1.0) -> None:
        self.ticker = ticker
        self.messages = messages
        self.weight = weight
        self.sent = 0

    def send(self) -> int:
        self.sent += 1
        if self.ticker is not None:
            self.ticker.wake(self)  # there is always something new
        return self.messages


@pytest.fixture
def loop():
    return Loop()


@pytest.fixture
def live():
    return {"is_live": False, "pulses": 0}


@pytest.fixture
def ticker(loop, live):
    def pulse() -> int:
        live["pulses"] += 1
        return 1

    return Ticker(loop, prepare=lambda: None, is_live=lambda: live["is_live"], pulse=pulse, clock=lambda: loop.now)


def test_a_view_that_always_changes_is_sent_four_times_a_second(loop, ticker):
    view = FakeView(ticker)
    ticker.wake(view)
    loop.pass_time(10)
    assert 38 <= view.sent <= 41


class Talker(FakeView):
    """A view with more to say than goes into one message."""

    def send(self) -> int:
        assert self.ticker is not None
        self.sent += 1
        self.ticker.go_on(self)
        self.ticker.go_on(self)
        return self.messages


def test_a_view_with_much_to_say_goes_on_between_two_ticks(loop, ticker):
    view = Talker(ticker)
    ticker.wake(view)
    loop.pass_time(0.22)
    assert view.sent == 5


def test_what_is_said_in_parts_leaves_messages_for_others(loop, ticker):
    ticker.wake(Talker(ticker))
    loop.pass_time(10)
    assert ticker.messages_sent <= 20 * 10 + 20
    urgent = FakeView()
    ticker.wake(urgent, is_urgent=True)
    loop.pass_time(PERIOD)
    assert urgent.sent == 1


def test_wakes_between_two_ticks_are_one_message(loop, ticker):
    view = FakeView()
    for _ in range(10):
        ticker.wake(view)
    loop.pass_time(1)
    assert view.sent == 1


def test_nothing_ticks_when_nothing_changes(loop, ticker):
    ticker.wake(FakeView())
    loop.pass_time(1)
    assert loop.is_quiet


def test_hundreds_of_views_send_less_than_twenty_messages_a_second(loop, ticker):
    views = [FakeView(ticker, messages=2) for _ in range(300)]
    for view in views:
        ticker.wake(view)
    loop.pass_time(60)
    assert ticker.messages_sent <= 20 * 60
    assert ticker.messages_sent >= 15 * 60
    sent = [view.sent for view in views]
    assert max(sent) - min(sent) <= 1  # nobody is forgotten


def test_what_a_person_waits_for_goes_first_however_many_wait(loop, ticker):
    for view in [FakeView(ticker) for _ in range(300)]:
        ticker.wake(view)
    loop.pass_time(30)
    clicked = FakeView()
    ticker.wake(clicked, is_urgent=True)
    loop.pass_time(PERIOD)
    assert clicked.sent == 1


def test_the_last_state_is_sent_whatever_the_budget(loop, ticker):
    views = [FakeView(messages=5) for _ in range(50)]
    for view in views:
        ticker.wake(view)
    loop.pass_time(30)
    assert [view.sent for view in views] == [1] * 50


def test_heavier_views_are_sent_more_often(loop, ticker):
    light = [FakeView(ticker, messages=4) for _ in range(20)]
    heavy = FakeView(ticker, messages=4, weight=4.0)
    for view in (*light, heavy):
        ticker.wake(view)
    loop.pass_time(60)
    assert heavy.sent > 2 * light[0].sent


def test_something_is_said_once_a_minute_while_transfers_run(loop, ticker, live):
    live["is_live"] = True
    ticker.wake(FakeView())
    loop.pass_time(10 * HEARTBEAT + 1)
    assert live["pulses"] == 10
    live["is_live"] = False
    loop.pass_time(2 * HEARTBEAT)
    assert live["pulses"] == 10
    assert loop.is_quiet


def test_a_view_that_breaks_stops_nobody(loop, ticker, caplog):
    class Broken(FakeView):
        def send(self) -> int:
            raise RuntimeError("torn")

    sound = FakeView()
    ticker.wake(Broken(), is_urgent=True)
    ticker.wake(sound)
    loop.pass_time(1)
    assert sound.sent == 1
    assert "could not be sent" in caplog.text


@pytest.mark.parametrize("had", [Ticker.wake, Ticker.go_on])
def test_a_view_that_is_gone_is_not_sent(loop, ticker, had):
    view = FakeView()
    had(ticker, view)
    ticker.forget(view)
    loop.pass_time(1)
    assert view.sent == 0

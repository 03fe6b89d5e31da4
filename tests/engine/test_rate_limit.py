"""Bytes per second: exact on average, fair, changeable at any time, and without a burst after a pause."""

from __future__ import annotations

import asyncio
import math
import selectors
import time

import pytest

from bgdl_jupyter.engine.rate_limit import BURST, CombinedLimiter, RateLimiter

KIB = 1024


class JumpingSelector(selectors.SelectSelector):
    """Waits by moving the clock; `lag` is how late every timer fires."""

    def __init__(self, lag: float) -> None:
        super().__init__()
        self.now = 0.0
        self._lag = lag

    def select(self, timeout=None):
        if timeout is None:
            raise AssertionError("the test waits for something that never comes")
        if timeout > 0:
            self.now += timeout + self._lag
        return super().select(0)


class VirtualLoop(asyncio.SelectorEventLoop):
    """An event loop whose time passes only in its waits."""

    def __init__(self, lag: float = 0.0) -> None:
        self._virtual = JumpingSelector(lag)
        super().__init__(self._virtual)

    def time(self) -> float:
        return self._virtual.now

    def pass_time(self, seconds: float) -> None:
        self._virtual.now += seconds


def in_virtual_time(scenario, *, lag=0.0):
    """Run `scenario(loop)` and return its result."""

    async def run():
        return await scenario(asyncio.get_running_loop())

    with asyncio.Runner(loop_factory=lambda: VirtualLoop(lag)) as runner:
        return runner.run(run())


async def pull(limiter, *, chunk, until):
    """Take as fast as the limiter lets us, and return how much that was."""
    loop = asyncio.get_running_loop()
    total = 0
    while loop.time() < until:
        total += chunk
        wait = limiter.take(chunk)
        if wait is not None:
            await wait
        else:
            await asyncio.sleep(0)  # a loop reads from the others, too
    return total


def held(limiter, count):
    """Take more than may come at once, and return what to wait for."""
    wait = limiter.take(count)
    assert wait is not None
    return wait


@pytest.mark.parametrize("lag", [0.0, 0.001, 0.015])
@pytest.mark.parametrize(
    ("rate", "chunk"),
    [
        (64 * KIB, 1 * KIB),
        (64 * KIB, 16 * KIB),
        (1_000_000, 64 * KIB),
        (20_000_000, 256 * KIB),
        (20_000_000, 1460),
        (1_000_000_000, 64 * KIB),
        (1_000_000_000, 1024 * KIB),
    ],
)
def test_the_average_is_within_three_percent(rate, chunk, lag):
    """However coarse the timers are: what is owed is never forgiven."""
    seconds = 10 if rate < 10_000_000 else 2

    async def scenario(loop):
        return await pull(RateLimiter(rate, loop.time), chunk=chunk, until=seconds)

    assert in_virtual_time(scenario, lag=lag) / seconds == pytest.approx(rate, rel=0.03)


@pytest.mark.parametrize("lag", [0.1, 0.4])
@pytest.mark.parametrize("rate", [64 * KIB, 20_000_000, 1_000_000_000])
def test_a_loop_that_is_late_makes_good_what_it_missed(rate, lag):
    """As on a machine that has too much to do: the limit is the average, and not the most."""

    async def scenario(loop):
        taken = await pull(RateLimiter(rate, loop.time), chunk=max(4 * KIB, rate // 1000), until=20)
        return taken / loop.time()

    assert in_virtual_time(scenario, lag=lag) == pytest.approx(rate, rel=0.03)


@pytest.mark.parametrize("rate", [64 * KIB, 1_000_000_000])
def test_two_limits_are_both_kept_within_three_percent(rate):
    """That of a group within that of all, each by those who have it."""

    async def scenario(loop):
        of_all, of_group = RateLimiter(rate, loop.time), RateLimiter(rate / 4, loop.time)
        grouped, free = CombinedLimiter(of_group, of_all, clock=loop.time), CombinedLimiter(of_all, clock=loop.time)
        pulls = [pull(each, chunk=max(KIB, rate // 4000), until=20) for each in (grouped, grouped, free, free)]
        counts = await asyncio.gather(*pulls)
        return sum(counts[:2]) / loop.time(), sum(counts) / loop.time()

    in_group, in_all = in_virtual_time(scenario, lag=0.002)
    assert in_group == pytest.approx(rate / 4, rel=0.03)
    assert in_all == pytest.approx(rate, rel=0.03)


@pytest.mark.parametrize("takers", [2, 16, 200])
def test_many_who_take_share_the_rate_evenly(takers):
    async def scenario(loop):
        limiter = RateLimiter(1_000_000, loop.time)
        return await asyncio.gather(*(pull(limiter, chunk=4096, until=10) for _ in range(takers)))

    totals = in_virtual_time(scenario)
    assert sum(totals) / 10 == pytest.approx(1_000_000, rel=0.03 + takers * 4096 / 10_000_000)
    assert max(totals) - min(totals) <= 2 * 4096


def test_first_come_first_served():
    async def scenario(loop):
        limiter = RateLimiter(1000, loop.time)
        served = []

        async def take(name, count):
            await held(limiter, count)
            served.append(name)

        await asyncio.gather(take("large", 5000), take("small", 6), take("smaller", 6))
        return served

    assert in_virtual_time(scenario) == ["large", "small", "smaller"]


def test_a_small_chunk_does_not_slip_past_those_who_wait():
    async def scenario(loop):
        limiter = RateLimiter(1000, loop.time)
        first = limiter.take(1000)
        loop.pass_time(0.999)
        return first, limiter.take(1)

    first, second = in_virtual_time(scenario)
    assert first is not None
    assert second is not None


def test_without_a_limit_nobody_waits():
    limiter = RateLimiter(None)
    assert [limiter.take(10**9) for _ in range(100)] == [None] * 100


def test_after_idling_no_more_than_a_short_burst_is_let_through():
    async def scenario(loop):
        limiter = RateLimiter(1_000_000, loop.time)
        loop.pass_time(3600)
        at_once = 0
        while limiter.take(1000) is None:
            at_once += 1000
        return at_once

    assert in_virtual_time(scenario) <= 1_000_000 * (BURST + 0.006)


def test_a_higher_rate_shortens_the_present_wait():
    async def scenario(loop):
        limiter = RateLimiter(1000, loop.time)
        wait = held(limiter, 100_000)
        loop.call_later(1, setattr, limiter, "rate", 99_000)
        await wait
        return loop.time()

    assert in_virtual_time(scenario) == pytest.approx(2.0, abs=0.01)


def test_a_lower_rate_lengthens_the_present_wait():
    async def scenario(loop):
        limiter = RateLimiter(1000, loop.time)
        wait = held(limiter, 2000)
        loop.call_later(1, setattr, limiter, "rate", 100)
        await wait
        return loop.time()

    assert in_virtual_time(scenario) == pytest.approx(11.0, abs=0.01)


def test_lifting_the_limit_lets_all_go_on_at_once():
    async def scenario(loop):
        limiter = RateLimiter(1, loop.time)
        waits = [held(limiter, 10**6) for _ in range(3)]
        limiter.rate = None
        await asyncio.gather(*waits)
        return loop.time(), limiter.take(10**9)

    assert in_virtual_time(scenario) == (0.0, None)


def test_a_new_limit_does_not_count_what_came_before_it():
    async def scenario(loop):
        limiter = RateLimiter(None, loop.time)
        limiter.take(10**9)
        limiter.rate = 1000
        await held(limiter, 1000)
        return loop.time()

    assert in_virtual_time(scenario) == pytest.approx(1.0, abs=BURST)


def test_a_lower_rate_takes_back_what_was_saved_up_under_the_higher():
    async def scenario(loop):
        limiter = RateLimiter(10**9, loop.time)
        loop.pass_time(1)
        limiter.rate = 1000
        await held(limiter, 1000)
        return loop.time() - 1

    assert in_virtual_time(scenario) == pytest.approx(1.0, abs=0.06)


def test_whoever_stops_waiting_does_not_stop_the_others():
    async def scenario(loop):
        limiter = RateLimiter(1000, loop.time)
        limiter.take(1)
        quitter = asyncio.ensure_future(_await(held(limiter, 1000)))
        patient = asyncio.ensure_future(_await(held(limiter, 1000)))
        await asyncio.sleep(0.5)
        quitter.cancel()
        await patient
        return loop.time()

    # The bytes of the one who left have come: they are paid for, or a pause would be a way around the limit.
    assert in_virtual_time(scenario) == pytest.approx(2.0, abs=0.01)


async def _await(wait):
    await wait


@pytest.mark.parametrize("rate", [0, -1, math.nan, math.inf])
def test_a_rate_is_a_positive_number(rate):
    with pytest.raises(ValueError, match="positive number of bytes per second"):
        RateLimiter(rate)
    limiter = RateLimiter(5)
    with pytest.raises(ValueError, match="positive"):
        limiter.rate = rate
    assert limiter.rate == 5


def test_the_slower_of_two_limits_decides():
    async def scenario(loop):
        overall, group = RateLimiter(1_000_000, loop.time), RateLimiter(100_000, loop.time)
        of_group = CombinedLimiter(group, overall, clock=loop.time)
        others = CombinedLimiter(overall, clock=loop.time)
        return await asyncio.gather(pull(of_group, chunk=1000, until=10), pull(others, chunk=1000, until=10))

    of_group, others = in_virtual_time(scenario)
    assert of_group / 10 == pytest.approx(100_000, rel=0.03)
    assert (of_group + others) / 10 == pytest.approx(1_000_000, rel=0.03)


def test_the_time_in_the_limiter_is_told_apart_from_a_stall():
    async def scenario(loop):
        limiter = CombinedLimiter(RateLimiter(1000, loop.time), clock=loop.time)
        first, second = held(limiter, 1000), held(limiter, 1000)
        before = limiter.seconds_waited
        waits = asyncio.gather(first, second)
        await asyncio.sleep(0.5)
        during = limiter.seconds_waited, limiter.is_waiting
        await waits
        await asyncio.sleep(5)
        return before, during, limiter.seconds_waited, limiter.is_waiting

    before, during, after, is_waiting = in_virtual_time(scenario)
    assert before == 0
    assert during == (pytest.approx(0.5, abs=0.01), True)
    assert after == pytest.approx(2.0, abs=0.06), "two connections that wait at the same time wait once"
    assert not is_waiting


def test_a_canceled_wait_is_not_counted_on():
    async def scenario(loop):
        limiter = CombinedLimiter(RateLimiter(1, loop.time), clock=loop.time)
        task = asyncio.ensure_future(_await(held(limiter, 1000)))
        await asyncio.sleep(1)
        task.cancel()
        await asyncio.wait([task])
        await asyncio.sleep(1)
        return limiter.seconds_waited, limiter.is_waiting

    assert in_virtual_time(scenario) == (pytest.approx(1.0), False)


def test_a_wait_that_nobody_awaits_is_silent():
    """A sink may end while the answer of its limiter is still unread."""

    async def scenario(loop):
        limiter = CombinedLimiter(RateLimiter(1000, loop.time), clock=loop.time)
        limiter.take(1000)
        await asyncio.sleep(2)

    in_virtual_time(scenario)


async def test_on_a_real_loop_it_neither_hangs_nor_lets_everything_through():
    limiter = CombinedLimiter(RateLimiter(10_000_000))
    began = time.monotonic()
    async with asyncio.timeout(30):
        for _ in range(30):
            wait = limiter.take(100_000)
            if wait is not None:
                await wait
    assert time.monotonic() - began >= 0.2

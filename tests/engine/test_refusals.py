"""A host that refuses a further connection is left alone for a while, each time for longer."""

from __future__ import annotations

from bgdl_jupyter.engine.refusals import Refusals


def pauses(refusals: Refusals, count: int) -> list[float]:
    """Return the seconds that each of so many refusals is worth, each met as soon as another may be asked for."""
    now, found = 0.0, []
    for _ in range(count):
        refusals.refused(now)
        again = now
        while not refusals.may_ask(again):
            again += 0.25
        found.append(again - now)
        now = again
    return found


def test_nobody_waits_before_the_first():
    assert Refusals().may_ask(0.0)


def test_each_is_worth_a_pause_twice_as_long_as_the_one_before():
    assert pauses(Refusals(), 10) == [0.5, 1, 2, 4, 8, 16, 32, 64, 64, 64]


def test_several_in_one_moment_are_one_piece_of_news():
    refusals = Refusals()
    for _ in range(15):
        refusals.refused(10.0)
    assert refusals.may_ask(10.5)


def test_one_that_was_given_begins_anew():
    refusals = Refusals()
    pauses(refusals, 5)
    refusals.forget()
    refusals.refused(100.0)
    assert refusals.may_ask(100.5)

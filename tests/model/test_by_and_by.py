"""Very many at once: the loop has time for others, and the collector of garbage begins where it was."""

from __future__ import annotations

import gc
import weakref
from typing import TYPE_CHECKING

import pytest

from bgdl_jupyter.engine.loop import ThreadPlace
from bgdl_jupyter.errors import EngineNotResponding
from bgdl_jupyter.model import by_and_by
from bgdl_jupyter.model.by_and_by import Collector, in_steps, let_age

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence


@pytest.fixture
def place() -> Iterator[ThreadPlace]:
    place = ThreadPlace(reason="a test")
    yield place
    place.stop(5)


class Cycle:
    """Something that only the collector can remove."""

    def __init__(self) -> None:
        self.me = self


def test_what_comes_of_many_comes_in_their_order(place: ThreadPlace):
    def take(some: Sequence[int]) -> list[int]:
        assert place.is_here()
        return [2 * each for each in some]

    assert in_steps(place, take, iter(range(1001))) == [2 * number for number in range(1001)]
    assert in_steps(place, take, []) == []


def test_others_have_their_turn_between_two_steps(place: ThreadPlace, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(by_and_by, "_STEP", 0.0)
    monkeypatch.setattr(by_and_by, "_AT_ONCE", 2)
    turns: list[str] = []

    def take(some: Sequence[int]) -> Sequence[int]:
        turns.append(f"took {len(some)}")
        place.loop.call_soon(turns.append, "another")
        return some

    in_steps(place, take, range(5))
    place.call(turns.append, "end")
    assert turns == ["took 2", "another", "took 2", "another", "took 1", "another", "end"]


def test_the_next_wait_while_what_came_of_those_before_is_not_done(place: ThreadPlace, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(by_and_by, "_STEP", 0.0)
    monkeypatch.setattr(by_and_by, "_AT_ONCE", 2)
    left: list[int] = []

    def take(some: Sequence[int]) -> Sequence[int]:
        assert not left
        left.extend(some)
        place.loop.call_later(0.01, left.clear)
        return some

    assert in_steps(place, take, range(6), is_behind=lambda: bool(left)) == list(range(6))


def test_what_goes_wrong_with_one_of_many_is_the_callers(place: ThreadPlace):
    def take(some: Sequence[int]) -> Sequence[int]:
        raise LookupError(some[0])

    with pytest.raises(LookupError, match="7"):
        in_steps(place, take, [7])


def test_a_loop_that_ends_in_the_middle_is_not_waited_for(place: ThreadPlace, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(by_and_by, "_STEP", 0.0)

    def take(some: Sequence[int]) -> Sequence[int]:
        place.loop.call_soon(place.stop, 5)
        return some

    with pytest.raises(EngineNotResponding, match="has taken"):
        in_steps(place, take, range(10**9))


@pytest.mark.parametrize("was_enabled", [True, False])
def test_the_collector_begins_again_where_it_was(was_enabled: bool):
    """Also where two rest at once, and where something goes wrong meanwhile."""
    collector = Collector()

    def fail() -> None:
        with collector.resting(5000), collector.resting(5000):
            assert not gc.isenabled()
            raise LookupError

    try:
        if not was_enabled:
            gc.disable()
        with pytest.raises(LookupError):
            fail()
        assert gc.isenabled() is was_enabled
        with collector.resting(1):  # a single one is no reason
            assert gc.isenabled() is was_enabled
    finally:
        gc.enable()


def test_what_is_old_and_has_become_garbage_is_found_all_the_same():
    ref = weakref.ref(Cycle())
    let_age()
    assert gc.get_freeze_count() == 0
    gc.collect()
    assert ref() is None


def test_what_somebody_froze_stays_frozen():
    mine = Cycle()
    assert any(each is mine for each in gc.get_objects())
    gc.freeze()
    try:
        let_age()
        assert not any(each is mine for each in gc.get_objects())  # which lists nothing that is frozen
    finally:
        gc.unfreeze()

"""While bytes come, threads take shorter turns; what the user chose is there again afterwards."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import pytest

from bgdl_jupyter.engine.turns import TURN, ShortTurns
from tests.servers.faults import hold_after
from tests.servers.files import FileSpec

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.engine.conftest import Fetch
    from tests.servers.fixtures import StartFaultServer


@pytest.fixture(autouse=True)
def usual() -> Iterator[float]:
    before = sys.getswitchinterval()
    sys.setswitchinterval(0.005)
    yield sys.getswitchinterval()
    sys.setswitchinterval(before)


def test_turns_are_short_in_between_and_as_before_afterwards(usual: float):
    turns = ShortTurns()
    turns.begin()
    turns.begin()
    assert sys.getswitchinterval() == pytest.approx(TURN)
    turns.end()
    assert sys.getswitchinterval() == usual
    turns.end()
    assert sys.getswitchinterval() == usual


def test_turns_that_are_shorter_still_are_left_alone():
    sys.setswitchinterval(0.0002)
    turns = ShortTurns()
    turns.begin()
    turns.end()
    assert sys.getswitchinterval() == pytest.approx(0.0002)


def test_what_somebody_chose_meanwhile_stays():
    turns = ShortTurns()
    turns.begin()
    sys.setswitchinterval(0.02)
    turns.end()
    assert sys.getswitchinterval() == pytest.approx(0.02)


async def test_they_are_short_as_long_as_a_transfer_runs(
    fault_server: StartFaultServer, fetch: Callable[..., Fetch], usual: float
):
    server = fault_server({"/a": FileSpec(size=1_000_000, faults=(hold_after(500_000, until="go", on=1),))})
    one = fetch(server.url("/a"))
    running = one.start()
    await one.until(lambda: bool(one.events))
    assert sys.getswitchinterval() == pytest.approx(TURN)
    server.events.set("go")
    await running
    assert sys.getswitchinterval() == usual

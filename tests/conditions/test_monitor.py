"""The conditions of the machine as the rest of the house sees them."""

from __future__ import annotations

import asyncio
import logging
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest

from bgdl_jupyter.conditions.disk import Reserve
from bgdl_jupyter.conditions.fake import FakeConditions
from bgdl_jupyter.conditions.monitor import Conditions
from bgdl_jupyter.conditions.values import (
    CostOverride,
    DiskConditions,
    NetworkConditions,
    NetworkCost,
    PowerConditions,
)
from tests.conditions.probes import FixedProbe, Hearing

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from bgdl_jupyter.conditions.base import ConditionsMonitor

UP = NetworkConditions(is_up=True, cost=NetworkCost.UNRESTRICTED)
DOWN = NetworkConditions(is_up=False, reason="No interface has a route.")
FULL = Reserve(share=1, most=1 << 62, largest_share=1)


class Machine:
    """A machine that is as the test says."""

    def __init__(self) -> None:
        self.network = FixedProbe(UP)
        self.power = FixedProbe(PowerConditions(on_battery_saver=False))

    def watched(self, *, interval: float = 3600.0, reserve: Reserve | None = None) -> Conditions:
        return Conditions(network=self.network, power=self.power, interval=interval, reserve=reserve)


@pytest.fixture
def machine() -> Machine:
    return Machine()


@pytest.fixture
async def conditions(machine: Machine) -> AsyncIterator[Conditions]:
    conditions = machine.watched()
    yield conditions
    await conditions.aclose()


async def test_before_the_first_look_nothing_is_known_and_nothing_forbidden(conditions):
    assert conditions.network.is_up is None
    assert conditions.power.on_battery_saver is None


async def test_starting_looks_once(conditions, machine):
    await conditions.start()
    assert (conditions.network, machine.network.looks) == (UP, 1)


async def test_a_change_is_told_when_the_system_says_so(conditions, machine):
    await conditions.start()
    hearing = Hearing(conditions)
    machine.network.seen = DOWN
    machine.network.poke()
    await hearing.until(lambda: conditions.network == DOWN)
    assert hearing.count == 1


async def test_a_change_is_noticed_without_being_told(machine):
    conditions = machine.watched(interval=0.01)
    await conditions.start()
    hearing = Hearing(conditions)
    machine.power.seen = PowerConditions(on_battery_saver=True)
    await hearing.until(lambda: conditions.power.on_battery_saver is True)
    await conditions.aclose()


async def test_a_look_that_shows_the_same_tells_nobody(conditions):
    await conditions.start()
    hearing = Hearing(conditions)
    await conditions.refresh()
    assert hearing.count == 0


async def test_nobody_is_told_after_the_listening_ended(conditions, machine):
    await conditions.start()
    hearing = Hearing(conditions)
    hearing.stop()
    hearing.stop()
    machine.network.seen = DOWN
    await conditions.refresh()
    assert hearing.count == 0


async def test_the_users_word_is_told_at_once(conditions):
    await conditions.start()
    hearing = Hearing(conditions)
    conditions.override_cost(CostOverride.METERED)
    conditions.override_cost(CostOverride.METERED)
    assert (conditions.network.cost, conditions.cost_override) == (NetworkCost.METERED, CostOverride.METERED)
    assert hearing.count == 1


async def test_a_probe_that_fails_leaves_what_was_seen_and_stops_no_other(conditions, machine, caplog):
    await conditions.start()
    machine.network.seen = RuntimeError("broken")
    machine.power.seen = PowerConditions(on_battery_saver=True)
    await conditions.refresh()
    await conditions.refresh()
    assert conditions.network == UP
    assert conditions.power.on_battery_saver is True
    assert len([record for record in caplog.records if record.levelno == logging.WARNING]) == 1


async def test_the_end_of_the_interpreter_is_no_news(conditions, machine, caplog):
    """The pools of threads end before the loop's own thread."""
    await conditions.start()
    with ThreadPoolExecutor() as pool:
        pass
    with pytest.raises(RuntimeError) as ended:
        pool.submit(print)
    machine.network.seen = ended.value
    await conditions.refresh()
    assert caplog.records == []


async def test_a_listener_that_fails_keeps_no_other_from_hearing(conditions, machine, caplog):
    await conditions.start()

    def fail() -> None:
        raise RuntimeError("broken view")

    conditions.listen(fail)
    hearing = Hearing(conditions)
    machine.network.seen = DOWN
    await conditions.refresh()
    assert hearing.count == 1
    assert "broken view" in caplog.text


class TestDisks:
    """The disks of the folders that were asked for."""

    async def test_a_folder_is_watched_from_the_first_question_on(self, conditions, tmp_path: Path):
        await conditions.start()
        assert conditions.disk(tmp_path).is_almost_full is None
        await conditions.refresh()
        assert conditions.disk(tmp_path).is_almost_full is not None
        assert conditions.disk(tmp_path).free

    async def test_an_almost_full_disk_is_told(self, machine, tmp_path: Path):
        conditions = machine.watched(reserve=FULL)
        await conditions.start()
        hearing = Hearing(conditions)
        conditions.disk(tmp_path)
        await hearing.until(lambda: conditions.disk(tmp_path).is_almost_full is True)
        await conditions.aclose()

    async def test_free_bytes_that_come_and_go_are_not_news(self, conditions, tmp_path: Path):
        conditions.disk(tmp_path)
        await conditions.start()
        hearing = Hearing(conditions)
        (tmp_path / "file").write_bytes(bytes(1 << 20))
        await conditions.refresh()
        assert hearing.count == 0

    async def test_a_forgotten_folder_is_looked_at_no_more(self, conditions, tmp_path: Path):
        conditions.disk(tmp_path)
        await conditions.start()
        conditions.forget_disk(tmp_path)
        await conditions.refresh()
        assert conditions.disk(tmp_path).free is None

    async def test_a_disk_that_hangs_holds_neither_the_loop_nor_the_network(
        self, machine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ):
        """A dead network file system answers nobody, for minutes."""
        released = threading.Event()

        def hang(folder: Path, *_: object, **__: object) -> DiskConditions:
            released.wait(10)
            return DiskConditions(folder=folder)

        monkeypatch.setattr("bgdl_jupyter.conditions.monitor.look_at_disk", hang)
        monkeypatch.setattr("bgdl_jupyter.conditions.monitor._DEADLINE", 0.1)
        conditions = machine.watched()
        try:
            conditions.disk(tmp_path)
            async with asyncio.timeout(5):
                await conditions.start()
                machine.network.seen = DOWN
                await conditions.refresh()
            assert conditions.network == DOWN
        finally:
            released.set()
            await conditions.aclose()


async def test_closing_stops_looking_and_lets_go_of_the_probes(machine):
    conditions = machine.watched(interval=0.001)
    await conditions.start()
    await conditions.aclose()
    looks = machine.network.looks
    machine.network.poke()
    await asyncio.sleep(0.01)
    assert machine.network.looks == looks
    assert machine.network.is_closed
    assert machine.power.is_closed


async def test_this_machine_can_be_looked_at():
    conditions = Conditions()
    await conditions.start()
    assert conditions.network.reason
    await conditions.aclose()


async def test_the_fake_is_a_monitor(tmp_path: Path):
    fake: ConditionsMonitor = FakeConditions()
    real: ConditionsMonitor = Conditions(network=FixedProbe(UP), power=FixedProbe(PowerConditions()))
    await fake.start()
    await real.aclose()
    assert fake.disk(tmp_path).is_almost_full is False


async def test_the_fake_tells_its_changes(tmp_path: Path):
    fake = FakeConditions()
    hearing = Hearing(fake)
    fake.change(network=DOWN, disk=DiskConditions(folder=tmp_path, is_almost_full=True))
    fake.override_cost(CostOverride.METERED)
    assert hearing.count == 2
    assert (fake.network.is_up, fake.network.cost) == (False, NetworkCost.METERED)
    assert fake.disk(tmp_path).is_almost_full is True
    hearing.stop()
    fake.change(network=UP)
    assert hearing.count == 2

"""Whether there is a network and what it costs: NetworkManager on a private bus, and machines without one."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import pytest
from dbus_fast import Variant

from bgdl_jupyter.conditions.monitor import Conditions
from bgdl_jupyter.conditions.network import NETWORK_MANAGER, LinuxNetwork, judge
from bgdl_jupyter.conditions.power import POWER_PROFILES, LinuxPower
from bgdl_jupyter.conditions.system_bus import SystemBus
from bgdl_jupyter.conditions.values import CostOverride, NetworkConditions, NetworkCost, PowerConditions
from tests.conditions.buses import PrivateBus
from tests.conditions.probes import FixedProbe, Hearing, run_here

if TYPE_CHECKING:
    from asyncio.subprocess import Process
    from collections.abc import AsyncIterator
    from pathlib import Path

METERED, NOT_METERED = Variant("u", 1), Variant("u", 2)
NEVER = 3600.0  # a test that passes with this interval passes by signals


@pytest.fixture
async def private_bus(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[PrivateBus]:
    async with PrivateBus(tmp_path) as bus:
        monkeypatch.setenv("DBUS_SYSTEM_BUS_ADDRESS", bus.address)
        yield bus


@pytest.fixture
async def conditions() -> AsyncIterator[Conditions]:
    conditions = Conditions(power=FixedProbe(PowerConditions()), interval=NEVER)
    yield conditions
    await conditions.aclose()


async def run_network_manager(bus: PrivateBus, metered: Variant) -> Process:
    process = await bus.run("networkmanager", NETWORK_MANAGER)
    await bus.add(NETWORK_MANAGER, "Metered", metered)
    return process


async def test_a_network_becomes_metered_and_unmetered_again(private_bus, conditions):
    await run_network_manager(private_bus, NOT_METERED)
    await conditions.start()
    assert conditions.network == NetworkConditions(
        is_up=True, cost=NetworkCost.UNRESTRICTED, reason="NetworkManager says that the network is not metered."
    )
    hearing = Hearing(conditions)
    await private_bus.tell(NETWORK_MANAGER, Metered=METERED)
    await hearing.until(lambda: conditions.network.cost is NetworkCost.METERED)
    assert conditions.network.reason == "NetworkManager says that the network is metered."
    await private_bus.tell(NETWORK_MANAGER, Metered=NOT_METERED)
    await hearing.until(lambda: conditions.network.cost is NetworkCost.UNRESTRICTED)


async def test_the_users_word_comes_before_networkmanagers(private_bus, conditions):
    await run_network_manager(private_bus, METERED)
    await conditions.start()
    conditions.override_cost(CostOverride.UNMETERED)
    assert conditions.network.cost.name == "UNRESTRICTED"
    conditions.override_cost(CostOverride.AUTO)
    assert conditions.network.cost.name == "METERED"


async def test_networkmanager_that_comes_and_goes_is_noticed(private_bus, conditions):
    await conditions.start()
    assert conditions.network.cost is NetworkCost.UNKNOWN
    hearing = Hearing(conditions)
    process = await run_network_manager(private_bus, NOT_METERED)
    await private_bus.tell(NETWORK_MANAGER, Metered=METERED)
    await hearing.until(lambda: conditions.network.cost is NetworkCost.METERED)
    await private_bus.end(process)
    await hearing.until(lambda: conditions.network.cost is NetworkCost.UNKNOWN)
    assert "NetworkManager does not run" in conditions.network.reason


async def test_a_bus_that_dies_leaves_the_cost_unknown(private_bus, conditions):
    await run_network_manager(private_bus, METERED)
    await conditions.start()
    await private_bus.die()
    await conditions.refresh()
    assert conditions.network.cost is NetworkCost.UNKNOWN
    assert "there is no system bus" in conditions.network.reason


async def test_a_power_profile_counts_on_battery(private_bus, tmp_path: Path):
    supply = tmp_path / "class/power_supply/BAT0"
    supply.mkdir(parents=True)
    (supply / "type").write_text("Battery\n")
    (supply / "status").write_text("Discharging\n")
    await private_bus.run("power_profiles_daemon", POWER_PROFILES[1])
    bus = SystemBus()
    probe = LinuxPower(bus, run_here, sys_folder=tmp_path)
    assert (await probe.look()).on_battery_saver is False
    await private_bus.tell(POWER_PROFILES[1], ActiveProfile=Variant("s", "power-saver"))
    assert (await probe.look()).on_battery_saver is True
    await bus.aclose()


class TestWithout:
    """What is missing is named, and forbids nothing."""

    @pytest.fixture
    async def bus(self) -> AsyncIterator[SystemBus]:
        bus = SystemBus()
        yield bus
        await bus.aclose()

    async def test_no_bus(self, bus, tmp_path, monkeypatch):
        monkeypatch.setenv("DBUS_SYSTEM_BUS_ADDRESS", f"unix:path={tmp_path / 'none'}")
        seen = await LinuxNetwork(bus, run_here).look()
        assert (seen.cost, seen.background_data_restricted) == (NetworkCost.UNKNOWN, False)
        if seen.is_up:  # where the tests run without any network, that is the reason
            assert seen.reason == "The cost of the network is not known: there is no system bus."

    async def test_no_dbus_fast(self, bus, monkeypatch):
        monkeypatch.setitem(sys.modules, "dbus_fast", None)
        monkeypatch.setattr("bgdl_jupyter.conditions.network.interfaces_with_route", lambda: frozenset({"eth0"}))
        seen = await LinuxNetwork(bus, run_here).look()
        assert seen.is_up is True
        assert "pip install 'bgdl-jupyter[dbus]'" in seen.reason

    async def test_no_route(self, bus, monkeypatch):
        monkeypatch.setitem(sys.modules, "dbus_fast", None)
        monkeypatch.setattr("bgdl_jupyter.conditions.network.interfaces_with_route", frozenset)
        seen = await LinuxNetwork(bus, run_here).look()
        assert (seen.is_up, seen.reason) == (False, "No interface but loopback has a route.")


@pytest.mark.parametrize(
    ("metered", "cost"),
    [
        (0, NetworkCost.UNKNOWN),
        (1, NetworkCost.METERED),
        (2, NetworkCost.UNRESTRICTED),
        (3, NetworkCost.METERED),
        (4, NetworkCost.UNRESTRICTED),
        (99, NetworkCost.UNKNOWN),
    ],
)
def test_networkmanagers_guesses_count_like_its_knowledge(metered: int, cost: NetworkCost):
    assert judge({"Metered": metered, "Connectivity": 4}, has_route=None).cost is cost


def test_a_connection_is_up_whatever_the_routes_are():
    assert judge({"Connectivity": 1, "State": 70}, has_route=False).is_up is True


@pytest.mark.parametrize("has_route", [True, False, None])
def test_what_networkmanager_does_not_manage_the_routes_decide(has_route: bool | None):
    seen = judge({"Connectivity": 1, "State": 20, "Metered": 1}, has_route=has_route)
    assert (seen.is_up, seen.cost) == (has_route, NetworkCost.UNKNOWN)


def test_a_sign_in_page_is_named():
    assert "sign-in" in judge({"Connectivity": 2, "State": 60}, has_route=True).reason

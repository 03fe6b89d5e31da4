"""Whether the machine saves its battery, from what the kernel and the daemon say."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

import pytest

from bgdl_jupyter.conditions.power import LinuxPower, judge_power, runs_on_battery
from bgdl_jupyter.conditions.system_bus import Service, SystemBus, Unavailable

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from pathlib import Path
    from typing import Any

T = TypeVar("T")


class NoBus(SystemBus):
    """A machine without a system bus; counts how often it was asked."""

    asked = 0

    async def properties(self, service: Service) -> dict[str, Any]:
        self.asked += 1
        raise Unavailable(f"there is no system bus for {service.title}")


def run(function: Callable[[], T]) -> Awaitable[T]:
    async def call() -> T:
        return function()

    return call()


def supply(sys: Path, name: str, **facts: str) -> None:
    folder = sys / "class/power_supply" / name
    folder.mkdir(parents=True)
    for fact, value in facts.items():
        (folder / fact).write_text(value + "\n")


def test_a_discharging_battery_is_the_source_of_power(tmp_path: Path):
    supply(tmp_path, "AC", type="Mains", online="0")
    supply(tmp_path, "BAT0", type="Battery", status="Discharging")
    assert runs_on_battery(tmp_path) is True


def test_the_mains_are_when_they_are_plugged_in(tmp_path: Path):
    supply(tmp_path, "AC", type="Mains", online="1")
    supply(tmp_path, "BAT0", type="Battery", status="Discharging")
    assert runs_on_battery(tmp_path) is False


def test_the_battery_of_a_mouse_is_not_ours(tmp_path: Path):
    supply(tmp_path, "hidpp_battery_0", type="Battery", status="Discharging", scope="Device")
    assert runs_on_battery(tmp_path) is False


def test_a_server_does_not_run_on_battery(tmp_path: Path):
    (tmp_path / "class/power_supply").mkdir(parents=True)
    assert runs_on_battery(tmp_path) is False


def test_without_sys_nothing_is_known(tmp_path: Path):
    assert runs_on_battery(tmp_path) is None


@pytest.mark.parametrize(
    ("is_on_battery", "profile", "is_saving"),
    [
        (True, "power-saver", True),
        (True, "low-power", True),
        (True, "balanced", False),
        (True, None, None),
        (False, "power-saver", False),
        (None, "power-saver", None),
    ],
)
def test_saving_is_a_saving_profile_on_battery(is_on_battery, profile, is_saving):
    seen = judge_power(is_on_battery=is_on_battery, profile=profile)
    assert seen.on_battery_saver is is_saving
    assert seen.reason


async def test_the_profile_of_the_firmware_counts_where_no_daemon_runs(tmp_path: Path):
    supply(tmp_path, "BAT0", type="Battery", status="Discharging")
    (tmp_path / "firmware/acpi").mkdir(parents=True)
    (tmp_path / "firmware/acpi/platform_profile").write_text("low-power\n")
    seen = await LinuxPower(NoBus(), run, sys_folder=tmp_path).look()
    assert seen.on_battery_saver is True
    assert "low-power" in seen.reason


async def test_a_machine_without_a_battery_does_not_ask_the_bus(tmp_path: Path):
    bus = NoBus()
    (tmp_path / "class/power_supply").mkdir(parents=True)
    assert (await LinuxPower(bus, run, sys_folder=tmp_path).look()).on_battery_saver is False
    assert bus.asked == 0

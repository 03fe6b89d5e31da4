"""
Whether the machine saves its battery: on Linux the power profile, while it runs on battery.

The profile is asked of power-profiles-daemon over D-Bus, or read from the firmware's under ``/sys``.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

from bgdl_jupyter.conditions.system_bus import Service, SystemBus, Unavailable
from bgdl_jupyter.conditions.values import PowerConditions

if TYPE_CHECKING:
    from collections.abc import Callable

    from bgdl_jupyter.conditions.base import Probe, Runner

#: Under its present name, and the one it had before 2024.
POWER_PROFILES: Final = (
    Service(
        "power-profiles-daemon",
        "org.freedesktop.UPower.PowerProfiles",
        "/org/freedesktop/UPower/PowerProfiles",
        "org.freedesktop.UPower.PowerProfiles",
    ),
    Service(
        "power-profiles-daemon", "net.hadess.PowerProfiles", "/net/hadess/PowerProfiles", "net.hadess.PowerProfiles"
    ),
)
_SAVING: Final = frozenset({"power-saver", "low-power", "quiet"})


def power_probe(bus: SystemBus, run: Runner) -> Probe[PowerConditions]:
    """Return what looks at the power on this platform."""
    if sys.platform == "win32":
        from bgdl_jupyter.conditions.windows import WindowsPower

        return WindowsPower(run)
    if sys.platform == "darwin":
        from bgdl_jupyter.conditions.macos import MacPower

        return MacPower(run)
    return LinuxPower(bus, run)


class LinuxPower:
    """The power profile and where the power comes from; implements `Probe`."""

    def __init__(self, bus: SystemBus, run: Runner, *, sys_folder: Path = Path("/sys")) -> None:
        self._bus = bus
        self._run = run
        self._sys = sys_folder

    async def look(self) -> PowerConditions:
        """Ask both."""
        is_on_battery = await self._run(lambda: runs_on_battery(self._sys))
        # A machine without a battery has none to save, and its bus need not be asked every few seconds.
        profile = await self._profile() if is_on_battery else None
        return judge_power(is_on_battery=is_on_battery, profile=profile)

    def notify(self, poke: Callable[[], None]) -> None:
        """Hear the daemon; where the power comes from is only looked at."""
        self._bus.notify(poke)

    async def aclose(self) -> None:
        """Nothing is held: the bus is the owner's."""

    async def _profile(self) -> str | None:
        for service in POWER_PROFILES:
            try:
                properties = await self._bus.properties(service)
            except Unavailable:
                continue
            return str(properties.get("ActiveProfile", ""))
        return await self._run(lambda: _read(self._sys / "firmware/acpi/platform_profile"))


def judge_power(*, is_on_battery: bool | None, profile: str | None) -> PowerConditions:
    """Return what the profile means; saving counts only while the power comes from the battery."""
    if is_on_battery is None:
        return PowerConditions(reason="This machine does not tell where its power comes from.")
    if not is_on_battery:
        return PowerConditions(on_battery_saver=False, reason="The machine does not run on battery.")
    if not profile:
        return PowerConditions(reason="The machine runs on battery and does not tell its power profile.")
    is_saving = profile in _SAVING
    return PowerConditions(
        on_battery_saver=is_saving, reason=f"The machine runs on battery with the power profile {profile!r}."
    )


def runs_on_battery(sys_folder: Path) -> bool | None:
    """Whether the machine discharges a battery of its own; None where ``/sys`` cannot be read."""
    try:
        supplies = list((sys_folder / "class/power_supply").iterdir())
    except OSError:
        return None
    # A mouse has a battery, too: scope Device.
    own = [supply for supply in supplies if _read(supply / "scope") != "Device"]
    if any(_read(supply / "online") == "1" for supply in own if _read(supply / "type") != "Battery"):
        return False
    return any(_read(supply / "status") == "Discharging" for supply in own if _read(supply / "type") == "Battery")


def _read(path: Path) -> str | None:
    try:
        return path.read_text("ascii", "replace").strip()
    except OSError:
        return None

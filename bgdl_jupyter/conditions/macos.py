"""
Network and power of macOS, asked of its own programs.

Not observed: the programs' output is parsed as documented, on machines that these lines were not run on. The cost of
the network stays unknown: only Network.framework tells it, and only to compiled callers.
"""

from __future__ import annotations

import re
import subprocess
from typing import TYPE_CHECKING, Final

from bgdl_jupyter.conditions.values import NetworkConditions, PowerConditions

if TYPE_CHECKING:
    from collections.abc import Callable

    from bgdl_jupyter.conditions.base import Runner

_DEADLINE: Final = 5.0
_LOW_POWER: Final = re.compile(r"^\s*(?:lowpowermode|powermode)\s+([0-9]+)", re.MULTILINE)


class MacNetwork:
    """Implements `Probe`."""

    def __init__(self, run: Runner) -> None:
        self._run = run

    async def look(self) -> NetworkConditions:
        """Ask ``scutil --nwi``."""
        return judge_reachability(await self._run(lambda: _output("/usr/sbin/scutil", "--nwi")))

    def notify(self, poke: Callable[[], None]) -> None:
        """Nothing tells; the next look does."""

    async def aclose(self) -> None:
        """Nothing is held."""


class MacPower:
    """Implements `Probe`."""

    def __init__(self, run: Runner) -> None:
        self._run = run

    async def look(self) -> PowerConditions:
        """Ask ``pmset -g``."""
        return judge_power_settings(await self._run(lambda: _output("/usr/bin/pmset", "-g")))

    def notify(self, poke: Callable[[], None]) -> None:
        """Nothing tells; the next look does."""

    async def aclose(self) -> None:
        """Nothing is held."""


def judge_reachability(output: str | None) -> NetworkConditions:
    """Return what ``scutil --nwi`` means."""
    if not output or "REACH" not in output:
        return NetworkConditions(reason="scutil does not tell about the network.")
    if "(Reachable" in output:
        return NetworkConditions(is_up=True, reason="macOS does not tell what the network costs.")
    return NetworkConditions(is_up=False, reason="macOS has no interface that reaches a network.")


def judge_power_settings(output: str | None) -> PowerConditions:
    """Return what ``pmset -g`` means."""
    match = _LOW_POWER.search(output or "")
    if match is None:
        return PowerConditions(reason="pmset does not tell about the low power mode.")
    is_saving = match[1] == "1"
    return PowerConditions(on_battery_saver=is_saving, reason="The low power mode of macOS is on." if is_saving else "")


def _output(*command: str) -> str | None:
    try:
        # The command is one of the two above.
        return subprocess.run(command, capture_output=True, text=True, timeout=_DEADLINE, check=True).stdout  # noqa: S603
    except (OSError, subprocess.SubprocessError):
        return None

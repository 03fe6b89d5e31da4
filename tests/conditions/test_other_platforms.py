"""What the answers of macOS and Windows mean; the asking itself needs those platforms."""

from __future__ import annotations

import pytest

from bgdl_jupyter.conditions.macos import judge_power_settings, judge_reachability
from bgdl_jupyter.conditions.values import NetworkCost
from bgdl_jupyter.conditions.windows import judge_cost, judge_saver

REACHABLE = """\
Network information

IPv4 network interface information
     en0 : flags      : 0x5 (IPv4,DNS)

   REACH : flags 0x00000002 (Reachable)
"""
UNREACHABLE = """\
Network information

IPv4 network interface information
   No IPv4 states found

   REACH : flags 0x00000000 (Not Reachable)
"""


@pytest.mark.parametrize(("output", "is_up"), [(REACHABLE, True), (UNREACHABLE, False), ("", None), (None, None)])
def test_scutil_tells_whether_there_is_a_network(output: str | None, is_up: bool | None):
    assert judge_reachability(output).is_up is is_up


@pytest.mark.parametrize(
    ("output", "is_saving"),
    [
        (" lowpowermode         1\n", True),
        (" powermode            0\n", False),
        (" powermode            2\n", False),
        ("rubbish", None),
        (None, None),
    ],
)
def test_pmset_tells_the_low_power_mode(output: str | None, is_saving: bool | None):
    assert judge_power_settings(output).on_battery_saver is is_saving


@pytest.mark.parametrize(
    ("flags", "cost"),
    [
        (0x1, NetworkCost.UNRESTRICTED),
        (0x2, NetworkCost.METERED),
        (0x4, NetworkCost.METERED),
        (0x80002, NetworkCost.APPROACHING_LIMIT),
        (0x40004, NetworkCost.ROAMING),
        (0x50002, NetworkCost.OVER_LIMIT),
        (0x0, NetworkCost.UNKNOWN),
        (None, NetworkCost.UNKNOWN),
    ],
)
def test_windows_flags_are_a_cost(flags: int | None, cost: NetworkCost):
    seen = judge_cost(is_connected=True, flags=flags)
    assert (seen.is_up, seen.cost) == (True, cost)
    assert seen.background_data_restricted is (cost is NetworkCost.OVER_LIMIT)


def test_windows_without_a_connection_is_down():
    assert judge_cost(is_connected=False, flags=None).is_up is False


@pytest.mark.parametrize(("flag", "is_saving"), [(1, True), (0, False), (None, None)])
def test_windows_tells_its_battery_saver(flag: int | None, is_saving: bool | None):
    assert judge_saver(flag).on_battery_saver is is_saving

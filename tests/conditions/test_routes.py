"""Whether Linux has a network at all, from what the kernel writes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from bgdl_jupyter.conditions.routes import interfaces_with_route

if TYPE_CHECKING:
    from pathlib import Path

HEADER = "Iface\tDestination\tGateway\tFlags\tRefCnt\tUse\tMetric\tMask\tMTU\tWindow\tIRTT\n"
DEFAULT = "eth0\t00000000\t010200C0\t0003\t0\t0\t0\t00000000\t0\t0\t0\n"
BRIDGE = "docker0\t000011AC\t00000000\t0001\t0\t0\t0\t0000FFFF\t0\t0\t0\n"
LINK_LOCAL = "eth0\t0000FEA9\t00000000\t0001\t0\t0\t0\t0000FFFF\t0\t0\t0\n"
LOOPBACK6 = "00000000000000000000000000000001 01 80 10 80       lo\n"
LINK_LOCAL6 = "fe8000000000000000fc00fffe000001 04 40 20 80     eth0\n"
GLOBAL6 = "fd000000000000000000000000000002 04 40 00 82     eth0\n"


@pytest.fixture
def machine(tmp_path: Path):
    def write(routes: str, addresses: str | None = None, **states: str) -> tuple[Path, Path]:
        net = tmp_path / "proc/net"
        net.mkdir(parents=True)
        (net / "route").write_text(HEADER + routes)
        if addresses is not None:
            (net / "if_inet6").write_text(addresses)
        for name, state in states.items():
            (tmp_path / "sys/class/net" / name).mkdir(parents=True)
            (tmp_path / "sys/class/net" / name / "operstate").write_text(state + "\n")
        return tmp_path / "proc", tmp_path / "sys"

    return write


def test_a_default_route_is_a_network(machine):
    assert interfaces_with_route(*machine(DEFAULT, eth0="up")) == frozenset({"eth0"})


def test_a_tunnel_of_unknown_state_is_a_network(machine):
    assert interfaces_with_route(*machine(DEFAULT, eth0="unknown")) == frozenset({"eth0"})


def test_an_inner_network_without_a_default_route_is_one(machine):
    assert interfaces_with_route(*machine(BRIDGE, docker0="up")) == frozenset({"docker0"})


def test_a_bridge_without_members_is_none(machine):
    assert interfaces_with_route(*machine(BRIDGE, docker0="down")) == frozenset()


def test_a_pulled_cable_is_no_network(machine):
    assert interfaces_with_route(*machine(DEFAULT, GLOBAL6, eth0="down")) == frozenset()


def test_addresses_of_the_link_are_no_network(machine):
    assert interfaces_with_route(*machine(LINK_LOCAL, LOOPBACK6 + LINK_LOCAL6, eth0="up")) == frozenset()


def test_a_global_address_is_a_network_without_ipv4(machine):
    assert interfaces_with_route(*machine("", LOOPBACK6 + GLOBAL6, eth0="up")) == frozenset({"eth0"})


def test_lines_that_cannot_be_read_are_passed_over(machine):
    assert interfaces_with_route(*machine("rubbish\n\neth0\tx\ty\tz\n" + DEFAULT, "short\n")) == frozenset({"eth0"})


def test_without_proc_nothing_is_known(tmp_path: Path):
    assert interfaces_with_route(tmp_path, tmp_path) is None


def test_loopback_alone_is_no_network(machine):
    loopback = DEFAULT.replace("eth0", "lo")
    assert interfaces_with_route(*machine(loopback, LOOPBACK6)) == frozenset()

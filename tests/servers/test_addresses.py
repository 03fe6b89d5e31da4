"""Nobody answers, in two ways."""

from __future__ import annotations

import socket

import pytest

from tests.servers.addresses import black_hole, closed_port


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_a_closed_port_refuses(host: str):
    with closed_port(host) as port, pytest.raises(ConnectionRefusedError):
        socket.create_connection((host, port), timeout=5)


def test_a_black_hole_neither_accepts_nor_refuses():
    with black_hole() as port, pytest.raises(TimeoutError):
        socket.create_connection(("127.0.0.1", port), timeout=0.3)

"""Each certificate is wrong in the one way that its kind names."""

from __future__ import annotations

import ssl
from typing import TYPE_CHECKING

import pytest

from tests.servers.files import FileSpec
from tests.servers.raw_client import fetch

if TYPE_CHECKING:
    from tests.servers.authority import Authority, Kind
    from tests.servers.fixtures import StartFaultServer


def test_a_valid_certificate_is_believed(fault_server: StartFaultServer, authority: Authority):
    server = fault_server({"/a": FileSpec(body=b"x")}, tls=authority.server())
    assert fetch(server.url("/a"), tls=authority.client()).body == b"x"


@pytest.mark.parametrize(
    ("kind", "reason"),
    [
        ("expired", "has expired"),
        ("not yet valid", "not yet valid"),
        ("wrong host", "IP address mismatch"),
        ("self-signed", "self-signed certificate"),
        ("unknown authority", "unable to get local issuer certificate"),
    ],
)
def test_a_wrong_certificate_is_refused(fault_server: StartFaultServer, authority: Authority, kind: Kind, reason: str):
    server = fault_server({"/a": FileSpec(body=b"x")}, tls=authority.server(kind))
    with pytest.raises(ssl.SSLCertVerificationError, match=reason):
        fetch(server.url("/a"), tls=authority.client())
    server.wait_until(lambda: server.connections_open == 0)
    assert len(server.listener.refused_handshakes) == 1
    assert server.requests() == []

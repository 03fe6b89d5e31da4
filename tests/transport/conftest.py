"""The servers, and a transport to speak to them."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING

import pytest

from bgdl_jupyter.transport.http import HttpTransport
from tests.servers.fixtures import authority, fault_server, nginx, proxy, squid
from tests.transport.http_client import fetch

if TYPE_CHECKING:
    import ssl
    from collections.abc import AsyncIterator

    from tests.servers.authority import Authority
    from tests.servers.fixtures import StartFaultServer

__all__ = ["authority", "fault_server", "nginx", "proxy", "squid"]


@pytest.fixture
async def http() -> AsyncIterator[HttpTransport]:
    """Return a transport for http and https; closed after the test."""
    transport = HttpTransport()
    yield transport
    await transport.aclose()


@pytest.fixture(params=["http", "https"])
def tls(request: pytest.FixtureRequest, authority: Authority) -> ssl.SSLContext | None:
    """Return the server's context, for each scheme."""
    return authority.server() if request.param == "https" else None


@pytest.fixture
def serve(fault_server: StartFaultServer, tls: ssl.SSLContext | None):
    """Start fault servers over http and then over https, whose small answers come whole at once."""
    return functools.partial(fault_server, tls=tls, at_once=True)


@pytest.fixture
def ask(http: HttpTransport, authority: Authority):
    """Fetch, and trust the servers' authority."""
    return functools.partial(fetch, http, ssl_context=authority.client())

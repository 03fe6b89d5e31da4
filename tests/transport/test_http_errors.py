"""What goes wrong below HTTP, in our words: N1-N4, N11, T2, TM2."""

from __future__ import annotations

import asyncio
import errno
import socket
import ssl
from typing import TYPE_CHECKING

import aiohttp
import pytest

from bgdl_jupyter.errors import (
    CertificateRejected,
    NetworkFailed,
    ProtocolViolation,
    TransferFailed,
    TransferTimeout,
)
from bgdl_jupyter.transport.http import HttpTransport
from bgdl_jupyter.transport.http_errors import cut_short, failure_of
from bgdl_jupyter.uris import Origin
from bgdl_jupyter.web_error_status import WebErrorStatus
from tests.servers.addresses import black_hole, closed_port
from tests.servers.files import FileSpec
from tests.servers.resolver import EMPTY, NXDOMAIN, SERVFAIL, SILENCE, FakeResolver, Records, many
from tests.transport.http_client import fetch, said

if TYPE_CHECKING:
    from tests.servers.authority import Authority
    from tests.servers.fixtures import StartFaultServer

ORIGIN = Origin("https", "files.test", 443)
FILE = FileSpec(size=1000)


async def test_a_closed_port_is_a_refusal(http):
    with closed_port() as port, pytest.raises(NetworkFailed) as caught:
        await fetch(http, f"http://127.0.0.1:{port}/a?token=hunter2")
    assert caught.value.web_error_status is WebErrorStatus.CANNOT_CONNECT
    assert isinstance(caught.value.__cause__, ConnectionRefusedError)
    assert caught.value.__context__ is caught.value.__cause__ or caught.value.__context__ is None
    assert "hunter2" not in str(caught.value)


async def test_a_black_hole_is_a_timeout(http):
    with black_hole() as port, pytest.raises(TransferTimeout) as caught:
        await fetch(http, f"http://127.0.0.1:{port}/a?token=hunter2", connect_timeout=0.2)
    assert caught.value.web_error_status is WebErrorStatus.TIMEOUT
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize("answer", [NXDOMAIN, SERVFAIL, EMPTY], ids=["no such name", "server failure", "no address"])
async def test_a_name_without_an_address_is_said_so(answer):
    transport = HttpTransport(resolver=FakeResolver({"files.test": answer}))
    with pytest.raises(NetworkFailed) as caught:
        await fetch(transport, "http://files.test/a")
    assert caught.value.web_error_status is WebErrorStatus.HOST_NAME_NOT_RESOLVED
    await transport.aclose()


async def test_a_name_that_is_never_answered_is_a_timeout():
    transport = HttpTransport(resolver=FakeResolver({"files.test": SILENCE}))
    with pytest.raises(TransferTimeout):
        await fetch(transport, "http://files.test/a", connect_timeout=0.2)
    await transport.aclose()


@pytest.mark.parametrize("records", [Records("::1", "127.0.0.1"), many(20)], ids=["dead IPv6", "many addresses"])
async def test_a_dead_address_does_not_hide_a_living_one(fault_server: StartFaultServer, records):
    server = fault_server({"/a": FILE})
    transport = HttpTransport(resolver=FakeResolver({"files.test": records}))
    assert (await fetch(transport, server.url("/a", host="files.test"))).body == FILE.read()
    await transport.aclose()


@pytest.mark.parametrize(
    ("kind", "status"),
    [
        ("expired", WebErrorStatus.CERTIFICATE_EXPIRED),
        ("wrong host", WebErrorStatus.CERTIFICATE_COMMON_NAME_IS_INCORRECT),
        ("self-signed", WebErrorStatus.CERTIFICATE_IS_INVALID),
        ("unknown authority", WebErrorStatus.CERTIFICATE_IS_INVALID),
        ("not yet valid", WebErrorStatus.CERTIFICATE_IS_INVALID),
    ],
)
async def test_a_certificate_that_proves_nothing_is_rejected(
    http, fault_server: StartFaultServer, authority: Authority, kind, status
):
    server = fault_server({"/a": FILE}, tls=authority.server(kind))
    with pytest.raises(CertificateRejected) as caught:
        await fetch(http, server.url("/a"), ssl_context=authority.client())
    assert caught.value.web_error_status is status
    assert "clock" in caught.value.hint


async def test_the_systems_trust_is_the_default(http, fault_server: StartFaultServer, authority: Authority):
    server = fault_server({"/a": FILE}, tls=authority.server())
    with pytest.raises(CertificateRejected):
        await fetch(http, server.url("/a"))


async def test_a_port_that_speaks_plain_http_is_no_tls(http, fault_server: StartFaultServer, authority: Authority):
    server = fault_server({"/a": FILE}, greetings={1: said("HTTP/1.1 400 Bad Request", closes=True)})
    with pytest.raises(ProtocolViolation, match="plain http"):
        await fetch(http, server.url("/a").replace("http:", "https:"), ssl_context=authority.client())


async def test_a_tls_port_asked_in_plain_http_is_named(http, fault_server: StartFaultServer, authority: Authority):
    server = fault_server({"/a": FILE}, tls=authority.server())
    with pytest.raises((ProtocolViolation, NetworkFailed)):
        await fetch(http, server.url("/a").replace("https:", "http:"))


async def test_connections_are_not_shared_between_trusts(http, fault_server: StartFaultServer, authority: Authority):
    server = fault_server({"/a": FILE}, tls=authority.server())
    await fetch(http, server.url("/a"), ssl_context=authority.client())
    with pytest.raises(CertificateRejected):
        await fetch(http, server.url("/a"))


@pytest.mark.parametrize(
    ("error", "kind", "status"),
    [
        (aiohttp.ServerDisconnectedError(), NetworkFailed, WebErrorStatus.DISCONNECTED),
        (aiohttp.ClientOSError(errno.ECONNRESET, "reset"), NetworkFailed, WebErrorStatus.CONNECTION_RESET),
        (aiohttp.ClientOSError(errno.EPIPE, "pipe"), NetworkFailed, WebErrorStatus.CONNECTION_RESET),
        (OSError(errno.ENETUNREACH, "unreachable"), NetworkFailed, WebErrorStatus.SERVER_UNREACHABLE),
        (OSError(errno.EMFILE, "too many"), NetworkFailed, WebErrorStatus.CONNECTION_ABORTED),
        (socket.gaierror(socket.EAI_AGAIN, "again"), NetworkFailed, WebErrorStatus.HOST_NAME_NOT_RESOLVED),
        (TimeoutError(), TransferTimeout, WebErrorStatus.TIMEOUT),
        (ssl.SSLEOFError(8, "eof"), NetworkFailed, WebErrorStatus.CONNECTION_ABORTED),
        (ssl.SSLError(1, "[SSL] alert"), ProtocolViolation, WebErrorStatus.ERROR_HTTP_INVALID_SERVER_RESPONSE),
        (aiohttp.InvalidURL("http://hunter2"), ProtocolViolation, WebErrorStatus.ERROR_HTTP_INVALID_SERVER_RESPONSE),
        (aiohttp.ClientError("hunter2"), NetworkFailed, WebErrorStatus.CONNECTION_ABORTED),
    ],
)
def test_every_error_of_the_wire_has_a_name_here(error: BaseException, kind: type[TransferFailed], status):
    failed = failure_of(error, ORIGIN)
    assert type(failed) is kind
    assert failed.web_error_status is status
    assert "hunter2" not in f"{failed}{failed.__cause__!r}"


def test_too_many_open_files_are_hinted_at():
    assert "descriptors" in failure_of(OSError(errno.EMFILE, "too many"), ORIGIN).hint


def test_a_reset_in_the_body_is_told_from_an_end():
    assert cut_short(ORIGIN, ConnectionResetError()).web_error_status is WebErrorStatus.CONNECTION_RESET
    assert cut_short(ORIGIN, None).web_error_status is WebErrorStatus.CONNECTION_ABORTED


async def test_the_end_of_a_connection_that_was_given_up_is_nobodys_error(
    http, fault_server: StartFaultServer, authority: Authority
):
    """The library closes a connection with a broken head twice, and then the server's own end comes."""
    told: list[dict[str, object]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: told.append(context))
    broken = said("HTTP/1.1 200 OK\nContent-Length: 5\nno field")
    server = fault_server({"/a": broken, "/b": FILE}, tls=authority.server())
    with pytest.raises(ProtocolViolation):
        await fetch(http, server.url("/a"), ssl_context=authority.client())
    await server.until(lambda: server.connections_open == 0)
    await fetch(http, server.url("/b"), ssl_context=authority.client())
    assert not told

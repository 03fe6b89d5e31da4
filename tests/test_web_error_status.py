"""What the web refused, by Windows' numbers: every row of the table, and what maps to it."""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextlib
import csv
import errno
import socket
import ssl
from http import HTTPStatus
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

import aiohttp
import pytest
from aiohttp.http_exceptions import BadStatusLine
from hypothesis import given
from hypothesis import strategies as st
from multidict import CIMultiDict, CIMultiDictProxy
from yarl import URL

from bgdl_jupyter.errors import BackgroundTransferError, HttpStatusError, TransferFailed
from bgdl_jupyter.web_error_status import HRESULTS, WebErrorStatus
from tests.servers.authority import Authority

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from aiohttp.client_reqrep import ConnectionKey

with (Path(__file__).parent / "data" / "web_error_status.csv").open(newline="", encoding="utf-8") as table:
    ROWS = list(csv.DictReader(table))

get_status = BackgroundTransferError.get_status
EVERY_ROW = pytest.mark.parametrize("row", ROWS, ids=[row["name"] for row in ROWS])


def hresults(row):
    return tuple(int(text, 16) for text in row["hresult"].split("|") if text)


def test_the_enumeration_has_the_values_of_windows_and_no_other():
    assert {status.name: int(status) for status in WebErrorStatus} == {row["name"]: int(row["value"]) for row in ROWS}
    assert len(ROWS) == 55


@EVERY_ROW
def test_each_status_reports_the_hresult_of_windows(row):
    status = WebErrorStatus[row["name"]]
    assert HRESULTS.get(status, ()) == hresults(row)
    first = hresults(row)[0] if hresults(row) else None
    assert TransferFailed("No.", web_error_status=status).hresult == first


@EVERY_ROW
def test_each_hresult_is_recognised_signed_and_unsigned(row):
    for hresult in hresults(row):
        assert get_status(hresult) is WebErrorStatus[row["name"]]
        assert get_status(hresult - (1 << 32)) is WebErrorStatus[row["name"]]


@pytest.mark.parametrize("number", range(300, 600))
def test_each_http_status_has_a_meaning(number):
    known = {int(row["value"]): row["name"] for row in ROWS if int(row["value"]) >= 300}
    unexpected = {3: "UNEXPECTED_REDIRECTION", 4: "UNEXPECTED_CLIENT_ERROR", 5: "UNEXPECTED_SERVER_ERROR"}
    assert get_status(number).name == known.get(number, unexpected[number // 100])


@pytest.mark.parametrize("number", [0, 1, 7, 22, 100, 200, 204, 206, 299, 600, 999, 2**31 - 1])
def test_other_numbers_mean_nothing(number):
    """Not even the values of the enumeration itself: they are neither HTTP statuses nor HRESULTs."""
    assert get_status(number) is WebErrorStatus.UNKNOWN


@given(st.integers())
def test_any_number_has_an_answer(number):
    assert isinstance(get_status(number), WebErrorStatus)


@pytest.mark.parametrize("number", [(1 << 32) + 0x80072EE2, 0x80072EE2 - (1 << 33)])
def test_a_number_of_more_than_32_bits_is_no_hresult(number):
    assert get_status(number) is WebErrorStatus.UNKNOWN


@pytest.mark.parametrize("hresult", [0x80004005, 0x80190000, 0x801900C8, 0xFFFFFFFF, -1, -(2**31)])
def test_an_hresult_of_something_else_means_nothing(hresult):
    assert get_status(hresult) is WebErrorStatus.UNKNOWN


def verification_error(code):
    error = ssl.SSLCertVerificationError(1, "certificate verify failed")
    error.verify_code = code
    return error


@pytest.mark.parametrize(
    ("error", "name"),
    [
        (socket.gaierror(socket.EAI_NONAME, "unknown"), "HOST_NAME_NOT_RESOLVED"),
        (TimeoutError(), "TIMEOUT"),
        (ConnectionRefusedError(errno.ECONNREFUSED, "refused"), "CANNOT_CONNECT"),
        (ConnectionResetError(errno.ECONNRESET, "reset"), "CONNECTION_RESET"),
        (BrokenPipeError(errno.EPIPE, "pipe"), "CONNECTION_RESET"),
        (ConnectionAbortedError(errno.ECONNABORTED, "aborted"), "CONNECTION_ABORTED"),
        (OSError(errno.EHOSTUNREACH, "no route"), "SERVER_UNREACHABLE"),
        (OSError(errno.ENETUNREACH, "no network"), "SERVER_UNREACHABLE"),
        (OSError(errno.ETIMEDOUT, "timed out"), "TIMEOUT"),
        (asyncio.IncompleteReadError(b"half", 8), "CONNECTION_ABORTED"),
        (asyncio.CancelledError(), "OPERATION_CANCELED"),
        (concurrent.futures.CancelledError(), "OPERATION_CANCELED"),
        (ssl.SSLError(1, "handshake failure"), "CERTIFICATE_CONTAINS_ERRORS"),
        (verification_error(62), "CERTIFICATE_COMMON_NAME_IS_INCORRECT"),
        (verification_error(64), "CERTIFICATE_COMMON_NAME_IS_INCORRECT"),
        (verification_error(10), "CERTIFICATE_EXPIRED"),
        (verification_error(23), "CERTIFICATE_REVOKED"),
        *((verification_error(code), "CERTIFICATE_IS_INVALID") for code in (9, 18, 19, 20, 26, 27)),
        (verification_error(1), "CERTIFICATE_CONTAINS_ERRORS"),
        (HttpStatusError("No.", web_error_status=WebErrorStatus.GONE), "GONE"),
        (OSError(errno.ENOSPC, "full"), "UNKNOWN"),
        (ValueError("300"), "UNKNOWN"),
        (Exception(), "UNKNOWN"),
    ],
    ids=repr,
)
def test_an_exception_is_what_it_says(error, name):
    assert get_status(error).name == name


def test_the_cause_speaks_where_the_exception_does_not():
    error = RuntimeError("It failed.")
    error.__cause__ = ConnectionRefusedError(errno.ECONNREFUSED, "refused")
    assert get_status(error) is WebErrorStatus.CANNOT_CONNECT


def test_exceptions_that_cause_each_other_mean_nothing():
    first, second = RuntimeError("first"), RuntimeError("second")
    first.__cause__, second.__cause__ = second, first
    assert get_status(first) is WebErrorStatus.UNKNOWN


REQUEST_INFO = aiohttp.RequestInfo(URL("http://a.example/"), "GET", CIMultiDictProxy(CIMultiDict()), URL())


def response_error(kind, *, status):
    return kind(REQUEST_INFO, (), status=status)


def connector_error(kind, cause):
    key = cast("ConnectionKey", SimpleNamespace(host="a.example", port=80, ssl=True, is_ssl=False))
    return kind(key, cause)


@pytest.mark.parametrize(
    ("error", "name"),
    [
        (aiohttp.ServerDisconnectedError(), "DISCONNECTED"),
        (aiohttp.ConnectionTimeoutError(), "TIMEOUT"),
        (aiohttp.SocketTimeoutError(), "TIMEOUT"),
        (aiohttp.ServerTimeoutError(), "TIMEOUT"),
        (aiohttp.ClientPayloadError("half"), "CONNECTION_ABORTED"),
        (aiohttp.ClientOSError(errno.ECONNRESET, "reset"), "CONNECTION_RESET"),
        (aiohttp.ClientOSError(errno.EHOSTUNREACH, "no route"), "SERVER_UNREACHABLE"),
        (aiohttp.ClientConnectionResetError("closing"), "CONNECTION_RESET"),
        (aiohttp.ClientConnectionError("gone"), "DISCONNECTED"),
        (
            connector_error(aiohttp.ClientConnectorError, ConnectionRefusedError(errno.ECONNREFUSED, "refused")),
            "CANNOT_CONNECT",
        ),
        (
            connector_error(aiohttp.ClientProxyConnectionError, OSError(errno.ECONNREFUSED, "refused")),
            "CANNOT_CONNECT",
        ),
        (
            connector_error(aiohttp.ClientConnectorError, OSError(errno.ENETUNREACH, "no network")),
            "SERVER_UNREACHABLE",
        ),
        (
            connector_error(aiohttp.ClientConnectorDNSError, OSError(None, "no name")),
            "HOST_NAME_NOT_RESOLVED",
        ),
        (
            connector_error(aiohttp.ClientConnectorCertificateError, verification_error(10)),
            "CERTIFICATE_EXPIRED",
        ),
        (
            connector_error(aiohttp.ClientConnectorSSLError, ssl.SSLError(1, "handshake failure")),
            "CERTIFICATE_CONTAINS_ERRORS",
        ),
        (response_error(aiohttp.TooManyRedirects, status=302), "REDIRECT_FAILED"),
        (response_error(aiohttp.ClientResponseError, status=404), "NOT_FOUND"),
        (response_error(aiohttp.ClientResponseError, status=429), "UNEXPECTED_CLIENT_ERROR"),
        (response_error(aiohttp.ClientHttpProxyError, status=407), "PROXY_AUTHENTICATION_REQUIRED"),
        (aiohttp.NonHttpUrlRedirectClientError("file:///x"), "REDIRECT_FAILED"),
        (aiohttp.InvalidUrlRedirectClientError("http://["), "REDIRECT_FAILED"),
        (BadStatusLine("SSH-2.0"), "ERROR_HTTP_INVALID_SERVER_RESPONSE"),
    ],
    ids=lambda value: value if isinstance(value, str) else type(value).__name__,
)
def test_an_exception_of_aiohttp_is_what_it_says(error, name):
    assert get_status(error).name == name


def test_the_reset_behind_a_broken_body_is_named():
    error = aiohttp.ClientPayloadError("half")
    error.__cause__ = ConnectionResetError(errno.ECONNRESET, "reset")
    assert get_status(error) is WebErrorStatus.CONNECTION_RESET


@contextlib.asynccontextmanager
async def serving(answer: bytes, *, context: ssl.SSLContext | None = None, resets: bool = False) -> AsyncIterator[int]:
    """Answer every request with the same bytes, and end the connection; give the port."""

    async def answer_one(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            await reader.readuntil(b"\r\n\r\n")
            writer.write(answer)
            await writer.drain()
            if resets:
                peer = writer.get_extra_info("socket")
                peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
                writer.transport.abort()
        writer.close()

    server = await asyncio.start_server(answer_one, "127.0.0.1", 0, ssl=context)
    async with server:
        yield server.sockets[0].getsockname()[1]


async def status_of(get: Callable[[aiohttp.ClientSession], Awaitable[Any]]) -> WebErrorStatus:
    """Ask through a real session, and return what its exception means."""
    async with aiohttp.ClientSession() as session:
        with pytest.raises((aiohttp.ClientError, TimeoutError)) as caught:
            await get(session)
    return get_status(caught.value)


async def read(session, url, **options):
    async with session.get(url, **options) as response:
        response.raise_for_status()
        return await response.read()


HALF = b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf"


@pytest.mark.parametrize(
    ("answer", "resets", "name"),
    [
        (HALF, False, "CONNECTION_ABORTED"),
        (HALF, True, "CONNECTION_ABORTED"),  # aiohttp names the reset in its text alone
        (b"", True, "CONNECTION_RESET"),
        (b"", False, "DISCONNECTED"),
        (b"SSH-2.0-OpenSSH_9.2\r\n", False, "ERROR_HTTP_INVALID_SERVER_RESPONSE"),
        (b"HTTP/1.1 410 Gone\r\nContent-Length: 0\r\n\r\n", False, "GONE"),
    ],
)
async def test_what_happens_on_a_real_connection_is_named(answer, resets, name):
    async with serving(answer, resets=resets) as port:
        assert (await status_of(lambda session: read(session, f"http://127.0.0.1:{port}/"))).name == name


async def test_nobody_at_a_real_port_is_named():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # bound, and not listening
        url = f"http://127.0.0.1:{taken.getsockname()[1]}/"
        assert await status_of(lambda session: read(session, url)) is WebErrorStatus.CANNOT_CONNECT


@pytest.mark.parametrize(
    ("kind", "name"),
    [
        ("expired", "CERTIFICATE_EXPIRED"),
        ("wrong host", "CERTIFICATE_COMMON_NAME_IS_INCORRECT"),
        ("not yet valid", "CERTIFICATE_IS_INVALID"),
        ("self-signed", "CERTIFICATE_IS_INVALID"),
        ("unknown authority", "CERTIFICATE_IS_INVALID"),
    ],
)
async def test_a_real_certificate_that_is_wrong_is_named(kind, name):
    authority = Authority()
    async with serving(HALF, context=authority.server(kind)) as port:
        url = f"https://127.0.0.1:{port}/"
        status = await status_of(lambda session: read(session, url, ssl=authority.client()))
    assert status.name == name


def test_http_statuses_of_the_standard_library_are_numbers_too():
    assert get_status(HTTPStatus.NOT_FOUND) is WebErrorStatus.NOT_FOUND

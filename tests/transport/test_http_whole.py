"""Answers that come whole at once, and requests that no session sends: as any other to whoever asks."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from bgdl_jupyter.errors import InvalidRequest, NetworkFailed
from bgdl_jupyter.secret import Secret
from bgdl_jupyter.transport.base import Framing
from bgdl_jupyter.transport.http_parsing import HeadParser
from tests.servers.faults import cut_after
from tests.servers.files import FileSpec
from tests.servers.steps import Close, raw
from tests.transport.ftp_sinks import Collector
from tests.transport.http_client import fetch, request_for, said

if TYPE_CHECKING:
    from tests.servers.fixtures import StartFaultServer

FILE = FileSpec(size=10_000)


async def test_a_whole_answer_gives_its_connection_back_before_it_is_taken(ask, http, serve):
    server = serve({"/a": FILE, "/b": FILE})
    request = request_for(server.url("/a"), ssl_context=ask.keywords["ssl_context"])
    async with http.open(request) as exchange:
        assert (await ask(server.url("/b"))).body == FILE.read()
        sink = Collector()
        assert await exchange.receive(sink) is Framing.LENGTH
    assert bytes(sink.body) == FILE.read()
    assert server.connections_total == 1


async def test_a_body_that_comes_behind_its_head_is_whole_too(http, fault_server: StartFaultServer):
    head = b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n"
    server = fault_server({"/a": (raw(head), raw(b"01234"), raw(b"56789"))})
    for _ in range(2):
        assert (await fetch(http, server.url("/a"))).body == b"0123456789"
    assert server.connections_total == 1


@pytest.mark.parametrize("name", ["/a", "/closed", "/chunks", "/coded", "/short"])
async def test_what_a_used_connection_brings_is_read_as_on_a_fresh_one(http, fault_server: StartFaultServer, name):
    chunks = b"5\r\nhello\r\n0\r\n\r\n"
    server = fault_server({
        "/first": FILE,
        "/a": said("HTTP/1.1 200 OK\nContent-Length: 5", b"hello"),
        "/closed": said("HTTP/1.1 200 OK", b"hello", closes=True),
        "/chunks": said("HTTP/1.1 200 OK\nTransfer-Encoding: chunked", chunks),
        "/coded": said("HTTP/1.1 200 OK\nContent-Length: 5\nContent-Encoding: identity", b"hello"),
        "/short": said("HTTP/1.1 206 Partial Content\nContent-Length: 5\nContent-Range: bytes 0-4/9", b"hello"),
    })  # fmt: skip
    await fetch(http, server.url("/first"))
    assert (await fetch(http, server.url(name))).body == b"hello"
    assert server.connections_total == 1


async def test_a_body_that_is_cut_on_a_used_connection_is_never_whole(http, fault_server: StartFaultServer):
    server = fault_server({"/a": FILE, "/b": FileSpec(size=10_000, faults=(cut_after(5000),))})
    await fetch(http, server.url("/a"))
    with pytest.raises(NetworkFailed):
        await fetch(http, server.url("/b"))


async def test_a_connection_that_ends_behind_a_whole_answer_is_not_used_again(http, fault_server: StartFaultServer):
    head = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n"
    server = fault_server({"/a": (raw(head + b"hello"), Close()), "/b": FILE})
    assert (await fetch(http, server.url("/a"))).body == b"hello"
    await server.until(lambda: server.connections_open == 0)
    assert (await fetch(http, server.url("/b"))).body == FILE.read()
    assert len(server.requests("/b")) == 1


async def test_a_request_is_the_same_with_a_session_and_without(http, fault_server: StartFaultServer):
    """Only a session sends a HEAD."""
    server = fault_server({"/a": FILE})
    headers = (("X-Token", Secret("abc")), ("X-Twice", "1"), ("X-Twice", "2"), ("Accept", "text/csv"))
    await fetch(http, server.url("/a"), headers=headers, start=5)
    async with http.open(request_for(server.url("/a"), method="HEAD", headers=headers, start=5)):
        pass
    direct, by_session = server.requests("/a")
    assert sorted(direct.headers) == sorted(by_session.headers)
    assert direct.header_values("X-Twice") == ["1", "2"]


async def test_header_fields_go_to_the_requests_they_were_given_for(http, fault_server: StartFaultServer):
    server = fault_server({"/a": FILE})
    for value in ("1", "2", None):
        await fetch(http, server.url("/a"), headers=(("X-A", value),) if value else ())
    assert [each.header("X-A") for each in server.requests("/a")] == ["1", "2", None]


@pytest.mark.parametrize("value", ["a\r\nX-Evil: 1", "a\nb", "a\0b"])
async def test_a_header_field_that_would_become_two_is_not_sent(http, fault_server: StartFaultServer, value):
    server = fault_server({"/a": FILE})
    with pytest.raises(InvalidRequest):
        await fetch(http, server.url("/a"), headers=(("X-A", value),))
    assert not server.requests()


PLAIN = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n{}\r\n"


@pytest.mark.parametrize(
    "head",
    [
        PLAIN.format("Transfer-Encoding: identity\r\n"),
        PLAIN.format("Content-Encoding: gzip\r\n"),
        PLAIN.format("Content-Length: 6\r\n"),
        PLAIN.format("no field\r\n"),
        "HTTP/1.1 200 OK\r\nContent-Length: 05\r\n\r\n",
        "HTTP/1.1 200 OK\r\n\r\n",
        "HTTP/1.1 404 Not Found\r\nContent-Length: 5\r\n\r\n",
        "HTTP/1.1 302 Found\r\nContent-Length: 5\r\nLocation: /b\r\n\r\n",
        "HTTP/1.0 200 OK\r\nContent-Length: 5\r\n\r\n",
    ],
)
async def test_what_is_not_plain_is_left_to_who_reads_with_care(head):
    assert read(head) is None


async def test_a_plain_head_is_read_and_whether_it_is_the_last():
    answer = read(PLAIN.format("ETag: x\r\n"))
    assert (answer.status, answer.headers["etag"], bytes(answer.body), answer.is_last) == (200, "x", b"hello", False)
    assert read(PLAIN.format("Connection: close\r\n")).is_last


def read(head: str) -> Any:
    """Return what a connection's parser makes of a head before a body of five bytes."""
    data = head.encode()
    nobody: Any = SimpleNamespace()
    parser = HeadParser(nobody, asyncio.get_running_loop())
    return parser.read(data + b"hello", len(data))

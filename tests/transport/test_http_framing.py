"""Where a body ends, and what a connection is good for afterwards: H1-H6, H17, H48, H53, N9."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from bgdl_jupyter.errors import NetworkFailed, ProtocolViolation, TransferFailed
from bgdl_jupyter.transport.base import Framing
from bgdl_jupyter.web_error_status import WebErrorStatus
from tests.servers.coding_faults import gzipped
from tests.servers.faults import (
    chunked,
    close_after,
    cut_after,
    declare_length,
    hold_after,
    no_length,
    reset_after,
    surplus,
    trickle,
)
from tests.servers.files import FileSpec
from tests.servers.steps import raw
from tests.transport.ftp_sinks import Collector
from tests.transport.http_client import fetch, request_for, said

if TYPE_CHECKING:
    from tests.servers.fixtures import StartFaultServer

SMALL, LARGE = 10_000, 3_000_000
SIZES = pytest.mark.parametrize("size", [SMALL, LARGE], ids=["small", "large"])


@SIZES
@pytest.mark.parametrize(
    "fault", [None, chunked(), chunked(7777), no_length()], ids=["length", "chunked", "chunks", "closed"]
)
async def test_a_whole_body_arrives_by_each_framing(ask, serve, size, fault):
    spec = FileSpec(size=size, faults=(fault,) if fault else ())
    server = serve({"/a": spec})
    fetched = await ask(server.url("/a"))
    assert fetched.body == spec.read()
    names = {None: Framing.LENGTH, "no_length()": Framing.CLOSED}
    assert fetched.framing is names.get(fault.name if fault else None, Framing.CHUNKED)


async def test_what_is_not_wanted_any_more_waits_at_the_server(ask, serve):
    """Between the end of a delivery and that of its connection nothing is read only to be thrown away."""
    server = serve({"/a": FileSpec(size=20 * LARGE)})
    transport, options = ask.args[0], ask.keywords
    sink = Collector()
    async with transport.open(request_for(server.url("/a"), **options)) as exchange:
        receiving = asyncio.ensure_future(exchange.receive(sink))
        await sink.until(LARGE)
        receiving.cancel()
        await asyncio.wait([receiving])
        await asyncio.sleep(0.1)
        before = server.body_bytes_sent("/a")
        await asyncio.sleep(0.5)
        assert server.body_bytes_sent("/a") == before
    assert before < 20 * LARGE


@SIZES
@pytest.mark.parametrize("coding", [None, chunked(), no_length()], ids=["length", "chunked", "closed"])
@pytest.mark.parametrize("end", [cut_after, reset_after])
async def test_a_body_that_is_cut_is_never_whole(ask, serve, size, coding, end):
    """FIN within a known length, RST anywhere, and under TLS an end without close_notify (H1, H3, H5, H6)."""
    if (
        coding is not None
        and coding.name.startswith("no_length")
        and serve.keywords["tls"] is None
        and end is cut_after
    ):
        pytest.skip("a FIN is how such a body ends")
    faults = (coding, end(size // 2)) if coding else (end(size // 2),)
    server = serve({"/a": FileSpec(size=size, faults=faults)})
    sink = Collector()
    with pytest.raises(NetworkFailed) as caught:
        await ask(server.url("/a"), sink=sink)
    assert caught.value.web_error_status in {WebErrorStatus.CONNECTION_ABORTED, WebErrorStatus.CONNECTION_RESET}
    assert bytes(sink.body) == FileSpec(size=size).read(0, len(sink.body))


@SIZES
async def test_a_body_without_a_length_ends_with_the_connection_in_order(ask, serve, size):
    """H4: nothing says that more was to come; the framing tells so."""
    server = serve({"/a": FileSpec(size=size, faults=(no_length(), close_after(size // 2)))})
    fetched = await ask(server.url("/a"))
    assert fetched.framing is Framing.CLOSED
    assert len(fetched.body) == size // 2


async def test_a_reset_says_that_it_was_one(http, fault_server: StartFaultServer):
    server = fault_server({"/a": FileSpec(size=LARGE, faults=(reset_after(LARGE // 2),))})
    with pytest.raises(NetworkFailed) as caught:
        await fetch(http, server.url("/a"))
    assert caught.value.web_error_status is WebErrorStatus.CONNECTION_RESET


@SIZES
@pytest.mark.parametrize("after", [0.0, 0.3], ids=["at once", "later"])
@pytest.mark.parametrize(
    "evil", [b"rubbish", b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil", b"HTTP/1.1 200 OK\r\nCont"]
)
async def test_surplus_is_not_delivered_and_never_becomes_the_next_answer(ask, serve, size, after, evil):
    """H2, H48: the body ends where its length says, and its connection is not used again."""
    spec = FileSpec(size=size)
    server = serve({"/a": FileSpec(size=size, faults=(surplus(evil, after=after),)), "/b": spec})
    assert (await ask(server.url("/a"))).body == spec.read()
    await server.until(lambda: server.exchanges_for("/a")[0].is_finished)
    assert (await ask(server.url("/b"))).body == spec.read()
    assert server.requests("/a")[0].connection != server.requests("/b")[-1].connection


async def test_a_length_that_is_too_short_is_believed(http, fault_server: StartFaultServer):
    server = fault_server({"/a": FileSpec(size=SMALL, faults=(declare_length(100),))})
    assert (await fetch(http, server.url("/a"))).body == FileSpec(size=SMALL).read(0, 100)


@pytest.mark.parametrize("size", [0, SMALL, LARGE])
@pytest.mark.parametrize("fault", [None, chunked()], ids=["length", "chunked"])
async def test_a_clean_connection_serves_the_next_request(ask, serve, size, fault):
    server = serve({"/a": FileSpec(size=size, faults=(fault,) if fault else ())})
    for _ in range(3):
        assert (await ask(server.url("/a"))).body == FileSpec(size=size).read()
    assert server.connections_total == 1


async def test_a_server_that_closes_is_heard(http, fault_server: StartFaultServer):
    head = "HTTP/1.1 200 OK\nContent-Length: 5\nConnection: close"
    server = fault_server({"/a": said(head, b"hello")})
    for _ in range(2):
        assert (await fetch(http, server.url("/a"))).body == b"hello"
    assert server.connections_total == 2


@SIZES
@pytest.mark.parametrize("limit", [1, 5000, 9_999])
async def test_a_limit_stops_there_and_closes(http, fault_server: StartFaultServer, size, limit):
    server = fault_server({"/a": FileSpec(size=size)})
    fetched = await fetch(http, server.url("/a"), limit=limit)
    assert fetched.body == FileSpec(size=size).read(0, limit)
    await server.until(lambda: server.connections_open == 0 or size == SMALL)


async def test_a_body_that_nobody_read_takes_its_connection_along(http, fault_server: StartFaultServer):
    server = fault_server({"/a": FileSpec(size=LARGE)})
    async with http.open(request_for(server.url("/a"))) as exchange:
        assert exchange.answer.resource.length == LARGE
    await server.until(lambda: server.connections_open == 0)


async def test_what_came_before_a_reset_is_delivered_though_nobody_read_it_then(http, fault_server, authority):
    """N15: TLS keeps what it has decrypted for nobody, and asyncio drops that with the connection."""
    server = fault_server({"/a": FileSpec(size=LARGE, faults=(reset_after(200_000),))}, tls=authority.server())
    sink = Collector()
    async with http.open(request_for(server.url("/a"), ssl_context=authority.client())) as exchange:
        await server.until(lambda: server.connections_open == 0)
        with pytest.raises(NetworkFailed):
            await exchange.receive(sink)
    assert bytes(sink.body) == FileSpec(size=LARGE).read(0, 200_000)


@pytest.mark.parametrize("piece", [1, 3, 1000])
async def test_the_cuts_between_packets_do_not_matter(http, fault_server: StartFaultServer, piece):
    """N9: head, chunk sizes and body may arrive byte by byte."""
    spec = FileSpec(size=3000, faults=(chunked(100), trickle(piece=piece, pause=0)))
    server = fault_server({"/a": spec})
    assert (await fetch(http, server.url("/a"))).body == spec.read()


@pytest.mark.parametrize(
    "head",
    [
        "HTTP/1.1 200 OK\nContent-Length: 5\nContent-Length: 6",
        "HTTP/1.1 200 OK\nContent-Length: five",
        "HTTP/1.1 200 OK\nContent-Length: -5",
        "HTTP/1.1 200 OK\nTransfer-Encoding: gzip, chunked",
    ],
)
async def test_lengths_that_contradict_themselves_break_the_protocol(http, fault_server: StartFaultServer, head):
    server = fault_server({"/a": said(head, b"hello", closes=True)})
    with pytest.raises(ProtocolViolation):
        await fetch(http, server.url("/a"))


@pytest.mark.parametrize(
    "body", [b"5\r\nhel", b"zz\r\nhello\r\n0\r\n\r\n", b"5\r\nhello\r\n0\r\n", b"5\r\nhelloXX0\r\n\r\n"]
)
async def test_chunks_that_are_none_are_an_error(http, fault_server: StartFaultServer, body):
    head = "HTTP/1.1 200 OK\nTransfer-Encoding: chunked"
    server = fault_server({"/a": said(head, body, closes=True)})
    with pytest.raises(TransferFailed):
        await fetch(http, server.url("/a"))


async def test_trailers_without_end_do_not_fill_the_memory(http, fault_server: StartFaultServer):
    head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n"
    trailers = b"".join(b"X-%d: %b\r\n" % (number, b"a" * 1000) for number in range(4000))
    server = fault_server({"/a": (raw(head + trailers),)})
    with pytest.raises(TransferFailed):
        await fetch(http, server.url("/a"))


async def test_a_sink_that_lags_holds_the_server_back(ask, serve):
    server = serve({"/a": FileSpec(size=LARGE)})
    sink = Collector(lags=True)
    fetched = await ask(server.url("/a"), sink=sink)
    assert fetched.body == FileSpec(size=LARGE).read()
    assert sink.most_unfinished == 1


@SIZES
async def test_what_the_sink_refuses_with_is_raised_as_it_is(http, fault_server: StartFaultServer, size):
    server = fault_server({"/a": FileSpec(size=size)})
    with pytest.raises(RuntimeError, match="no room"):
        await fetch(http, server.url("/a"), sink=Collector(refusal=RuntimeError("no room")))


@pytest.mark.parametrize("fault", [None, chunked(), no_length()], ids=["length", "chunked", "closed"])
async def test_cancelling_closes_the_connection(ask, serve, fault):
    faults = (*((fault,) if fault else ()), hold_after(LARGE // 2, until="never"))
    server = serve({"/a": FileSpec(size=LARGE, faults=faults)})
    sink = Collector()
    task = asyncio.ensure_future(ask(server.url("/a"), sink=sink))
    await sink.until(100_000)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await server.until(lambda: server.connections_open == 0)


async def test_a_coded_body_is_decoded(http, fault_server: StartFaultServer):
    spec = FileSpec(size=LARGE, faults=(gzipped(),))
    server = fault_server({"/a": spec})
    fetched = await fetch(http, server.url("/a"))
    assert fetched.body == spec.read()
    assert fetched.answer.is_encoded


@pytest.mark.parametrize("damage", ["cut", "rubbish behind", "wrong checksum", "not gzip"])
async def test_a_broken_coding_is_never_whole(http, fault_server: StartFaultServer, damage):
    server = fault_server({"/a": FileSpec(size=LARGE, faults=(gzipped(damage),))})
    with pytest.raises(TransferFailed):
        await fetch(http, server.url("/a"))


async def test_a_length_beyond_32_bits_is_counted_right(http, fault_server: StartFaultServer):
    size = 5 << 30
    server = fault_server({"/a": FileSpec(size=size)})
    fetched = await fetch(http, server.url("/a"), start=size - 1_000_000)
    assert fetched.answer.resource.length == size
    assert fetched.body == FileSpec(size=size).read(size - 1_000_000)


async def test_a_large_body_that_nobody_takes_yet_waits_at_the_server(http, fault_server: StartFaultServer):
    """A thousand answers whose files are still being made must not hold megabytes each."""
    spec = FileSpec(size=16_000_000)
    server = fault_server({"/a": spec})
    sink = Collector()
    async with http.open(request_for(server.url("/a"))) as exchange:
        for _ in range(200):  # all that the loop would read meanwhile
            await asyncio.sleep(0)
        ahead = exchange._response.content.total_bytes  # what lies in memory
        assert ahead <= 64 * 1024
        await exchange.receive(sink)
    assert bytes(sink.body) == spec.read()

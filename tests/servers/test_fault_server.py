"""The ordinary file, the record, and the ends of connections: on the wire they are what the data says."""

from __future__ import annotations

import asyncio
import hashlib
import subprocess
import time
from typing import TYPE_CHECKING

import pytest

from tests.counterparts import require
from tests.servers.fault_server import FaultServer
from tests.servers.faults import (
    close_after,
    cut_after,
    has_range,
    hold_after,
    no_length,
    reset_after,
    stall_after,
    status,
    trickle,
)
from tests.servers.files import FileSpec, Limit, many_files
from tests.servers.raw_client import RawClient, fetch
from tests.servers.steps import Announce, Close, Cut, HalfClose, Pause, Stall, WaitFor, raw

if TYPE_CHECKING:
    from pathlib import Path

    from tests.servers.authority import Authority
    from tests.servers.fixtures import StartFaultServer

FILE = FileSpec(size=100_000, seed=7)


def test_a_whole_file_arrives_with_its_validators(fault_server: StartFaultServer):
    server = fault_server({"/a": FILE})
    answer = fetch(server.url("/a"))
    assert answer.status == 200
    assert hashlib.sha256(answer.body).hexdigest() == FILE.sha256
    assert answer.header("Content-Length") == "100000"
    assert answer.header("ETag") == '"v1"'
    assert answer.header("Last-Modified") == "Sat, 03 Feb 2024 04:05:06 GMT"


@pytest.mark.parametrize(
    ("asked", "code", "start", "stop"),
    [
        ("bytes=0-9", 206, 0, 10),
        ("bytes=99990-", 206, 99_990, 100_000),
        ("bytes=-10", 206, 99_990, 100_000),
        ("bytes=500-999999", 206, 500, 100_000),
        ("bytes=1-2,5-6", 200, 0, 100_000),
        ("octets=1-2", 200, 0, 100_000),
    ],
)
def test_ranges_are_served(fault_server: StartFaultServer, asked: str, code: int, start: int, stop: int):
    server = fault_server({"/a": FILE})
    answer = fetch(server.url("/a"), f"Range: {asked}")
    assert answer.status == code
    assert answer.body == FILE.read(start, stop)
    assert answer.header("Content-Range") == (f"bytes {start}-{stop - 1}/100000" if code == 206 else None)
    assert server.exchanges_for("/a")[0].ranges_sent == [(start, stop)]


def test_a_range_beyond_the_end_cannot_be_satisfied(fault_server: StartFaultServer):
    answer = fetch(fault_server({"/a": FILE}).url("/a"), "Range: bytes=100000-")
    assert (answer.status, answer.header("Content-Range"), answer.body) == (416, "bytes */100000", b"")


@pytest.mark.parametrize(
    ("treatment", "validator", "code"),
    [
        ("always", '"v1"', 206),
        ("always", '"v2"', 200),
        ("always", "Sat, 03 Feb 2024 04:05:06 GMT", 206),
        ("ignores it", '"v2"', 206),
        ("never matches", '"v1"', 200),
    ],
)
def test_if_range_is_treated_as_the_file_says(fault_server: StartFaultServer, treatment, validator: str, code: int):
    server = fault_server({"/a": FileSpec(size=100, honours_if_range=treatment)})
    assert fetch(server.url("/a"), "Range: bytes=5-", f"If-Range: {validator}").status == code


def test_a_weak_etag_never_matches_if_range(fault_server: StartFaultServer):
    server = fault_server({"/a": FileSpec(size=100, etag='W/"v1"')})
    assert fetch(server.url("/a"), "Range: bytes=5-", 'If-Range: W/"v1"').status == 200


def test_after_the_flip_it_is_another_version(fault_server: StartFaultServer):
    spec = FileSpec(size=100, flip_after=1)
    server = fault_server({"/a": spec})
    first, second = fetch(server.url("/a")), fetch(server.url("/a"), "Range: bytes=5-", 'If-Range: "v1"')
    assert first.body == spec.read()
    assert (second.status, second.body) == (200, spec.next_version().read())
    assert second.header("ETag") != first.header("ETag")


def test_head_has_no_body_and_an_unknown_path_is_not_found(fault_server: StartFaultServer):
    server = fault_server({"/a": FILE})
    head = fetch(server.url("/a"), method="HEAD")
    assert (head.status, head.header("Content-Length"), head.body) == (200, "100000", b"")
    assert fetch(server.url("/b")).status == 404


def test_digests_are_those_of_the_content(fault_server: StartFaultServer):
    spec = FileSpec(body=b"hello", digests=("Repr-Digest", "Content-MD5", "x-goog-hash"))
    answer = fetch(fault_server({"/a": spec}).url("/a"))
    assert answer.header("Repr-Digest") == "sha-256=:LPJNul+wow4m6DsqxbninhsWHlwfp0JecwQzYpOLmCQ=:"
    assert answer.header("Content-MD5") == "XUFAKrxLKna5cZ2REBfFkg=="
    assert answer.header("x-goog-hash") == "md5=XUFAKrxLKna5cZ2REBfFkg=="


def test_requests_are_recorded_raw_and_in_order(fault_server: StartFaultServer):
    server = fault_server({"/a": FILE})
    with RawClient(server.url("/a")) as client:
        client.send(b"POST /a?x=1&y= HTTP/1.1\r\nhOst: h\r\nX-A: 1\r\nx-a: 2\r\nContent-Length: 3\r\n\r\nabc")
        client.receive(until=100)
    request = server.requests("/a")[0]
    assert (request.method, request.target, request.body) == ("POST", "/a?x=1&y=", b"abc")
    assert request.headers == (("hOst", "h"), ("X-A", "1"), ("x-a", "2"), ("Content-Length", "3"))
    assert request.query == {"x": "1", "y": ""}


def test_a_chunked_body_and_expect_continue_are_understood(fault_server: StartFaultServer):
    server = fault_server({"/a": FILE})
    with RawClient(server.url("/a")) as client:
        client.send(b"PUT /a HTTP/1.1\r\nTransfer-Encoding: chunked\r\nExpect: 100-continue\r\n\r\n")
        assert client.receive(until=b"\r\n\r\n").status == 100
        client.send(b"3\r\nabc\r\n2;x=y\r\nde\r\n0\r\n\r\n")
        client.receive(until=100)
    assert server.requests("/a")[0].body == b"abcde"


def test_a_connection_is_kept_and_counted(fault_server: StartFaultServer):
    server = fault_server(many_files(3, size=10))
    with RawClient(server.url("/0")) as client:
        for name in ("/0", "/1", "/2"):
            client.get(path=name)
            assert len(client.answer().body) == 10
        assert (server.connections_open, server.connections_total) == (1, 1)
    server.wait_until(lambda: server.connections_open == 0)
    assert server.connections_peak == 1
    assert {request.connection for request in server.requests()} == {1}


def test_bytes_sent_twice_are_counted(fault_server: StartFaultServer):
    server = fault_server({"/a": FILE})
    for asked in ("0-99", "50-149", "200-299", "90-109"):
        fetch(server.url("/a"), f"Range: bytes={asked}")
    assert server.bytes_sent_twice("/a") == 50 + 20
    assert server.body_bytes_sent("/a") == 320


def test_a_cut_sends_what_it_says_and_fin(fault_server: StartFaultServer):
    server = fault_server({"/a": FileSpec(size=1000, faults=(cut_after(100, on=1), cut_after(-1, on=2)))})
    first, second, third = (fetch(server.url("/a")) for _ in range(3))
    assert (first.body, first.ending) == (FileSpec(size=1000).read(0, 100), "fin")
    assert (len(second.body), second.ending) == (999, "fin")
    assert (len(third.body), third.header("Content-Length")) == (1000, "1000")
    assert [each.body_bytes_sent for each in server.exchanges_for("/a")] == [100, 999, 1000]


def test_a_reset_arrives_behind_its_bytes(fault_server: StartFaultServer):
    answer = fetch(fault_server({"/a": FileSpec(size=500_000, faults=(reset_after(300_000),))}).url("/a"))
    assert (len(answer.body), answer.ending) == (300_000, "reset")


def test_a_stall_keeps_the_connection_until_the_client_goes(fault_server: StartFaultServer):
    server = fault_server({"/a": FileSpec(size=1000, faults=(stall_after(100),))})
    with RawClient(server.url("/a")) as client:
        client.get()
        assert len(client.begin(100).body) == 100
        assert client.is_silent()
        assert server.connections_open == 1
    server.wait_until(lambda: server.connections_open == 0)
    assert not server.exchanges_for("/a")[0].is_finished


def test_tls_is_cut_without_and_closed_with_a_close_notify(fault_server: StartFaultServer, authority: Authority):
    faults = (no_length(), cut_after(50, on=1), close_after(50, on=2))
    server = fault_server({"/a": FileSpec(size=100, faults=faults)}, tls=authority.server())
    first, second, third = (fetch(server.url("/a"), tls=authority.client()) for _ in range(3))
    assert (len(first.body), first.ending) == (50, "cut")
    assert (len(second.body), second.ending) == (50, "close_notify")
    assert (len(third.body), third.ending) == (100, "close_notify")


async def test_a_held_body_goes_on_at_the_event(fault_server: StartFaultServer):
    server = fault_server({"/a": FileSpec(size=1000, faults=(hold_after(400, until="go"),))})

    def converse() -> tuple[int, int]:
        with RawClient(server.url("/a")) as client:
            client.get()
            held = client.begin(400)
            assert client.is_silent()
            server.events.set("go")
            return len(held.body), len(client.receive(until=600).data)

    assert await asyncio.to_thread(converse) == (400, 600)


async def test_a_script_speaks_for_itself_and_says_how_far_it_is(fault_server: StartFaultServer):
    script = (raw(b"HTTP/1.1 200 OK\r\n\r\nfirst"), Announce("half"), WaitFor("go"), raw(b"second"), Close())
    server = fault_server({"/a": script})
    answer = asyncio.create_task(asyncio.to_thread(fetch, server.url("/a")))
    await asyncio.wait_for(server.events.reached("half"), 5)
    assert not answer.done()
    server.events.set("go")
    assert (await answer).body == b"firstsecond"
    assert server.exchanges[0].status == 200


def test_a_function_may_be_a_route(fault_server: StartFaultServer):
    server = fault_server({"/a": lambda request: (raw(b"HTTP/1.1 299 X\r\n\r\n" + request.target.encode()), Cut())})
    assert fetch(server.url("/a")).body == b"/a"


def test_a_greeting_speaks_before_the_request(fault_server: StartFaultServer):
    server = fault_server({"/a": FILE}, greetings={1: (raw(b"SSH-2.0-x\r\n"), Cut()), 2: (Cut(),)})
    assert fetch(server.url("/a")).data == b"SSH-2.0-x\r\n"
    assert fetch(server.url("/a")).data == b""
    assert fetch(server.url("/a")).status == 200


def test_half_closing_leaves_the_other_direction(fault_server: StartFaultServer):
    server = fault_server({"/a": (raw(b"HTTP/1.1 200 OK\r\n\r\n"), HalfClose(), Stall())})
    with RawClient(server.url("/a")) as client:
        client.get()
        assert client.receive().ending == "fin"
        client.send(b"still here")
        assert server.connections_open == 1


def test_a_trickle_takes_its_time(fault_server: StartFaultServer):
    server = fault_server({"/a": FileSpec(size=20, faults=(trickle(piece=2, pause=0.02, after=4),))})
    began = time.monotonic()
    assert fetch(server.url("/a")).body == FileSpec(size=20).read()
    assert time.monotonic() - began > 7 * 0.02


def test_a_rate_is_kept_for_each_connection(fault_server: StartFaultServer):
    server = fault_server({"/a": FileSpec(size=40_000, rate=100_000)})
    began = time.monotonic()
    assert len(fetch(server.url("/a")).body) == 40_000
    assert time.monotonic() - began > 0.35


def test_one_connection_too_many_is_told_to_come_back(fault_server: StartFaultServer):
    spec = FileSpec(size=1000, limit=Limit(connections=1, status=503, retry_after="2"), faults=(stall_after(0, on=1),))
    server = fault_server({"/a": spec})
    with RawClient(server.url("/a")) as first:
        first.get()
        first.receive(until=b"\r\n\r\n")
        refused = fetch(server.url("/a"))
    assert (refused.status, refused.header("Retry-After")) == (503, "2")
    server.wait_until(lambda: server.connections_open == 0)
    assert fetch(server.url("/a")).status == 200


def test_faults_apply_by_number_and_by_predicate(fault_server: StartFaultServer):
    faults = (status(500, on=range(1, 3)), status(403, on=has_range))
    server = fault_server({"/a": FileSpec(size=10, faults=faults)})
    assert [fetch(server.url("/a")).status for _ in range(3)] == [500, 500, 200]
    assert fetch(server.url("/a"), "Range: bytes=1-").status == 403


@pytest.mark.parametrize("host", ["127.0.0.1", "127.0.0.2", "::1"])
def test_other_addresses_are_other_origins(fault_server: StartFaultServer, host: str):
    server = fault_server({"/a": FILE}, host=host)
    assert fetch(server.url("/a")).status == 200
    assert server.requests()[0].peer.startswith("::1" if host == "::1" else "127.0.0.")


def test_a_client_of_five_gigabytes_is_served_from_beyond_four(fault_server: StartFaultServer):
    spec = FileSpec(size=5 << 30)
    answer = fetch(fault_server({"/a": spec}).url("/a"), f"Range: bytes={(1 << 32) + 5}-{(1 << 32) + 14}")
    assert answer.header("Content-Range") == f"bytes 4294967301-4294967310/{5 << 30}"
    assert answer.body == spec.read((1 << 32) + 5, (1 << 32) + 15)


def test_a_mistake_in_a_route_is_raised_at_the_end():
    server = FaultServer({"/a": lambda _request: 1 / 0})  # type: ignore[dict-item, return-value] # the mistake
    server.start()
    assert fetch(server.url("/a")).data == b""
    with pytest.raises(ZeroDivisionError):
        server.stop()


def test_stopping_does_not_wait_for_stalled_clients():
    with FaultServer({"/a": (Pause(3600),)}) as server, RawClient(server.url("/a")) as client:
        client.get()
        server.wait_until(lambda: bool(server.requests()))
        server.stop()
        assert client.receive(timeout=5).ending in {"fin", "reset"}


def test_curl_agrees_that_a_short_body_is_short(fault_server: StartFaultServer):
    server = fault_server({"/a": FileSpec(size=1000, faults=(cut_after(100, on=1), reset_after(100, on=2)))})
    command: list[str | Path] = [
        require("curl"),
        "--silent",
        "--noproxy",
        "*",
        "--output",
        "/dev/null",
        server.url("/a"),
    ]
    assert [subprocess.run(command, check=False, timeout=10).returncode for _ in range(3)] == [18, 56, 0]

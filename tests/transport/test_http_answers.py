"""Which answers are files, which are errors, and what a head may be: H32, H34, H36, H43, H44, H47, H49, H57, TM22."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from bgdl_jupyter.errors import HttpStatusError, NetworkFailed, ProtocolViolation, TransferFailed, TransferTimeout
from bgdl_jupyter.resource import Validator, ValidatorKind
from bgdl_jupyter.secret import Secret
from bgdl_jupyter.web_error_status import WebErrorStatus
from tests.servers.content import Pattern
from tests.servers.faults import (
    answer_before_body,
    extra_headers,
    hold_head,
    informational,
    instead,
    set_header,
    status,
    trickle,
    trickle_head,
)
from tests.servers.files import FileSpec
from tests.servers.steps import Close, Repeat, Reset, raw
from tests.transport.http_client import fetch, request_for, said

if TYPE_CHECKING:
    from tests.servers.fixtures import StartFaultServer

FILE = FileSpec(size=1000)


def faulty(*faults, size: int = 1000) -> FileSpec:
    return FileSpec(size=size, faults=faults)


class TestStatuses:
    @pytest.mark.parametrize("code", [201, 202, 203, 204, 205, 226, 299, 300, 304, 305, 306, 999])
    async def test_what_is_neither_a_file_nor_an_error_is_unexpected(self, http, fault_server: StartFaultServer, code):
        server = fault_server({"/a": faulty(status(code, body=b"not the file"))})
        with pytest.raises(HttpStatusError) as caught:
            await fetch(http, server.url("/a"))
        assert caught.value.http_status == code
        expected = WebErrorStatus(code) if code in {300, 304, 305} else None
        unexpected = {WebErrorStatus.UNEXPECTED_STATUS_CODE, WebErrorStatus.UNEXPECTED_REDIRECTION}
        assert caught.value.web_error_status in ({expected} if expected else unexpected)

    @pytest.mark.parametrize("code", [400, 401, 403, 404, 407, 410, 416, 429, 500, 503, 511])
    async def test_an_error_bears_its_status(self, http, fault_server: StartFaultServer, code):
        server = fault_server({"/a": faulty(status(code))})
        if code == 416:
            async with http.open(request_for(server.url("/a"))) as exchange:
                assert exchange.answer.status == 416
            return
        with pytest.raises(HttpStatusError) as caught:
            await fetch(http, server.url("/a"))
        assert caught.value.http_status == code
        assert caught.value.__cause__ is None
        assert caught.value.__context__ is None

    async def test_retry_after_counts_from_the_servers_clock(self, http, fault_server: StartFaultServer):
        faults = (
            set_header("Date", "Sun, 22 Nov 2026 09:00:00 GMT"),
            status(503, retry_after="Sun, 22 Nov 2026 09:02:00 GMT"),
            set_header("Date", "Sun, 22 Nov 2026 09:00:00 GMT"),
        )
        server = fault_server({"/a": faulty(*faults)})
        with pytest.raises(HttpStatusError) as caught:
            await fetch(http, server.url("/a"))
        assert caught.value.retry_after == 120.0

    async def test_of_a_huge_error_only_the_beginning_is_read(self, http, fault_server: StartFaultServer):
        server = fault_server({"/a": faulty(status(500, body=Pattern(200_000_000)))})
        with pytest.raises(HttpStatusError):
            await fetch(http, server.url("/a"))
        await server.until(lambda: server.connections_open == 0)
        assert server.exchanges_for("/a")[0].bytes_sent < 50_000_000

    async def test_the_text_of_an_error_is_shown_on_one_line_without_secrets(
        self, http, fault_server: StartFaultServer
    ):
        body = b"hunter2 is\r\nwrong\x1b[31m"
        server = fault_server({"/a": faulty(status(403, body=body, content_type="text/plain"))})
        with pytest.raises(HttpStatusError) as caught:
            await fetch(http, server.url("/a"), headers=(("X-Key", Secret("hunter2")),))
        assert "<secret> is wrong" in str(caught.value)
        assert str(caught.value).isprintable()

    async def test_a_page_of_html_is_not_shown(self, http, fault_server: StartFaultServer):
        server = fault_server({"/a": faulty(status(403, body=b"<script>"))})
        with pytest.raises(HttpStatusError) as caught:
            await fetch(http, server.url("/a"))
        assert "script" not in str(caught.value)


class TestHead:
    @pytest.mark.parametrize("times", [1, 20])
    async def test_a_few_interim_answers_are_passed_over(self, http, fault_server: StartFaultServer, times):
        server = fault_server({"/a": faulty(informational(103, times=times))})
        assert (await fetch(http, server.url("/a"))).body == FILE.read()

    async def test_endless_interim_answers_are_not_waited_for(self, http, fault_server: StartFaultServer):
        server = fault_server({"/a": faulty(informational(103, times=None))})
        with pytest.raises(ProtocolViolation, match="interim"):
            await fetch(http, server.url("/a"))

    async def test_a_switch_of_protocols_is_refused(self, http, fault_server: StartFaultServer):
        server = fault_server({"/a": said("HTTP/1.1 101 Switching\nUpgrade: websocket\nConnection: upgrade")})
        with pytest.raises(ProtocolViolation):
            await fetch(http, server.url("/a"))

    async def test_a_head_that_does_not_come_is_a_timeout(self, http, fault_server: StartFaultServer):
        server = fault_server({"/a": faulty(hold_head(until="never"))})
        with pytest.raises(TransferTimeout):
            await fetch(http, server.url("/a"), response_timeout=0.2)
        await server.until(lambda: server.connections_open == 0)

    async def test_a_head_that_trickles_is_one_too(self, http, fault_server: StartFaultServer):
        server = fault_server({"/a": faulty(trickle_head(piece=1, pause=0.02))})
        with pytest.raises(TransferTimeout):
            await fetch(http, server.url("/a"), response_timeout=0.3)

    async def test_a_body_that_takes_longer_than_the_head_may_is_none(self, http, fault_server: StartFaultServer):
        server = fault_server({"/a": faulty(trickle(piece=500, pause=0.4))})
        assert (await fetch(http, server.url("/a"), response_timeout=0.2)).body == FILE.read()

    async def test_a_long_head_is_read(self, http, fault_server: StartFaultServer):
        server = fault_server({"/a": faulty(extra_headers(1, size=12_000))})
        assert (await fetch(http, server.url("/a"))).body == FILE.read()

    @pytest.mark.parametrize(("count", "size"), [(1, 1_000_000), (20_000, 8), (10, 10_000)])
    async def test_a_head_that_is_too_long_is_not(self, http, fault_server: StartFaultServer, count, size):
        server = fault_server({"/a": faulty(extra_headers(count, size=size))})
        with pytest.raises(ProtocolViolation):
            await fetch(http, server.url("/a"))

    async def test_an_endless_line_is_not(self, http, fault_server: StartFaultServer):
        server = fault_server({"/a": faulty(instead(raw(b"HTTP/1.1 200 "), Repeat(b"x" * 1000)))})
        with pytest.raises(ProtocolViolation):
            await fetch(http, server.url("/a"))

    @pytest.mark.parametrize("head", ["HTTP/1.1 200 OK\nX: a\x00b", "HTTP/1.1 abc OK", "HTTP/9.9", "200 OK"])
    async def test_a_head_that_is_none_breaks_the_protocol(self, http, fault_server: StartFaultServer, head):
        server = fault_server({"/a": said(head, b"", closes=True)})
        with pytest.raises(ProtocolViolation):
            await fetch(http, server.url("/a"))

    @pytest.mark.parametrize(
        ("first", "hint"),
        [
            (b"SSH-2.0-OpenSSH_9.2\r\n", "SSH"),
            (b"\x15\x03\x01\x00\x02\x02\x46", "https"),
            (b"\x00\x00\x12\x04\x00\x00\x00\x00\x00", "HTTP/2"),
            (b"220 ready\r\n", "FTP"),
        ],
    )
    async def test_another_service_is_named(self, http, fault_server: StartFaultServer, first, hint):
        server = fault_server({"/a": faulty(instead(raw(first), Close()))})
        with pytest.raises(ProtocolViolation, match=hint):
            await fetch(http, server.url("/a"))

    async def test_a_server_that_only_closes_is_a_broken_connection(self, http, fault_server: StartFaultServer):
        server = fault_server({"/a": faulty(instead(Close()))})
        with pytest.raises(NetworkFailed) as caught:
            await fetch(http, server.url("/a"))
        assert caught.value.web_error_status is WebErrorStatus.DISCONNECTED
        assert len(server.requests("/a")) == 1

    async def test_two_answers_to_one_request_are_one(self, http, fault_server: StartFaultServer):
        head = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n"
        server = fault_server({"/a": (raw(head + b"first" + head + b"other"),), "/b": FILE})
        assert (await fetch(http, server.url("/a"))).body == b"first"
        assert (await fetch(http, server.url("/b"))).body == FILE.read()


class TestRequest:
    async def test_nothing_is_said_about_the_user(self, http, fault_server: StartFaultServer):
        server = fault_server({"/a": FILE})
        await fetch(http, server.url("/a"))
        [request] = server.requests("/a")
        assert {name for name, _ in request.headers} == {"Host", "User-Agent", "Accept", "Accept-Encoding"}
        assert request.header("Accept-Encoding") == "identity"
        assert (request.header("User-Agent") or "").startswith("bgdl_jupyter")

    @pytest.mark.parametrize(
        ("start", "stop", "header"),
        [(None, None, None), (0, None, None), (5, None, "bytes=5-"), (5, 10, "bytes=5-9"), (0, 10, "bytes=0-9")],
    )
    async def test_a_range_is_inclusive_on_the_wire(self, http, fault_server: StartFaultServer, start, stop, header):
        server = fault_server({"/a": FILE})
        fetched = await fetch(http, server.url("/a"), start=start, stop=stop)
        assert server.requests("/a")[0].header("Range") == header
        assert fetched.body == FILE.read(start or 0, stop)

    async def test_a_condition_goes_with_the_range(self, http, fault_server: StartFaultServer):
        server = fault_server({"/a": FILE})
        condition = Validator(ValidatorKind.ETAG, '"v1"')
        await fetch(http, server.url("/a"), start=5, condition=condition)
        await fetch(http, server.url("/a"), condition=condition)
        assert [each.header("If-Range") for each in server.requests("/a")] == ['"v1"', None]

    async def test_cookies_are_not_kept(self, http, fault_server: StartFaultServer):
        server = fault_server({"/a": faulty(set_header("Set-Cookie", "a=b; Path=/", "c=" + "d" * 4000))})
        await fetch(http, server.url("/a"))
        fetched = await fetch(http, server.url("/a"))
        assert server.requests("/a")[-1].header("Cookie") is None
        assert not [name for name, _ in fetched.answer.resource.headers if name.lower() == "set-cookie"]

    async def test_a_path_is_sent_to_the_letter(self, http, fault_server: StartFaultServer):
        server = fault_server({"/a%20b%2Fc": FILE})
        await fetch(http, server.url("/a%20b%2Fc?x=%2B+y"))
        assert server.requests()[0].target == "/a%20b%2Fc?x=%2B+y"


class TestUpload:
    async def test_a_body_is_sent_with_its_length(self, http, fault_server: StartFaultServer, tmp_path):
        body = tmp_path / "body"
        body.write_bytes(bytes(range(256)) * 4000)
        server = fault_server({"/a": FILE})
        async with http.open(request_for(server.url("/a"), method="POST", body=body)) as exchange:
            assert exchange.has_sent_body
        [request] = server.requests("/a")
        assert request.body == body.read_bytes()
        assert request.header("Content-Length") == str(256 * 4000)
        assert request.header("Transfer-Encoding") is None

    async def test_an_empty_body_is_sent_as_one(self, http, fault_server: StartFaultServer, tmp_path):
        body = tmp_path / "body"
        body.touch()
        server = fault_server({"/a": FILE})
        async with http.open(request_for(server.url("/a"), method="PUT", body=body)) as exchange:
            assert not exchange.has_sent_body
        assert server.requests("/a")[0].header("Content-Length") == "0"

    @pytest.mark.parametrize("code", [200, 201])
    async def test_a_post_may_be_answered_by_created(self, http, fault_server: StartFaultServer, tmp_path, code):
        body = tmp_path / "body"
        body.write_bytes(b"query")
        server = fault_server({"/a": faulty(status(code, body=b"result"))})
        assert (await fetch(http, server.url("/a"), method="POST", body=body)).body == b"result"

    @pytest.mark.parametrize("end", ["close", "reset"])
    async def test_a_refusal_before_the_body_is_read_is_told_as_it_is(
        self, http, fault_server: StartFaultServer, tmp_path, end
    ):
        """H55: the status, not the broken pipe."""
        body = tmp_path / "body"
        body.write_bytes(bytes(20_000_000))
        fault = answer_before_body(413, then=Reset() if end == "reset" else None)
        server = fault_server({"/a": faulty(fault)})
        with pytest.raises(TransferFailed) as caught:
            await fetch(http, server.url("/a"), method="POST", body=body)
        assert caught.value.http_status == 413
        assert caught.value.body_was_sent

    async def test_a_body_that_is_gone_is_said_so(self, http, fault_server: StartFaultServer, tmp_path):
        server = fault_server({"/a": FILE})
        with pytest.raises(TransferFailed, match="request's body"):
            await fetch(http, server.url("/a"), method="POST", body=tmp_path / "gone")
        assert not server.requests()

    async def test_a_post_is_never_sent_on_a_connection_that_may_be_dead(
        self, http, fault_server: StartFaultServer, tmp_path
    ):
        body = tmp_path / "body"
        body.write_bytes(b"query")
        server = fault_server({"/a": FILE})
        await fetch(http, server.url("/a"))
        for _ in range(2):
            await fetch(http, server.url("/a"), method="POST", body=body)
        assert len({each.connection for each in server.requests("/a")}) == 3

    async def test_that_a_body_was_sent_is_told_when_the_answer_never_comes(
        self, http, fault_server: StartFaultServer, tmp_path
    ):
        body = tmp_path / "body"
        body.write_bytes(b"query")
        server = fault_server({"/a": faulty(instead(Close()))})
        with pytest.raises(NetworkFailed) as caught:
            await fetch(http, server.url("/a"), method="POST", body=body)
        assert caught.value.body_was_sent
        assert len(server.requests("/a")) == 1


async def test_cancelling_an_open_closes_the_connection(http, fault_server: StartFaultServer):
    server = fault_server({"/a": faulty(hold_head(until="never"))})
    task = asyncio.ensure_future(fetch(http, server.url("/a")))
    await server.until(lambda: bool(server.requests("/a")))
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await server.until(lambda: server.connections_open == 0)


async def test_a_connection_that_died_at_rest_is_asked_again_on_a_fresh_one(http, fault_server: StartFaultServer):
    """The server closes just when the second request arrives: nobody outside notices."""
    server = fault_server({"/a": FILE, "/b": faulty(instead(Close(), on=1))})
    await fetch(http, server.url("/a"))
    assert (await fetch(http, server.url("/b"))).body == FILE.read()
    assert len(server.requests("/b")) == 2

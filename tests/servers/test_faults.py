"""Every fault does on the wire what its name says."""

from __future__ import annotations

import gzip
import zlib
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from tests.servers.coding_faults import Damage, bomb, coded, gzipped, gzipped_slices, nested_bomb
from tests.servers.content import Pattern
from tests.servers.faults import (
    answer_before_body,
    chunked,
    cut_after,
    declare_length,
    drop_validators,
    extra_headers,
    half_close_after,
    hold_head,
    ignore_range,
    informational,
    instead,
    is_head,
    is_resumed,
    login_page,
    no_length,
    redirect,
    redirects,
    set_header,
    status,
    surplus,
    trickle_head,
    varied,
)
from tests.servers.files import Fault, FileSpec
from tests.servers.range_faults import (
    align_to_blocks,
    claim_range,
    multipart_range,
    omit_content_range,
    refuse_range,
    shorten_range,
    slice_as_200,
    start_earlier,
    start_later,
    unasked_range,
)
from tests.servers.raw_client import RawClient, Received, fetch
from tests.servers.steps import Cut, Reset, raw

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.servers.fixtures import StartFaultServer

    Ask = Callable[..., Received]

SIZE = 1000
PLAIN = FileSpec(size=SIZE)


@pytest.fixture
def ask(fault_server: StartFaultServer) -> Ask:
    """Ask a server for a file of 1000 bytes with these faults, on a connection of its own."""

    def ask(*faults: Fault, headers: tuple[str, ...] = (), method: str = "GET", spec: FileSpec = PLAIN) -> Received:
        server = fault_server({"/a": replace(spec, faults=faults)})
        return fetch(server.url("/a"), *headers, method=method)

    return ask


MIDDLE = ("Range: bytes=300-499",)


@pytest.mark.parametrize(
    ("fault", "code", "content_range", "part"),
    [
        (ignore_range(), 200, None, PLAIN.read(0, 1000)),
        (start_earlier(44), 206, "bytes 256-499/1000", PLAIN.read(256, 500)),
        (align_to_blocks(256), 206, "bytes 256-511/1000", PLAIN.read(256, 512)),
        (start_later(10), 206, "bytes 310-499/1000", PLAIN.read(310, 500)),
        (shorten_range(50), 206, "bytes 300-349/1000", PLAIN.read(300, 350)),
        (claim_range("bytes {first}-{last}/{size}9"), 206, "bytes 300-499/10009", PLAIN.read(300, 500)),
        (claim_range("bytes 0-199/1000"), 206, "bytes 0-199/1000", PLAIN.read(300, 500)),
        (omit_content_range(), 206, None, PLAIN.read(300, 500)),
        (slice_as_200(), 200, "bytes 300-499/1000", PLAIN.read(300, 500)),
        (varied(seed=2, size=500), 206, "bytes 300-499/500", FileSpec(size=500, seed=2).read(300, 500)),
    ],
    ids=lambda value: value.name if isinstance(value, Fault) else None,
)
def test_a_range_is_answered_wrongly(ask: Ask, fault: Fault, code: int, content_range: str | None, part: bytes):
    answer = ask(fault, headers=MIDDLE)
    assert (answer.status, answer.header("Content-Range")) == (code, content_range)
    assert answer.body == part
    assert answer.header("Content-Length") == str(len(answer.body))


def test_one_range_comes_in_several_parts(ask: Ask):
    answer = ask(multipart_range(), headers=MIDDLE)
    assert answer.status == 206
    assert answer.header("Content-Type") == "multipart/byteranges; boundary=THIS_STRING_SEPARATES"
    assert b"Content-Range: bytes 300-499/1000\r\n\r\n" + PLAIN.read(300, 500) in answer.body
    assert answer.header("Content-Length") == str(len(answer.body))


def test_a_range_comes_unasked(ask: Ask):
    answer = ask(unasked_range(10, 20))
    assert (answer.status, answer.header("Content-Range"), answer.body) == (206, "bytes 10-19/1000", PLAIN.read(10, 20))


@pytest.mark.parametrize("content_range", ["bytes */1000", "bytes */999", None])
def test_a_range_is_refused(ask: Ask, content_range: str | None):
    answer = ask(refuse_range(content_range), headers=MIDDLE)
    assert (answer.status, answer.header("Content-Range"), answer.body) == (416, content_range, b"")
    assert ask(refuse_range(content_range)).status == 200


def test_validators_are_dropped_and_changed(ask: Ask):
    assert ask(drop_validators()).header("ETag") is None
    assert ask(drop_validators()).header("Last-Modified") is None
    assert ask(set_header("ETag", '"other"')).header("ETag") == '"other"'
    assert ask(set_header("Retry-After", "1", "2")).head.count(b"Retry-After") == 2


def test_a_misspelt_field_is_refused():
    with pytest.raises(TypeError, match="etga"):
        varied(etga=None)


@pytest.mark.parametrize("code", [201, 204, 299, 300, 304, 404, 429, 503, 999])
def test_a_status_comes_without_the_file(ask: Ask, code: int):
    answer = ask(status(code, retry_after="2"))
    assert (answer.status, answer.header("Retry-After"), answer.body) == (code, "2", b"")
    assert answer.header("ETag") is None


def test_an_error_has_a_large_body(ask: Ask):
    assert len(ask(status(500, body=Pattern(3_000_000))).body) == 3_000_000


def test_a_page_comes_in_place_of_the_file(ask: Ask):
    answer = ask(login_page())
    assert (answer.status, answer.header("Content-Type")) == (200, "text/html")
    assert b"sign in" in answer.body


@pytest.mark.parametrize("to", ["http://127.0.0.2:1/x", "", None])
def test_a_redirect_says_where_or_nothing(ask: Ask, to: str | None):
    answer = ask(redirect(to, code=307))
    assert (answer.status, answer.header("Location"), answer.body) == (307, to, b"")


def test_redirects_lead_from_one_to_the_next(fault_server: StartFaultServer):
    server = fault_server(redirects(3, to="/a"))
    assert [fetch(server.url(f"/hop{n}")).header("Location") for n in (1, 2, 3)] == ["/hop2", "/hop3", "/a"]


def test_only_the_head_differs(fault_server: StartFaultServer):
    server = fault_server({"/a": FileSpec(size=SIZE, faults=(status(405, on=is_head), status(403, on=is_resumed)))})
    assert fetch(server.url("/a"), method="HEAD").status == 405
    assert fetch(server.url("/a"), "Range: bytes=0-9").status == 206
    assert fetch(server.url("/a"), "Range: bytes=1-9").status == 403


@pytest.mark.parametrize("declared", [900, 1100])
def test_the_length_is_wrong(ask: Ask, declared: int):
    answer = ask(declare_length(declared))
    assert (answer.header("Content-Length"), len(answer.body), answer.ending) == (str(declared), 1000, "fin")


def test_the_end_of_the_connection_is_the_end_of_the_body(ask: Ask):
    answer = ask(no_length())
    assert (answer.header("Content-Length"), answer.body, answer.ending) == (None, PLAIN.read(), "fin")
    assert ask(no_length(), cut_after(10)).body == PLAIN.read(0, 10)


@pytest.mark.parametrize("end", [None, -1, -7, 500, 405])
def test_chunks_are_whole_or_cut(ask: Ask, end: int | None):
    answer = ask(chunked(400), *(() if end is None else (cut_after(end),)))
    body = PLAIN.read()
    whole = b"190\r\n" + body[:400] + b"\r\n190\r\n" + body[400:800] + b"\r\nc8\r\n" + body[800:] + b"\r\n0\r\n\r\n"
    assert answer.header("Content-Length") is None
    assert answer.body == whole[:end]


def test_interim_answers_come_first(ask: Ask):
    answer = ask(informational(103, times=3, headers=(("Link", "</x>"),)))
    assert answer.data.startswith(b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n" * 3 + b"HTTP/1.1 200 OK\r\n")


def test_interim_answers_come_without_end(fault_server: StartFaultServer):
    server = fault_server({"/a": FileSpec(size=10, faults=(informational(times=None),))})
    with RawClient(server.url("/a")) as client:
        client.get()
        assert client.receive(until=100_000).data.count(b"HTTP/1.1 103") > 1000
    server.wait_until(lambda: server.connections_open == 0)


def test_the_head_trickles(fault_server: StartFaultServer):
    server = fault_server({"/a": FileSpec(size=10, faults=(trickle_head(piece=1, pause=60),))})
    with RawClient(server.url("/a")) as client:
        client.get()
        assert client.receive(until=1).data == b"H"
        assert client.is_silent()


def test_the_head_is_held_until_the_event(fault_server: StartFaultServer):
    server = fault_server({"/a": FileSpec(size=10, faults=(hold_head(until="go"),))})
    with RawClient(server.url("/a")) as client:
        client.get()
        assert client.is_silent()
        server.events.set("go")
        assert client.receive(until=b"\r\n\r\n").status == 200


def test_the_head_is_huge(ask: Ask):
    answer = ask(extra_headers(2000, size=500))
    assert len(answer.head) > 1_000_000
    assert answer.body == PLAIN.read()


def test_a_header_may_hold_any_byte(ask: Ask):
    assert b"X-A: \x00\xff\r\n" in ask(set_header("X-A", "\x00\xff")).data


def test_more_comes_behind_the_body(ask: Ask):
    assert ask(surplus(b"HTTP/1.1 200 OK\r\n\r\n")).body == PLAIN.read() + b"HTTP/1.1 200 OK\r\n\r\n"
    assert ask(surplus(b"late", after=0.05)).body == PLAIN.read() + b"late"


def test_the_sending_side_is_closed_and_the_other_is_not(fault_server: StartFaultServer):
    server = fault_server({"/a": FileSpec(size=SIZE, faults=(half_close_after(10),))})
    with RawClient(server.url("/a")) as client:
        client.get()
        assert client.receive().ending == "fin"
        assert server.connections_open == 1


@pytest.mark.parametrize(("then", "ending"), [(Cut(), "fin"), (Reset(), "reset"), (None, "fin")])
def test_the_answer_comes_before_the_body_is_read(fault_server: StartFaultServer, then, ending: str):
    server = fault_server({"/a": FileSpec(size=SIZE, faults=(answer_before_body(413, then=then),))})
    with RawClient(server.url("/a")) as client:
        client.send(b"POST /a HTTP/1.1\r\nContent-Length: 1000000\r\n\r\npart")
        answer = client.receive()
    assert (answer.status, answer.ending) == (413, ending)
    assert server.requests("/a")[0].body == b""


def test_a_script_replaces_the_answer(ask: Ask):
    assert ask(instead(raw(b"220 ftp.test ready\r\n"), Cut())).data == b"220 ftp.test ready\r\n"


def test_gzip_comes_unasked_and_whole(ask: Ask):
    answer = ask(gzipped(), headers=MIDDLE)
    assert (answer.status, answer.header("Content-Encoding")) == (200, "gzip")
    assert answer.header("Content-Range") is None
    assert gzip.decompress(answer.body) == PLAIN.read()


@pytest.mark.parametrize(
    ("damage", "error"),
    [
        ("cut", EOFError),
        ("rubbish behind", gzip.BadGzipFile),
        ("wrong checksum", gzip.BadGzipFile),
        ("not gzip", OSError),
    ],
)
def test_gzip_comes_damaged_in_one_way(ask: Ask, damage: Damage, error: type[Exception]):
    answer = ask(gzipped(damage))
    assert answer.header("Content-Length") == str(len(answer.body))
    with pytest.raises(error):
        gzip.decompress(answer.body)


def test_slices_are_coded_one_by_one(ask: Ask):
    answer = ask(gzipped_slices(), headers=MIDDLE)
    assert (answer.status, answer.header("Content-Range")) == (206, "bytes 300-499/1000")
    assert gzip.decompress(answer.body) == PLAIN.read(300, 500)


def test_a_bomb_is_small_and_valid(ask: Ask):
    answer = ask(coded(bomb(64)))
    assert len(answer.body) < 200_000
    decoded = zlib.decompressobj(zlib.MAX_WBITS | 16)
    assert (
        sum(len(decoded.decompress(answer.body[at : at + 1000])) for at in range(0, len(answer.body), 1000)) == 64 << 20
    )
    assert decoded.eof
    assert gzip.decompress(nested_bomb(2)) == bomb(2)

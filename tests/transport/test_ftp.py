"""The FTP transport against a real server, in clear text and under TLS, on both families of addresses."""

from __future__ import annotations

import asyncio
import logging
import socket
from typing import TYPE_CHECKING, Any

import pytest

from bgdl_jupyter.errors import CertificateRejected, InvalidRequest, NetworkFailed, TransferFailed
from bgdl_jupyter.ranges import ByteRange
from bgdl_jupyter.resource import ContentRange, Kept, Validator, ValidatorKind, Verdict, decide
from bgdl_jupyter.secret import Credential, Secret
from bgdl_jupyter.transport.base import Framing, ProxyServer
from bgdl_jupyter.transport.ftp import FtpTransport
from bgdl_jupyter.uris import split_uri
from bgdl_jupyter.web_error_status import WebErrorStatus
from tests.servers.auth_faults import Login
from tests.servers.authority import Authority
from tests.servers.content import Pattern
from tests.servers.ftp import FtpServer
from tests.servers.scripted_ftp import FtpSpec, ScriptedFtp
from tests.servers.steps import Stall
from tests.transport.ftp_sinks import Collector, fetch, request_for

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from pathlib import Path

BODY = bytes(range(256)) * 1200  # more than one socket buffer, less than two reads


@pytest.fixture
async def transport() -> AsyncIterator[FtpTransport]:
    transport = FtpTransport()
    yield transport
    await transport.aclose()


@pytest.fixture
def unused_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


@pytest.fixture(scope="module")
def house() -> Authority:
    return Authority()


@pytest.fixture
def server(tmp_path: Path) -> Iterator[FtpServer]:
    with FtpServer(tmp_path) as server:
        (server.root / "a.bin").write_bytes(BODY)
        yield server


async def test_a_whole_file_arrives_and_is_confirmed(transport, server):
    fetched = await fetch(transport, server.url("/a.bin"))
    assert fetched.body == BODY
    assert fetched.framing is Framing.CONFIRMED
    assert fetched.answer.status == 200
    assert fetched.answer.content_length == len(BODY)


async def test_size_and_modification_time_make_the_validator(transport, server):
    fetched = await fetch(transport, server.url("/a.bin"))
    validator = fetched.answer.resource.validator
    assert validator is not None
    assert validator.kind is ValidatorKind.MODIFICATION_TIME
    assert validator.value.endswith(f";{len(BODY)}")
    modified = (server.root / "a.bin").stat().st_mtime
    assert fetched.answer.resource.modified_at == int(modified)


async def test_a_part_is_a_206_that_the_resume_decision_takes(transport, server):
    first = await fetch(transport, server.url("/a.bin"))
    validator = first.answer.resource.validator
    fetched = await fetch(transport, server.url("/a.bin"), start=1000, condition=validator)
    assert fetched.body == BODY[1000:]
    assert fetched.answer.content_range == ContentRange(ByteRange(1000, len(BODY)), len(BODY))
    kept = Kept(position=1000, length=len(BODY), validator=validator)
    assert decide(kept, ByteRange(1000, len(BODY)), fetched.answer).verdict is Verdict.CONTINUE


async def test_a_part_ends_where_it_was_to_end(transport, server):
    fetched = await fetch(transport, server.url("/a.bin"), start=1000, stop=5000)
    assert fetched.body == BODY[1000:5000]
    assert fetched.framing is Framing.LENGTH
    assert fetched.answer.content_length == 4000


async def test_the_first_part_needs_no_restart(transport, server):
    fetched = await fetch(transport, server.url("/a.bin"), start=0, stop=100)
    assert (fetched.body, fetched.answer.status) == (BODY[:100], 206)
    assert "REST" not in [verb for verb, _ in server.commands]


async def test_an_offset_at_the_end_is_unsatisfiable_and_tells_the_length(transport, server):
    fetched = await fetch(transport, server.url("/a.bin"), start=len(BODY))
    assert (fetched.body, fetched.answer.status) == (b"", 416)
    assert fetched.answer.content_range == ContentRange(None, len(BODY))


async def test_another_version_than_the_condition_comes_whole(transport, server):
    other = Validator(ValidatorKind.MODIFICATION_TIME, "19990101000000;5")
    fetched = await fetch(transport, server.url("/a.bin"), start=1000, condition=other)
    assert (fetched.body, fetched.answer.status, fetched.answer.content_range) == (BODY, 200, None)


async def test_a_limit_ends_the_body_early(transport, server):
    fetched = await fetch(transport, server.url("/a.bin"), limit=77)
    assert (fetched.body, fetched.framing) == (BODY[:77], Framing.LENGTH)


@pytest.mark.parametrize("start", [None, 0])
async def test_an_empty_file_is_whole(transport, server, start):
    (server.root / "empty").touch()
    fetched = await fetch(transport, server.url("/empty"), start=start)
    assert (fetched.body, fetched.answer.status, fetched.framing) == (b"", 200, Framing.CONFIRMED)


async def test_the_path_is_decoded_exactly_once(transport, server):
    (server.root / "ü %41 #1.bin").write_bytes(b"odd name")
    fetched = await fetch(transport, server.url("/%C3%BC%20%2541%20%231.bin"))
    assert fetched.body == b"odd name"


async def test_a_missing_file_is_not_found(transport, server):
    with pytest.raises(TransferFailed) as caught:
        await fetch(transport, server.url("/none"))
    assert caught.value.web_error_status is WebErrorStatus.NOT_FOUND
    assert not caught.value.is_transient


async def test_ipv6_works(transport, tmp_path):
    with FtpServer(tmp_path, host="::1") as server:
        (server.root / "a.bin").write_bytes(BODY)
        fetched = await fetch(transport, f"ftp://[::1]:{server.port}/a.bin")
    assert fetched.body == BODY


class TestLogin:
    """Who we are to the server."""

    LOGIN = Login(user="a@b:c", password="sesam/%2F:ü")

    @pytest.fixture
    def guarded(self, tmp_path: Path) -> Iterator[FtpServer]:
        with FtpServer(tmp_path, login=self.LOGIN) as server:
            (server.root / "a.bin").write_bytes(BODY)
            yield server

    async def test_user_information_is_decoded_once(self, transport, guarded):
        assert (await fetch(transport, guarded.url("/a.bin"))).body == BODY

    async def test_a_given_credential_is_taken(self, transport, guarded):
        credential = Credential(self.LOGIN.user, Secret(self.LOGIN.password))
        uri = f"ftp://127.0.0.1:{guarded.port}/a.bin"
        assert (await fetch(transport, uri, credential=credential)).body == BODY

    async def test_a_wrong_password_is_unauthorized_and_shown_to_nobody(self, transport, guarded, caplog):
        caplog.set_level(logging.DEBUG)
        credential = Credential("who", Secret("opensesame"))
        with pytest.raises(TransferFailed) as caught:
            await fetch(transport, f"ftp://127.0.0.1:{guarded.port}/a.bin", credential=credential)
        assert caught.value.web_error_status is WebErrorStatus.UNAUTHORIZED
        assert "opensesame" not in f"{caught.value!r} {caught.value} {caplog.text}"

    async def test_no_log_shows_the_password(self, transport, guarded, caplog):
        """Aioftp logs every command at DEBUG, and logs that of the password with its length."""
        caplog.set_level(logging.DEBUG)
        await fetch(transport, guarded.url("/a.bin"))
        assert "sesam" not in caplog.text
        assert not [record for record in caplog.records if record.name.startswith("aioftp")]

    async def test_a_password_in_clear_text_is_warned_of_once(self, transport, guarded, caplog):
        for _ in range(2):
            await fetch(transport, guarded.url("/a.bin"))
        warnings = [record for record in caplog.records if "clear text" in record.message]
        assert len(warnings) == 1
        assert self.LOGIN.user not in caplog.text

    async def test_anonymous_needs_no_warning(self, transport, server, caplog):
        await fetch(transport, server.url("/a.bin"))
        assert "clear text" not in caplog.text


class TestTls:
    """`ftps`: explicit TLS on both connections, or nothing."""

    @pytest.fixture
    def secured(self, tmp_path: Path, house: Authority) -> Iterator[FtpServer]:
        login = Login(user="u", password="opensesame")
        with FtpServer(tmp_path, login=login, authority=house, requires_tls=True) as server:
            (server.root / "a.bin").write_bytes(BODY * 20)
            yield server

    async def test_a_whole_file_arrives(self, transport, secured, house):
        fetched = await fetch(transport, secured.url("/a.bin", scheme="ftps"), ssl_context=house.client())
        assert (fetched.body, fetched.framing) == (BODY * 20, Framing.CONFIRMED)
        assert ("PROT", "P") in secured.commands

    async def test_a_part_arrives(self, transport, secured, house):
        uri = secured.url("/a.bin", scheme="ftps")
        fetched = await fetch(transport, uri, start=12345, stop=len(BODY), ssl_context=house.client())
        assert fetched.body == BODY[12345:]

    async def test_a_slow_sink_loses_no_byte_at_the_end(self, transport, secured, house):
        sink = Collector(lags=True)
        fetched = await fetch(transport, secured.url("/a.bin", scheme="ftps"), sink=sink, ssl_context=house.client())
        assert fetched.body == BODY * 20

    async def test_no_warning_of_clear_text(self, transport, secured, house, caplog):
        await fetch(transport, secured.url("/a.bin", scheme="ftps"), ssl_context=house.client())
        assert "clear text" not in caplog.text

    async def test_an_unknown_authority_is_rejected_before_the_login(self, transport, secured):
        with pytest.raises(CertificateRejected):
            await fetch(transport, secured.url("/a.bin", scheme="ftps"), ssl_context=Authority().client())
        assert not [verb for verb, _ in secured.commands if verb in ("USER", "PASS")]

    async def test_a_server_without_tls_never_gets_the_login(self, transport, server):
        uri = f"ftps://u:opensesame@127.0.0.1:{server.port}/a.bin"
        with pytest.raises(TransferFailed, match="never fetched in clear text"):
            await fetch(transport, uri)
        assert not [verb for verb, _ in server.commands if verb in ("USER", "PASS", "RETR")]

    async def test_the_data_connection_continues_the_tls_session(self, house):
        """Servers such as vsftpd refuse data under another session: somebody else might have connected."""
        whole = FtpSpec(files={"/a": Pattern(5_000_000)})
        transport = FtpTransport()
        with ScriptedFtp(whole, tls=house.server()) as scripted:
            uri = scripted.url("/a").replace("ftp://", "ftps://")
            async with transport.open(request_for(uri, ssl_context=house.client())) as exchange:
                sink = Collector()
                await exchange.receive(sink)
                assert exchange._data is not None
                assert exchange._data.get_extra_info("ssl_object").session_reused
        assert len(sink.body) == 5_000_000


class TestSink:
    """How the bytes are handed over."""

    async def test_the_next_bytes_wait_for_a_sink_that_lags(self, transport, server):
        sink = Collector(lags=True)
        assert (await fetch(transport, server.url("/a.bin"), sink=sink)).body == BODY
        assert sink.most_unfinished == 1

    async def test_what_the_sink_raises_is_raised_as_it_is(self, transport, server):
        """A full disk is not a broken connection, and must not be tried again as if it were one."""
        refusal = OSError(28, "No space left on device")
        with pytest.raises(OSError, match="No space") as caught:
            await fetch(transport, server.url("/a.bin"), sink=Collector(refusal=refusal))
        assert caught.value is refusal


async def test_canceling_closes_both_connections(transport):
    spec = FtpSpec(files={"/a": Pattern(1000)}, sends=500, data_end=Stall())
    with ScriptedFtp(spec) as scripted:
        sink = Collector()
        task = asyncio.create_task(fetch(transport, scripted.url("/a"), sink=sink))
        await sink.until(500)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        # The server's session ends only when its data connection has ended, too.
        await scripted.until(lambda: scripted.listener.connections.open == 0)


async def test_closing_the_transport_ends_what_is_under_way(transport):
    spec = FtpSpec(files={"/a": Pattern(1000)}, greeting=(Stall(),))
    with ScriptedFtp(spec) as scripted:
        task = asyncio.create_task(fetch(transport, scripted.url("/a")))
        await scripted.until(lambda: scripted.listener.connections.open == 1)
        await transport.aclose()
        with pytest.raises(NetworkFailed):
            await task


@pytest.mark.parametrize(
    "change",
    [
        {"method": "POST"},
        {"body": "file"},
        {"proxy": ProxyServer(uri=split_uri("http://proxy.test:3128", frozenset({"http"})))},
    ],
)
async def test_what_ftp_cannot_do_is_refused(transport, server, tmp_path, change: dict[str, Any]):
    if "body" in change:
        change = {"body": tmp_path / "body"}
    with pytest.raises(InvalidRequest):
        await fetch(transport, server.url("/a.bin"), **change)
    assert server.commands == []


async def test_a_closed_port_is_a_network_failure(transport, unused_port):
    with pytest.raises(NetworkFailed) as caught:
        await fetch(transport, f"ftp://127.0.0.1:{unused_port}/a")
    assert caught.value.web_error_status is WebErrorStatus.CANNOT_CONNECT


def test_the_transport_serves_ftp_and_ftps():
    assert FtpTransport().schemes == {"ftp", "ftps"}

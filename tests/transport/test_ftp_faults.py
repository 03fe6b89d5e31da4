"""FTP servers that lie, break off, aim elsewhere and talk nonsense: rows F1 to F13 of the catalogue of faults."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING

import pytest

from bgdl_jupyter.errors import NetworkFailed, ProtocolViolation, ResourceChanged, TransferFailed, TransferTimeout
from bgdl_jupyter.ranges import ByteRange
from bgdl_jupyter.resource import ContentRange, Kept, Verdict, decide
from bgdl_jupyter.transport import ftp_exchange
from bgdl_jupyter.transport.base import Framing
from bgdl_jupyter.transport.ftp import FtpTransport
from bgdl_jupyter.web_error_status import WebErrorStatus
from tests.servers.authority import Authority
from tests.servers.content import Literal, Pattern
from tests.servers.scripted_ftp import FtpSpec, ScriptedFtp
from tests.servers.steps import Cut, Pause, Repeat, Reset, Stall, raw
from tests.transport.ftp_sinks import Collector, fetch

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

SIZE = 300_000
FILE = Pattern(SIZE)
BODY = b"".join(bytes(piece) for piece in FILE.pieces(0, SIZE))
FILES = {"/a": FILE}
NO_SIZE = {"SIZE": b"502 no SIZE\r\n"}
IMPATIENT = 0.3


@pytest.fixture
async def transport() -> AsyncIterator[FtpTransport]:
    transport = FtpTransport()
    yield transport
    await transport.aclose()


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ftp_exchange, "PATIENCE", IMPATIENT)


class TestShort:
    """F1: the server calls half a file complete."""

    async def test_half_a_file_is_no_file_though_the_server_confirms_it(self, transport):
        with ScriptedFtp(FtpSpec(files=FILES, sends=SIZE // 2)) as server, pytest.raises(NetworkFailed) as caught:
            await fetch(transport, server.url("/a"))
        assert "150,000 of 300,000 bytes and called it complete" in str(caught.value)
        assert caught.value.is_transient

    async def test_without_a_size_the_framing_promises_no_length(self, transport):
        """Nothing can tell half a file from a whole one then, and the caller is told so."""
        with ScriptedFtp(FtpSpec(files=FILES, sends=SIZE // 2, replies=NO_SIZE)) as server:
            fetched = await fetch(transport, server.url("/a"))
        assert (fetched.framing, fetched.answer.content_length) == (Framing.CLOSED, None)
        assert fetched.answer.resource.validator is None

    async def test_a_reset_is_no_end(self, transport):
        spec = FtpSpec(files=FILES, sends=SIZE // 2, data_end=Reset(), replies=NO_SIZE)
        with ScriptedFtp(spec) as server, pytest.raises(NetworkFailed):
            await fetch(transport, server.url("/a"))

    async def test_more_than_the_size_is_another_file(self, transport):
        """The file grew since it was measured; the surplus is not delivered."""
        sink = Collector()
        spec = FtpSpec(files=FILES, replies={"SIZE": b"213 1000\r\n"})
        with ScriptedFtp(spec) as server, pytest.raises(ResourceChanged):
            await fetch(transport, server.url("/a"), sink=sink)
        assert bytes(sink.body) == BODY[:1000]

    async def test_more_than_the_size_is_noticed_under_tls_too(self, transport):
        sink, house = Collector(), Authority()
        spec = FtpSpec(files=FILES, replies={"SIZE": b"213 1000\r\n"})
        with ScriptedFtp(spec, tls=house.server()) as server:
            uri = server.url("/a").replace("ftp:", "ftps:")
            with pytest.raises(ResourceChanged):
                await fetch(transport, uri, sink=sink, ssl_context=house.client())
        assert bytes(sink.body) == BODY[:1000]


class TestLastWord:
    """F2: what the server says after the data, or does not say."""

    @pytest.mark.parametrize("final", [b"426 aborted\r\n", b"451 disk error\r\n", b"421 going down\r\n"])
    async def test_a_refusal_at_the_end_is_worth_another_try(self, transport, final: bytes):
        spec = FtpSpec(files=FILES, sends=1000, final=final)
        with ScriptedFtp(spec) as server, pytest.raises(NetworkFailed) as caught:
            await fetch(transport, server.url("/a"))
        assert final[:3].decode() in str(caught.value)

    async def test_a_refusal_counts_even_when_all_bytes_came(self, transport):
        with ScriptedFtp(FtpSpec(files=FILES, final=b"451 read error\r\n")) as server, pytest.raises(NetworkFailed):
            await fetch(transport, server.url("/a"))

    @pytest.mark.usefixtures("impatient")
    async def test_all_bytes_without_a_last_word_are_taken_with_a_note(self, transport, caplog):
        with ScriptedFtp(FtpSpec(files=FILES, final=(Stall(),))) as server:
            fetched = await fetch(transport, server.url("/a"))
        assert (fetched.body, fetched.framing) == (BODY, Framing.LENGTH)
        assert "did not confirm" in caplog.text

    async def test_all_bytes_and_a_lost_control_connection_are_taken(self, transport):
        with ScriptedFtp(FtpSpec(files=FILES, final=(Cut(),))) as server:
            fetched = await fetch(transport, server.url("/a"))
        assert (fetched.body, fetched.framing) == (BODY, Framing.LENGTH)

    @pytest.mark.usefixtures("impatient")
    @pytest.mark.parametrize("final", [(Stall(),), (Cut(),)])
    async def test_without_a_size_and_a_last_word_nothing_is_complete(self, transport, final):
        spec = FtpSpec(files=FILES, replies=NO_SIZE, final=final)
        with ScriptedFtp(spec) as server, pytest.raises(NetworkFailed):
            await fetch(transport, server.url("/a"))

    @pytest.mark.usefixtures("impatient")
    async def test_a_data_connection_that_stays_open_after_the_last_byte_ends_all_the_same(self, transport):
        with ScriptedFtp(FtpSpec(files=FILES, data_end=Stall())) as server:
            fetched = await fetch(transport, server.url("/a"))
        assert fetched.body == BODY


class TestRestart:
    """F3: REST refused, or agreed to and not done."""

    async def test_a_refused_restart_brings_the_whole_file(self, transport):
        with ScriptedFtp(FtpSpec(files=FILES, replies={"REST": b"502 no\r\n"})) as server:
            fetched = await fetch(transport, server.url("/a"), start=1000)
        assert (fetched.body, fetched.answer.status, fetched.answer.resource.accepts_ranges) == (BODY, 200, False)

    async def test_another_offset_than_asked_for_brings_the_whole_file(self, transport):
        with ScriptedFtp(FtpSpec(files=FILES, rest="begins elsewhere")) as server:
            fetched = await fetch(transport, server.url("/a"), start=1000)
            assert server.commands[-2:] != ["REST 1000", "RETR a"]
        assert (fetched.body, fetched.answer.status) == (BODY, 200)

    async def test_a_restart_that_is_agreed_to_and_ignored_is_noticed_by_the_surplus(self, transport):
        """Whoever compares the overlap notices it first."""
        spec = FtpSpec(files=FILES, rest="ignores", replies={"REST": b"350 fine\r\n"})
        with ScriptedFtp(spec) as server, pytest.raises(ResourceChanged):
            await fetch(transport, server.url("/a"), start=1000)


class TestPassive:
    """F4, F5: where the server sends us for the data."""

    async def test_a_foreign_address_in_the_reply_is_not_gone_to(self, transport):
        with socket.create_server(("127.0.0.2", 0)) as foreign:
            spec = FtpSpec(files=FILES, passive_host="127.0.0.2", replies={"EPSV": b"500 what\r\n"})
            with ScriptedFtp(spec) as server:
                fetched = await fetch(transport, server.url("/a"))
            foreign.setblocking(False)
            with pytest.raises(BlockingIOError):
                foreign.accept()
        assert fetched.body == BODY

    async def test_the_data_come_from_the_address_that_the_commands_went_to(self, transport, monkeypatch):
        """A name may have several addresses, and another one a moment later."""
        addresses = iter(["127.0.0.1"])

        def resolve(_host: str, port: int, *_: object, **__: object) -> list[tuple[object, ...]]:
            return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (next(addresses, "127.0.0.2"), port))]

        with ScriptedFtp(FtpSpec(files=FILES)) as server:
            monkeypatch.setattr(socket, "getaddrinfo", resolve)
            uri = server.url("/a").replace("127.0.0.1", "files.test")
            assert (await fetch(transport, uri)).body == BODY

    async def test_the_unspecified_address_means_the_server(self, transport):
        spec = FtpSpec(files=FILES, passive_host="0.0.0.0", replies={"EPSV": b"522 no\r\n"})
        with ScriptedFtp(spec) as server:
            assert (await fetch(transport, server.url("/a"))).body == BODY

    async def test_a_port_of_a_known_service_is_not_gone_to(self, transport):
        with ScriptedFtp(FtpSpec(files=FILES, passive_port=22)) as server, pytest.raises(ProtocolViolation):
            await fetch(transport, server.url("/a"))

    async def test_a_data_port_that_nobody_answers_on_times_out(self, transport):
        with socket.create_server(("127.0.0.1", 0), backlog=0) as hole, socket.socket() as first:
            first.connect(hole.getsockname())
            spec = FtpSpec(files=FILES, passive_port=hole.getsockname()[1])
            with ScriptedFtp(spec) as server, pytest.raises(TransferTimeout):
                await fetch(transport, server.url("/a"), connect_timeout=IMPATIENT)

    @pytest.mark.parametrize("reply", [b"229 no port\r\n", b"229 (|||0|)\r\n", b"229 (|||99999|)\r\n"])
    async def test_a_reply_without_a_port_is_a_violation(self, transport, reply: bytes):
        with ScriptedFtp(FtpSpec(files=FILES, replies={"EPSV": reply})) as server, pytest.raises(ProtocolViolation):
            await fetch(transport, server.url("/a"))


async def test_text_mode_is_never_fallen_back_to(transport):
    """F6: the conversion of line ends would change the file."""
    with ScriptedFtp(FtpSpec(files=FILES, replies={"TYPE": b"504 text only\r\n"})) as server:
        with pytest.raises(ProtocolViolation, match="binary"):
            await fetch(transport, server.url("/a"))
        assert not [command for command in server.commands if command.startswith("RETR")]


class TestNonsense:
    """F7: replies that are none."""

    @pytest.mark.parametrize(
        "greeting",
        [
            b"HTTP/1.1 400 Bad Request\r\n\r\n",
            b"SSH-2.0-OpenSSH_9.6\r\n",
            b"\x16\x03\x01\x02\x00\r\n",
            b"\xd9\xa2\xd9\xa2\xd9\xa0 digits, but not ours\r\n",
            b"220" + b"x" * 2_000_000 + b"\r\n",
            b"x" * 2_000_000,
        ],
        ids=["http", "ssh", "tls", "other digits", "long reply", "long line"],
    )
    async def test_what_is_not_ftp_is_a_violation(self, transport, greeting: bytes):
        with ScriptedFtp(FtpSpec(greeting=greeting)) as server, pytest.raises(ProtocolViolation):
            await fetch(transport, server.url("/a"))

    async def test_an_endless_reply_is_cut(self, transport):
        endless = (raw(b"220-hello\r\n"), Repeat(b"220-and more\r\n"))
        with ScriptedFtp(FtpSpec(greeting=endless)) as server, pytest.raises(ProtocolViolation, match="goes on"):
            await fetch(transport, server.url("/a"))

    async def test_a_trickling_reply_meets_the_time_limit(self, transport):
        trickle = (raw(b"220-hello\r\n"), *(step for _ in range(100) for step in (Pause(0.1), raw(b"220-more\r\n"))))
        with ScriptedFtp(FtpSpec(greeting=trickle)) as server, pytest.raises(TransferTimeout):
            await fetch(transport, server.url("/a"), response_timeout=IMPATIENT)

    async def test_a_greeting_in_another_encoding_keeps_nobody_from_the_file(self, transport):
        greeting = "220-Grüße\r\n220 bereit für Sie\r\n".encode("latin-1")
        with ScriptedFtp(FtpSpec(files=FILES, greeting=greeting)) as server:
            assert (await fetch(transport, server.url("/a"))).body == BODY

    async def test_a_silent_server_meets_the_time_limit(self, transport):
        with ScriptedFtp(FtpSpec(greeting=(Stall(),))) as server, pytest.raises(TransferTimeout):
            await fetch(transport, server.url("/a"), response_timeout=IMPATIENT)

    async def test_an_empty_conversation_is_a_network_failure(self, transport):
        with ScriptedFtp(FtpSpec(greeting=(Cut(),))) as server, pytest.raises(NetworkFailed):
            await fetch(transport, server.url("/a"))

    async def test_control_characters_of_a_reply_are_not_shown(self, transport):
        spec = FtpSpec(files=FILES, replies={"RETR": b"550 \x1b[31mgone\x07\r\n"})
        with ScriptedFtp(spec) as server, pytest.raises(TransferFailed) as caught:
            await fetch(transport, server.url("/a"))
        assert str(caught.value).isprintable()


@pytest.mark.parametrize("modified", ["20240203040507", "20240203040506.5"])
async def test_another_modification_time_is_another_version(transport, modified: str):
    """F9: what was begun under the old one is not gone on with."""
    with ScriptedFtp(FtpSpec(files=FILES), FtpSpec(files=FILES, modified=modified)) as server:
        first = await fetch(transport, server.url("/a"), limit=1000)
        validator = first.answer.resource.validator
        second = await fetch(transport, server.url("/a"), start=1000, condition=validator)
        third = await fetch(transport, server.url("/a"), start=1000)
    assert (second.answer.status, second.body) == (200, BODY)
    kept = Kept(position=1000, length=SIZE, validator=validator)
    assert decide(kept, ByteRange(1000, SIZE), third.answer).verdict is Verdict.ASK_FOR_ALL


class TestTlsRefused:
    """F10: an `ftps` URI is never fetched in clear text."""

    @pytest.mark.parametrize("verb", ["AUTH", "PROT", "PBSZ"])
    async def test_a_refusal_ends_it_before_the_login(self, transport, verb: str):
        house = Authority()
        spec = FtpSpec(files=FILES, replies={verb: b"534 no\r\n"})
        with ScriptedFtp(spec, tls=house.server()) as server:
            uri = server.url("/a", userinfo="u:opensesame").replace("ftp:", "ftps:")
            with pytest.raises(TransferFailed, match="never fetched in clear text") as caught:
                await fetch(transport, uri, ssl_context=house.client())
            assert not [command for command in server.commands if command.startswith(("USER", "PASS", "RETR"))]
        assert not caught.value.is_transient

    async def test_clear_text_behind_the_agreement_to_tls_is_not_taken_for_replies(self, transport):
        """Somebody on the way could inject replies that would seem to come under TLS."""
        spec = FtpSpec(files=FILES, replies={"AUTH": b"234 go\r\n200 fine\r\n200 fine\r\n230 in\r\n"})
        with ScriptedFtp(spec) as server, pytest.raises(ProtocolViolation, match="injecting"):
            await fetch(transport, server.url("/a").replace("ftp:", "ftps:"), ssl_context=Authority().client())


class TestTooMany:
    """F11: the server is full, for now."""

    @pytest.mark.parametrize(
        "spec",
        [
            FtpSpec(greeting=b"421 too many users\r\n"),
            FtpSpec(replies={"USER": b"530 Sorry, the maximum number of clients is connected\r\n"}),
            FtpSpec(replies={"USER": b"421 Too many connections from your address\r\n"}),
        ],
    )
    async def test_a_full_server_is_worth_another_try_and_concerns_the_host(self, transport, spec: FtpSpec):
        with ScriptedFtp(spec) as server, pytest.raises(NetworkFailed) as caught:
            await fetch(transport, server.url("/a"))
        assert caught.value.is_transient
        assert caught.value.web_error_status is WebErrorStatus.CANNOT_CONNECT

    async def test_a_busy_file_is_worth_another_try(self, transport):
        spec = FtpSpec(files=FILES, replies={"RETR": b"450 busy\r\n"})
        with ScriptedFtp(spec) as server, pytest.raises(NetworkFailed) as caught:
            await fetch(transport, server.url("/a"))
        assert caught.value.web_error_status is WebErrorStatus.SERVICE_UNAVAILABLE


async def test_no_listing_is_ever_asked_for(transport):
    """F12: names in a listing may be anything, so they are never looked at."""
    with ScriptedFtp(FtpSpec(files=FILES)) as server:
        await fetch(transport, server.url("/a"))
        await server.until(lambda: server.commands[-1] == "QUIT")
        verbs = {command.partition(" ")[0] for command in server.commands}
    assert verbs == {"USER", "TYPE", "SIZE", "MDTM", "EPSV", "RETR", "QUIT"}


class TestLogin:
    """F13, and servers that play with the login."""

    async def test_a_password_is_sent_once_however_often_the_server_asks(self, transport):
        spec = FtpSpec(logins={}, replies={"PASS": b"331 again\r\n"})
        with ScriptedFtp(spec) as server:
            with pytest.raises(TransferFailed):
                await fetch(transport, server.url("/a", userinfo="u:opensesame"))
            assert server.commands.count("PASS opensesame") == 1

    @pytest.mark.parametrize("verb", ["PASS", "TYPE", "RETR"])
    async def test_a_password_that_the_server_repeats_is_not_shown(self, transport, verb: str):
        replies = {verb: b"550 not with the password opensesame\r\n"}
        spec = FtpSpec(files=FILES, logins={"u": "opensesame"}, replies=replies)
        with ScriptedFtp(spec) as server, pytest.raises(TransferFailed) as caught:
            await fetch(transport, server.url("/a", userinfo="u:opensesame"))
        assert "opensesame" not in f"{caught.value!r}{caught.value.__cause__!r}"


@pytest.mark.usefixtures("impatient")
async def test_an_empty_file_confirmed_without_announcement_is_complete(transport):
    """Some servers go straight to 226 when there is nothing to send."""
    spec = FtpSpec(files={"/a": Literal(b"")}, replies={"RETR": b"226 done, it is empty\r\n"})
    with ScriptedFtp(spec) as server:
        fetched = await fetch(transport, server.url("/a"))
    assert (fetched.body, fetched.framing) == (b"", Framing.CONFIRMED)


async def test_a_part_of_a_file_without_a_size_comes_whole(transport):
    """Without a length nothing could tell whether the part fits to what is there."""
    with ScriptedFtp(FtpSpec(files=FILES, replies=NO_SIZE)) as server:
        fetched = await fetch(transport, server.url("/a"), start=1000)
        assert not [command for command in server.commands if command.startswith("REST")]
    assert (fetched.body, fetched.answer.status, fetched.answer.content_range) == (BODY, 200, None)


async def test_a_part_without_a_modification_time_is_not_proven(transport):
    with ScriptedFtp(FtpSpec(files=FILES, replies={"MDTM": b"502 no\r\n"})) as server:
        fetched = await fetch(transport, server.url("/a"), start=1000)
    assert fetched.answer.resource.validator is None
    assert fetched.answer.content_range == ContentRange(ByteRange(1000, SIZE), SIZE)

"""Replies of FTP servers: read within bounds, whatever the bytes are, and taken by their numbers."""

from __future__ import annotations

import asyncio
import ssl

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bgdl_jupyter.errors import CertificateRejected, NetworkFailed, ProtocolViolation, TransferTimeout
from bgdl_jupyter.secret import Secret
from bgdl_jupyter.transport.ftp_replies import (
    LINE_LIMIT,
    MAX_LINES,
    Refused,
    Reply,
    failure_of,
    failure_of_reply,
    modification_time_of,
    names_other_offset,
    parse_time,
    passive_port,
    read_reply,
    size_of,
)
from bgdl_jupyter.web_error_status import WebErrorStatus


def read(data: bytes) -> Reply:
    """Read one reply from bytes after which the connection ends."""

    async def run() -> Reply:
        reader = asyncio.StreamReader(limit=LINE_LIMIT)
        reader.feed_data(data)
        reader.feed_eof()
        return await read_reply(reader.readline)

    return asyncio.run(run())


@pytest.mark.parametrize(
    ("data", "reply"),
    [
        (b"220 ready\r\n", Reply(220, ("ready",))),
        (b"220 ready\n", Reply(220, ("ready",))),
        (b"220\r\n", Reply(220, ("",))),
        (b"211-features\r\n SIZE\r\n211 end\r\n", Reply(211, ("features", " SIZE", "end"))),
        (b"220-a\r\n221 not the end\r\n220 b\r\n", Reply(220, ("a", "221 not the end", "b"))),
        (b"220-a\r\n220-b\r\n220 c\r\n", Reply(220, ("a", "b", "c"))),
    ],
)
def test_a_reply_ends_where_its_number_stands_before_a_space(data: bytes, reply: Reply):
    assert read(data) == reply


@pytest.mark.parametrize("data", [b"", b"220 rea", b"220-a\r\n", b"220-a\r\n220 b"])
def test_a_reply_without_an_end_is_a_lost_connection(data: bytes):
    with pytest.raises(ConnectionResetError):
        read(data)


def test_a_long_message_of_the_day_is_read_and_an_endless_one_is_not():
    assert len(read(b"230-a\r\n" + b"230-b\r\n" * 500 + b"230 c\r\n").lines) == 502
    with pytest.raises(ProtocolViolation):
        read(b"230-a\r\n" * (MAX_LINES + 2))
    with pytest.raises(ProtocolViolation):
        read((b"230-" + b"x" * 8000 + b"\r\n") * 20)


@given(st.binary(max_size=300) | st.from_regex(rb"\A[1-5][0-9]{2}[- ][^\n]{0,20}\n", fullmatch=False))
def test_any_bytes_are_a_reply_a_violation_or_a_lost_connection(data: bytes):
    try:
        reply = read(data)
    except (ProtocolViolation, ConnectionResetError):
        return
    assert 100 <= reply.code < 600


@pytest.mark.parametrize(
    ("reply", "port"),
    [
        (Reply(229, ("Entering Extended Passive Mode (|||6446|)",)), 6446),
        (Reply(229, ("(!!!65535!)",)), 65535),
        (Reply(227, ("Entering Passive Mode (132,235,1,2,24,131)",)), 6275),
        (Reply(227, ("0,0,0,0,24,131",)), 6275),
    ],
)
def test_the_port_is_taken_and_the_address_is_not(reply: Reply, port: int):
    assert passive_port(reply) == port


@pytest.mark.parametrize(
    "text", ["", "(|||)", "(|||80|)", "(|||65536|)", "(1,2,3,4,0,21)", "(1,2,3,4,999,1)", "(1,2,3)"]
)
def test_what_names_no_usable_port_is_a_violation(text: str):
    with pytest.raises(ProtocolViolation):
        passive_port(Reply(227, (text,)))


@pytest.mark.parametrize("text", ["-1", "12x", "", "1 2", "٣", "1e9", "9" * 20])
def test_a_size_is_plain_digits(text: str):
    assert size_of(Reply(213, (text,))) is None


def test_a_size_may_need_64_bits():
    assert size_of(Reply(213, (str(5 << 30),))) == 5 << 30
    assert size_of(Reply(550, ("5",))) is None


def test_a_modification_time_is_kept_as_it_was_written():
    assert modification_time_of(Reply(213, ("20240203040506.123",))) == "20240203040506.123"
    assert modification_time_of(Reply(213, ("191240203040506",))) is None
    assert modification_time_of(Reply(502, ("20240203040506",))) is None


@pytest.mark.parametrize(
    ("value", "time"),
    [
        ("19700101000001", 1.0),
        ("19700101000001.9", 1.0),
        ("20241399000000", None),
        ("00000000000000", None),
        (None, None),
    ],
)
def test_a_modification_time_is_in_utc(value: str | None, time: float | None):
    assert parse_time(value) == time


@pytest.mark.parametrize(
    ("text", "is_other"),
    [
        ("Restarting at 1000. Send STORE or RETRIEVE.", False),
        ("Restart position accepted (1000).", False),
        ("Restarting at 1,000.", False),
        ("fine", False),
        ("Restarting at 0", True),
        ("Restarting at 10000", True),
    ],
)
def test_another_offset_in_the_reply_is_noticed(text: str, is_other: bool):
    assert names_other_offset(Reply(350, (text,)), 1000) is is_other


@pytest.mark.parametrize(
    ("code", "text", "status", "is_transient"),
    [
        (530, "Login incorrect", WebErrorStatus.UNAUTHORIZED, False),
        (530, "Too many users", WebErrorStatus.CANNOT_CONNECT, True),
        (421, "Service not available", WebErrorStatus.CANNOT_CONNECT, True),
        (425, "Cannot open data connection", WebErrorStatus.CANNOT_CONNECT, True),
        (426, "Connection closed", WebErrorStatus.CONNECTION_ABORTED, True),
        (450, "Busy", WebErrorStatus.SERVICE_UNAVAILABLE, True),
        (550, "No such file", WebErrorStatus.NOT_FOUND, False),
        (550, "Permission denied", WebErrorStatus.FORBIDDEN, False),
        (504, "Not for that parameter", WebErrorStatus.ERROR_HTTP_INVALID_SERVER_RESPONSE, False),
    ],
)
def test_a_refusal_means(code: int, text: str, status: WebErrorStatus, is_transient: bool):
    error = failure_of_reply(Refused("the file", Reply(code, (text,))), ())
    assert (error.web_error_status, error.is_transient) == (status, is_transient)
    assert f"{code} ({text})" in str(error)


def test_secrets_and_long_texts_are_not_shown():
    text = "go away opensesame " + "x" * 5000
    error = failure_of_reply(Refused("the file", Reply(550, (text,))), (Secret("opensesame"),))
    assert "opensesame" not in str(error)
    assert len(str(error)) < 300


def test_a_private_reply_is_not_shown_at_all():
    error = failure_of_reply(Refused("the login", Reply(530, ("pw is x",)), is_private=True), ())
    assert "pw" not in str(error)


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (TimeoutError(), TransferTimeout),
        (ConnectionResetError(), NetworkFailed),
        (OSError(113, "No route to host"), NetworkFailed),
        (ssl.SSLCertVerificationError(1, "bad"), CertificateRejected),
        (ssl.SSLError(1, "wrong version number"), ProtocolViolation),
        (ssl.SSLEOFError(8, "eof"), NetworkFailed),
    ],
)
def test_foreign_exceptions_are_mapped(error: Exception, kind: type[Exception]):
    error.__dict__.setdefault("verify_message", "self-signed certificate")
    assert type(failure_of(error, "asking")) is kind

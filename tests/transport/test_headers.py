from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from multidict import CIMultiDict

from bgdl_jupyter.errors import ProtocolViolation
from bgdl_jupyter.ranges import ByteRange
from bgdl_jupyter.resource import ContentRange, Validator, ValidatorKind
from bgdl_jupyter.secret import MASK
from bgdl_jupyter.transport.headers import (
    content_length,
    parse_content_range,
    parse_retry_after,
    public_headers,
    read_answer,
)

DATE = "Sun, 22 Nov 2026 12:00:00 GMT"
OFFSETS = st.integers(0, 2**60)


def answer_of(status: int, *headers: tuple[str, str]):
    return read_answer(status, CIMultiDict(headers), "http://files.test/a")


class TestContentRange:
    @given(first=OFFSETS, length=st.integers(1, 2**40), rest=st.integers(0, 2**40))
    def test_the_inclusive_end_on_the_wire_becomes_half_open(self, first, length, rest):
        last, total = first + length - 1, first + length + rest
        assert parse_content_range([f"bytes {first}-{last}/{total}"]) == ContentRange(
            ByteRange(first, first + length), total
        )

    def test_a_total_may_be_unknown(self):
        assert parse_content_range(["bytes 0-9/*"]) == ContentRange(ByteRange(0, 10), None)

    def test_an_unsatisfied_range_has_a_total_only(self):
        assert parse_content_range(["bytes */42"]) == ContentRange(None, 42)

    @pytest.mark.parametrize(
        "value",
        [
            "",
            "bytes",
            "bytes 0-9",
            "bytes 9-0/10",
            "bytes 0-10/10",
            "bytes -5/10",
            "bytes 5-/10",
            "bytes=0-9/10",
            "bytes */*",
            "items 0-9/10",
            "bytes 0-9/10, bytes 0-9/10",
            "bytes 0 - 9/10",
            "bytes +0-9/10",
            "bytes \u0660-\u0669/\u0661\u0660",
            "bytes 0-9/10 ",
            "Bytes 0-9/10",
            "bytes 0-99999999999999999999/*",
        ],
    )
    def test_anything_else_is_not_guessed_at(self, value):
        assert parse_content_range([value]) is None

    def test_two_of_them_are_none(self):
        assert parse_content_range(["bytes 0-9/10", "bytes 0-9/10"]) is None

    @given(st.text())
    def test_no_text_raises(self, text):
        parse_content_range([text])


class TestRetryAfter:
    @pytest.mark.parametrize(
        ("value", "seconds"),
        [("0", 0.0), ("120", 120.0), ("1000000000", 1e9), ("99999999999999999999", 1e12)],
    )
    def test_digits_are_seconds(self, value, seconds):
        assert parse_retry_after([value], DATE) == seconds

    @pytest.mark.parametrize("value", ["-1", "1.5", "", "\u0661\u0662", "1e9", "soon", "+5", "0x10"])
    def test_anything_else_says_nothing(self, value):
        assert parse_retry_after([value], DATE) is None

    def test_a_date_counts_from_the_servers_own_clock(self):
        """A server whose clock is three hours off still means two minutes."""
        assert parse_retry_after(["Sun, 22 Nov 2026 12:02:00 GMT"], DATE) == 120.0

    def test_a_date_that_has_passed_means_now(self):
        assert parse_retry_after(["Sun, 22 Nov 2026 11:00:00 GMT"], DATE) == 0.0

    def test_a_date_without_the_servers_clock_says_nothing(self):
        assert parse_retry_after(["Sun, 22 Nov 2026 12:02:00 GMT"], None) is None

    def test_of_two_the_longer_counts(self):
        assert parse_retry_after(["5", "60", "nonsense"], DATE) == 60.0

    @given(st.lists(st.text()), st.none() | st.text())
    def test_no_text_raises_and_no_wait_is_negative(self, values, date):
        wait = parse_retry_after(values, date)
        assert wait is None or wait >= 0


class TestContentLength:
    def test_the_same_length_twice_is_one(self):
        assert content_length(CIMultiDict([("Content-Length", "5"), ("Content-Length", "5")])) == 5

    @pytest.mark.parametrize("values", [("5", "6"), ("5, 6",), ("-1",), ("0x5",), ("",), ("\u0665",), ("9" * 30,)])
    def test_lengths_that_differ_or_are_no_numbers_break_the_protocol(self, values):
        with pytest.raises(ProtocolViolation):
            content_length(CIMultiDict([("Content-Length", value) for value in values]))

    def test_chunks_overrule_a_length(self):
        assert content_length(CIMultiDict([("Content-Length", "5"), ("Transfer-Encoding", "chunked")])) is None


class TestAnswer:
    def test_a_whole_answer_has_the_length_of_its_body(self):
        answer = answer_of(200, ("Content-Length", "10"), ("ETag", '"v"'), ("Accept-Ranges", "bytes"))
        assert answer.resource.length == answer.content_length == 10
        assert answer.resource.validator == Validator(ValidatorKind.ETAG, '"v"')
        assert answer.resource.accepts_ranges is True

    def test_a_part_tells_the_length_of_the_whole(self):
        answer = answer_of(206, ("Content-Length", "5"), ("Content-Range", "bytes 5-9/10"))
        assert (answer.resource.length, answer.content_length) == (10, 5)
        assert answer.resource.accepts_ranges is True

    def test_a_coded_body_says_nothing_about_the_length_of_the_file(self):
        answer = answer_of(200, ("Content-Length", "5"), ("Content-Encoding", "gzip"))
        assert answer.is_encoded
        assert answer.resource.length is None
        assert answer.content_length == 5

    def test_the_identity_coding_is_none(self):
        assert not answer_of(200, ("Content-Encoding", "identity")).is_encoded

    def test_a_content_range_that_cannot_be_read_is_still_known_to_be_there(self):
        answer = answer_of(206, ("Content-Range", "bytes 9-5/10"))
        assert answer.has_content_range
        assert answer.content_range is None

    def test_several_parts_are_recognised(self):
        assert answer_of(206, ("Content-Type", "multipart/byteranges; boundary=x")).is_multipart

    def test_a_young_last_modified_is_no_validator(self):
        answer = answer_of(200, ("Last-Modified", DATE), ("Date", "Sun, 22 Nov 2026 12:00:30 GMT"))
        assert answer.resource.validator is None

    @pytest.mark.parametrize("value", ["Mon, 01 Jan 1601 00:00:00 GMT", "Fri, 31 Dec 9999 23:59:59 GMT", "yesterday"])
    def test_a_strange_last_modified_does_no_harm(self, value):
        answer_of(200, ("Last-Modified", value))


class TestPublicHeaders:
    def test_cookies_and_challenges_are_left_out(self):
        shown = public_headers([("Set-Cookie", "a=b"), ("WWW-Authenticate", "Basic"), ("Server", "nginx")])
        assert shown == (("Server", "nginx"),)

    def test_secret_values_are_masked(self):
        assert public_headers([("X-Auth-Token", "hunter2")]) == (("X-Auth-Token", MASK),)

    def test_a_location_is_redacted(self):
        [(_, value)] = public_headers([("Location", "https://u:hunter2@host/a?sig=hunter2")])
        assert "hunter2" not in value

    def test_values_can_always_be_stored_and_shown(self):
        [(_, value)] = public_headers([("X", "a\x1b[31m\udcff")])
        assert value.encode("utf-8")
        assert value.isprintable()

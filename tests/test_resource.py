"""Whether what the server sends belongs to what we have: the rules R0-R8, row by row, and as one property."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime
from email.utils import format_datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bgdl_jupyter.ranges import ByteRange
from bgdl_jupyter.resource import (
    MAX_RESTARTS,
    OVERLAP,
    Answer,
    ContentRange,
    Digest,
    Kept,
    Resource,
    Validator,
    ValidatorKind,
    Verdict,
    decide,
    may_splice,
    parse_http_date,
    range_to_ask,
    strong_validator,
)

KIB = 1024
N, L = 200 * KIB, 500 * KIB
ETAG = Validator(ValidatorKind.ETAG, '"v1"')
DATE = "Sun, 22 Nov 2026 12:00:00 GMT"
LONG_AGO = "Sat, 21 Nov 2026 12:00:00 GMT"
JUST_NOW = "Sun, 22 Nov 2026 11:59:30 GMT"
DATED = Validator(ValidatorKind.LAST_MODIFIED, LONG_AGO)
A_MINUTE_AGO = "Sun, 22 Nov 2026 11:59:00 GMT"

KEPT = Kept(position=N, length=L, validator=ETAG)
ASKED = ByteRange(N - OVERLAP, N)


def answer(
    status,
    *,
    sent=None,
    total=None,
    etag=None,
    modified=None,
    content_length=None,
    accepts_ranges=None,
    is_garbled=False,
    **facts,
):
    """Make an answer as a transport would read it from the headers."""
    headers = (("ETag", etag), ("Last-Modified", modified), ("Date", DATE))
    has_range = sent is not None or (status == 416 and total is not None)
    return Answer(
        status=status,
        resource=Resource(
            actual_uri="http://a.example/f",
            status_code=status,
            headers=tuple((name, value) for name, value in headers if value),
            validator=strong_validator(etag, modified, DATE),
            accepts_ranges=accepts_ranges,
        ),
        content_length=content_length,
        content_range=ContentRange(ByteRange(*sent) if sent else None, total) if has_range else None,
        has_content_range=has_range or is_garbled,
        **facts,
    )


def part(start=ASKED.start, stop=L, total: int | None = L, *, etag='"v1"', **facts):
    return answer(206, sent=(start, stop), total=total, etag=etag, **facts)


START_OVER, GO_ON, ASK_ALL = Verdict.START_OVER, Verdict.CONTINUE, Verdict.ASK_FOR_ALL
ROWS = {
    "H12 range ignored, whole body, no validator": (answer(200), START_OVER, "R3"),
    "H13 200 with a Content-Range": (answer(200, sent=(ASKED.start, L), total=L), ASK_ALL, "R2"),
    "H13 200 with a garbled Content-Range": (answer(200, is_garbled=True), ASK_ALL, "R2"),
    "H14 part starts earlier, at a block": (part(64 * KIB), GO_ON, "R1"),
    "H14 part starts at 0": (part(0), GO_ON, "R1"),
    "part starts where asked": (part(), GO_ON, "R1"),
    "part starts at our end, without the overlap": (part(N), GO_ON, "R1"),
    "H15 part starts later": (part(N + 1), ASK_ALL, "R2"),
    "H15 other total, larger": (part(total=L + 1), ASK_ALL, "R2"),
    "H15 other total, smaller": (part(stop=L - 1, total=L - 1), ASK_ALL, "R2"),
    "H15 end beyond the total": (part(stop=L + 1), ASK_ALL, "R2"),
    "H15 end beyond the known length, no total": (part(stop=L + 1, total=None), ASK_ALL, "R2"),
    "no total, and the length is known": (part(total=None), GO_ON, "R1"),
    "H16 part without Content-Range": (answer(206, etag='"v1"'), ASK_ALL, "R2"),
    "H16 part with a Content-Range without a range": (
        replace(part(), content_range=ContentRange(None, L)),
        ASK_ALL,
        "R2",
    ),
    "H17 part shorter than asked": (part(stop=N + 1), GO_ON, "R1"),
    "part ends where we do": (part(stop=N), ASK_ALL, "R2"),
    "part ends before we do": (part(stop=N - 1), ASK_ALL, "R2"),
    "Content-Length fits": (part(content_length=L - ASKED.start), GO_ON, "R1"),
    "Content-Length is another": (part(content_length=L - ASKED.start - 1), ASK_ALL, "R2"),
    "H18 multipart for one range": (part(is_multipart=True), ASK_ALL, "R2"),
    "H10 part with a content coding": (part(is_encoded=True), ASK_ALL, "R2"),
    "H20 changed, If-Range honoured": (answer(200, etag='"v2"'), START_OVER, "R3"),
    "H21 changed, part of the new version": (part(etag='"v2"'), ASK_ALL, "R2"),
    "H22 part without a validator": (part(etag=None), GO_ON, "R1"),
    "part whose tag was weakened on the way": (part(etag='W/"v1"'), GO_ON, "R1"),
    "part of another version, weakly tagged": (part(etag='W/"v2"'), ASK_ALL, "R2"),
    "H25 same version sent whole": (answer(200, etag='"v1"'), Verdict.ASK_UNCONDITIONALLY, "R3"),
    "same version sent whole by a server without ranges": (
        answer(200, etag='"v1"', accepts_ranges=False),
        START_OVER,
        "R3",
    ),
    "H29 416 with the total that we have, but not all of it": (answer(416, total=N), ASK_ALL, "R4"),
    "H30 416 with a smaller total": (answer(416, total=N - 1), ASK_ALL, "R4"),
    "H30 416 with a larger total": (answer(416, total=L), ASK_ALL, "R4"),
    "H31 416 without Content-Range": (answer(416), ASK_ALL, "R4"),
    "H35 a login page in place of the file": (answer(200, content_length=18), START_OVER, "R3"),
}


@pytest.mark.parametrize(("given_answer", "verdict", "rule"), ROWS.values(), ids=ROWS)
def test_an_answer_to_a_range(given_answer, verdict, rule):
    decision = decide(KEPT, ASKED, given_answer)
    assert (decision.verdict, decision.rule) == (verdict, rule), decision.reason
    assert decision.reason


@pytest.mark.parametrize("start", [0, 64 * KIB, ASKED.start, N])
def test_a_part_says_where_its_first_byte_belongs(start):
    assert decide(KEPT, ASKED, part(start)).position == start


ALL = Kept(position=L, length=L, validator=ETAG)
ALL_ASKED = ByteRange(L - OVERLAP, L)
UNKNOWN = Kept(position=N, validator=ETAG)


@pytest.mark.parametrize(
    ("kept", "asked", "given_answer", "verdict"),
    [
        pytest.param(ALL, ALL_ASKED, answer(416, total=L), Verdict.CHECK_COMPLETE, id="H29 all there"),
        pytest.param(ALL, ALL_ASKED, answer(416, total=L, etag='"v1"'), Verdict.CHECK_COMPLETE, id="and the same"),
        pytest.param(ALL, ALL_ASKED, answer(416, total=L, etag='"v2"'), ASK_ALL, id="another version of this size"),
        pytest.param(ALL, ALL_ASKED, answer(416, total=L - 1), ASK_ALL, id="one byte less"),
        pytest.param(ALL, ALL_ASKED, answer(416, total=L + 1), ASK_ALL, id="one byte more"),
        pytest.param(ALL, ALL_ASKED, part(ALL_ASKED.start), GO_ON, id="the overlap proves that all is there"),
        pytest.param(UNKNOWN, ASKED, answer(416, total=N), Verdict.CHECK_COMPLETE, id="R7 the end is proven"),
        pytest.param(UNKNOWN, ASKED, part(total=None), ASK_ALL, id="nobody knows the total"),
        pytest.param(UNKNOWN, ASKED, part(), GO_ON, id="the total is told now"),
        pytest.param(UNKNOWN, ASKED, part(stop=N, total=N), GO_ON, id="the total told now is what we have"),
        pytest.param(
            ALL,
            ALL_ASKED,
            replace(answer(416), content_range=ContentRange(ByteRange(0, L), L)),
            ASK_ALL,
            id="a 416 that names a range",
        ),
    ],
)
def test_an_answer_at_the_end(kept, asked, given_answer, verdict):
    assert decide(kept, asked, given_answer).verdict is verdict


@pytest.mark.parametrize(
    ("given_answer", "verdict"),
    [
        pytest.param(answer(200), START_OVER, id="the usual case"),
        pytest.param(answer(200, content_length=0), START_OVER, id="H53 an empty file"),
        pytest.param(answer(200, sent=(0, L), total=L), Verdict.FAIL, id="R2 still slice-like"),
        pytest.param(answer(200, is_garbled=True), Verdict.FAIL, id="R2 still slice-like, garbled"),
        pytest.param(part(0), Verdict.FAIL, id="H19 a part, unasked"),
        pytest.param(answer(206), Verdict.FAIL, id="H19 a part without a range, unasked"),
        pytest.param(answer(416, total=0), Verdict.FAIL, id="a refusal of what was not asked"),
    ],
)
@pytest.mark.parametrize("kept", [Kept(), KEPT])
def test_an_answer_to_a_plain_get(kept, given_answer, verdict):
    assert decide(kept, None, given_answer).verdict is verdict


def test_the_same_version_sent_whole_is_asked_for_once_without_a_condition():
    """If-Range is not honoured by some (H25); there is no second such question."""
    whole = answer(200, etag='"v1"')
    assert decide(KEPT, ASKED, whole, was_conditional=True).verdict is Verdict.ASK_UNCONDITIONALLY
    assert decide(KEPT, ASKED, whole, was_conditional=False).verdict is START_OVER


def test_only_a_strong_etag_is_worth_a_question_without_a_condition():
    kept = replace(KEPT, validator=DATED)
    assert decide(kept, ASKED, answer(200, modified=LONG_AGO)).verdict is START_OVER


@pytest.mark.parametrize(
    ("modified", "verdict"),
    [
        (LONG_AGO, GO_ON),
        (None, GO_ON),
        ("Saturday, 21-Nov-26 12:00:00 GMT", GO_ON),
        (JUST_NOW, ASK_ALL),
        ("Sun, 22 Nov 2026 10:00:00 GMT", ASK_ALL),
        ("yesterday", ASK_ALL),
    ],
)
def test_a_part_that_was_modified_meanwhile_is_of_another_version(modified, verdict):
    """Also when the change is too fresh to count as a validator itself."""
    kept = replace(KEPT, validator=DATED)
    assert decide(kept, ASKED, part(etag=None, modified=modified)).verdict is verdict


def test_a_part_of_a_segment_that_has_no_bytes_yet_must_begin_where_it_was_asked():
    kept, asked = Kept(position=N, length=L, validator=ETAG), ByteRange(N, N)
    assert decide(kept, asked, part(N)).verdict is GO_ON
    assert decide(kept, asked, part(N + 1)).verdict is ASK_ALL


def test_without_a_validator_only_a_digest_or_the_users_word_lets_bytes_be_joined():
    """R0: a file put together from two versions must never be called complete."""
    assert not may_splice(Kept(position=N, length=L))
    assert may_splice(Kept(position=N, length=L, validator=ETAG))
    assert may_splice(Kept(position=N, length=L, has_digest=True))
    assert may_splice(Kept(position=N, length=L, trusts_unverified=True))


def test_nothing_kept_is_asked_for_without_a_range():
    assert range_to_ask(replace(KEPT, position=0)) is None


def test_after_two_restarts_the_server_counts_as_not_resumable():
    """No ping-pong between two back ends that disagree (H24)."""
    assert MAX_RESTARTS == 2
    assert range_to_ask(replace(KEPT, restarts=1)) is not None
    assert range_to_ask(replace(KEPT, restarts=2)) is None


@pytest.mark.parametrize(
    ("position", "overlap", "expected"),
    [
        (N, OVERLAP, (N - OVERLAP, N)),
        (OVERLAP, OVERLAP, (0, OVERLAP)),
        (10, OVERLAP, (0, 10)),
        (L, OVERLAP, (L - OVERLAP, L)),
        (N, 0, (N, N)),
    ],
)
def test_the_64_kib_before_our_end_are_asked_for_again(position, overlap, expected):
    assert OVERLAP == 65536
    assert range_to_ask(replace(KEPT, position=position), overlap=overlap) == expected


@pytest.mark.parametrize(
    ("etag", "modified", "date", "expected"),
    [
        ('"v1"', None, None, ETAG),
        ('"v1"', LONG_AGO, DATE, ETAG),
        ('""', None, None, Validator(ValidatorKind.ETAG, '""')),
        ('W/"v1"', None, DATE, None),
        ('w/"v1"', None, DATE, None),
        ('W/"v1"', LONG_AGO, DATE, DATED),
        (None, LONG_AGO, DATE, DATED),
        (None, A_MINUTE_AGO, DATE, Validator(ValidatorKind.LAST_MODIFIED, A_MINUTE_AGO)),
        (None, "Sun, 22 Nov 2026 11:59:01 GMT", DATE, None),
        (None, JUST_NOW, DATE, None),
        (None, "Sun, 22 Nov 2099 12:00:00 GMT", DATE, None),
        (None, LONG_AGO, None, None),
        (None, LONG_AGO, "some day", None),
        (None, "some day", DATE, None),
        ("", "", DATE, None),
        (None, None, None, None),
    ],
)  # fmt: skip
def test_what_proves_that_a_resource_is_the_same(etag, modified, date, expected):
    """H23, H26: a weak ETag proves nothing, nor does a date that a second change may share."""
    assert strong_validator(etag, modified, date) == expected


@pytest.mark.parametrize(
    "text", ["", "x", "Sun, 99 Nov 2026 12:00:00 GMT", "Sun, 22 Nov 2026 12:00:00", "Fri, 31 Feb 1601 00:00:00 GMT"]
)
def test_what_is_no_date_is_none(text):
    assert parse_http_date(text) is None


@given(st.text())
def test_no_text_breaks_the_reading_of_a_date(text):
    parsed = parse_http_date(text)
    assert parsed is None or parsed.tzinfo is not None


@given(st.datetimes(min_value=datetime(1601, 1, 1), max_value=datetime(9999, 1, 1)))  # noqa: DTZ001 (made aware below)
def test_a_date_is_read_as_it_was_written(moment):
    moment = moment.replace(microsecond=0, tzinfo=UTC)
    assert parse_http_date(format_datetime(moment, usegmt=True)) == moment


# ------------------------------------------------------------------ as one property

etags = st.sampled_from([None, '"v1"', '"v2"', 'W/"v1"', 'W/"v2"'])
dates = st.sampled_from([None, LONG_AGO, JUST_NOW, format_datetime(datetime(2026, 11, 20, tzinfo=UTC), usegmt=True)])
offsets = st.integers(0, 12)
spans = st.tuples(offsets, offsets).filter(lambda pair: pair[0] < pair[1])
validators = st.sampled_from([None, ETAG, DATED])
kepts = st.builds(
    Kept,
    position=offsets,
    length=st.none() | offsets,
    validator=validators,
    has_digest=st.booleans(),
    restarts=st.integers(0, 3),
    trusts_unverified=st.booleans(),
)
answers = st.builds(
    answer,
    st.sampled_from([200, 206, 416]),
    sent=st.none() | spans,
    total=st.none() | offsets,
    etag=etags,
    modified=dates,
    content_length=st.none() | offsets,
    accepts_ranges=st.sampled_from([None, True, False]),
    is_garbled=st.booleans(),
    is_multipart=st.booleans(),
    is_encoded=st.booleans(),
)


def stated_version_is_another(kept, given_answer):
    """Say by the raw headers whether the answer belongs to another version."""
    headers = dict(given_answer.resource.headers)
    if kept.validator is None:
        return False
    name = {ValidatorKind.ETAG: "ETag", ValidatorKind.LAST_MODIFIED: "Last-Modified"}[kept.validator.kind]
    stated = headers.get(name)
    return stated is not None and stated.removeprefix("W/") != kept.validator.value


@given(kept=kepts, given_answer=answers, overlap=st.integers(0, 4))
def test_bytes_are_joined_only_when_everything_agrees(kept, given_answer, overlap):
    asked = range_to_ask(kept, overlap=overlap)
    decision = decide(kept, asked, given_answer)
    if decision.verdict is not Verdict.CONTINUE:
        return
    content_range = given_answer.content_range
    assert given_answer.status == 206
    assert asked is not None
    assert content_range is not None
    assert content_range.sent is not None
    sent, total = content_range.sent, content_range.total
    assert kept.validator is not None or kept.has_digest or kept.trusts_unverified
    assert decision.position == sent.start <= kept.position
    assert sent.stop > kept.position or kept.position in (kept.length, total)
    assert (total if total is not None else kept.length) is not None
    assert kept.length is None or (total in (None, kept.length) and sent.stop <= kept.length)
    assert total is None or sent.stop <= total
    assert given_answer.content_length in (None, sent.length)
    assert not given_answer.is_multipart
    assert not given_answer.is_encoded
    assert not stated_version_is_another(kept, given_answer)


@given(kept=kepts, given_answer=answers)
def test_the_end_is_believed_only_without_any_tolerance(kept, given_answer):
    asked = range_to_ask(kept)
    if decide(kept, asked, given_answer).verdict is Verdict.CHECK_COMPLETE:
        assert given_answer.status == 416
        assert given_answer.content_range == ContentRange(None, kept.position)
        assert kept.length in (None, kept.position)
        assert not stated_version_is_another(kept, given_answer)


@given(kept=kepts, given_answer=answers, was_conditional=st.booleans())
def test_a_question_leads_to_another_at_most_twice(kept, given_answer, was_conditional):
    """However a server answers: the unconditional range, then everything, and that is the last."""
    asked = range_to_ask(kept)
    verdict = decide(kept, asked, given_answer, was_conditional=was_conditional).verdict
    if verdict is Verdict.ASK_UNCONDITIONALLY:
        assert was_conditional
        assert asked is not None
    if verdict is Verdict.ASK_FOR_ALL:
        assert asked is not None
    assert decide(kept, None, given_answer).verdict in {START_OVER, Verdict.FAIL}


@given(kept=kepts, given_answer=answers)
def test_a_whole_body_is_never_refused_for_not_resuming(kept, given_answer):
    """R3: not resumable is no failure."""
    if given_answer.status == 200 and not given_answer.has_content_range:
        verdict = decide(kept, range_to_ask(kept), given_answer).verdict
        assert verdict in {START_OVER, Verdict.ASK_UNCONDITIONALLY}


MDTM = Validator(ValidatorKind.MODIFICATION_TIME, "20261121120000;500")


@pytest.mark.parametrize(("theirs", "verdict"), [(MDTM, GO_ON), (replace(MDTM, value="other"), ASK_ALL), (None, GO_ON)])
def test_a_protocol_without_headers_is_judged_by_its_validator(theirs, verdict):
    """F9: an FTP server tells the time of a file, and no header."""
    given_answer = part(etag=None)
    told = replace(given_answer, resource=replace(given_answer.resource, headers=(), validator=theirs))
    assert decide(replace(KEPT, validator=MDTM), ASKED, told).verdict is verdict


# ------------------------------------------------------------------ records

FULL = Resource(
    actual_uri="http://a.example/f",
    status_code=200,
    headers=(("ETag", '"v1"'), ("X-A", "ü")),
    length=5 << 30,
    validator=ETAG,
    accepts_ranges=True,
    content_type="text/plain",
    content_encoding=None,
    suggested_name="f.txt",
    modified_at=1.5,
    digests=(Digest("sha256", "ab"),),
)


@pytest.mark.parametrize("resource", [FULL, Resource(actual_uri="ftp://a.example/f")])
def test_a_resource_outlives_the_kernel(resource):
    assert Resource.from_record(json.loads(json.dumps(resource.to_record()))) == resource


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("actual_uri", None),
        ("status_code", "200"),
        ("status_code", True),
        ("length", -1),
        ("length", 1.5),
        ("length", True),
        ("headers", [["a"]]),
        ("headers", [["a", 1]]),
        ("headers", None),
        ("validator", ["etag"]),
        ("validator", ["etag", 5]),
        ("validator", ["magic", "x"]),
        ("validator", []),
        ("accepts_ranges", 1),
        ("suggested_name", 5),
        ("modified_at", "now"),
        ("modified_at", float("nan")),
        ("modified_at", True),
        ("digests", [["sha256"]]),
        ("digests", [["sha256", None]]),
    ],
)
def test_a_record_of_another_shape_is_refused(field, value):
    """S6: nothing is coerced, what is not as it was written is set aside."""
    with pytest.raises((KeyError, TypeError, ValueError)):
        Resource.from_record({**FULL.to_record(), field: value})


@pytest.mark.parametrize("field", FULL.to_record())
def test_a_record_without_a_field_is_refused(field):
    record = FULL.to_record()
    del record[field]
    with pytest.raises(KeyError):
        Resource.from_record(record)


def test_a_digest_is_written_as_it_is_given():
    assert str(Digest("sha256", "ab")) == "sha256:ab"

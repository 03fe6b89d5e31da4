"""Whether to try again: what is worth it, how long to wait, and whose attempt it is."""

from __future__ import annotations

import errno
import math
import socket
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bgdl_jupyter.engine.retry import LONGEST_PARK, GiveUp, RetryPolicy, Wait, decide_retry
from bgdl_jupyter.errors import (
    CertificateRejected,
    DecodingFailed,
    DiskFull,
    HttpStatusError,
    IntegrityFailed,
    NetworkFailed,
    PostProcessingFailed,
    ProtocolViolation,
    RangesNotSupported,
    RedirectRefused,
    ResourceChanged,
    StorageFailed,
    TransferFailed,
    TransferTimeout,
)
from bgdl_jupyter.web_error_status import WebErrorStatus

ALMOST_ONE = math.nextafter(1.0, 0.0)


def decide(error, *, failures=0, policy=None, is_repeatable=True, draw=0.5):
    return decide_retry(
        error,
        failures_without_progress=failures,
        policy=policy or RetryPolicy(),
        is_repeatable=is_repeatable,
        draw=lambda: draw,
    )


def answered(status, *, retry_after=None):
    error = HttpStatusError("The server answered with an error.", http_status=status)
    error.retry_after = retry_after
    return error


def caused_by(error, cause):
    error.__cause__ = cause
    return error


@pytest.mark.parametrize("status", [408, 425, 429, 500, 502, 503, 504, 507, 520, 599])
def test_an_answer_that_may_be_another_one_soon_is_asked_for_again(status):
    assert isinstance(decide(answered(status)), Wait)


@pytest.mark.parametrize(
    "status", [202, 204, 304, 400, 401, 402, 403, 404, 405, 406, 407, 409, 410, 412, 413, 416, 421, 451, 501, 505]
)
def test_an_answer_that_will_be_the_same_is_final(status):
    assert isinstance(decide(answered(status)), GiveUp)


def test_a_refusal_without_a_status_is_final():
    assert isinstance(decide(HttpStatusError("Refused.")), GiveUp)


@pytest.mark.parametrize(
    "error",
    [
        NetworkFailed("Refused."),
        NetworkFailed("The body ended early.", web_error_status=WebErrorStatus.CONNECTION_ABORTED),
        NetworkFailed("This is not HTTP.", web_error_status=WebErrorStatus.ERROR_HTTP_INVALID_SERVER_RESPONSE),
        TransferTimeout("Nothing came."),
    ],
)
def test_what_broke_on_the_way_is_tried_again(error):
    assert isinstance(decide(error), Wait)


@pytest.mark.parametrize(
    "kind",
    [
        CertificateRejected,
        DecodingFailed,
        DiskFull,
        IntegrityFailed,
        PostProcessingFailed,
        ProtocolViolation,
        RangesNotSupported,
        RedirectRefused,
        ResourceChanged,
        StorageFailed,
        TransferFailed,
    ],
)
def test_what_waiting_does_not_mend_is_given_up_at_once(kind):
    assert isinstance(decide(kind("No.")), GiveUp)


def test_an_answer_that_was_not_http_at_all_is_tried_again():
    """A server that is just starting may speak to the wrong port for a moment (H49)."""
    error = ProtocolViolation("The server does not speak HTTP.")
    error.is_transient = True
    assert isinstance(decide(error), Wait)


def test_the_budget_counts_the_failures_without_progress():
    error = NetworkFailed("Reset.")
    assert isinstance(decide(error, failures=7), Wait)
    assert isinstance(decide(error, failures=8), GiveUp)


def test_no_retries_means_none():
    assert isinstance(decide(NetworkFailed("Reset."), policy=RetryPolicy(max_retries=0)), GiveUp)


@pytest.mark.parametrize(
    ("failures", "longest"), [(0, 1.0), (1, 2.0), (2, 4.0), (3, 8.0), (4, 16.0), (5, 32.0), (6, 60.0), (7, 60.0)]
)
def test_the_wait_is_drawn_from_a_span_that_doubles_up_to_a_minute(failures, longest):
    error = NetworkFailed("Reset.")
    assert decide(error, failures=failures, draw=0.0).seconds == 0.0
    assert decide(error, failures=failures, draw=ALMOST_ONE).seconds == pytest.approx(longest)


@pytest.mark.parametrize("failures", [5000, 10**9])
def test_the_backoff_never_overflows(failures):
    policy = RetryPolicy(max_retries=10**10)
    assert decide(NetworkFailed("Reset."), failures=failures, policy=policy).seconds == 30.0


def test_an_unknown_name_is_waited_for_longer():
    """The network that knows it may be a VPN that is just coming up (N4)."""
    unknown = NetworkFailed("No such host.", web_error_status=WebErrorStatus.HOST_NAME_NOT_RESOLVED)
    assert [decide(unknown, failures=n, draw=ALMOST_ONE).seconds for n in range(4)] == pytest.approx(
        [8.0, 16.0, 32.0, 60.0]
    )


def test_retry_after_holds_the_whole_host_for_at_least_that_long():
    wait = decide(answered(429, retry_after=120.0), draw=0.0)
    assert wait == Wait(120.0, "the server asks to wait", holds_host=True, spends_attempt=True)


def test_what_waited_for_the_same_moment_does_not_come_back_in_the_same_moment():
    assert decide(answered(503, retry_after=10.0), draw=0.25).seconds == 10.25


def test_an_hour_is_the_longest_that_a_host_is_held():
    assert decide(answered(503, retry_after=3600.0)).holds_host
    beyond = decide(answered(503, retry_after=3601.0), draw=0.0)
    assert (beyond.seconds, beyond.holds_host) == (3601.0, False)


@pytest.mark.parametrize("absurd", [1e9, 1e20, math.inf])
def test_an_absurd_retry_after_parks_the_operation_for_a_week(absurd):
    wait = decide(answered(503, retry_after=absurd), draw=0.0)
    assert wait.seconds == LONGEST_PARK
    assert not wait.holds_host


@pytest.mark.parametrize("empty", [None, 0.0, -1.0, math.nan])
def test_a_retry_after_that_asks_for_nothing_is_a_backoff_of_this_operation(empty):
    assert decide(answered(503, retry_after=empty), draw=0.5) == Wait(
        0.5, "The server answered with an error; waiting to try again"
    )


def test_retry_after_does_not_revive_a_final_answer():
    assert isinstance(decide(answered(404, retry_after=1.0)), GiveUp)


def test_retry_after_spends_the_budget_too():
    assert isinstance(decide(answered(503, retry_after=1.0), failures=8), GiveUp)


@pytest.mark.parametrize(
    ("status", "holds"),
    [
        (WebErrorStatus.CANNOT_CONNECT, True),
        (WebErrorStatus.SERVER_UNREACHABLE, True),
        (WebErrorStatus.HOST_NAME_NOT_RESOLVED, True),
        (WebErrorStatus.CONNECTION_RESET, False),
        (WebErrorStatus.CONNECTION_ABORTED, False),
    ],
)
def test_a_host_that_cannot_be_reached_is_held_for_all(status, holds):
    """One broken file must not hold up its neighbours; a host that is away is away for all of them."""
    assert decide(NetworkFailed("No.", web_error_status=status)).holds_host is holds


@pytest.mark.parametrize("number", [errno.EMFILE, errno.ENFILE, errno.ENOBUFS])
@pytest.mark.parametrize("kind", [NetworkFailed, StorageFailed])
def test_a_lack_of_descriptors_on_this_machine_is_nobodys_attempt(kind, number):
    """Back-pressure: no operation is lost because a thousand others hold the descriptors (N14)."""
    wait = decide(caused_by(kind("No."), OSError(number, "no more")), failures=10_000, is_repeatable=False)
    assert isinstance(wait, Wait)
    assert not wait.spends_attempt
    assert not wait.holds_host
    assert wait.seconds >= 1.0


def test_a_lack_is_found_behind_the_error_of_a_library():
    class ConnectorError(OSError):
        os_error = OSError(errno.EMFILE, "Too many open files")

    assert decide(caused_by(NetworkFailed("No."), ConnectorError())).spends_attempt is False


def test_an_error_that_is_its_own_cause_is_looked_at_once():
    inner = OSError("first")
    inner.__cause__ = caused_by(OSError("second"), inner)
    assert decide(caused_by(NetworkFailed("No."), inner)).spends_attempt


def test_an_address_that_this_machine_does_not_have_spends_attempts():
    """Nothing on this machine will change it: without a budget the wait would never end."""
    cause = OSError(errno.EADDRNOTAVAIL, "Cannot assign requested address")
    assert decide(caused_by(NetworkFailed("No."), cause)).spends_attempt


def test_the_number_of_a_resolver_error_is_not_an_errno():
    assert decide(caused_by(NetworkFailed("No."), socket.gaierror(errno.EMFILE, "resolver"))).spends_attempt


def test_a_post_that_may_have_arrived_is_not_sent_again():
    sent = NetworkFailed("Reset.", web_error_status=WebErrorStatus.CONNECTION_RESET)
    sent.body_was_sent = True
    assert isinstance(decide(sent, is_repeatable=False), GiveUp)
    assert isinstance(decide(sent, is_repeatable=True), Wait)


@pytest.mark.parametrize(
    "error",
    [answered(503), NetworkFailed("The body ended early.", web_error_status=WebErrorStatus.CONNECTION_ABORTED)],
)
def test_an_answer_proves_that_a_post_arrived(error):
    assert isinstance(decide(error, is_repeatable=False), GiveUp)


def test_a_post_of_which_no_byte_left_is_sent_again():
    assert isinstance(decide(NetworkFailed("Refused."), is_repeatable=False), Wait)


def test_the_sentence_says_until_when():
    now = datetime(2026, 11, 22, 20, 0, tzinfo=UTC).timestamp()
    assert Wait(90.0, "the server asks to wait").sentence(now) == "the server asks to wait until 20:01:30 UTC"
    assert (
        Wait(86400.0, "the server asks to wait").sentence(now) == "the server asks to wait until 2026-11-23 20:00 UTC"
    )


@given(
    failures=st.integers(0, 7),
    draw=st.floats(0.0, 1.0, exclude_max=True),
    retry_after=st.none() | st.floats(allow_nan=True),
    status=st.sampled_from([408, 429, 500, 503]),
)
def test_every_wait_is_bounded_and_never_shorter_than_asked_for_within_the_cap(failures, draw, retry_after, status):
    wait = decide(answered(status, retry_after=retry_after), failures=failures, draw=draw)
    assert 0.0 <= wait.seconds <= LONGEST_PARK + 60.0
    if retry_after is not None and 0 < retry_after <= 3600:
        assert wait.seconds >= retry_after

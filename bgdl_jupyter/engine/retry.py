"""
Whether a failed attempt is worth another one, and when: one pure function over values.

What may succeed a little later is tried again after a full-jitter backoff; what cannot is given up at once. A
``Retry-After`` is the whole host's; a lack on this machine (no descriptor left) is nobody's attempt.
"""

from __future__ import annotations

import errno
import socket
from dataclasses import dataclass
from datetime import UTC, datetime
from http import HTTPStatus
from typing import TYPE_CHECKING, Final

from bgdl_jupyter.errors import HttpStatusError, StorageFailed, TransferTimeout
from bgdl_jupyter.web_error_status import WebErrorStatus

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from bgdl_jupyter.errors import TransferFailed

#: The longest that one operation is parked because its server asks for it, in seconds: a week.
LONGEST_PARK: Final = 7 * 24 * 3600.0

_RETRIED_CLIENT_ERRORS: Final = frozenset(
    {HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_EARLY, HTTPStatus.TOO_MANY_REQUESTS}
)
_TOO_MUCH: Final = frozenset({HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE})
# What the server cannot do now it cannot do in a minute either.
_FINAL_SERVER_ERRORS: Final = frozenset({HTTPStatus.NOT_IMPLEMENTED, HTTPStatus.HTTP_VERSION_NOT_SUPPORTED})
# EADDRNOTAVAIL is not here: it also means that the host has no address of this family, which waiting does not mend.
_LOCAL_SHORTAGES: Final = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS})
_SHORTAGE_DELAY: Final = 1.0
_SHORTAGE_SPREAD: Final = 4.0
# A name that is unknown now may be one of a VPN that comes up in a minute: begin at 8 times the first delay.
_DNS_HEAD_START: Final = 3
# 2.0 ** 1024 overflows, and long before that every delay is the longest.
_LARGEST_EXPONENT: Final = 62


@dataclass(frozen=True, slots=True, kw_only=True)
class RetryPolicy:
    """
    How patient a transfer is. Times are in seconds.

    Parameters
    ----------
    max_retries:
        How many attempts in a row may fail without a new byte, beside the first.
    first_delay, longest_delay:
        The upper bound of the first wait, which doubles each time up to the longest.
    longest_retry_after:
        Up to here a ``Retry-After`` holds the whole host; what asks for more parks the operation alone.
    """

    max_retries: int = 8
    first_delay: float = 1.0
    longest_delay: float = 60.0
    longest_retry_after: float = 3600.0


@dataclass(frozen=True, slots=True)
class Wait:
    """
    Try again in so many seconds.

    ``holds_host``: nothing else is to ask the host before; ``spends_attempt``: whether this failure counts.
    """

    seconds: float
    reason: str
    holds_host: bool = False
    spends_attempt: bool = True

    def sentence(self, now: float) -> str:
        """Return the reason with the time of the next try; ``now`` is the wall clock in seconds since the epoch."""
        until = datetime.fromtimestamp(now + self.seconds, UTC)
        is_today = until.date() == datetime.fromtimestamp(now, UTC).date()
        return f"{self.reason} until {until:%H:%M:%S} UTC" if is_today else f"{self.reason} until {until:%F %R} UTC"


@dataclass(frozen=True, slots=True)
class GiveUp:
    """Do not try again by itself."""

    reason: str


def decide_retry(
    error: TransferFailed,
    *,
    failures_without_progress: int,
    policy: RetryPolicy,
    is_repeatable: bool,
    draw: Callable[[], float],
    has_network: bool = True,
) -> Wait | GiveUp:
    """
    Return whether to try again after an attempt failed, and when.

    Parameters
    ----------
    error:
        Why it failed.
    failures_without_progress:
        How many attempts in a row failed without a new byte, beside this one; those of which the decision said that
        they spend no attempt do not count.
    policy:
        The budget and the delays.
    is_repeatable:
        False where the request must not arrive twice (a POST).
    draw:
        A random number from 0 up to, and not including, 1.
    has_network:
        False while this machine has no way to the host: then it is nobody's attempt, either.
    """
    if _is_local_shortage(error):
        seconds = _SHORTAGE_DELAY + _SHORTAGE_SPREAD * draw()
        return Wait(seconds, "waiting for free descriptors on this machine", spends_attempt=False)
    if not is_transient(error):
        return GiveUp("another try would meet the same")
    if not is_repeatable and _may_have_arrived(error):
        return GiveUp("the request may have arrived, and a POST is not sent twice by itself")
    if not has_network and error.http_status is None:
        return Wait(_SHORTAGE_DELAY + _SHORTAGE_SPREAD * draw(), "waiting for the network", spends_attempt=False)
    if failures_without_progress >= policy.max_retries:
        return GiveUp(f"{failures_without_progress + 1} tries in a row brought no byte")
    jitter = draw() * _longest_backoff(error, failures_without_progress, policy)
    if _asks_to_wait(error.retry_after):
        return _respect(error.retry_after, jitter, policy)
    return Wait(jitter, _reason(error), holds_host=_concerns_host(error))


def is_transient(error: TransferFailed) -> bool:
    """Whether the same request may succeed a little later (R6)."""
    if isinstance(error, StorageFailed):
        return False
    if isinstance(error, HttpStatusError):
        status = error.http_status or 0
        is_server_error = status >= HTTPStatus.INTERNAL_SERVER_ERROR and status not in _FINAL_SERVER_ERRORS
        return is_server_error or status in _RETRIED_CLIENT_ERRORS
    return error.is_transient


def _longest_backoff(error: TransferFailed, exponent: int, policy: RetryPolicy) -> float:
    if error.web_error_status is WebErrorStatus.HOST_NAME_NOT_RESOLVED:
        exponent += _DNS_HEAD_START
    return min(policy.longest_delay, policy.first_delay * 2.0 ** min(exponent, _LARGEST_EXPONENT))


def _asks_to_wait(retry_after: float | None) -> bool:
    return retry_after is not None and retry_after > 0  # not a number is not greater, either


def _respect(retry_after: float | None, jitter: float, policy: RetryPolicy) -> Wait:
    """Wait as long as asked; the jitter comes on top, so that not all come back in the same moment."""
    seconds = retry_after or 0.0
    reason = "the server asks to wait"
    if seconds <= policy.longest_retry_after:
        return Wait(seconds + jitter, reason, holds_host=True)
    return Wait(min(seconds, LONGEST_PARK) + jitter, reason)


def _concerns_host(error: TransferFailed) -> bool:
    """Whether every other request to the host would fail in the same way."""
    return error.web_error_status in {
        WebErrorStatus.HOST_NAME_NOT_RESOLVED,
        WebErrorStatus.SERVER_UNREACHABLE,
        WebErrorStatus.CANNOT_CONNECT,
    }


def _may_have_arrived(error: TransferFailed) -> bool:
    """Whether the server may have acted on the request: something of it left, or an answer came."""
    has_answer = error.http_status is not None or error.web_error_status is WebErrorStatus.CONNECTION_ABORTED
    return error.body_was_sent or has_answer


def _reason(error: TransferFailed) -> str:
    return f"{error.message.rstrip('.')}; waiting to try again"


def _is_local_shortage(error: BaseException) -> bool:
    return any(
        isinstance(each, OSError) and not isinstance(each, socket.gaierror) and each.errno in _LOCAL_SHORTAGES
        for each in _causes(error)
    )


def _causes(error: BaseException) -> Iterator[BaseException]:
    """Walk from an error to what caused it."""
    seen: set[int] = set()
    current: BaseException | None = error
    while current is not None and id(current) not in seen:
        seen.add(id(current))
        yield current
        current = current.__cause__ or getattr(current, "os_error", None)


def is_trouble(error: TransferFailed) -> bool:
    """Whether an error says that its host has too much to do, so that all together should ask less of it."""
    return error.http_status in _TOO_MUCH or isinstance(error, TransferTimeout)

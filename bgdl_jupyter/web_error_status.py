"""
Why the web refused: Windows' numbers, and what maps to them, as tables.

`BackgroundTransferError.get_status` is the public door.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import errno
import socket
import ssl
from enum import IntEnum
from http import HTTPStatus
from typing import Final


class WebErrorStatus(IntEnum):
    """Why the web refused: the numbers and names of ``Windows.Web.WebErrorStatus``."""

    UNKNOWN = 0
    CERTIFICATE_COMMON_NAME_IS_INCORRECT = 1
    CERTIFICATE_EXPIRED = 2
    CERTIFICATE_CONTAINS_ERRORS = 3
    CERTIFICATE_REVOKED = 4
    CERTIFICATE_IS_INVALID = 5
    SERVER_UNREACHABLE = 6
    TIMEOUT = 7
    ERROR_HTTP_INVALID_SERVER_RESPONSE = 8
    CONNECTION_ABORTED = 9
    CONNECTION_RESET = 10
    DISCONNECTED = 11
    HTTP_TO_HTTPS_ON_REDIRECTION = 12
    HTTPS_TO_HTTP_ON_REDIRECTION = 13
    CANNOT_CONNECT = 14
    HOST_NAME_NOT_RESOLVED = 15
    OPERATION_CANCELED = 16
    REDIRECT_FAILED = 17
    UNEXPECTED_STATUS_CODE = 18
    UNEXPECTED_REDIRECTION = 19
    UNEXPECTED_CLIENT_ERROR = 20
    UNEXPECTED_SERVER_ERROR = 21
    INSUFFICIENT_RANGE_SUPPORT = 22
    MISSING_CONTENT_LENGTH_SUPPORT = 23
    MULTIPLE_CHOICES = 300
    MOVED_PERMANENTLY = 301
    FOUND = 302
    SEE_OTHER = 303
    NOT_MODIFIED = 304
    USE_PROXY = 305
    TEMPORARY_REDIRECT = 307
    BAD_REQUEST = 400
    UNAUTHORIZED = 401
    PAYMENT_REQUIRED = 402
    FORBIDDEN = 403
    NOT_FOUND = 404
    METHOD_NOT_ALLOWED = 405
    NOT_ACCEPTABLE = 406
    PROXY_AUTHENTICATION_REQUIRED = 407
    REQUEST_TIMEOUT = 408
    CONFLICT = 409
    GONE = 410
    LENGTH_REQUIRED = 411
    PRECONDITION_FAILED = 412
    REQUEST_ENTITY_TOO_LARGE = 413
    REQUEST_URI_TOO_LONG = 414
    UNSUPPORTED_MEDIA_TYPE = 415
    REQUESTED_RANGE_NOT_SATISFIABLE = 416
    EXPECTATION_FAILED = 417
    INTERNAL_SERVER_ERROR = 500
    NOT_IMPLEMENTED = 501
    BAD_GATEWAY = 502
    SERVICE_UNAVAILABLE = 503
    GATEWAY_TIMEOUT = 504
    HTTP_VERSION_NOT_SUPPORTED = 505


_VALUES: Final = frozenset(int(status) for status in WebErrorStatus)
_HTTP_FACILITY: Final = 0x80190000  # FACILITY_HTTP; the low bits are the HTTP status itself

# One status may have several HRESULTs; the first is the one that is reported.
HRESULTS: Final[dict[WebErrorStatus, tuple[int, ...]]] = {
    WebErrorStatus.CERTIFICATE_COMMON_NAME_IS_INCORRECT: (0x80072F06,),
    WebErrorStatus.CERTIFICATE_EXPIRED: (0x80072F05,),
    WebErrorStatus.CERTIFICATE_CONTAINS_ERRORS: (0x80072F17,),
    WebErrorStatus.CERTIFICATE_REVOKED: (0x80072F8A,),
    WebErrorStatus.CERTIFICATE_IS_INVALID: (0x80072F0D, 0x80072F89),
    WebErrorStatus.SERVER_UNREACHABLE: (0x80072F84,),
    WebErrorStatus.TIMEOUT: (0x80072EE2,),
    WebErrorStatus.ERROR_HTTP_INVALID_SERVER_RESPONSE: (0x80072F78,),
    WebErrorStatus.CONNECTION_ABORTED: (0x80072EFE,),
    WebErrorStatus.CONNECTION_RESET: (0x80072EFF,),
    WebErrorStatus.DISCONNECTED: (0x80072F83,),
    WebErrorStatus.HTTP_TO_HTTPS_ON_REDIRECTION: (0x80072F07,),
    WebErrorStatus.HTTPS_TO_HTTP_ON_REDIRECTION: (0x80072F08,),
    WebErrorStatus.CANNOT_CONNECT: (0x80072EFD,),
    WebErrorStatus.HOST_NAME_NOT_RESOLVED: (0x80072EE7,),
    WebErrorStatus.OPERATION_CANCELED: (0x80072EF1,),
    WebErrorStatus.REDIRECT_FAILED: (0x80072F7C,),
    **{status: (_HTTP_FACILITY + status,) for status in WebErrorStatus if status >= HTTPStatus.MULTIPLE_CHOICES},
}
_STATUS_BY_HRESULT: Final = {hresult: status for status, hresults in HRESULTS.items() for hresult in hresults}

# The first digit of an HTTP status that has no value of its own.
_UNEXPECTED: Final = {
    1: WebErrorStatus.UNEXPECTED_STATUS_CODE,
    2: WebErrorStatus.UNEXPECTED_STATUS_CODE,
    3: WebErrorStatus.UNEXPECTED_REDIRECTION,
    4: WebErrorStatus.UNEXPECTED_CLIENT_ERROR,
    5: WebErrorStatus.UNEXPECTED_SERVER_ERROR,
}

# OpenSSL's X509_V_ERR_* numbers (x509_vfy.h); what is not here is CERTIFICATE_CONTAINS_ERRORS.
_VERIFY_CODES: Final = {
    62: WebErrorStatus.CERTIFICATE_COMMON_NAME_IS_INCORRECT,
    64: WebErrorStatus.CERTIFICATE_COMMON_NAME_IS_INCORRECT,
    10: WebErrorStatus.CERTIFICATE_EXPIRED,
    23: WebErrorStatus.CERTIFICATE_REVOKED,
    **dict.fromkeys((9, 18, 19, 20, 26, 27), WebErrorStatus.CERTIFICATE_IS_INVALID),
}

_ERRNOS: Final = {
    errno.EHOSTUNREACH: WebErrorStatus.SERVER_UNREACHABLE,
    errno.ENETUNREACH: WebErrorStatus.SERVER_UNREACHABLE,
    errno.ECONNREFUSED: WebErrorStatus.CANNOT_CONNECT,
    errno.ECONNRESET: WebErrorStatus.CONNECTION_RESET,
    errno.EPIPE: WebErrorStatus.CONNECTION_RESET,
    errno.ECONNABORTED: WebErrorStatus.CONNECTION_ABORTED,
    errno.ETIMEDOUT: WebErrorStatus.TIMEOUT,
}

# Most particular first: a timeout is an OSError, too.
_EXCEPTIONS: Final[tuple[tuple[type[BaseException], WebErrorStatus], ...]] = (
    (socket.gaierror, WebErrorStatus.HOST_NAME_NOT_RESOLVED),
    (TimeoutError, WebErrorStatus.TIMEOUT),
    (ConnectionRefusedError, WebErrorStatus.CANNOT_CONNECT),
    (ConnectionResetError, WebErrorStatus.CONNECTION_RESET),
    (BrokenPipeError, WebErrorStatus.CONNECTION_RESET),
    (ConnectionAbortedError, WebErrorStatus.CONNECTION_ABORTED),
    (asyncio.IncompleteReadError, WebErrorStatus.CONNECTION_ABORTED),
    (asyncio.CancelledError, WebErrorStatus.OPERATION_CANCELED),
    (concurrent.futures.CancelledError, WebErrorStatus.OPERATION_CANCELED),
    (ssl.SSLError, WebErrorStatus.CERTIFICATE_CONTAINS_ERRORS),
)

# Exceptions of aiohttp, by name: the vocabulary must not import a transport's library.
_FOREIGN_NAMES: Final = {
    "ClientConnectorDNSError": WebErrorStatus.HOST_NAME_NOT_RESOLVED,
    "ServerDisconnectedError": WebErrorStatus.DISCONNECTED,
    "ClientPayloadError": WebErrorStatus.CONNECTION_ABORTED,
    "TooManyRedirects": WebErrorStatus.REDIRECT_FAILED,
    "RedirectClientError": WebErrorStatus.REDIRECT_FAILED,
    "ClientConnectorError": WebErrorStatus.CANNOT_CONNECT,
    "ClientConnectionError": WebErrorStatus.DISCONNECTED,
    "ContentLengthError": WebErrorStatus.CONNECTION_ABORTED,
    "TransferEncodingError": WebErrorStatus.CONNECTION_ABORTED,
    "HttpProcessingError": WebErrorStatus.ERROR_HTTP_INVALID_SERVER_RESPONSE,
}
# It bears status 400 when the server does not speak HTTP: then its cause knows better.
_WRAPPERS: Final = _FOREIGN_NAMES.keys() | {"ClientResponseError"}


def certificate_status(error: ssl.SSLError) -> WebErrorStatus:
    """Return what OpenSSL's verification code means."""
    return _VERIFY_CODES.get(getattr(error, "verify_code", 0), WebErrorStatus.CERTIFICATE_CONTAINS_ERRORS)


def status_of_number(number: int) -> WebErrorStatus:
    """Return what an HTTP status (300-599) or an HRESULT (negative, or unsigned from 0x80000000 on) means."""
    if -(1 << 31) <= number < 0 or 1 << 31 <= number < 1 << 32:
        return _STATUS_BY_HRESULT.get(number & 0xFFFFFFFF, WebErrorStatus.UNKNOWN)
    if number < HTTPStatus.MULTIPLE_CHOICES or number > 599:  # noqa: PLR2004 (the last HTTP status there can be)
        return WebErrorStatus.UNKNOWN
    return WebErrorStatus(number) if number in _VALUES else _UNEXPECTED[number // 100]


def status_of_exception(error: BaseException) -> WebErrorStatus:
    """Walk from the exception to its causes until one is known."""
    seen: set[int] = set()
    current: BaseException | None = error
    while current is not None and id(current) not in seen:
        seen.add(id(current))
        status = _own_status(current)
        # A payload error hides the reset that caused it, a connector error the refusal.
        if status is not WebErrorStatus.UNKNOWN and not _is_wrapper(current):
            return status
        current = getattr(current, "certificate_error", None) or current.__cause__ or getattr(current, "os_error", None)
    return _own_status(error)


def _is_wrapper(error: BaseException) -> bool:
    inner = getattr(error, "certificate_error", None) or error.__cause__ or getattr(error, "os_error", None)
    foreign = any(base.__name__ in _WRAPPERS for base in type(error).__mro__)
    return foreign and inner is not None and _own_status(inner) is not WebErrorStatus.UNKNOWN


def _own_status(error: BaseException) -> WebErrorStatus:
    own = getattr(error, "web_error_status", None)
    if isinstance(own, WebErrorStatus):
        return own
    if isinstance(error, ssl.SSLCertVerificationError):
        return certificate_status(error)
    for kind, status in _EXCEPTIONS:
        if isinstance(error, kind):
            return status
    if isinstance(error, OSError) and error.errno in _ERRNOS:
        return _ERRNOS[error.errno]
    for base in type(error).__mro__:
        if base.__name__ in _FOREIGN_NAMES:
            return _FOREIGN_NAMES[base.__name__]
    number = getattr(error, "status", None)
    return status_of_number(number) if isinstance(number, int) and number > 0 else WebErrorStatus.UNKNOWN

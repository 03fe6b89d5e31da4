"""
What can go wrong, and what it is called.

::

    BackgroundTransferError
    ├── InvalidRequest (ValueError)     the call cannot be carried out as it stands; nothing was written
    │   └── DestinationExists           the name is taken and the caller asked to fail then
    ├── InvalidTransferState            this step is not allowed in this status
    ├── DuplicateDownload               the same resource is already being had
    ├── DestinationInUse                another operation will write this file
    ├── HeldByAnotherKernel             a live kernel runs the operation
    ├── AttentionRequired               the operation waits for a person
    ├── TransferCanceled                the operation was canceled
    ├── EngineNotResponding             the engine's loop did not answer in time
    ├── StateFileError                  the state file cannot be used
    └── TransferFailed                  a transfer ended without its file
        ├── NetworkFailed               no connection, or it broke; worth another try
        ├── TransferTimeout             nothing came in time; worth another try
        ├── CertificateRejected         the server is not proven to be who it says it is
        ├── HttpStatusError             the server answered with an error
        ├── ProtocolViolation           the answer breaks the protocol or contradicts itself
        ├── RedirectRefused             the server pointed to where we do not go
        ├── RangesNotSupported          random access was asked, the server cannot give it
        ├── ResourceChanged             the bytes we have belong to another version
        ├── IntegrityFailed             the file is not the one that was promised
        ├── DecodingFailed              the content coding is broken
        ├── PostProcessingFailed        the file arrived, what was to follow did not
        └── StorageFailed               the disk refused
            └── DiskFull                there is no room
"""

from __future__ import annotations

import asyncio
import errno
import socket
import ssl
from enum import IntEnum
from http import HTTPStatus
from typing import Any, ClassVar, Final


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
    (ssl.SSLError, WebErrorStatus.CERTIFICATE_CONTAINS_ERRORS),
)

# Exceptions of aiohttp, by name: the vocabulary must not import a transport's library.
_FOREIGN_NAMES: Final = {
    "ClientConnectorDNSError": WebErrorStatus.HOST_NAME_NOT_RESOLVED,
    "ServerDisconnectedError": WebErrorStatus.DISCONNECTED,
    "ClientPayloadError": WebErrorStatus.CONNECTION_ABORTED,
    "TooManyRedirects": WebErrorStatus.REDIRECT_FAILED,
    "ClientConnectorError": WebErrorStatus.CANNOT_CONNECT,
    "ClientConnectionError": WebErrorStatus.DISCONNECTED,
}


class BackgroundTransferError(Exception):
    """
    The root of everything this package raises on purpose.

    Parameters
    ----------
    message:
        One sentence that names what was wrong; never holds a secret.
    operation:
        The operation concerned, if there is one.
    web_error_status, http_status, hint:
        Override what the class says.
    """

    web_error_status: WebErrorStatus = WebErrorStatus.UNKNOWN
    http_status: int | None = None
    hint: str = ""

    def __init__(
        self,
        message: str,
        *,
        operation: object | None = None,
        web_error_status: WebErrorStatus | None = None,
        http_status: int | None = None,
        hint: str | None = None,
    ) -> None:
        super().__init__(message)
        self.operation = operation
        if web_error_status is not None:
            self.web_error_status = web_error_status
        if http_status is not None:
            self.http_status = http_status
        if hint is not None:
            self.hint = hint

    @property
    def hresult(self) -> int | None:
        """The HRESULT that Windows reports for this, as an unsigned 32-bit number; None where it has none."""
        return HRESULTS.get(self.web_error_status, (None,))[0]

    @property
    def message(self) -> str:
        """The sentence without the hint."""
        return str(self.args[0])

    def __str__(self) -> str:
        return f"{self.message} {self.hint}" if self.hint else self.message

    @staticmethod
    def get_status(error: BaseException | int) -> WebErrorStatus:
        """
        Map an exception, an HTTP status or an HRESULT to a `WebErrorStatus`.

        Parameters
        ----------
        error:
            An exception of any library; an HTTP status (300-599); an HRESULT, signed (below 0) or unsigned
            (from 0x80000000 on).

        Returns
        -------
        WebErrorStatus
            UNKNOWN for what cannot be mapped.

        See ``Windows.Networking.BackgroundTransfer.BackgroundTransferError.GetStatus``.
        """
        if isinstance(error, BaseException):
            return _status_of_exception(error)
        return _status_of_number(error)


class InvalidRequest(BackgroundTransferError, ValueError):
    """The call cannot be carried out as it stands; nothing was written."""


class DestinationExists(InvalidRequest):
    """The destination exists, and the caller asked to fail in that case."""

    hint = "Choose another name or another CreationCollisionOption."


class InvalidTransferState(BackgroundTransferError):
    """The step is not allowed in the operation's status."""


class DuplicateDownload(BackgroundTransferError):
    """An operation for the same resource is not final yet."""


class DestinationInUse(BackgroundTransferError):
    """An operation that is not final yet will write this file."""


class HeldByAnotherKernel(BackgroundTransferError):
    """A live kernel runs the operation; it is shown here, and cannot be commanded from here."""


class AttentionRequired(BackgroundTransferError):
    """The operation is paused for a reason that only a person can end."""


class TransferCanceled(BackgroundTransferError):
    """The operation was canceled."""

    web_error_status = WebErrorStatus.OPERATION_CANCELED


class EngineNotResponding(BackgroundTransferError):
    """The engine's loop did not take the step within the deadline."""


class StateFileError(BackgroundTransferError):
    """The state file cannot be read, written or trusted."""


class TransferFailed(BackgroundTransferError):
    """A transfer ended without its file."""

    #: Whether the same request may succeed a little later.
    is_transient: ClassVar[bool] = False
    #: Seconds until which the server asked not to be asked again; None when it did not say.
    retry_after: float | None = None
    #: Whether a byte of a request body had left this machine: then a POST is not sent again by itself.
    body_was_sent: bool = False


class NetworkFailed(TransferFailed):
    """There was no connection, or it broke."""

    web_error_status = WebErrorStatus.CANNOT_CONNECT
    is_transient = True


class TransferTimeout(TransferFailed):
    """The server did not connect, answer or deliver in time."""

    web_error_status = WebErrorStatus.TIMEOUT
    is_transient = True


class CertificateRejected(TransferFailed):
    """The server's certificate does not prove that it is who it says it is."""

    web_error_status = WebErrorStatus.CERTIFICATE_IS_INVALID
    hint = "Check the address and this machine's clock; for a private authority pass its certificates in `ssl_context`."


class HttpStatusError(TransferFailed):
    """The server (or a proxy) answered with an error status."""


class ProtocolViolation(TransferFailed):
    """The answer breaks the protocol, or contradicts itself."""

    web_error_status = WebErrorStatus.ERROR_HTTP_INVALID_SERVER_RESPONSE


class RedirectRefused(TransferFailed):
    """The server pointed to where we do not go."""

    web_error_status = WebErrorStatus.REDIRECT_FAILED


class RangesNotSupported(TransferFailed):
    """Random access was asked for, and the server cannot give it."""

    web_error_status = WebErrorStatus.INSUFFICIENT_RANGE_SUPPORT


class ResourceChanged(TransferFailed):
    """The bytes we have belong to another version of the resource."""

    hint = "Retry to start over; the old partial file is discarded."


class IntegrityFailed(TransferFailed):
    """The bytes arrived, and they are not the file that was promised."""

    hint = "Check the expected digest, or retry to fetch the file from the start."


class DecodingFailed(TransferFailed):
    """The content coding of the body is broken or goes past its limits."""

    web_error_status = WebErrorStatus.ERROR_HTTP_INVALID_SERVER_RESPONSE


class PostProcessingFailed(TransferFailed):
    """The file arrived and is kept; what was to be done with it failed."""


class StorageFailed(TransferFailed):
    """The disk refused to create, write, synchronise or rename."""


class DiskFull(StorageFailed):
    """There is no room for the bytes still to come."""

    hint = "Free some space; the transfer goes on from the bytes it has."


#: What a record in the state file may name as the error of a final operation.
TRANSFER_ERRORS: Final[dict[str, type[BackgroundTransferError]]] = {
    error.__name__: error
    for error in (
        TransferFailed,
        NetworkFailed,
        TransferTimeout,
        CertificateRejected,
        HttpStatusError,
        ProtocolViolation,
        RedirectRefused,
        RangesNotSupported,
        ResourceChanged,
        IntegrityFailed,
        DecodingFailed,
        PostProcessingFailed,
        StorageFailed,
        DiskFull,
        DestinationExists,
        TransferCanceled,
    )
}


def error_to_record(error: BackgroundTransferError) -> dict[str, Any]:
    """Return the JSON form of an error."""
    return {
        "type": type(error).__name__,
        "message": error.message,
        "hint": error.hint,
        "web_error_status": int(error.web_error_status),
        "http_status": error.http_status,
    }


def error_from_record(record: dict[str, Any]) -> BackgroundTransferError:
    """Return the error that a record describes; an unknown type becomes `TransferFailed`."""
    return TRANSFER_ERRORS.get(record["type"], TransferFailed)(
        record["message"],
        hint=record["hint"],
        web_error_status=WebErrorStatus(record["web_error_status"]),
        http_status=record["http_status"],
    )


def certificate_status(error: ssl.SSLError) -> WebErrorStatus:
    """Return what OpenSSL's verification code means."""
    return _VERIFY_CODES.get(getattr(error, "verify_code", 0), WebErrorStatus.CERTIFICATE_CONTAINS_ERRORS)


def _status_of_number(number: int) -> WebErrorStatus:
    unsigned = number & 0xFFFFFFFF
    if number < 0 or number >= 1 << 31:
        return _STATUS_BY_HRESULT.get(unsigned, WebErrorStatus.UNKNOWN)
    if number < HTTPStatus.MULTIPLE_CHOICES or number > 599:  # noqa: PLR2004 (the last HTTP status there can be)
        return WebErrorStatus.UNKNOWN
    return WebErrorStatus(number) if number in _VALUES else _UNEXPECTED[number // 100]


def _status_of_exception(error: BaseException) -> WebErrorStatus:
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
    foreign = any(base.__name__ in _FOREIGN_NAMES for base in type(error).__mro__)
    return foreign and inner is not None and _own_status(inner) is not WebErrorStatus.UNKNOWN


def _own_status(error: BaseException) -> WebErrorStatus:
    if isinstance(error, BackgroundTransferError):
        return error.web_error_status
    if isinstance(error, ssl.SSLCertVerificationError):
        return certificate_status(error)
    number = getattr(error, "status", None)
    if isinstance(number, int) and HTTPStatus.MULTIPLE_CHOICES <= number <= 599:  # noqa: PLR2004 (see above)
        return _status_of_number(number)
    for kind, status in _EXCEPTIONS:
        if isinstance(error, kind):
            return status
    if isinstance(error, OSError) and error.errno in _ERRNOS:
        return _ERRNOS[error.errno]
    for base in type(error).__mro__:
        if base.__name__ in _FOREIGN_NAMES:
            return _FOREIGN_NAMES[base.__name__]
    return WebErrorStatus.UNKNOWN

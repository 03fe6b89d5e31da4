"""
What can go wrong, and what it is called.

::

    BackgroundTransferError
    ├── InvalidRequest (ValueError)     the call cannot be carried out as it stands; nothing was written
    │   ├── DestinationExists           the name is taken, and may be neither replaced nor avoided
    │   └── InvalidManifest             lines of a manifest cannot be used
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

from typing import TYPE_CHECKING, Any, Final, NamedTuple

from bgdl_jupyter.web_error_status import HRESULTS, WebErrorStatus, status_of_exception, status_of_number

if TYPE_CHECKING:
    from collections.abc import Sequence


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

    Examples
    --------
    >>> print(BackgroundTransferError.get_status(404).name)
    NOT_FOUND
    >>> print(BackgroundTransferError.get_status(0x80190194).name)
    NOT_FOUND
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
            return status_of_exception(error)
        return status_of_number(error)


class InvalidRequest(BackgroundTransferError, ValueError):
    """The call cannot be carried out as it stands; nothing was written."""


class DestinationExists(InvalidRequest):
    """A file is there that may be neither replaced nor avoided: none is destroyed unless that is asked."""

    hint = "Choose another name, or say collision=REPLACE_EXISTING, or GENERATE_UNIQUE_NAME to keep both."


class ManifestProblem(NamedTuple):
    """A line of a manifest (a row, an item; from 1) and what is wrong with it."""

    line: int
    reason: str


class InvalidManifest(InvalidRequest):
    """
    Lines of a manifest cannot be used; nothing was created.

    Attributes
    ----------
    problems:
        The first of them, up to a thousand.
    count:
        How many there are.
    """

    hint = "Mend these lines, or say skip_invalid=True to go on without them."

    def __init__(self, message: str, *, problems: Sequence[ManifestProblem] = (), count: int = 0, **more: Any) -> None:
        super().__init__(message, **more)
        self.problems = tuple(problems)
        self.count = count


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

    #: Whether the same request may succeed a little later; an instance may know better than its class.
    is_transient: bool = False
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
    hint = (
        "Check the address and this machine's clock; a private authority is known when SSL_CERT_FILE names its "
        "certificates before Python starts."
    )


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

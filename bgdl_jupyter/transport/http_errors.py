"""
What went wrong on the wire, in our words: one table for the exceptions of aiohttp, the system and TLS.

Messages name the origin and nothing of the URI behind it; the cause is kept where it is the system's, since the
exceptions of aiohttp hold whole URIs and header lines.
"""

from __future__ import annotations

import asyncio
import errno
import socket
import ssl
from typing import TYPE_CHECKING, Final

import aiohttp
from aiohttp.http_exceptions import HttpProcessingError

from bgdl_jupyter.errors import (
    BackgroundTransferError,
    CertificateRejected,
    NetworkFailed,
    ProtocolViolation,
    TransferFailed,
    TransferTimeout,
)
from bgdl_jupyter.web_error_status import WebErrorStatus

if TYPE_CHECKING:
    from bgdl_jupyter.uris import Origin

#: What `open` and `receive` catch: all that the wire can do to us.
WIRE_ERRORS: Final = (aiohttp.ClientError, HttpProcessingError, OSError, asyncio.IncompleteReadError)

_NO_ANSWER: Final = {
    WebErrorStatus.CANNOT_CONNECT: "{origin} does not accept connections.",
    WebErrorStatus.HOST_NAME_NOT_RESOLVED: "The name of {origin} has no address.",
    WebErrorStatus.SERVER_UNREACHABLE: "There is no route to {origin}.",
    WebErrorStatus.CONNECTION_RESET: "{origin} reset the connection.",
    WebErrorStatus.CONNECTION_ABORTED: "The connection to {origin} was cut before its end.",
    WebErrorStatus.DISCONNECTED: "{origin} closed the connection without an answer.",
}

# What other services say first, and what they are.
_FOREIGN: Final = (
    (b"SSH-", "An SSH server answers at this port."),
    (b"\x16\x03", "The server speaks TLS at this port: try https."),
    (b"\x15\x03", "The server speaks TLS at this port: try https."),
    (b"220 ", "An FTP or mail server answers at this port."),
    (b"220-", "An FTP or mail server answers at this port."),
    (b"* OK", "A mail server answers at this port."),
    (b"+OK", "A mail server answers at this port."),
    (b"\x00\x00", "The server speaks HTTP/2 without being asked to."),
    (b"PRI * HTTP/2", "The server speaks HTTP/2 without being asked to."),
)


def failure_of(error: BaseException, origin: Origin, *, heard: bytes = b"") -> TransferFailed:
    """
    Return our error for one of the wire's.

    Parameters
    ----------
    error:
        One of `WIRE_ERRORS`.
    origin:
        Whom we spoke to.
    heard:
        The first bytes of an answer, if there were any; they may tell who answered instead.
    """
    system = _system_error(error)
    if isinstance(system, ssl.SSLCertVerificationError):
        return _certificate_rejected(system, origin)
    if isinstance(system, ssl.SSLError):
        return _handshake_failed(system, origin)
    if isinstance(error, TimeoutError):
        return TransferTimeout(f"{origin} could not be reached in time.")
    if isinstance(error, (aiohttp.ClientResponseError, HttpProcessingError)):
        return not_http(origin, heard)
    if isinstance(error, aiohttp.InvalidURL):
        return ProtocolViolation(f"{origin} is not an address that can be connected to.")
    return _connection_failed(error, system, origin)


def _connection_failed(error: BaseException, system: BaseException | None, origin: Origin) -> TransferFailed:
    status = BackgroundTransferError.get_status(system or error)
    if isinstance(error, aiohttp.ClientConnectorError) and status not in _NO_ANSWER:
        status = WebErrorStatus.CANNOT_CONNECT
    elif status not in _NO_ANSWER:
        status = WebErrorStatus.CONNECTION_ABORTED
    failed = NetworkFailed(_NO_ANSWER[status].format(origin=origin), web_error_status=status)
    number = getattr(system, "errno", None)
    if number in (errno.EMFILE, errno.ENFILE):
        failed.hint = "This process has no file descriptors left: fewer transfers at a time."
    failed.__cause__ = system
    return failed


def _system_error(error: BaseException) -> BaseException | None:
    """Return the exception of the system below one of aiohttp, which bears no URI; None where there is none."""
    current: BaseException | None = error
    while current is not None:
        found = getattr(current, "certificate_error", None) or getattr(current, "os_error", None)
        if isinstance(found, OSError):
            return found
        if isinstance(current, OSError) and not isinstance(current, (aiohttp.ClientError, TimeoutError)):
            return current
        if isinstance(current, aiohttp.ClientOSError) and current.errno is not None:
            return OSError(current.errno, current.strerror)
        current = current.__cause__
    return None


def _certificate_rejected(error: ssl.SSLCertVerificationError, origin: Origin) -> CertificateRejected:
    return CertificateRejected(
        f"The certificate of {origin} was rejected: {error.verify_message or 'verification failed'}.",
        web_error_status=BackgroundTransferError.get_status(error),
    )


def _handshake_failed(error: ssl.SSLError, origin: Origin) -> TransferFailed:
    if isinstance(error, (ssl.SSLEOFError, ssl.SSLZeroReturnError)):
        return NetworkFailed(
            f"{origin} closed the connection during the TLS handshake.",
            web_error_status=WebErrorStatus.CONNECTION_ABORTED,
        )
    reason = (getattr(error, "reason", None) or "unknown reason").replace("_", " ").lower()
    return ProtocolViolation(
        f"No TLS connection to {origin}: {reason}.",
        hint="Check the scheme and the port: the server may speak plain http there.",
    )


def not_http(origin: Origin, heard: bytes) -> ProtocolViolation:
    """Return the error for an answer that is not HTTP, and say what it looks like."""
    hint = next((text for start, text in _FOREIGN if heard.startswith(start)), "")
    return ProtocolViolation(f"The answer of {origin} is not valid HTTP.", hint=hint)


def cut_short(origin: Origin, error: BaseException | None) -> NetworkFailed:
    """Return the error for a body that ended before its framing did."""
    system = _system_error(error) if error is not None else None
    is_reset = isinstance(system, (ConnectionResetError, BrokenPipeError)) or (
        isinstance(system, OSError) and system.errno in (errno.ECONNRESET, errno.EPIPE)
    )
    status = WebErrorStatus.CONNECTION_RESET if is_reset else WebErrorStatus.CONNECTION_ABORTED
    failed = NetworkFailed(f"The connection to {origin} broke before the body was complete.", web_error_status=status)
    failed.__cause__ = None if isinstance(system, socket.gaierror) else system
    return failed

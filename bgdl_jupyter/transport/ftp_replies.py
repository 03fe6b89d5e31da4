"""
What an FTP server says: replies read within bounds (RFC 959 4.2), what is in them, and what its refusals mean.

The numbers decide, never the text; the text is only shown, cleaned and with the secrets taken out.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
import ssl
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final, NamedTuple

from bgdl_jupyter.errors import (
    BackgroundTransferError,
    CertificateRejected,
    NetworkFailed,
    ProtocolViolation,
    TransferFailed,
    TransferTimeout,
)
from bgdl_jupyter.secret import redact
from bgdl_jupyter.web_error_status import WebErrorStatus, certificate_status

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Iterator

    from bgdl_jupyter.secret import Secret

#: Bytes of one line; StreamReader reads at most twice as much ahead.
LINE_LIMIT: Final = 8 * 1024
#: Lines and bytes of one reply: banners and messages of the day may be long.
MAX_LINES: Final = 1000
REPLY_LIMIT: Final = 64 * 1024
_SHOWN_TEXT: Final = 200
_PASSIVE_PORTS: Final = range(1024, 1 << 16)

_FIRST_LINE: Final = re.compile(r"([1-5][0-9]{2})([- ]|$)")
_TIME: Final = re.compile(r"([0-9]{14})(?:\.[0-9]+)?")
_PASSIVE: Final = re.compile(r"([0-9]{1,3}),([0-9]{1,3}),([0-9]{1,3}),([0-9]{1,3}),([0-9]{1,3}),([0-9]{1,3})")
_EXTENDED_PASSIVE: Final = re.compile(r"\(([^0-9])\1\1([0-9]{1,5})\1\)")
_TOO_MANY: Final = re.compile(r"too many|maximum|limit|try (again )?later|busy", re.IGNORECASE)
_DENIED: Final = re.compile(r"denied|permission|not allowed|forbidden|access", re.IGNORECASE)

# Replies that say "later"; other 4xx are the same in milder words.
_TRANSIENT: Final = {
    421: WebErrorStatus.CANNOT_CONNECT,
    425: WebErrorStatus.CANNOT_CONNECT,
    426: WebErrorStatus.CONNECTION_ABORTED,
    451: WebErrorStatus.CONNECTION_ABORTED,
}
_NOT_LOGGED_IN: Final = frozenset({430, 530, 532})
_NO_SUCH_FILE: Final = frozenset({550, 553})


class Reply(NamedTuple):
    """A reply: its number, and its lines without the number."""

    code: int
    lines: tuple[str, ...]

    @property
    def text(self) -> str:
        """The last line, which is where the arguments are."""
        return self.lines[-1]

    @property
    def is_preliminary(self) -> bool:
        """Whether another reply follows (1yz)."""
        return self.code // 100 == 1

    @property
    def is_positive(self) -> bool:
        """Whether what was asked for was done (2yz)."""
        return self.code // 100 == 2  # noqa: PLR2004 (RFC 959 4.2)


class Refused(Exception):
    """
    The server answered a command with a reply that does not let us go on.

    ``is_private``: its text is not shown; what a server says to a password may hold the password.
    """

    def __init__(self, step: str, reply: Reply, *, is_private: bool = False) -> None:
        super().__init__(step, reply.code)
        self.step = step
        self.reply = reply
        self.is_private = is_private


async def read_reply(read_line: Callable[[], Awaitable[bytes]]) -> Reply:
    """
    Read one reply.

    Text in another encoding than UTF-8 is shown with replacement characters: old servers greet in Latin-1, and what
    they serve is right all the same.

    Raises
    ------
    ProtocolViolation
        It is not FTP, or a line or the reply is longer than any honest one.
    ConnectionResetError
        The connection ended.
    """
    line = await _line(read_line)
    match = _FIRST_LINE.match(line)
    if match is None:
        raise _not_ftp(line)
    number, lines, size = match[1], [line[4:]], len(line)
    is_last = match[2] != "-"
    while not is_last:
        line = await _line(read_line)
        size += len(line)
        is_last = line.startswith(f"{number} ") or line == number
        lines.append(line[4:] if line.startswith(number) else line)
        if len(lines) > MAX_LINES or size > REPLY_LIMIT:
            raise ProtocolViolation(f"The FTP server's reply goes on after {len(lines):,} lines and {size:,} bytes.")
    return Reply(int(number), tuple(lines))


async def _line(read_line: Callable[[], Awaitable[bytes]]) -> str:
    try:
        line = await read_line()
    except ValueError:  # StreamReader, for a line over its limit
        raise ProtocolViolation(f"The FTP server sent a line of more than {LINE_LIMIT:,} bytes.") from None
    if not line.endswith(b"\n"):
        raise ConnectionResetError("the server closed the control connection")
    return line.decode("utf-8", "replace").rstrip("\r\n")


def _not_ftp(line: str) -> ProtocolViolation:
    if line.startswith("HTTP/"):
        return ProtocolViolation("The server answers in HTTP, not FTP; check the scheme and the port of the URI.")
    if line.startswith("SSH-"):
        return ProtocolViolation("The server answers in SSH, not FTP; check the port of the URI.")
    return ProtocolViolation("The server does not answer in FTP; check the port of the URI.")


def size_of(reply: Reply) -> int | None:
    """Return the length in a reply to SIZE (RFC 3659 4); None where it tells none."""
    text = reply.text.strip()
    return int(text) if reply.code == 213 and re.fullmatch("[0-9]{1,19}", text) else None  # noqa: PLR2004 (RFC 3659)


def modification_time_of(reply: Reply) -> str | None:
    """Return the time value in a reply to MDTM (RFC 3659 3) as it was written; None where it tells none."""
    text = reply.text.strip()
    return text if reply.code == 213 and _TIME.fullmatch(text) else None  # noqa: PLR2004 (RFC 3659)


def parse_time(value: str | None) -> float | None:
    """Return the POSIX time of a time value, which is in UTC; None for what is no date."""
    match = _TIME.fullmatch(value or "")
    if match is None:
        return None
    try:
        return datetime.strptime(match[1], "%Y%m%d%H%M%S").replace(tzinfo=UTC).timestamp()
    except ValueError:
        return None


def names_other_offset(reply: Reply, offset: int) -> bool:
    """Whether the reply to REST names a position that is not the one asked for."""
    numbers = [int(number) for number in re.findall("[0-9]{1,19}", reply.text.replace(",", ""))]
    return bool(numbers) and offset not in numbers


def passive_port(reply: Reply) -> int:
    """
    Return the port in a reply to EPSV (RFC 2428) or PASV.

    The address in it is not looked at: we connect to the control connection's peer, or a server could aim us at others
    (RFC 2577 3). For the same reason ports of well-known services are refused.
    """
    match = _EXTENDED_PASSIVE.search(reply.text)
    if match is not None:
        port = int(match[2])
    else:
        numbers = _PASSIVE.search(reply.text)
        high, low = (int(numbers[5]), int(numbers[6])) if numbers else (0, 0)
        port = high * 256 + low if max(high, low) < 256 else 0  # noqa: PLR2004 (a byte)
    if port not in _PASSIVE_PORTS:
        raise ProtocolViolation(f"The FTP server's reply {reply.code} names no usable port for the data connection.")
    return port


def failure_of_reply(refused: Refused, secrets: Iterable[Secret]) -> TransferFailed:
    """Return what a refusal means to the operation."""
    code, text = refused.reply.code, refused.reply.text
    message = f"The FTP server refused {refused.step}: {code}{'.' if refused.is_private else _quoted(text, secrets)}"
    if code in _NOT_LOGGED_IN and not _TOO_MANY.search(text):
        return TransferFailed(
            message, web_error_status=WebErrorStatus.UNAUTHORIZED, hint="Check the user name and the password."
        )
    if code in _NOT_LOGGED_IN:  # too many are logged in: that concerns all who would connect
        return NetworkFailed(message, web_error_status=WebErrorStatus.CANNOT_CONNECT)
    if code // 100 == 4:  # noqa: PLR2004 (RFC 959 4.2: transient)
        return NetworkFailed(message, web_error_status=_TRANSIENT.get(code, WebErrorStatus.SERVICE_UNAVAILABLE))
    if code in _NO_SUCH_FILE:
        is_denied = _DENIED.search(text) is not None
        return TransferFailed(
            message, web_error_status=WebErrorStatus.FORBIDDEN if is_denied else WebErrorStatus.NOT_FOUND
        )
    return ProtocolViolation(message)


def _quoted(text: str, secrets: Iterable[Secret]) -> str:
    shown = redact(text.strip(), secrets)
    shown = "".join(character if character.isprintable() else "?" for character in shown)
    return f" ({shown[:_SHOWN_TEXT]})." if shown else "."


def failure_of(error: Exception, doing: str) -> BackgroundTransferError:
    """
    Return what an exception of asyncio, ssl or the operating system means.

    Parameters
    ----------
    error:
        The exception.
    doing:
        What we were at, to go on from "while": "connecting to ftp://host".
    """
    match error:
        case BackgroundTransferError():
            return error
        case ssl.SSLCertVerificationError():
            reason = f"{error.verify_message} (while {doing})"
            return CertificateRejected(
                f"The certificate was rejected: {reason}.", web_error_status=certificate_status(error)
            )
        case ssl.SSLError() if not isinstance(error, ssl.SSLEOFError):
            return ProtocolViolation(f"TLS broke while {doing}: {getattr(error, 'reason', None) or 'unknown reason'}.")
        case TimeoutError():
            return TransferTimeout(f"Nothing came in time while {doing}.")
        case asyncio.IncompleteReadError() | ConnectionResetError() | ssl.SSLEOFError():
            return NetworkFailed(
                f"The connection ended while {doing}.", web_error_status=WebErrorStatus.CONNECTION_RESET
            )
    status = BackgroundTransferError.get_status(error)
    reason = getattr(error, "strerror", None) or getattr(error, "reason", None) or type(error).__name__
    return NetworkFailed(f"The connection failed while {doing}: {reason}.", web_error_status=status or None)


@contextlib.contextmanager
def mapped(doing: str, secrets: tuple[Secret, ...] = ()) -> Iterator[None]:
    """Raise our errors in place of the foreign ones; a server's text stays behind, for it may hold secrets."""
    try:
        yield
    except Refused as error:
        raise failure_of_reply(error, secrets) from None
    except (OSError, EOFError) as error:
        raise failure_of(error, doing) from error

"""Which responses are answers, and what the others are called."""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING, Final

from bgdl_jupyter.errors import BackgroundTransferError, HttpStatusError, ProtocolViolation, TransferFailed
from bgdl_jupyter.secret import redact
from bgdl_jupyter.transport.headers import media_type, parse_retry_after
from bgdl_jupyter.web_error_status import WebErrorStatus

if TYPE_CHECKING:
    from collections.abc import Iterable

    from multidict import MultiMapping

    from bgdl_jupyter.secret import Secret
    from bgdl_jupyter.transport.http_exchange import HttpExchange

_FILES: Final = frozenset({HTTPStatus.OK, HTTPStatus.PARTIAL_CONTENT, HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE})
_RESULTS: Final = _FILES | {HTTPStatus.CREATED}
_SENDING: Final = frozenset({"POST", "PUT", "PATCH"})
_TEXTS: Final = frozenset({"text/plain", "application/json", "application/problem+json", "application/xml", "text/xml"})
_SHOWN: Final = 300

_HINTS: Final[dict[int, str]] = {
    HTTPStatus.UNAUTHORIZED: "Check the credential; Basic goes over plain http only with `allow_insecure_auth`.",
    HTTPStatus.PROXY_AUTHENTICATION_REQUIRED: "Check the proxy's credential.",
}


def is_answer(status: int, method: str) -> bool:
    """Whether a response of this status has a file, or says that there is no more of it."""
    return status in (_RESULTS if method in _SENDING else _FILES)


async def status_failure(exchange: HttpExchange, secrets: Iterable[Secret]) -> TransferFailed:
    """Return the error for a response that is no answer, with how long the server asked to be left alone."""
    if exchange.status < HTTPStatus.OK:
        return ProtocolViolation(f"{exchange.origin} switched protocols without being asked to.")
    notice = await _notice(exchange, secrets) if exchange.status >= HTTPStatus.BAD_REQUEST else ""
    who = "The proxy" if exchange.status == HTTPStatus.PROXY_AUTHENTICATION_REQUIRED else str(exchange.origin)
    return status_error(who, exchange.status, headers=exchange.headers, notice=notice)


def status_error(who: str, status: int, *, headers: MultiMapping[str], notice: str = "") -> TransferFailed:
    """Return the error for a status that is no answer."""
    known = BackgroundTransferError.get_status(status)
    failed = HttpStatusError(
        f"{who} answered {_named(status)}{': ' + notice if notice else '.'}",
        http_status=status,
        web_error_status=WebErrorStatus.UNEXPECTED_STATUS_CODE if known is WebErrorStatus.UNKNOWN else known,
        hint=_HINTS.get(status, ""),
    )
    failed.retry_after = parse_retry_after(headers.getall("Retry-After", ()), headers.get("Date"))
    return failed


def _named(status: int) -> str:
    """Return the status with its standard phrase: the server's own could say anything."""
    try:
        return f"{status} {HTTPStatus(status).phrase}"
    except ValueError:
        return str(status)


async def _notice(exchange: HttpExchange, secrets: Iterable[Secret]) -> str:
    """Return what the server says in words, if it does so in plain text: one line, short, without secrets."""
    if media_type(exchange.headers.get("Content-Type")) not in _TEXTS:
        return ""
    text = (await exchange.read_notice()).decode("utf-8", "replace")
    line = " ".join("".join(each if each.isprintable() else " " for each in text).split())
    return redact(line, secrets)[:_SHOWN]

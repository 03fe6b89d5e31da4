"""
What becomes of operations when a server or a proxy refuses who we are.

A credential that was right before, or that a kernel before this one was given, may have been changed at the server:
its operation waits for another one and keeps its bytes. And what else would say the same to the same server waits
with it, because many servers lock an account after a few wrong answers.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from bgdl_jupyter.status import TransferActivity
from bgdl_jupyter.uris import origin_of
from bgdl_jupyter.web_error_status import WebErrorStatus

if TYPE_CHECKING:
    from collections.abc import Iterable

    from bgdl_jupyter.errors import BackgroundTransferError
    from bgdl_jupyter.model.operation import DownloadOperation

REFUSALS: Final = frozenset({WebErrorStatus.UNAUTHORIZED, WebErrorStatus.PROXY_AUTHENTICATION_REQUIRED})
_NOTHING_CAME: Final = frozenset({TransferActivity.QUEUED, TransferActivity.CONNECTING, TransferActivity.BACKING_OFF})
_REMEDY: Final = "Give the right one by provide_credential(…), then resume()."


def was_right_before(operation: DownloadOperation, error: BackgroundTransferError) -> bool:
    """Whether an operation was refused with what had been accepted, or was given to a kernel before this one."""
    if error.web_error_status not in REFUSALS or not _said(operation, error.web_error_status):
        return False
    return operation.was_restored or operation.get_response_information() is not None


def siblings_of(
    operation: DownloadOperation, status: WebErrorStatus, others: Iterable[DownloadOperation]
) -> list[DownloadOperation]:
    """Return what else of the group would say the same to the same party, and has not been answered yet."""
    said = _said(operation, status)
    if status not in REFUSALS or not operation.group or not said:
        return []
    return [
        each
        for each in others
        if each is not operation
        and each.group == operation.group
        and each.status.is_running
        and each.activity in _NOTHING_CAME
        and _said(each, status) == said
    ]


def reason_for(message: str) -> str:
    """Return why an operation waits that was refused."""
    return f"{message} {_REMEDY}"


def _said(operation: DownloadOperation, status: WebErrorStatus) -> tuple[object, ...]:
    """Return what an operation says of who we are, and to whom; empty when it says nothing."""
    secrets = operation.secrets
    if status is WebErrorStatus.PROXY_AUTHENTICATION_REQUIRED:
        told: tuple[object, ...] = (secrets.proxy, secrets.proxy_user_info)
        return (operation.proxy, *told) if any(told) else ()
    header = next((value for name, value in secrets.headers.items() if name.lower() == "authorization"), None)
    told = (secrets.server, secrets.user_info, header, secrets.provider, bool(operation.options.get("use_netrc")))
    return (origin_of(operation.requested_uri), *told) if any(told) else ()

"""Changes to an operation that is under way: its URI, its headers, who we are."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bgdl_jupyter.engine.facilities import known_schemes
from bgdl_jupyter.errors import InvalidTransferState
from bgdl_jupyter.model import display
from bgdl_jupyter.model.draft import put_header
from bgdl_jupyter.uris import HIDDEN_QUERY, split_uri

if TYPE_CHECKING:
    from bgdl_jupyter.model.credentials import PasswordCredential
    from bgdl_jupyter.model.operation import DownloadOperation
    from bgdl_jupyter.model.runner import Runner


def change_uri(operation: DownloadOperation, uri: str) -> str:
    """
    Take another URI, and return what may be shown of it; the bytes stay where the validators agree.

    Raises
    ------
    InvalidRequest
        It cannot be fetched.
    InvalidTransferState
        The operation is neither idle nor paused.
    """
    if uri == operation.requested_uri and uri.endswith(HIDDEN_QUERY):
        return uri
    if operation.status.is_running or operation.status.is_success:
        raise InvalidTransferState(
            f"{display.title(operation)} is {operation.status.name}; its URI can be set while it is idle or paused.",
            operation=operation,
        )
    split = split_uri(uri, known_schemes())
    operation.secrets.query = split.query
    operation.secrets.user_info = split.user_info or operation.secrets.user_info
    operation.set_trait("secret_names", operation.secrets.names)
    return split.public


def change_header(
    runner: Runner, operation: DownloadOperation, name: str, value: str | None, *, secret: bool | None
) -> None:
    """Set or remove a header of an operation; requests that are under way keep theirs."""

    def change() -> None:
        plain = dict(operation.plain_headers)
        put_header(plain, operation.secrets, name, value, secret=secret)
        operation.set_trait("plain_headers", plain)
        _secrets_changed(runner, operation)

    runner.place.call(change)


def give_credential(runner: Runner, operation: DownloadOperation, credential: PasswordCredential) -> None:
    """Answer a pause that asks who we are."""

    def give() -> None:
        operation.secrets.server = credential.credential
        _secrets_changed(runner, operation)

    runner.place.call(give)


def _secrets_changed(runner: Runner, operation: DownloadOperation) -> None:
    operation.set_trait("secret_names", operation.secrets.names)
    runner.vault.store(str(operation.guid), operation.secrets.to_secret())
    runner.options_changed(operation, "headers")

"""Changes to an operation that is under way: its URI, its headers, who we are."""

from __future__ import annotations

import asyncio
import logging
import ssl
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from bgdl_jupyter.engine.facilities import known_schemes
from bgdl_jupyter.errors import DuplicateDownload, InvalidRequest, InvalidTransferState
from bgdl_jupyter.model import display
from bgdl_jupyter.model.credentials import OperationSecrets
from bgdl_jupyter.model.draft import put_header
from bgdl_jupyter.model.option_checks import refuse_clear_text
from bgdl_jupyter.model.stores import packed
from bgdl_jupyter.secret import Secret
from bgdl_jupyter.storage.spool import digest_of_body
from bgdl_jupyter.uris import HIDDEN_QUERY, identity, origin_of, split_uri
from bgdl_jupyter.web_error_status import WebErrorStatus

if TYPE_CHECKING:
    from collections.abc import Mapping
    from concurrent.futures import Future

    from bgdl_jupyter.model.credentials import CredentialProvider, PasswordCredential
    from bgdl_jupyter.model.operation import DownloadOperation
    from bgdl_jupyter.model.runner import Runner
    from bgdl_jupyter.uris import Origin

log = logging.getLogger(__name__)

_OF_SERVER: Final = ("server", "user_info", "provider")
_OF_PROXY: Final = ("proxy", "proxy_user_info")


def change_uri(runner: Runner, operation: DownloadOperation, uri: str) -> str:
    """
    Take another URI, and return what may be shown of it; the bytes stay where the validators agree.

    Headers and credentials stay with the origin that they were given for: to another one they are given again.

    Raises
    ------
    InvalidRequest
        It cannot be fetched; or a body would go to another origin, or a password in clear text.
    InvalidTransferState
        The operation is neither idle nor paused.
    DuplicateDownload
        Another operation that is not final fetches the same.
    """
    if uri == operation.requested_uri and uri.endswith(HIDDEN_QUERY):
        return uri
    if operation.status.is_running or operation.status.is_success:
        raise InvalidTransferState(
            f"{display.title(operation)} is {operation.status.name}; its URI can be set while it is idle or paused.",
            operation=operation,
        )
    split = split_uri(uri, known_schemes(), sensitive_query="query" in operation.secret_names)
    origin = origin_of(split.public)
    is_elsewhere = origin != origin_of(operation.requested_uri)
    refuse_clear_text(origin, OperationSecrets(user_info=split.user_info), operation.options)
    if is_elsewhere:
        _refuse_to_take_body(operation, origin)
    _change_identity(runner, operation, split.full)
    operation.ask_own_uri_first()
    answered = {"query"} | (_leave_origin(operation) if is_elsewhere else set())
    if split.user_info is not None or is_elsewhere:
        operation.secrets.user_info = split.user_info
        answered.add("user_info")
    operation.secrets.query = split.query
    _secrets_changed(runner, operation, *answered)
    return split.public


def _refuse_to_take_body(operation: DownloadOperation, origin: Origin) -> None:
    if operation.options.get("request_body_file") is not None and not operation.options.get("allow_body_redirect"):
        raise InvalidRequest(
            f"The body of {display.title(operation)} was given for another origin than {origin}.",
            hint="Create a download for that, or allow it with allow_body_redirect=True on the downloader.",
        )


def _leave_origin(operation: DownloadOperation) -> set[str]:
    """Forget what was given for the origin before, and return its names."""
    left = {name for name in operation.secret_names if name in _OF_SERVER or name.startswith("header ")}
    secrets = operation.secrets
    secrets.server, secrets.user_info, secrets.provider = None, None, None
    secrets.headers.clear()
    operation.set_trait("plain_headers", {})
    return left


def _change_identity(runner: Runner, operation: DownloadOperation, uri: str) -> None:
    """Be what the new URI says from now on, so that nobody else fetches that, and somebody else may fetch the old."""
    body = operation.options.get("request_body_file")
    if body is not None:
        work = _digest_and_record(runner, operation, uri, Path(body))
        runner.place.spawn(work, name=f"identity of {operation.guid}")
        return
    new = _identity(runner, operation, uri, "")
    _refuse_twin(runner, operation, new)
    # Handed over before this returns: a creation that comes next must find it.
    _record_identity(runner, operation, new)


def _refuse_twin(runner: Runner, operation: DownloadOperation, new: str) -> None:
    twin = runner.registry.live_twin(operation, new)
    if twin is not None:
        message = f"{display.title(operation)} cannot take this URI: {display.title(twin)} is fetching the same."
        raise DuplicateDownload(message, operation=twin)


def _identity(runner: Runner, operation: DownloadOperation, uri: str, body_digest: str) -> str:
    return identity(runner.state.identity_key, uri, method=operation.method, body_digest=body_digest)


async def _digest_and_record(runner: Runner, operation: DownloadOperation, uri: str, body: Path) -> None:
    try:
        digest = await runner.facilities.run(digest_of_body, body)
    except OSError as error:
        log.warning("The body of %s cannot be read: %s", operation.guid, error.strerror)
        return
    _record_identity(runner, operation, _identity(runner, operation, uri, digest))


def _record_identity(runner: Runner, operation: DownloadOperation, new: str) -> None:
    runner.registry.identify(operation, new)
    written = runner.state.update(operation.guid, epoch=operation.durable.epoch, at_once=True, identity=new)
    written.add_done_callback(_log_failure)


def _log_failure(written: Future[bool]) -> None:
    error = None if written.cancelled() else written.exception()
    if error is not None:
        log.warning("That an operation has another URI could not be recorded: %s", error)


def change_header(
    runner: Runner, operation: DownloadOperation, name: str, value: str | None, *, secret: bool | None
) -> None:
    """Set or remove a header of an operation; requests that are under way keep theirs."""

    def change() -> None:
        operation.check_not_held()
        _refuse_clear_text(operation, OperationSecrets(headers={} if value is None else {name: Secret(value)}))
        plain = dict(operation.plain_headers)
        put_header(plain, operation.secrets, name, value, secret=secret)
        operation.set_trait("plain_headers", plain)
        same = [each for each in operation.secret_names if each.lower() == f"header {name}".lower()]
        _secrets_changed(runner, operation, *same)
        runner.options_changed(operation, "headers")

    runner.place.call(change)


def give_credential(
    runner: Runner, operation: DownloadOperation, credential: PasswordCredential, *, for_proxy: bool | None = None
) -> None:
    """Answer a pause that asks who we are: to the server, or to the proxy where None and only that is not known."""

    def give() -> None:
        operation.check_not_held()
        secrets = operation.secrets
        if _is_asked_by_proxy(operation) if for_proxy is None else for_proxy:
            secrets.proxy, secrets.proxy_user_info = credential.credential, None
            _secrets_changed(runner, operation, *_OF_PROXY)
        else:
            _refuse_clear_text(operation, OperationSecrets(server=credential.credential))
            secrets.server, secrets.user_info = credential.credential, None
            _secrets_changed(runner, operation, *_OF_SERVER)
        runner.options_changed(operation, "credential")

    runner.place.call(give)


def _refuse_clear_text(operation: DownloadOperation, given: OperationSecrets) -> None:
    refuse_clear_text(origin_of(operation.requested_uri), given, operation.options)


def _is_asked_by_proxy(operation: DownloadOperation) -> bool:
    lost = {name for name in operation.secret_names if name not in operation.secrets.names}
    if lost & {*_OF_SERVER, *_OF_PROXY}:
        return lost.isdisjoint(_OF_SERVER)
    error = operation.error
    asked = operation.current_web_error_status or (error.web_error_status if error is not None else None)
    return asked is WebErrorStatus.PROXY_AUTHENTICATION_REQUIRED


def change_provider(runner: Runner, operation: DownloadOperation, provider: CredentialProvider | None) -> None:
    """Ask this one from the next request on."""
    if provider is not None and not callable(provider):
        raise InvalidRequest(f"A credential provider is a callable or None, not {type(provider).__name__}.")

    def change() -> None:
        operation.check_not_held()
        operation.secrets.provider = provider
        _secrets_changed(runner, operation, "provider", "server", "user_info")
        runner.options_changed(operation, "credential")

    runner.place.call(change)


def change_ssl_context(runner: Runner, operation: DownloadOperation, context: ssl.SSLContext | None) -> None:
    """Trust whom this context trusts from the next connection on."""
    if context is not None and not isinstance(context, ssl.SSLContext):
        raise InvalidRequest(f"ssl_context is an ssl.SSLContext or None, not {type(context).__name__}.")

    def change() -> None:
        operation.check_not_held()
        operation.secrets.ssl_context = context
        _secrets_changed(runner, operation, "ssl_context")
        runner.options_changed(operation, "ssl_context")

    runner.place.call(change)


def change_storage_options(runner: Runner, operation: DownloadOperation, options: Mapping[str, Any] | None) -> None:
    """Open the store of an operation's destination so from the next upload on."""
    if not operation.store_url:
        raise InvalidRequest(f"{display.title(operation)} goes to a file of this machine, not to a store.")
    storage = packed(options)

    def change() -> None:
        operation.check_not_held()
        operation.secrets.storage = storage
        _secrets_changed(runner, operation, "storage")
        runner.options_changed(operation, "storage_options")

    runner.place.call(change)


def change_proxy(runner: Runner, operation: DownloadOperation, uri: str) -> str:
    """Take another proxy from the next request on, and return what may be shown of it; empty for the environment's."""
    if uri == operation.proxy:
        return uri
    split = split_uri(uri, frozenset({"http", "https"})) if uri else None
    user_info = split.user_info if split is not None else None

    def change() -> None:
        operation.secrets.proxy_user_info = user_info
        _secrets_changed(runner, operation, "proxy_user_info")

    runner.place.call(change)
    return split.public if split is not None else ""


def _secrets_changed(runner: Runner, operation: DownloadOperation, *answered: str) -> None:
    """Note which secrets there have to be: those that were given, and those that were lost and not answered yet."""
    present = operation.secrets.names
    lost = [name for name in operation.secret_names if name not in answered and name not in present]
    operation.set_trait("secret_names", present + lost)
    runner.place.spawn(_keep(runner, operation), name=f"keep the secrets of {operation.guid}")


async def _keep(runner: Runner, operation: DownloadOperation) -> None:
    """Store all secrets again, with those that only the vault knows."""
    name = str(operation.guid)
    found = await asyncio.wrap_future(runner.vault.fetch(name))
    if found is not None:
        operation.recall(found)
    if operation.secrets.values():
        await asyncio.wrap_future(runner.vault.store(name, operation.secrets.to_secret()))
    elif found is not None:
        await asyncio.wrap_future(runner.vault.delete(name))

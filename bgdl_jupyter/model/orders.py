"""From an operation as a notebook sees it to what a transfer is told."""

from __future__ import annotations

import asyncio
import functools
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from bgdl_jupyter.engine.order import Options, Order
from bgdl_jupyter.engine.retry import RetryPolicy
from bgdl_jupyter.errors import InvalidRequest, StateFileError, TransferFailed
from bgdl_jupyter.events import DestinationChosen
from bgdl_jupyter.model.access import credential_from_netrc, credential_from_provider, proxy_of
from bgdl_jupyter.model.credentials import OF_MIRRORS
from bgdl_jupyter.model.existing import check_free
from bgdl_jupyter.model.host import host
from bgdl_jupyter.model.stores import publisher_of
from bgdl_jupyter.model.trust import trusting
from bgdl_jupyter.storage.filenames import MOST_NAMES, destination_key, unique_names
from bgdl_jupyter.storage.records import RowConflict
from bgdl_jupyter.transport.base import Request, Safety
from bgdl_jupyter.uris import SplitUri, origin_of
from bgdl_jupyter.web_error_status import WebErrorStatus

if TYPE_CHECKING:
    from bgdl_jupyter.model.operation import DownloadOperation
    from bgdl_jupyter.model.runner import Runner
    from bgdl_jupyter.resource import Validator
    from bgdl_jupyter.secret import Credential, Secret
    from bgdl_jupyter.storage.descriptor import Footprint

_NOT_REPEATABLE = frozenset({"POST", "PATCH"})
_IN_PARTS = frozenset({"GET", "RETR"})


def _staged_name(operation: DownloadOperation) -> Path | None:
    return operation.directory / operation.name if operation.destination is not None else None


class AttentionNeeded(Exception):
    """Somebody has to do something before the transfer can go on; a reason in a sentence, and a status for it."""

    def __init__(self, status: WebErrorStatus, reason: str) -> None:
        super().__init__(reason)
        self.status = status
        self.reason = reason


def order_of(operation: DownloadOperation, *, replaces: frozenset[Footprint] = frozenset()) -> Order:
    """Return what the transfer of an operation is to achieve; ``replaces`` are the files that it may replace."""
    values = operation.values
    store_url = values["store_url"]
    place = values["result_file"] if not store_url else _staged_name(operation)
    return Order(
        operation_id=values["guid"],
        directory=values["directory"],
        place=None if place is None else str(place),
        fallback_name="" if place is not None else operation.name,
        collision=values["collision"],
        digest=operation.expected_digest if values["checksum"] else None,
        replaces=replaces,
        sources=(values["requested_uri"], *(operation.peek("mirrors") or ())),
        publisher=publisher_of(operation) if store_url else None,
        options=_options_of(operation),
    )


def _options_of(operation: DownloadOperation) -> Options:
    """Return the options of a transfer; worked out once for all that have their settings in common."""
    if not operation.shares("method", "is_random_access_required", "options"):
        return _make_options(operation)
    derived = operation.shared.derived
    found: Options | None = derived.get("options")
    if found is None:
        found = derived["options"] = _make_options(operation)
    return found


def _make_options(operation: DownloadOperation) -> Options:
    values, settings = operation.values, operation.peek("options") or {}
    return _options(values["method"], values["is_random_access_required"], *map(settings.get, _SETTINGS))


_SETTINGS: Final = (
    "stall_timeout",
    "max_retries",
    "max_connections_per_download",
    "require_length",
    "expect_type",
    "max_size",
    "allow_unverified_resume",
    "guard_active_names",
)


@functools.lru_cache(maxsize=64)
def _options(method: str, is_random_access_required: bool, *settings: Any) -> Options:  # noqa: FBT001 (a key of a cache)
    """Return the options of a transfer: thousands of files have the same."""
    given = dict(zip(_SETTINGS, settings, strict=True))
    return Options(
        stall_timeout=_or(given["stall_timeout"], 30.0),
        retry=RetryPolicy(max_retries=_or(given["max_retries"], 8)),
        max_connections=_or(given["max_connections_per_download"], 16),
        require_length=bool(given["require_length"]),
        expect_type=given["expect_type"],
        max_size=given["max_size"],
        trusts_unverified=bool(given["allow_unverified_resume"]),
        guards_active_names=bool(given["guard_active_names"]),
        is_repeatable=method not in _NOT_REPEATABLE,
        may_ask_for_parts=method in _IN_PARTS,
        is_random_access_required=is_random_access_required,
    )


def _or(value: Any, default: Any) -> Any:
    return default if value is None else value


@functools.lru_cache(maxsize=64)
def _safety(*allowed: bool | None) -> Safety:
    return Safety(**{name: bool(said) for name, said in zip(_SAFETY, allowed, strict=True)})


_SAFETY: Final = tuple(Safety.__dataclass_fields__)


async def make_request(
    runner: Runner,
    operation: DownloadOperation,
    *,
    start: int | None,
    stop: int | None,
    condition: Validator | None,
    source: int = 0,
    other: SplitUri | None = None,
) -> Request:
    """
    Return the request of an attempt, from what the operation says now.

    ``source`` is 0 for its own URI, else counts its mirrors; ``other`` is another file that it needs. Headers and
    credentials go to its own origin only.

    Raises
    ------
    AttentionNeeded
        A secret that it needs is lost, as after a restart without a vault; or a provider did not say who we are.
    TransferFailed
        A secret part of a mirror's URI is lost.
    """
    if operation.has_secrets:
        await recall_secrets(runner, operation, source=source)
    values, secrets = operation.values, operation.given_secrets
    settings = operation.peek("options") or {}
    uri = other or _uri_of(operation, source)
    is_own_origin = (source == 0 and other is None) or origin_of(uri.public) == origin_of(values["requested_uri"])
    try:
        environment = runner.surroundings.proxies_for(uri.public, proxy=values["proxy"], options=settings)
        credential = secrets.server if is_own_origin else None
        if secrets.provider is not None or settings.get("use_netrc"):
            credential = await _credential(runner, operation, uri, is_own_origin=is_own_origin)
        ssl_context = secrets.ssl_context
        if ssl_context is None and settings.get("ca_file"):
            ssl_context = await runner.facilities.run(trusting, settings["ca_file"])
    except InvalidRequest as error:  # of the environment or a file, found out only now
        raise TransferFailed(str(error)) from None
    headers: list[tuple[str, str | Secret]] = []
    if is_own_origin:
        headers += [*(operation.peek("plain_headers") or {}).items(), *secrets.headers.items()]
    body = settings.get("request_body_file")
    return Request(
        uri=uri,
        method="GET" if values["method"] == "RETR" or other is not None else values["method"],
        headers=tuple(headers),
        body=Path(body) if body and other is None else None,
        start=start,
        stop=stop,
        condition=condition,
        credential=credential,
        proxy=proxy_of(operation, uri.public) if values["proxy"] else None,
        environment=environment,
        safety=_safety(*map(settings.get, _SAFETY)),
        ssl_context=ssl_context,
        connect_timeout=settings.get("connect_timeout", 30.0),
        response_timeout=settings.get("response_timeout", 60.0),
    )


def _uri_of(operation: DownloadOperation, source: int) -> SplitUri:
    secrets = operation.given_secrets
    if source == 0:
        return SplitUri(operation.values["requested_uri"], secrets.query, secrets.user_info)
    place = source - 1
    query, user_info = (secrets.mirrors.get(f"{place} {part}") for part in ("query", "user_info"))
    uri = SplitUri(operation.mirrors[place], query, user_info)
    if uri.misses_query:
        raise TransferFailed("The query of the mirror was secret, and did not outlive the kernel.")
    return uri


async def _credential(
    runner: Runner, operation: DownloadOperation, uri: SplitUri, *, is_own_origin: bool
) -> Credential | None:
    secrets = operation.given_secrets
    given, provider = (secrets.server, secrets.provider) if is_own_origin else (None, None)
    if provider is not None:
        try:
            said = await credential_from_provider(operation, provider)
        except InvalidRequest as error:
            raise AttentionNeeded(WebErrorStatus.UNAUTHORIZED, f"{error} resume() asks it again.") from None
        if said is not None:
            return said
    if given is not None or uri.user_info is not None or not (operation.peek("options") or {}).get("use_netrc"):
        return given
    return await runner.facilities.run(credential_from_netrc, origin_of(uri.public).host)


async def recall_secrets(runner: Runner, operation: DownloadOperation, *, source: int = 0) -> None:
    """
    Fetch what the operation keeps secret from the vault, where it is not in memory; a mirror's when that is asked.

    Raises
    ------
    AttentionNeeded
        Something is lost; the reason names what, and how it is given again.
    """
    if not operation.has_secrets:
        return
    missing = _missing(operation, with_mirrors=source > 0)
    if missing:
        found = await asyncio.wrap_future(runner.vault.fetch(str(operation.guid)))
        if found is not None:
            operation.recall(found)
        missing = _missing(operation, with_mirrors=False)
    if missing:
        is_trust = missing == {"ssl_context"}
        status = WebErrorStatus.CERTIFICATE_CONTAINS_ERRORS if is_trust else WebErrorStatus.UNAUTHORIZED
        raise AttentionNeeded(status, _what_to_do(sorted(missing)))


def _missing(operation: DownloadOperation, *, with_mirrors: bool) -> set[str]:
    missing = set(operation.secret_names) - set(operation.secrets.names)
    return missing if with_mirrors else {name for name in missing if not name.startswith(OF_MIRRORS)}


def _what_to_do(missing: list[str]) -> str:
    name = missing[0]
    if name == "provider":
        remedy = "setting credential_provider, or by provide_credential(…)"
    elif name == "ssl_context":
        remedy = "setting ssl_context (a ca_file outlives the kernel)"
    elif name.startswith("header "):
        remedy = f"set_request_header({name.removeprefix('header ')!r}, …)"
    elif name == "storage":
        remedy = "set_storage_options(…)"
    elif name == "query":
        remedy = "setting requested_uri to the full address"
    else:
        remedy = "provide_credential(…)"
    remedy = remedy if remedy.startswith("setting") else f"calling {remedy}"
    return f"A secret did not outlive the kernel ({', '.join(missing)}); give it again by {remedy}, then resume()."


async def choose_destination(runner: Runner, operation: DownloadOperation, wanted: Path) -> Path:
    """
    Claim a path for the name that the server proposed, and return it.

    Raises
    ------
    DestinationExists
        A file of this name is there, and may be neither replaced nor avoided.
    StateFileError
        No name is free.
    """
    if operation.store_url:
        await _choose_in_store(runner, operation, wanted.name)
        return wanted
    for count, path in enumerate(unique_names(wanted)):
        if count > MOST_NAMES:
            break
        if await claim_path(runner, operation, path):
            await check_free(runner, operation, path)
            return path
    raise StateFileError(f"No name like {wanted.name!r} is free in {str(operation.directory)!r}.")


async def claim_path(runner: Runner, operation: DownloadOperation, path: Path) -> bool:
    """Have the right to a path, and be called so from now on; False where another operation has it."""
    return await _claim(runner, operation, await runner.facilities.run(destination_key, path), str(path))


async def _choose_in_store(runner: Runner, operation: DownloadOperation, name: str) -> None:
    stores, storage = host().stores, operation.secrets.storage
    folder = await runner.facilities.run(stores.locate, operation.store_url, storage)
    for each in folder.named(name).candidates():
        if await _claim(runner, operation, each.key, each.url):
            return
    raise StateFileError(f"No name like {name!r} is free in {operation.store_url!r}.")


async def _claim(runner: Runner, operation: DownloadOperation, key: str, place: str) -> bool:
    """Have the right to a destination, and be called so from now on; False where another operation has it."""
    try:
        await asyncio.wrap_future(runner.state.update(operation.guid, at_once=True, destination_key=key))
    except RowConflict:
        return False
    runner.publish(DestinationChosen(operation_id=operation.guid, path=place))
    runner.save(operation)
    return True

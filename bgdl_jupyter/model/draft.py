"""A download that was asked for, checked as a whole before anything is written."""

from __future__ import annotations

import difflib
import os
import ssl
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from uuid import UUID, uuid4

from bgdl_jupyter.engine.facilities import known_schemes
from bgdl_jupyter.errors import InvalidRequest
from bgdl_jupyter.model.checksum_files import checksum_from
from bgdl_jupyter.model.credentials import OperationSecrets, PasswordCredential
from bgdl_jupyter.model.headers import check_header
from bgdl_jupyter.model.options import DownloadOptions
from bgdl_jupyter.model.post_processing_plan import KEPT_AS, plan_of
from bgdl_jupyter.model.stores import Location, is_store, local_path, locate
from bgdl_jupyter.model.trust import trusting
from bgdl_jupyter.secret import Credential, Secret, is_secret_header
from bgdl_jupyter.status import BackgroundTransferCostPolicy, BackgroundTransferPriority, CreationCollisionOption
from bgdl_jupyter.storage.digests import parse_checksum
from bgdl_jupyter.storage.filenames import check_destination, name_from_uri
from bgdl_jupyter.uris import is_loopback, origin_of, split_uri

if TYPE_CHECKING:
    from collections.abc import Callable

    from bgdl_jupyter.uris import Origin

#: What `create_download`, `download`, `download_many` and `%bgdl` take by keyword.
OPTION_NAMES: Final = frozenset(DownloadOptions.__annotations__)
_MOST_MIRRORS: Final = 100
_BODILESS: Final = frozenset({"GET", "RETR"})
_METHODS: Final = frozenset({"GET", "POST", "PUT", "PATCH", "RETR"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """What will become an operation: the values of its traits, and its secrets apart."""

    uri: str
    values: dict[str, Any]
    group: str
    application: str | None
    location: Location | None = None
    secrets: OperationSecrets = field(default_factory=OperationSecrets)
    operation_id: UUID = field(default_factory=uuid4)
    post_process: Callable[..., Any] | None = None
    """What is called with the file, where it has no name."""

    @property
    def plan(self) -> dict[str, Any] | None:
        """What is to follow the file, as it is kept; None for nothing."""
        found: dict[str, Any] | None = self.values["options"].get(KEPT_AS)
        return found


def draft_download(
    uri: str,
    result_file: str | os.PathLike[str] | None,
    *,
    defaults: Mapping[str, Any],
    headers: Mapping[str, str | Secret],
    secrets: OperationSecrets,
    options: Mapping[str, Any],
    may_be_folder: bool = True,
) -> Draft:
    """
    Check everything about a download that can be checked without the server.

    Parameters
    ----------
    uri, result_file:
        As `BackgroundDownloader.create_download`; ``result_file`` may be a folder that exists, or None for the
        working folder, and then the server names the file; or the URL of a place in a store.
    defaults, headers, secrets:
        The downloader's settings; ``headers`` and ``secrets`` are copied.
    options:
        What the caller gave by keyword.
    may_be_folder:
        Whether ``result_file`` may be a folder for a file that the server names.

    Raises
    ------
    TypeError
        There is no such option; the message names the nearest.
    InvalidRequest
        A value is unusable; nothing was written.
    """
    _refuse_unknown(options)
    split = split_uri(uri, known_schemes(), sensitive_query=bool(options.get("sensitive_query")))
    taken = OperationSecrets(
        query=split.query,
        user_info=split.user_info,
        headers=dict(secrets.headers),
        server=secrets.server,
        proxy=secrets.proxy,
        proxy_user_info=secrets.proxy_user_info,
        provider=secrets.provider,
        ssl_context=_ssl_context(options.get("ssl_context") or secrets.ssl_context),
    )
    mirrors = _mirrors(options, taken, defaults["options"])
    plain = {name: value for name, value in headers.items() if isinstance(value, str)}
    _add_headers(options.get("headers") or {}, plain, taken)
    location = _location(result_file, options, may_be_folder=may_be_folder)
    if location is None:
        destination, directory = _destination(local_path(result_file), split.public, may_be_folder=may_be_folder)
    else:
        destination, directory = None, defaults["staging"]
        taken.storage = location.storage
    method = _method(options, defaults, scheme=origin_of(split.public).scheme)
    settings = {
        **defaults["options"],
        "fallback_name": name_from_uri(split.public),
        **{name: options[name] for name in ("ca_file", "expect_type", "max_size") if options.get(name) is not None},
    }
    if options.get("request_body_file") is not None:
        settings["request_body_file"] = _body_file(options["request_body_file"])
    if settings.get("ca_file"):
        settings["ca_file"] = _ca_file(settings["ca_file"])
    _check_settings(settings)
    checksum = _checksum(options)
    if options.get("checksum_file") is not None:
        checksum, settings["checksum_file"] = checksum_from(options["checksum_file"], split.public, destination)
    _refuse_clear_text(origin_of(split.public), taken, settings)
    plan, function = plan_of(options, defaults["unpack_limits"])
    if plan is not None:
        settings[KEPT_AS] = plan.to_record()
        if plan.unpacks and location is not None:
            raise InvalidRequest("What is in a store is not unpacked there; download it to a folder, and unpack it.")
    values = {
        "requested_uri": split.public,
        "mirrors": mirrors,
        "result_file": destination,
        "directory": directory,
        "store_url": location.url if location is not None else "",
        "method": method,
        "collision": _enumeration(CreationCollisionOption, options, "collision", defaults),
        "priority": _enumeration(BackgroundTransferPriority, options, "priority", defaults),
        "cost_policy": _enumeration(BackgroundTransferCostPolicy, options, "cost_policy", defaults),
        "checksum": checksum,
        "proxy": defaults["proxy"],
        "options": settings,
        "plain_headers": plain,
        "secret_names": taken.names,
    }
    group = options.get("group")
    return Draft(
        uri=split.full,
        values=values,
        group=check_group_name(defaults["group"] if group is None else getattr(group, "name", group)),
        application=options.get("application"),
        location=location,
        secrets=taken,
        post_process=function,
    )


def _mirrors(options: Mapping[str, Any], secrets: OperationSecrets, settings: Mapping[str, Any]) -> list[str]:
    """Return what may be shown of the mirrors, their secrets put apart."""
    given, is_sensitive = options.get("mirrors") or (), bool(options.get("sensitive_query"))
    if isinstance(given, str) or not isinstance(given, Sequence):
        raise InvalidRequest(f"mirrors is a list of URIs, not {type(given).__name__}.")
    if len(given) > _MOST_MIRRORS:
        raise InvalidRequest(f"There are {len(given):,} mirrors; at most {_MOST_MIRRORS} are taken.")
    splits = [split_uri(each, known_schemes(), sensitive_query=is_sensitive) for each in given]
    for place, split in enumerate(splits):
        _refuse_clear_text(origin_of(split.public), OperationSecrets(user_info=split.user_info), settings)
        for part, secret in (("query", split.query), ("user_info", split.user_info)):
            if secret is not None:
                secrets.mirrors[f"{place} {part}"] = secret
    return [split.public for split in splits]


def _refuse_unknown(options: Mapping[str, Any]) -> None:
    for name in options:
        if name not in OPTION_NAMES:
            near = difflib.get_close_matches(name, OPTION_NAMES, n=1, cutoff=0)[0]
            raise TypeError(f"There is no option {name!r}; the nearest is {near!r}.")


def _add_headers(given: Mapping[str, str], plain: dict[str, str], secrets: OperationSecrets) -> None:
    if not hasattr(given, "items"):
        raise InvalidRequest(f"headers is a mapping of names to values, not {type(given).__name__}.")
    for name, value in given.items():
        put_header(plain, secrets, name, value, secret=None)


def put_header(
    plain: dict[str, str], secrets: OperationSecrets, name: str, value: str | None, *, secret: bool | None
) -> None:
    """Set a header among the plain or the secret ones, in place of any of the same name; None removes it."""
    if value is not None:
        name, value = check_header(name, value)
    for store in (plain, secrets.headers):
        for old in [each for each in store if each.lower() == name.lower()]:
            del store[old]
    if value is None:
        return
    if is_secret_header(name) if secret is None else secret:
        secrets.headers[name] = Secret(value)
    else:
        plain[name] = value


def _location(result_file: object, options: Mapping[str, Any], *, may_be_folder: bool) -> Location | None:
    """Return the place in a store, None for a file of this machine."""
    if isinstance(result_file, str) and is_store(result_file):
        location = locate(result_file, options.get("storage_options"))
        if location.needs_name and not may_be_folder:
            raise InvalidRequest(f"{location.url!r} is a folder; name a file in it, or use download().")
        return location
    if options.get("storage_options") is not None:
        raise InvalidRequest("storage_options is for a destination in a store, such as s3://BUCKET/KEY.")
    return None


def _destination(
    result_file: str | os.PathLike[str] | None, uri: str, *, may_be_folder: bool
) -> tuple[Path | None, Path]:
    if result_file is not None and not isinstance(result_file, str | os.PathLike):
        raise InvalidRequest(f"A destination is a path, not {type(result_file).__name__}.")
    if result_file is not None and not str(result_file):
        raise InvalidRequest("The destination is empty; give a file, a folder, or None.")
    path = Path.cwd() if result_file is None else _absolute(result_file)
    # Not `Path.is_dir`, which raises where a name is too long: what is wrong with it is said below.
    is_folder = os.path.isdir(path) or str(result_file or "").endswith(("/", os.sep))  # noqa: PTH112 (as above)
    if is_folder and result_file is not None and not may_be_folder:
        raise InvalidRequest(f"{str(path)!r} is a folder; name a file in it, or use download(), which takes folders.")
    if is_folder:
        check_destination(path / name_from_uri(uri))
        return None, path
    check_destination(path)
    return path, path.parent


def _method(options: Mapping[str, Any], defaults: Mapping[str, Any], *, scheme: str) -> str:
    has_body = options.get("request_body_file") is not None
    default = str(defaults["method"]).upper()
    method = str(options.get("method") or ("POST" if has_body and default in _BODILESS else default)).upper()
    if method not in _METHODS:
        raise InvalidRequest(f"The method {method[:20]!r} is not known; {', '.join(sorted(_METHODS))} are.")
    if has_body and method in _BODILESS:
        raise InvalidRequest(f"A {method} has no body; leave the method out for a POST, or name PUT.")
    if method not in _BODILESS and options.get("mirrors"):
        raise InvalidRequest(f"A {method} goes to one place; mirrors are for what is fetched.")
    if method not in _BODILESS and scheme in ("ftp", "ftps"):
        raise InvalidRequest(f"{scheme} fetches files; it has no {method} and takes no body.")
    return method


def _body_file(path: str | os.PathLike[str]) -> str:
    body = _absolute(path)
    if not body.is_file() or not os.access(body, os.R_OK):
        raise InvalidRequest(f"The request's body {str(body)!r} is no file that can be read.")
    return str(body)


def _ca_file(path: str | os.PathLike[str]) -> str:
    file = str(_absolute(path))
    trusting(file)
    return file


def _ssl_context(given: object) -> ssl.SSLContext | None:
    if given is not None and not isinstance(given, ssl.SSLContext):
        raise InvalidRequest(f"ssl_context is an ssl.SSLContext, not {type(given).__name__}.")
    return given


def _refuse_clear_text(origin: Origin, secrets: OperationSecrets, settings: Mapping[str, Any]) -> None:
    """Refuse a name and a password that whoever listens on the way could read (RFC 7617 4)."""
    if origin.scheme != "http" or is_loopback(origin.host) or settings.get("allow_insecure_auth"):
        return
    headers = [value for name, value in secrets.headers.items() if name.lower() == "authorization"]
    is_basic = any(value.reveal().lower().startswith("basic ") for value in headers)
    if is_basic or secrets.user_info is not None or secrets.server is not None:
        raise InvalidRequest(
            f"A name and a password would go to {origin} in clear text.",
            hint="Use https, or allow it with allow_insecure_auth=True on the downloader.",
        )


def _absolute(path: str | os.PathLike[str]) -> Path:
    """Return the path from the root, with its links as they are: a link may be what is to be replaced."""
    return Path(os.path.abspath(Path(path).expanduser()))  # noqa: PTH100 (`resolve` would follow the links)


def _enumeration(kind: Any, options: Mapping[str, Any], name: str, defaults: Mapping[str, Any]) -> Any:
    value = options.get(name)
    if value is None:
        return defaults[name]
    try:
        return kind[value.upper()] if isinstance(value, str) else kind(value)
    except (KeyError, ValueError):
        known = ", ".join(each.name for each in kind)
        raise InvalidRequest(f"{name} is one of {known}, not {str(value)[:40]!r}.") from None


def _checksum(options: Mapping[str, Any]) -> str:
    sha256, checksum = options.get("sha256"), options.get("checksum")
    if sum(each is not None for each in (sha256, checksum, options.get("checksum_file"))) > 1:
        raise InvalidRequest("Give sha256, checksum or checksum_file, one of them.")
    if sha256 is not None:
        return str(parse_checksum(f"sha256:{sha256}"))
    return str(parse_checksum(checksum)) if checksum is not None else ""


def _check_settings(settings: Mapping[str, Any]) -> None:
    size = settings.get("max_size")
    if size is not None and (isinstance(size, bool) or not isinstance(size, int) or size < 0):
        raise InvalidRequest(f"max_size is a number of bytes, not {size!r}.")
    kind = settings.get("expect_type")
    if kind is not None and (not isinstance(kind, str) or "/" not in kind):
        raise InvalidRequest(f"expect_type is a media type like 'text/csv' or 'image/*', not {kind!r}.")


def check_group_name(name: object) -> str:
    """Return the name of a group, empty for none; raises `InvalidRequest` for what is no name."""
    if name is None:
        return ""
    if not isinstance(name, str) or len(name) > 200 or any(ord(character) < 32 for character in name):  # noqa: PLR2004 (what a line of a panel holds; the control characters)
        raise InvalidRequest("The name of a group is a line of at most 200 characters.")
    return name


def credential_of(value: PasswordCredential | None) -> Credential | None:
    """Return what a request needs of a user's credential."""
    return value.credential if value is not None else None

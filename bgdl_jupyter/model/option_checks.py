"""What an option of a download must be: each is checked before anything is written."""

from __future__ import annotations

import os
import ssl
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from bgdl_jupyter.errors import InvalidRequest
from bgdl_jupyter.model.trust import trusting
from bgdl_jupyter.storage.digests import parse_checksum
from bgdl_jupyter.uris import is_loopback

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bgdl_jupyter.model.credentials import OperationSecrets
    from bgdl_jupyter.uris import Origin

_BODILESS: Final = frozenset({"GET", "RETR"})
_METHODS: Final = frozenset({"GET", "POST", "PUT", "PATCH", "RETR"})


def method_of(options: Mapping[str, Any], defaults: Mapping[str, Any], *, scheme: str) -> str:
    """Return the method of the request; raises `InvalidRequest` for one that is not known, or does not fit."""
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


def body_path(path: str | os.PathLike[str]) -> str:
    """Return the path of a request's body; raises `InvalidRequest` where it cannot be read."""
    body = Path(absolute_path(os.fspath(path)))
    if not body.is_file() or not os.access(body, os.R_OK):
        raise InvalidRequest(f"The request's body {str(body)!r} is no file that can be read.")
    return str(body)


def ca_path(path: str | os.PathLike[str]) -> str:
    """Return the path of the certificates to trust; raises `InvalidRequest` where it holds none."""
    file = absolute_path(os.fspath(path))
    trusting(file)
    return file


def ssl_context_of(given: object) -> ssl.SSLContext | None:
    """Return what was given; raises `InvalidRequest` where that is something else."""
    if given is not None and not isinstance(given, ssl.SSLContext):
        raise InvalidRequest(f"ssl_context is an ssl.SSLContext, not {type(given).__name__}.")
    return given


def refuse_clear_text(origin: Origin, secrets: OperationSecrets, settings: Mapping[str, Any]) -> None:
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


def absolute_path(path: str) -> str:
    """Return the path from the root, with its links as they are: a link may be what is to be replaced."""
    home = os.path.expanduser(path)  # noqa: PTH111 (as below)
    return os.path.abspath(home)  # noqa: PTH100 (`resolve` would follow the links; and there may be very many)


def member_of(kind: Any, options: Mapping[str, Any], name: str, defaults: Mapping[str, Any]) -> Any:
    """Return the member of an enumeration that an option names, or the default; raises `InvalidRequest`."""
    value = options.get(name)
    if value is None:
        return defaults[name]
    try:
        return kind[value.upper()] if isinstance(value, str) else kind(value)
    except (KeyError, ValueError):
        known = ", ".join(each.name for each in kind)
        raise InvalidRequest(f"{name} is one of {known}, not {str(value)[:40]!r}.") from None


def checksum_of(options: Mapping[str, Any]) -> str:
    """Return the expected digest as algorithm:hex, empty for none; raises `InvalidRequest` for what is none."""
    sha256, checksum = options.get("sha256"), options.get("checksum")
    if sum(each is not None for each in (sha256, checksum, options.get("checksum_file"))) > 1:
        raise InvalidRequest("Give sha256, checksum or checksum_file, one of them.")
    if sha256 is not None:
        is_named = isinstance(sha256, str) and sha256.lower().startswith("sha256:")
        return str(parse_checksum(sha256 if is_named else f"sha256:{sha256}"))
    return str(parse_checksum(checksum)) if checksum is not None else ""


def check_settings(settings: Mapping[str, Any]) -> None:
    """Raise `InvalidRequest` where a setting of the download itself cannot be used."""
    size = settings.get("max_size")
    if size is not None and (isinstance(size, bool) or not isinstance(size, int) or size < 0):
        raise InvalidRequest(f"max_size is a number of bytes, not {size!r}.")
    kind = settings.get("expect_type")
    if kind is not None and (not isinstance(kind, str) or "/" not in kind):
        raise InvalidRequest(f"expect_type is a media type like 'text/csv' or 'image/*', not {kind!r}.")

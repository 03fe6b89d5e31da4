"""
Any store that fsspec knows as the destination of a download.

A store whose uploads appear whole or not at all (S3 and its like) gets the file under its name at once. Any other gets
it beside that name first, and moves it when it is complete::

    memory://data/.6f0c2f9d0b5e4d8f9a3c1f0e7d6b5a49-1.bgdl   while it is sent
    memory://data/big.tar                                    whole and checked, never before

`bgdl_jupyter.model.host` takes this module as its `StoreProvider`.
"""

from __future__ import annotations

import importlib
import json
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from bgdl_jupyter.errors import InvalidRequest
from bgdl_jupyter.integrations.fsspec_place import WHOLE_OR_NOT, Place
from bgdl_jupyter.model.stores import Location
from bgdl_jupyter.secret import Secret
from bgdl_jupyter.uris import has_secret_query

if TYPE_CHECKING:
    from collections.abc import Callable

    from bgdl_jupyter.status import CreationCollisionOption

# Where the first component is a bucket, and no place for a file.
_BUCKETS: Final = WHOLE_OR_NOT
# What fsspec can open and nobody can put a file to.
_NO_STORES: Final = frozenset(
    {"http", "https", "data", "github", "git", "gist", "jlab", "jupyter", "zip", "tar", "libarchive", "reference"}
    | {"blockcache", "cached", "filecache", "simplecache", "generic", "dir", "async_wrapper"}
)


def locate(url: str, storage: Secret | None) -> Location:
    """Check a URL and return the place; see `StoreProvider`."""
    _refuse_unusable(url)
    try:
        return _located(url, storage)
    except InvalidRequest:
        raise
    except ValueError:  # its message may quote a part of the password
        raise InvalidRequest(
            "The destination's URL, or the endpoint in storage_options, cannot be parsed.",
            hint="Percent-encode its user name and its password, and check host and port.",
        ) from None


def _located(url: str, storage: Secret | None) -> Location:
    protocol, _, rest = url.partition("://")
    kind = _kind_of(protocol.lower())
    options = json.loads(storage.reveal()) if storage is not None else {}
    public, password = _without_password(url)
    said = {**kind._get_kwargs_from_urls(url), **options}  # noqa: SLF001 (fsspec's own way from a URL to its options)
    if password:
        storage = Secret(json.dumps(said | {"password": password}))
    path = str(kind._strip_protocol(url)).strip("/")  # noqa: SLF001 (as above)
    is_folder = url.endswith("/") or (protocol.lower() in _BUCKETS and "/" not in path)
    if not path and protocol.lower() in _BUCKETS:
        raise InvalidRequest(f"{public!r} names no bucket; {protocol}://BUCKET/KEY is needed.")
    if is_folder:
        public, path = public.rstrip("/") + "/" if rest.strip("/") else public, f"{path}/".lstrip("/")
    said |= said.get("client_kwargs") or {}
    names = ("account_name", "host", "port")
    where = "/".join(
        [_server(said.get("endpoint_url")), *(str(said.get(name) or "").rpartition("@")[2] for name in names)]
    )
    return Location(url=public, key=f"{_first(kind.protocol)}:{where}:/{path}", storage=storage)


def _server(endpoint: object) -> str:
    """Return scheme, host and port of an endpoint's URL: the rest may be secret, and the place is stored."""
    parts = urlsplit(str(endpoint or ""))
    port = f":{parts.port}" if parts.port is not None else ""
    return f"{parts.scheme}://{parts.hostname}{port}" if parts.hostname else ""


def open_place(
    url: str, storage: Secret | None, *, collision: CreationCollisionOption, guard: Callable[[str], str]
) -> Place:
    """Return a place to deliver to; see `StoreProvider`."""
    return Place(_kind_of(url.partition("://")[0].lower()), url, storage, collision=collision, guard=guard)


def _kind_of(protocol: str) -> Any:
    """Return fsspec's class for a protocol, its library loaded; raises `InvalidRequest` for what is no store."""
    try:
        fsspec = importlib.import_module("fsspec")
    except ImportError:
        raise InvalidRequest(
            "A destination in a store needs fsspec.", hint="Run: pip install 'bgdl-jupyter[fsspec]'"
        ) from None
    known = frozenset(fsspec.available_protocols()) - _NO_STORES
    if protocol not in known:
        raise InvalidRequest(f"{protocol}:// is no store that files can be put to; fsspec knows {_some(known)}.")
    try:
        return fsspec.get_filesystem_class(protocol)
    except ImportError as error:
        raise InvalidRequest(f"The store {protocol}:// cannot be opened: {error}.") from None


def _some(known: frozenset[str]) -> str:
    usual = [each for each in ("s3", "gs", "abfs", "sftp", "hdfs", "memory") if each in known]
    return ", ".join(usual) + " and others"


def _first(protocol: str | tuple[str, ...]) -> str:
    return protocol if isinstance(protocol, str) else protocol[0]


def _refuse_unusable(url: str) -> None:
    if "::" in url:
        raise InvalidRequest("A destination is one place in one store; chains with '::' are for reading.")
    if any(ord(character) < 32 for character in url):  # noqa: PLR2004 (the control characters)
        raise InvalidRequest("The destination holds a control character.")
    if has_secret_query(url.partition("?")[2]):
        raise InvalidRequest(
            "The destination's URL holds a secret.", hint="Give it as storage_options, which are kept in the vault."
        )


def _without_password(url: str) -> tuple[str, str]:
    """Return the URL without the password in it, and that; in s3://bucket and abfs://container@account is none."""
    scheme, _, rest = url.partition("://")
    authority, slash, path = rest.partition("/")
    user, at, host = authority.rpartition("@")
    if not at or ":" not in user:
        return url, ""
    password = urlsplit(url).password or ""
    name = user.partition(":")[0]
    return f"{scheme}://{name + '@' if name else ''}{host}{slash}{path}", password

"""What a request means in FTP: the path to name, who we are, and what cannot be asked for. Nothing here does I/O."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final
from urllib.parse import unquote, unquote_to_bytes

from yarl import URL

from bgdl_jupyter.errors import InvalidRequest
from bgdl_jupyter.secret import Credential, Secret

if TYPE_CHECKING:
    from bgdl_jupyter.transport.base import Request

ANONYMOUS: Final = Credential("anonymous", Secret("anonymous@"))
_METHODS: Final = frozenset({"GET", "RETR"})


def check(request: Request) -> None:
    """
    Refuse what FTP has no word for; headers are passed over, since a downloader may set them for all its downloads.

    Raises
    ------
    InvalidRequest
        Another method than GET or RETR, a body, a proxy.
    """
    if request.method.upper() not in _METHODS:
        raise InvalidRequest(f"FTP files are had with GET or RETR, not {request.method}.")
    if request.body is not None:
        raise InvalidRequest("An FTP download has no request body.")
    if request.proxy is not None:
        raise InvalidRequest("FTP goes through no proxy here; leave out the proxy for this download.")


def path_of(uri: str) -> str:
    """
    Return the path for SIZE and RETR: decoded once, relative to the login's directory (RFC 1738 3.2.2).

    A path that begins with ``%2F`` or a second slash is absolute. Bytes that are not UTF-8 become surrogates.

    Raises
    ------
    InvalidRequest
        It cannot be sent, or names a directory.
    """
    url = URL(uri)
    raw = url.raw_path + (f"?{url.raw_query_string}" if url.raw_query_string else "")
    raw, _, kind = raw.removeprefix("/").partition(";type=")
    path = unquote_to_bytes(raw).decode("utf-8", "surrogateescape")
    if _breaks_line(path):
        raise InvalidRequest("The path of an FTP URI cannot hold a line break or NUL.")
    if kind.lower() not in ("", "i"):
        raise InvalidRequest("Only binary transfers are made: leave out ;type= or write ;type=i.")
    if not path or path.endswith("/"):
        raise InvalidRequest("The FTP URI names a directory; name a file in it.")
    return path


def credential_of(request: Request) -> Credential:
    """
    Return who we are: the URI's user information, decoded once, else the request's credential, else anonymous.

    Raises
    ------
    InvalidRequest
        It cannot be sent; the message shows nothing of it.
    """
    credential = request.credential or ANONYMOUS
    if request.uri.user_info is not None:
        user, _, password = request.uri.user_info.reveal().partition(":")
        if user:
            credential = Credential(_decoded(user), Secret(_decoded(password)))
    if _breaks_line(credential.user_name) or _breaks_line(credential.password.reveal()):
        raise InvalidRequest("The user name or the password holds a line break or NUL, which FTP cannot send.")
    return credential


def _decoded(text: str) -> str:
    return unquote(text, errors="surrogateescape")


def _breaks_line(text: str) -> bool:
    return any(character in text for character in "\r\n\0")

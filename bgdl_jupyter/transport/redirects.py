"""Where a redirect leads, and whether we go there: decided on values."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from http import HTTPStatus
from typing import TYPE_CHECKING, Final

from yarl import URL

from bgdl_jupyter.errors import RedirectRefused
from bgdl_jupyter.uris import HIDDEN_QUERY, MAX_URI_LENGTH, SplitUri, origin_of, shown
from bgdl_jupyter.web_error_status import WebErrorStatus

if TYPE_CHECKING:
    from bgdl_jupyter.transport.base import Safety
    from bgdl_jupyter.uris import Origin

MAX_REDIRECTS: Final = 10
REDIRECTS: Final = frozenset({
    HTTPStatus.MOVED_PERMANENTLY,
    HTTPStatus.FOUND,
    HTTPStatus.SEE_OTHER,
    HTTPStatus.TEMPORARY_REDIRECT,
    HTTPStatus.PERMANENT_REDIRECT,
})  # fmt: skip
_SCHEMES: Final = frozenset({"http", "https"})
_FORBIDDEN: Final = re.compile(r"[\x00-\x1f\x7f\\]")
_SCHEME: Final = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*):")


@dataclass(frozen=True, slots=True, kw_only=True)
class Hop:
    """
    One request on the way to a resource.

    ``shown`` is the redacted form of ``url``; ``hides_query`` says that the user's query is a secret, and so is every
    later one; ``is_home`` that the request goes to the origin the user named, and may bear what was given for it;
    ``refuses_private`` that the public internet sent us, and may not send us into a private network.
    """

    url: URL
    origin: Origin
    shown: str
    method: str
    hides_query: bool = False
    has_body: bool = False
    is_home: bool = True
    refuses_private: bool = False


def first_hop(uri: SplitUri, method: str, *, has_body: bool) -> Hop:
    """Return the request that the user made."""
    url = URL(uri.full, encoded=True)
    return Hop(
        url=url,
        origin=origin_of(uri.public),
        shown=uri.public,
        method=method.upper(),
        hides_query=uri.query is not None,
        has_body=has_body,
    )


def next_hop(hop: Hop, status: int, location: str | None, *, home: Origin, safety: Safety, is_public: bool) -> Hop:
    """
    Return where to go on a redirect.

    Parameters
    ----------
    hop:
        The request that was answered.
    status, location:
        The answer: one of `REDIRECTS`, and its ``Location``.
    home:
        The origin that the user named.
    safety:
        What the user allows.
    is_public:
        Whether a server of the public internet answered.

    Raises
    ------
    RedirectRefused
        There is no such place, or we do not go there.
    """
    url = _target(hop.url, location)
    origin = origin_of(url)
    if hop.url.scheme == "https" and url.scheme == "http" and not safety.allow_insecure_redirect:
        raise RedirectRefused(
            f"{hop.origin} redirected from https to http.",
            web_error_status=WebErrorStatus.HTTPS_TO_HTTP_ON_REDIRECTION,
            hint="Set `allow_insecure_redirect` if that is meant to be.",
        )
    turned = _without_body(hop, status)
    if turned.has_body and origin != hop.origin and not safety.allow_body_redirect:
        raise RedirectRefused(
            f"{hop.origin} wants the request's body to be sent to {origin}.",
            hint="Set `allow_body_redirect` if that is meant to be.",
        )
    refuses_private = is_public and not safety.allow_private_redirect
    return replace(
        turned,
        url=url,
        origin=origin,
        shown=_shown(url, hides_query=hop.hides_query),
        is_home=origin == home,
        refuses_private=refuses_private,
    )


def _without_body(hop: Hop, status: int) -> Hop:
    """Return the hop as the status changes its method (RFC 9110 15.4)."""
    is_turned = (status == HTTPStatus.SEE_OTHER and hop.method != "HEAD") or (
        status in (HTTPStatus.MOVED_PERMANENTLY, HTTPStatus.FOUND) and hop.method == "POST"
    )
    return replace(hop, method="GET", has_body=False) if is_turned else hop


def _target(base: URL, location: str | None) -> URL:
    """Return the absolute URL of a ``Location``, without user information and fragment."""
    text = (location or "").strip(" \t")
    if not text:
        raise RedirectRefused("The server redirected without saying where to.")
    if len(text) > MAX_URI_LENGTH:
        raise RedirectRefused(f"The server redirected to a URI of more than {MAX_URI_LENGTH // 1024} KiB.")
    if _FORBIDDEN.search(text):
        raise RedirectRefused("The server redirected to a URI with control characters or backslashes.")
    scheme = _SCHEME.match(text)
    if scheme and scheme[1].lower() not in _SCHEMES:
        raise RedirectRefused(f"The server redirected to the scheme {scheme[1].lower()[:32]!r}.")
    try:
        url = _joined(base, text)
        host, port = url.raw_host, url.port
    except (ValueError, IndexError):  # the latter from yarl, for brackets in front of the user's "@"
        host, port = None, None
    if not host or not port:
        raise RedirectRefused("The server redirected to a URI without a usable host and port.")
    return url


def _joined(base: URL, text: str) -> URL:
    # A URI in order is taken to the letter, since a signature may cover its spelling.
    is_spelled = text.isascii() and " " not in text and '"' not in text
    given = URL(text, encoded=is_spelled)
    if given.scheme and not given.raw_host:
        raise ValueError("a scheme without a host")
    url = base.join(given).with_fragment(None)
    if url.raw_user is not None or url.raw_password is not None:
        url = url.with_user(None)
    host = url.raw_host or ""
    return url if host == host.lower() else url.with_host(host.lower())


def _shown(url: URL, *, hides_query: bool) -> str:
    if hides_query and url.raw_query_string:
        return str(url.with_query(None)) + HIDDEN_QUERY
    return shown(str(url))

"""What a URI is to us: checked once, split from its secrets, folded into one identity, shown redacted."""

from __future__ import annotations

import functools
import hashlib
import ipaddress
import re
from dataclasses import dataclass
from typing import Final, NamedTuple

from yarl import URL

from bgdl_jupyter.errors import InvalidRequest
from bgdl_jupyter.secret import Secret

#: How a hidden query is written.
HIDDEN_QUERY: Final = "?…"
MAX_URI_LENGTH: Final = 8 * 1024

DEFAULT_PORTS: Final = {"http": 80, "https": 443, "ftp": 21, "ftps": 21}

# Space, control characters and what RFC 3986 leaves no place for; a backslash is a slash to some parsers, and a lone
# surrogate is dropped in silence: another URI than the one that was given.
_FORBIDDEN: Final = re.compile(r"[\x00-\x20\x7f\\\ud800-\udfff]")
_ORIGIN: Final = re.compile("[^/?#]*//[^/?#]*")
# Without percent codes, dot segments, empty segments and query, and in lower case where case does not count.
_PLAIN: Final = re.compile(r"([a-z]+://[a-z0-9.-]+(?::[0-9]+)?)((?:/[A-Za-z0-9_~-][A-Za-z0-9_~.-]*)+)")
_USUAL_SCHEMES: Final = frozenset(DEFAULT_PORTS)
_SECRET_PARAMETER: Final = re.compile(
    r"(x-amz-|x-goog-|x-ms-).*|.*(token|signature|secret|password|passwd|credential|api[-_]?key|access[-_]?key).*"
    r"|sig|key|auth|jwt|se|sp|sv|sr|spr|skoid|policy|key-pair-id|hmac|expires",
    re.IGNORECASE,
)


_HMAC_BLOCK: Final = 64
_INNER: Final = bytes(each ^ 0x36 for each in range(256))
_OUTER: Final = bytes(each ^ 0x5C for each in range(256))


class Origin(NamedTuple):
    """What a credential, a header and a connection belong to (RFC 6454)."""

    scheme: str
    host: str
    port: int

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        port = "" if DEFAULT_PORTS.get(self.scheme) == self.port else f":{self.port}"
        return f"{self.scheme}://{host}{port}"


@dataclass(frozen=True, slots=True)
class SplitUri:
    """A URI and its secrets apart: ``public`` may be shown and stored."""

    public: str
    query: Secret | None = None
    user_info: Secret | None = None

    @property
    def full(self) -> str:
        """The URI to ask for, with its query and without user information."""
        if self.query is None:
            return self.public
        return self.public.removesuffix(HIDDEN_QUERY) + "?" + self.query.reveal()

    @property
    def misses_query(self) -> bool:
        """Whether the query is known to have been hidden, and is lost."""
        return self.query is None and self.public.endswith(HIDDEN_QUERY)

    @property
    def secrets(self) -> tuple[Secret, ...]:
        """All parts that must not be shown."""
        return tuple(part for part in (self.query, self.user_info) if part is not None)


def split_uri(uri: str, schemes: frozenset[str], *, sensitive_query: bool = False) -> SplitUri:
    """
    Check a URI and take its secrets apart.

    Parameters
    ----------
    uri:
        An absolute URI.
    schemes:
        The schemes that a transport exists for.
    sensitive_query:
        Hide the query whatever its parameters are called.

    Raises
    ------
    InvalidRequest
        It cannot be fetched; the message says why and shows no secret.
    """
    if plain_parts(uri, schemes) is not None and not sensitive_query:
        return SplitUri(uri)
    url = _parse(uri, schemes)
    user_info = None
    if url.raw_user is not None or url.raw_password is not None:
        user_info = Secret(f"{url.raw_user or ''}:{url.raw_password or ''}")
    bare = url.with_user(None).with_fragment(None)
    query = bare.raw_query_string
    if query and (sensitive_query or has_secret_query(query)):
        return SplitUri(str(bare.with_query(None)) + HIDDEN_QUERY, Secret(query), user_info)
    return SplitUri(str(bare), None, user_info)


def plain_parts(uri: object, schemes: frozenset[str]) -> tuple[str, str] | None:
    """
    Return origin and path of a URI that is as plain as most are: its parts need neither decoding nor checking.

    None for all others, of which nothing is said.
    """
    found = _PLAIN.fullmatch(uri) if isinstance(uri, str) and len(uri) <= MAX_URI_LENGTH else None
    if found is None or not _is_usual(found[1], schemes):
        return None
    return found[1], found[2]


@functools.lru_cache(maxsize=1024)
def _is_usual(beginning: str, schemes: frozenset[str]) -> bool:
    """Whether an origin is one that we fetch from, written as it is written usually."""
    try:
        url = _parse(f"{beginning}/", schemes)
    except InvalidRequest:
        return False
    return str(url) == f"{beginning}/" and str(origin_of(url)) == beginning


def _parse(uri: object, schemes: frozenset[str]) -> URL:
    if not isinstance(uri, str):
        message = f"A URI is a str, not {type(uri).__name__}."
        raise InvalidRequest(message)
    if len(uri) > MAX_URI_LENGTH:
        message = f"The URI has {len(uri):,} characters; at most {MAX_URI_LENGTH:,} are taken."
        raise InvalidRequest(message)
    if _FORBIDDEN.search(uri) or HIDDEN_QUERY in uri:
        message = (
            "The URI holds a space, a control character, a backslash, half a character or a hidden query; "
            "percent-encode it."
        )
        raise InvalidRequest(message)
    try:
        url = URL(uri)
        host, port = url.raw_host, url.port
    except (ValueError, IndexError):  # the latter from yarl, for brackets in front of the user's "@"
        message = "The URI cannot be parsed: check its host, its port and its brackets."
        raise InvalidRequest(message) from None
    if url.scheme not in schemes:
        message = (
            f"No transport for the scheme {url.scheme or '(none)'!r}; there is one for {', '.join(sorted(schemes))}."
        )
        raise InvalidRequest(message)
    if not host or port == 0 or not _is_usable(host):
        message = f"The URI has no usable host and port: {url.scheme}://HOST/PATH is needed."
        raise InvalidRequest(message)
    return url


def _is_usable(host: str) -> bool:
    """Whether a host is an IPv6 address (with a zone or without), or has no percent code: %00, %0d%0a are no names."""
    if ":" not in host:
        return "%" not in host
    try:
        ipaddress.IPv6Address(host.partition("%")[0])
    except ValueError:
        return False
    return True


def has_secret_query(query: str) -> bool:
    """Whether a parameter's name says that the query signs or authorises the request."""
    names = (part.partition("=")[0] for part in re.split("[&;]", query))
    return any(_SECRET_PARAMETER.fullmatch(name) for name in names)


def shown(uri: str) -> str:
    """Return the form of a URI for messages: no user information, no fragment, a secret query hidden."""
    try:
        url = URL(uri).with_fragment(None)
        url = url.with_user(None) if url.raw_host else url
    except ValueError:
        return "(unreadable URI)"
    if has_secret_query(url.raw_query_string):
        return str(url.with_query(None)) + HIDDEN_QUERY
    return str(url)


def origin_of(uri: str | URL) -> Origin:
    """Return scheme, host (lower case, IDNA) and port of a checked URI."""
    if isinstance(uri, str):
        found = _ORIGIN.match(uri)
        return _origin_of(found.group() if found else uri)
    return _origin_of_url(uri)


def beginning_of(uri: str) -> str:
    """Return a checked URI up to its path: whatever begins so has the same origin."""
    found = _ORIGIN.match(uri)
    return f"{found.group() if found else uri}/"


@functools.lru_cache(maxsize=1024)
def _origin_of(beginning: str) -> Origin:
    """Return the origin that a URI begins with: thousands of files have the same."""
    return _origin_of_url(URL(beginning))


def _origin_of_url(url: URL) -> Origin:
    return Origin(url.scheme, (url.raw_host or "").rstrip(".").lower(), url.port or DEFAULT_PORTS.get(url.scheme, 0))


def identity(key: bytes, uri: str, *, method: str = "GET", body_digest: str = "") -> str:
    """
    Return the name under which the same request is recognised, as hexadecimal text.

    Two spellings of one URI give one identity (default port, case of the host, dot segments, needless percent
    codes, fragment, user information). It is an HMAC, so that the state file does not tell a hidden query.
    """
    plain = plain_parts(uri, _USUAL_SCHEMES)
    if plain is not None:
        origin, path, query = *plain, ""
    else:
        url = URL(uri).with_fragment(None).with_user(None)
        origin, path = str(origin_of(url)), url.raw_path or "/"
        query = f"?{url.raw_query_string}" if url.raw_query_string else ""
    text = f"{method.upper()}\0{origin}\0{path}\0{query}\0{body_digest}"
    inner, outer = (each.copy() for each in _keyed(key))
    inner.update(text.encode("utf-8", "surrogatepass"))
    outer.update(inner.digest())
    return outer.hexdigest()


@functools.lru_cache(maxsize=8)
def _keyed(key: bytes) -> tuple[hashlib._Hash, hashlib._Hash]:
    """Return the two hashes of an HMAC (RFC 2104 2) that have taken in the key: as long a work as all the rest."""
    block = (hashlib.sha256(key).digest() if len(key) > _HMAC_BLOCK else key).ljust(_HMAC_BLOCK, b"\0")
    return hashlib.sha256(block.translate(_INNER)), hashlib.sha256(block.translate(_OUTER))


def is_loopback(host: str) -> bool:
    """Whether a host, as it stands in a URI, is this machine (RFC 6761 6.3 for the names)."""
    name = host.strip("[]").rstrip(".").lower()
    if name == "localhost" or name.endswith(".localhost"):
        return True
    try:
        address = ipaddress.ip_address(name)
    except ValueError:
        return False
    mapped = getattr(address, "ipv4_mapped", None)
    return (mapped or address).is_loopback

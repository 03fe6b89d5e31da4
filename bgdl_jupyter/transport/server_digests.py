"""
The checksums that servers send along.

An ``ETag`` is never taken for one, whatever it looks like. Only identity-coded representations are looked at: a
digest over a content-coded one says nothing about the file.
"""

from __future__ import annotations

import base64
import binascii
import re
from typing import TYPE_CHECKING, Final

from bgdl_jupyter.resource import Digest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from multidict import MultiMapping

# The sizes say whether a value can be what its name claims.
_SIZES: Final = {"md5": 16, "sha1": 20, "sha256": 32, "sha512": 64, "crc32c": 4}
_ALGORITHMS: Final = {
    "md5": "md5",
    "sha": "sha1",
    "sha-1": "sha1",
    "sha1": "sha1",
    "sha-256": "sha256",
    "sha256": "sha256",
    "sha-512": "sha512",
    "sha512": "sha512",
    "crc32c": "crc32c",
}
_AMAZON: Final = tuple((f"x-amz-checksum-{name}", name) for name in ("crc32c", "sha1", "sha256", "sha512", "md5"))
_HEADERS: Final = (
    "Repr-Digest",
    "Digest",
    "Content-Digest",
    "Content-MD5",
    "x-goog-hash",
    *(name for name, _ in _AMAZON),
)
_STRUCTURED: Final = re.compile(r"\s*([a-z0-9*_.-]+)\s*=\s*:([A-Za-z0-9+/=]*):\s*(?:;[^,]*)?(?:,|$)")


def server_digests(headers: MultiMapping[str], *, is_whole: bool) -> tuple[Digest, ...]:
    """
    Return the digests of the whole resource, strongest first, each algorithm once.

    Parameters
    ----------
    headers:
        The header fields of a response without content coding.
    is_whole:
        Whether the body is the whole resource and not a part of it.
    """
    for name in _HEADERS:
        if name in headers:
            break
    else:  # as from nearly all
        return ()
    found: dict[str, Digest] = {}
    for algorithm, value in _given(headers, is_whole=is_whole):
        digest = _digest(algorithm, value)
        if digest is not None:
            found.setdefault(digest.algorithm, digest)
    return tuple(sorted(found.values(), key=lambda each: -_SIZES[each.algorithm]))


def _given(headers: MultiMapping[str], *, is_whole: bool) -> Iterator[tuple[str, str]]:
    """Yield the names and base64 values of all digests of the resource."""
    if "Repr-Digest" in headers:
        yield from _structured(headers.getall("Repr-Digest"))
    if "Digest" in headers:
        yield from _listed(headers.getall("Digest"))
    if "x-goog-hash" in headers and headers.get("x-goog-stored-content-encoding", "identity") == "identity":
        yield from _listed(headers.getall("x-goog-hash"))
    if not is_whole:
        return
    if "Content-Digest" in headers:
        yield from _structured(headers.getall("Content-Digest"))
    if "Content-MD5" in headers:
        yield "md5", headers["Content-MD5"]
    # The checksum of a composite object is one of checksums, marked by the number of parts.
    if headers.get("x-amz-checksum-type", "FULL_OBJECT").upper() == "FULL_OBJECT":
        yield from ((name, headers[header]) for header, name in _AMAZON if header in headers)


def _structured(values: list[str]) -> Iterator[tuple[str, str]]:
    """Yield the members of a dictionary of byte sequences (RFC 9530, RFC 8941); stops at the first that is none."""
    text, position = ",".join(values), 0
    while match := _STRUCTURED.match(text, position):
        yield match[1], match[2]
        position = match.end()


def _listed(values: list[str]) -> Iterator[tuple[str, str]]:
    """Yield the members of ``name=base64`` lists (RFC 3230)."""
    for part in ",".join(values).split(","):
        name, _, value = part.strip().partition("=")
        yield name.lower(), value


def _digest(name: str, value: str) -> Digest | None:
    algorithm = _ALGORITHMS.get(name)
    if algorithm is None:
        return None
    try:
        raw = base64.b64decode(value.strip(), validate=True)
    except (binascii.Error, ValueError):
        return None
    return Digest(algorithm, raw.hex()) if len(raw) == _SIZES[algorithm] else None

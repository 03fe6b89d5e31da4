"""
Answers to challenges: Basic (RFC 7617) and Digest (RFC 7616), for origins and proxies alike.

A challenge is answered with the credential of whoever made it and no other; the nonce of a Digest challenge is used
again for later requests to the same place, so that they need no second one.
"""

from __future__ import annotations

import base64
import hashlib
import os
import re
from collections import OrderedDict
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Final
from urllib.parse import quote

if TYPE_CHECKING:
    from collections.abc import Iterable

    from bgdl_jupyter.secret import Credential
    from bgdl_jupyter.uris import Origin

_NAME: Final = r"[!#$%&'*+.^_`|~0-9A-Za-z-]+"
_PARAMETER: Final = re.compile(rf'({_NAME})\s*=\s*(?:"((?:[^"\\]|\\.)*)"|({_NAME}))(?=\s*(?:,|$))', re.DOTALL)
_SCHEME: Final = re.compile(rf"({_NAME})(?:\s+[A-Za-z0-9._~+/-]+=*(?=\s*(?:,|$)))?(?=\s|,|$)")
_GAP: Final = re.compile(r"[\s,]*")
_ESCAPE: Final = re.compile(r"\\(.)", re.DOTALL)
_MAX_CHALLENGE: Final = 8 * 1024
_MAX_SESSIONS: Final = 256

# Strongest first. MD5 is what some servers still say; it protects nothing else here.
_HASHES: Final = {
    name: partial(hashlib.new, algorithm, usedforsecurity=False)
    for name, algorithm in (("SHA-512-256", "sha512_256"), ("SHA-256", "sha256"), ("MD5", "md5"))
    if algorithm in hashlib.algorithms_available
}
_STRENGTH: Final = tuple(_HASHES)


@dataclass(frozen=True, slots=True)
class Challenge:
    """One challenge: its scheme in lower case and its parameters by lower-case name."""

    scheme: str
    parameters: dict[str, str]

    @property
    def is_stale(self) -> bool:
        """Whether only the nonce was too old."""
        return self.parameters.get("stale", "").lower() == "true"


def parse_challenges(values: Iterable[str]) -> list[Challenge]:
    """Return the challenges of all header lines, several in one line as well; stops at what cannot be read."""
    found: list[Challenge] = []
    for value in values:
        if len(value) <= _MAX_CHALLENGE:
            found.extend(_challenges_in(value))
    return found


def _challenges_in(text: str) -> list[Challenge]:
    found: list[Challenge] = []
    position = 0
    while (gap := _GAP.match(text, position)) and gap.end() < len(text):
        position = gap.end()
        if found and (match := _PARAMETER.match(text, position)):
            name, quoted, token = match.groups()
            found[-1].parameters.setdefault(name.lower(), token if quoted is None else _ESCAPE.sub(r"\1", quoted))
        elif match := _SCHEME.match(text, position):
            found.append(Challenge(match[1].lower(), {}))
        else:
            break
        position = match.end()
    return found


def basic(credential: Credential) -> str | None:
    """Return a Basic answer; None for a user name that the scheme cannot carry."""
    if ":" in credential.user_name:
        return None
    pair = f"{credential.user_name}:{credential.password.reveal()}"
    return "Basic " + base64.b64encode(pair.encode("utf-8", "surrogatepass")).decode("ascii")


class DigestSession:
    """One nonce of one server, and how often it was used."""

    def __init__(self, challenge: Challenge, credential: Credential) -> None:
        self._parameters = challenge.parameters
        self._credential = credential
        self._algorithm = challenge.parameters.get("algorithm", "MD5")
        self._uses = 0

    def answer(self, method: str, target: str, *, client_nonce: str | None = None) -> str:
        """
        Return the answer for one request.

        Parameters
        ----------
        method, target:
            The request's method, and its target as it is sent.
        client_nonce:
            For tests; chosen at random otherwise.
        """
        self._uses += 1
        nonce, realm = self._parameters["nonce"], self._parameters["realm"]
        count, own = f"{self._uses:08x}", client_nonce or os.urandom(16).hex()
        quality = _quality(self._parameters.get("qop"))
        first = self._first_hash(realm, nonce, own)
        second = self._hash(f"{method}:{target}" + (f":{self._hash('')}" if quality == "auth-int" else ""))
        middle = f"{nonce}:{count}:{own}:{quality}" if quality else nonce
        fields = [
            *self._name_fields(),
            f"realm={_quoted(realm)}",
            f"nonce={_quoted(nonce)}",
            f"uri={_quoted(target)}",
            f'response="{self._hash(f"{first}:{middle}:{second}")}"',
            f"algorithm={self._algorithm}",
        ]
        if quality:
            fields += [f"qop={quality}", f"nc={count}", f'cnonce="{own}"']
        if "opaque" in self._parameters:
            fields.append(f"opaque={_quoted(self._parameters['opaque'])}")
        return "Digest " + ", ".join(fields)

    def _first_hash(self, realm: str, nonce: str, client_nonce: str) -> str:
        password = self._credential.password.reveal()
        first = self._hash(f"{self._credential.user_name}:{realm}:{password}")
        is_session = self._algorithm.upper().endswith("-SESS")
        return self._hash(f"{first}:{nonce}:{client_nonce}") if is_session else first

    def _name_fields(self) -> list[str]:
        name = self._credential.user_name
        if name.isascii():
            return [f"username={_quoted(name)}"]
        return [f"username*=UTF-8''{quote(name, safe='')}"]

    def _hash(self, text: str) -> str:
        return _HASHES[_family(self._algorithm)](text.encode("utf-8", "surrogatepass")).hexdigest()


def _family(algorithm: str) -> str:
    return algorithm.upper().removesuffix("-SESS")


def _quality(offered: str | None) -> str:
    """Return the quality of protection to use: none where none is offered, ``auth`` before ``auth-int``."""
    names = {name.strip().lower() for name in (offered or "").split(",")}
    return "auth" if "auth" in names else "auth-int" if "auth-int" in names else ""


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def best_digest(challenges: Iterable[Challenge], *, has_body: bool) -> Challenge | None:
    """Return the strongest Digest challenge that can be answered; ``auth-int`` only for requests without a body."""
    usable = [each for each in challenges if _is_usable(each, has_body=has_body)]
    return min(usable, key=lambda each: _STRENGTH.index(_family(each.parameters.get("algorithm", "MD5"))), default=None)


def _is_usable(challenge: Challenge, *, has_body: bool) -> bool:
    parameters = challenge.parameters
    if challenge.scheme != "digest" or not parameters.get("nonce") or "realm" not in parameters:
        return False
    offered = parameters.get("qop")
    quality = _quality(offered)
    if (offered and not quality) or (quality == "auth-int" and has_body):
        return False
    return _family(parameters.get("algorithm", "MD5")) in _HASHES


class Authenticator:
    """Answers challenges, and remembers the nonces; holds nothing for more than so many places."""

    def __init__(self) -> None:
        self._sessions: OrderedDict[tuple[Origin, Credential], DigestSession] = OrderedDict()

    def opening(
        self, place: Origin, credential: Credential, *, method: str, target: str, may_send_basic: bool
    ) -> str | None:
        """Return what to send without having been asked: Digest where its nonce is known, else Basic if allowed."""
        session = self._sessions.get((place, credential))
        if session is not None:
            return session.answer(method, target)
        return basic(credential) if may_send_basic else None

    def answer(
        self,
        challenges: list[Challenge],
        place: Origin,
        credential: Credential,
        *,
        method: str,
        target: str,
        has_body: bool,
        may_send_basic: bool,
    ) -> str | None:
        """Return the answer to challenges, the strongest that can be given; None where none can."""
        challenge = best_digest(challenges, has_body=has_body)
        if challenge is not None:
            session = self._sessions[place, credential] = DigestSession(challenge, credential)
            self._sessions.move_to_end((place, credential))
            if len(self._sessions) > _MAX_SESSIONS:
                self._sessions.popitem(last=False)
            return session.answer(method, target)
        self._sessions.pop((place, credential), None)
        is_asked = any(each.scheme == "basic" for each in challenges)
        return basic(credential) if is_asked and may_send_basic else None

"""Servers that want to know who asks: Basic (RFC 7617) and Digest (RFC 7616), as data for `FileSpec.faults`."""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from tests.servers.faults import status
from tests.servers.files import Answer, Fault, FileSpec, On

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.servers.messages import Request

_PARAMETER = re.compile(r'(\w+)\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s,]+))')
_ALGORITHMS = {"MD5": "md5", "SHA-256": "sha256", "SHA-512-256": "sha512_256"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Login:
    """A name and its password."""

    user: str
    password: str


def basic_value(login: Login) -> str:
    """Return the value of the header that shows this login."""
    return "Basic " + base64.b64encode(f"{login.user}:{login.password}".encode()).decode()


def basic_auth(login: Login, *, realm: str = "files", on: On = None) -> Fault:
    """Answer 401 to whoever does not show this login by Basic (A5, A7)."""
    return _guarded(
        "basic_auth()",
        on,
        lambda request: request.header("Authorization") == basic_value(login),
        lambda _request: f'Basic realm="{realm}", charset="UTF-8"',
    )


def digest_auth(
    login: Login,
    *,
    realm: str = "files",
    algorithm: Literal["MD5", "SHA-256", "SHA-512-256"] = "SHA-256",
    qop: Literal["auth", "auth-int"] | None = "auth",
    nonce_lasts: int | None = None,
    on: On = None,
) -> Fault:
    """
    Answer 401 to whoever does not show this login by Digest (A6).

    A nonce lasts for `nonce_lasts` requests to the path; then the challenge says stale=true. None: for ever.
    """

    def nonce(request: Request) -> str:
        return f"nonce-{0 if nonce_lasts is None else (request.number - 1) // nonce_lasts}"

    def challenge(request: Request) -> str:
        shown = _parameters(request).get("nonce")
        stale = ", stale=true" if shown not in {None, nonce(request)} else ""
        quality = "" if qop is None else f', qop="{qop}"'
        return f'Digest realm="{realm}", nonce="{nonce(request)}", algorithm={algorithm}{quality}{stale}'

    def is_right(request: Request) -> bool:
        shown = _parameters(request)
        if shown.get("nonce") != nonce(request) or shown.get("username") != login.user or shown.get("qop") != qop:
            return False
        expected = digest_response(request, login, shown | {"realm": realm}, algorithm=algorithm)
        return hmac.compare_digest(shown.get("response", "").encode(), expected.encode())

    return _guarded("digest_auth()", on, is_right, challenge)


def digest_response(request: Request, login: Login, shown: dict[str, str], *, algorithm: str) -> str:
    """Return what `response` has to be (RFC 7616, 3.4.1)."""
    name = _ALGORITHMS[algorithm]
    secret = _hash(name, f"{login.user}:{shown['realm']}:{login.password}")
    message = f"{request.method}:{request.target}"
    if shown.get("qop") == "auth-int":
        message += ":" + hashlib.new(name, request.body, usedforsecurity=False).hexdigest()
    middle = [shown["nc"], shown["cnonce"], shown["qop"]] if "qop" in shown else []
    return _hash(name, ":".join([secret, shown["nonce"], *middle, _hash(name, message)]))


def _guarded(name: str, on: On, is_right: Callable[[Request], bool], challenge: Callable[[Request], str]) -> Fault:
    def change(answer: Answer, request: Request, spec: FileSpec) -> Answer:
        if is_right(request):
            return answer
        refusal = status(401, headers=(("WWW-Authenticate", challenge(request)),), body=b"who are you?")
        return refusal.changes_answer(answer, request, spec) if refusal.changes_answer else answer

    return Fault(name=name, on=on, changes_answer=change)


def _parameters(request: Request) -> dict[str, str]:
    scheme, _, rest = (request.header("Authorization") or "").partition(" ")
    if scheme.lower() != "digest":
        return {}
    return {m[1].lower(): m[2] if m[3] is None else m[3] for m in _PARAMETER.finditer(rest)}


def _hash(name: str, text: str) -> str:
    return hashlib.new(name, text.encode(), usedforsecurity=False).hexdigest()

"""
Secrets have a type, and one door out.

`Secret` never shows its value in a repr, a format, a pickle or a copy of its attributes; `reveal()` is called where
a request is built or a vault is written, and nowhere else.
"""

from __future__ import annotations

import hmac
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NoReturn
from urllib.parse import quote, unquote

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

MASK: Final = "<secret>"

# What is shorter is left: masking it would mask words that have nothing to do with it.
_SHORTEST: Final = 4
_SHORTEST_PART: Final = 8

# Header names whose values always are secrets; the pattern takes in what services make up.
_SECRET_HEADER: Final = re.compile(
    r"authorization|cookie2?|proxy-authorization|x-auth.*|x-amz-security-token|x-goog-iam.*"
    r"|.*(api|access|subscription|functions|auth|private)[-_]?key.*|.*token.*|.*secret.*|.*password.*|.*credential.*"
    r"|.*session[-_]?id.*|.*signature.*|(?!idempotency)(.*[-_])?key(-.*)?|.*[-_]auth|.*-art-api|.*pass(wd|phrase)?",
    re.IGNORECASE,
)


class Secret:
    """A text that is shown to nobody."""

    __slots__ = ("__value",)

    def __init__(self, value: str) -> None:
        self.__value = value

    def reveal(self) -> str:
        """Return the text itself."""
        return self.__value

    def __repr__(self) -> str:
        return MASK

    __str__ = __repr__

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and hmac.compare_digest(
            self.__value.encode(errors="surrogatepass"), other.reveal().encode(errors="surrogatepass")
        )

    def __hash__(self) -> int:
        return hash(self.__value)

    def __reduce__(self) -> NoReturn:
        message = "a secret cannot be pickled or copied into another process"
        raise TypeError(message)


@dataclass(frozen=True, slots=True)
class Credential:
    """A user's name and password; where it may go is for whoever holds it to say."""

    user_name: str
    password: Secret


def is_secret_header(name: str) -> bool:
    """Whether the value of a header of this name is kept as a secret without being asked to."""
    return _SECRET_HEADER.fullmatch(name) is not None


def redact(text: str, secrets: Iterable[Secret]) -> str:
    """
    Return the text with every secret in it masked, and so the password or a long parameter alone.

    Percent-encoded or decoded makes no difference. Secrets of under four characters would mask words.
    """
    forms = {form for secret in secrets for part in _parts(secret.reveal()) for form in _spellings(part)}
    for form in sorted(forms, key=len, reverse=True):
        if len(form) >= _SHORTEST:
            text = text.replace(form, MASK)
    return text


def _parts(value: str) -> Iterator[str]:
    """Give what of a secret is one by itself: all of it, the password of user information, a query's parameters."""
    yield value
    yield value.partition(":")[2]
    for word in re.split(r"[&;=\s]", value):
        if len(word) >= _SHORTEST_PART:
            yield word


def _spellings(part: str) -> Iterator[str]:
    yield part
    yield unquote(part, errors="replace")
    yield quote(part, safe="", errors="replace")

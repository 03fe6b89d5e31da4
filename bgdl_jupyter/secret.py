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

if TYPE_CHECKING:
    from collections.abc import Iterable

MASK: Final = "<secret>"

# Header names whose values always are secrets; the pattern takes in what services make up.
_SECRET_HEADER: Final = re.compile(
    r"authorization|cookie2?|proxy-authorization|x-auth.*|x-amz-security-token|x-goog-iam.*"
    r"|.*api[-_]?key.*|.*access[-_]?key.*|.*token.*|.*secret.*|.*password.*|.*credential.*|.*session[-_]?id.*",
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
    """Return the text with every secret in it masked; secrets of under four characters would mask words."""
    values = sorted({secret.reveal() for secret in secrets}, key=len, reverse=True)
    for value in values:
        if len(value) > 3:  # noqa: PLR2004 (see the docstring)
            text = text.replace(value, MASK)
    return text

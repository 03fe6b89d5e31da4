"""Request headers of users: checked when they are given, shown without their secrets."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Final

from bgdl_jupyter.errors import InvalidRequest
from bgdl_jupyter.secret import MASK

if TYPE_CHECKING:
    from bgdl_jupyter.secret import Secret

_TOKEN: Final = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")  # RFC 9110 5.6.2
_MOST_CHARACTERS: Final = 16 * 1024
# Framing, ranges and the connection are ours: a value of the user's would make the answer mean something else.
_RESERVED: Final = frozenset(
    {
        "accept-encoding",
        "connection",
        "content-length",
        "expect",
        "host",
        "if-range",
        "keep-alive",
        "proxy-connection",
        "range",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
    }
)


def check_header(name: object, value: object) -> tuple[str, str]:
    """
    Return a header that can be sent.

    Raises
    ------
    InvalidRequest
        The name is no token or is reserved, or the value holds what would end the line. The value is not shown.
    """
    if not isinstance(name, str) or not _TOKEN.fullmatch(name):
        raise InvalidRequest(f"{name!r} is no name of a header: letters, digits and !#$%&'*+-.^_`|~ are.")
    if name.lower() in _RESERVED:
        raise InvalidRequest(f"The header {name} is set by the transfer itself; leave it out.")
    if not isinstance(value, str):
        raise InvalidRequest(f"The value of the header {name} is a str, not {type(value).__name__}.")
    if any(character in value for character in "\r\n\0"):
        raise InvalidRequest(f"The value of the header {name} holds a line break or a NUL; remove it.")
    try:
        value.encode("latin-1")
    except UnicodeEncodeError:
        raise InvalidRequest(
            f"The value of the header {name} has characters outside of Latin-1; encode them."
        ) from None
    if len(value) > _MOST_CHARACTERS:
        raise InvalidRequest(f"The value of the header {name} has more than {_MOST_CHARACTERS:,} characters.")
    return name, value.strip()


class RequestHeaders(Mapping[str, str]):
    """The headers that will be sent, whatever the case of their names; the values of secrets are masked."""

    def __init__(self, plain: Mapping[str, str], secret: Mapping[str, Secret]) -> None:
        self._values = {**plain, **dict.fromkeys(secret, MASK)}
        self._names = {name.lower(): name for name in self._values}

    def __getitem__(self, name: str) -> str:
        return self._values[self._names[name.lower()]]

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)

    def __repr__(self) -> str:
        return f"RequestHeaders({self._values!r})"

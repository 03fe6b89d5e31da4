"""
What workers add to requests without anybody sending it to them: secrets by reference.

A reference names where the worker finds the secret: ``{env:NAME}`` in its environment, ``{file:PATH}`` on its disk,
``{keyring:SERVICE/NAME}`` in its keyring. The reference is kept and sent; the secret is not. Only what the caller of
`download_many` wrote is looked up, never a line of a manifest.
"""

from __future__ import annotations

import importlib
import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from bgdl_jupyter.errors import InvalidRequest
from bgdl_jupyter.secret import Secret

if TYPE_CHECKING:
    from collections.abc import Mapping

_REFERENCE: Final = re.compile(r"\{(env|file|keyring):([^{}]+)\}")
_NAME: Final = re.compile(r"user|password|header [!#$%&'*+.^_`|~0-9A-Za-z-]+|storage \w+")


def check_references(given: Mapping[str, str]) -> dict[str, str]:
    """Return what workers are to add; raises `InvalidRequest` for what is no reference."""
    for name, text in given.items():
        if not _NAME.fullmatch(name):
            raise InvalidRequest(
                f"worker_secrets has 'header NAME', 'storage NAME', 'user' and 'password', not {name[:60]!r}."
            )
        if not _REFERENCE.search(str(text)):
            raise InvalidRequest(
                f"The value of worker_secrets[{name!r}] names no place; a secret itself is not taken.",
                hint="Write {env:NAME}, {file:PATH} or {keyring:SERVICE/NAME}; the worker looks there.",
            )
    if ("user" in given) != ("password" in given):
        raise InvalidRequest("worker_secrets has 'user' and 'password', or neither.")
    return dict(given)


def looked_up(references: Mapping[str, str]) -> dict[str, Secret]:
    """
    Return what the references stand for, in this process.

    Raises
    ------
    InvalidRequest
        There is nothing at one of them; the message names the place.
    """
    return {name: Secret(_REFERENCE.sub(_found, text)) for name, text in references.items()}


def _found(match: re.Match[str]) -> str:
    kind, name = match.groups()
    value: str | None = _LOOKUPS[kind](name)
    if value is None:
        raise InvalidRequest(f"The worker finds no secret at {match.group()}.")
    return value.strip("\r\n")


def _from_file(name: str) -> str | None:
    try:
        return Path(name).read_text("utf-8")
    except OSError:
        return None


def _from_keyring(name: str) -> str | None:
    service, _, user = name.rpartition("/")
    keyring: Any = importlib.import_module("keyring")
    value: str | None = keyring.get_password(service, user)
    return value


_LOOKUPS: Final[dict[str, Any]] = {"env": os.environ.get, "file": _from_file, "keyring": _from_keyring}


class Sealed:
    """
    Secrets on their way to a worker over an encrypted connection: the one kind of secret that can be pickled.

    Made where the connection was looked at, and nowhere else; shows nothing.
    """

    __slots__ = ("_values",)

    def __init__(self, values: Mapping[str, str]) -> None:
        self._values = dict(values)

    def secrets(self) -> dict[str, Secret]:
        """Return them as what they are."""
        return {name: Secret(value) for name, value in self._values.items()}

    def __bool__(self) -> bool:
        return bool(self._values)

    def __repr__(self) -> str:
        return f"<{len(self._values)} secrets>"

    def __reduce__(self) -> tuple[type[Sealed], tuple[dict[str, str]]]:
        return Sealed, (self._values,)

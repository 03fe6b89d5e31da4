"""
Who we are to servers and proxies, and what an operation keeps secret.

All secrets of an operation make one entry in the vault, under the operation's name. Without a vault they live in
memory; what is missing after a restart is known by its name (`DownloadOperation.secret_names`) and asked for.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, NoReturn

from bgdl_jupyter.errors import InvalidRequest
from bgdl_jupyter.secret import MASK, Credential, Secret, redact

if TYPE_CHECKING:
    import ssl
    from collections.abc import Awaitable, Callable, Collection

    from bgdl_jupyter.model.operation import DownloadOperation

    #: Says who we are, just before each request; None where it has nothing to say.
    CredentialProvider = Callable[
        [DownloadOperation], "PasswordCredential | Awaitable[PasswordCredential | None] | None"
    ]

#: How the names of the secrets of mirrors begin: the place of the mirror, and which part of its URI, follow.
OF_MIRRORS: Final = "mirror "
#: The secrets of which an operation has one.
_SINGLE: Final = ("query", "user_info", "server", "proxy", "proxy_user_info", "provider", "ssl_context", "storage")


class PasswordCredential:
    """
    A user's name and password: ``Windows.Security.Credentials.PasswordCredential``.

    Parameters
    ----------
    resource:
        What it is for, in words or as an origin; shown.
    user_name, password:
        What the server or the proxy is told; the password is never shown.

    Raises
    ------
    InvalidRequest
        One of them is no str, or holds a line break.
    """

    __slots__ = ("credential", "resource")

    def __init__(self, resource: str, user_name: str, password: str | Secret) -> None:
        plain = password.reveal() if isinstance(password, Secret) else password
        texts: tuple[object, ...] = (resource, user_name, plain)
        for text in texts:
            if not isinstance(text, str) or any(character in text for character in "\r\n\0"):
                raise InvalidRequest("Resource, user name and password are texts without line breaks.")
        self.resource = resource
        self.credential = Credential(user_name, Secret(plain))

    @property
    def user_name(self) -> str:
        """The user's name."""
        return self.credential.user_name

    def __repr__(self) -> str:
        return f"PasswordCredential({self.resource!r}, {self.user_name!r}, {MASK})"

    def __reduce__(self) -> NoReturn:
        raise TypeError("a credential cannot be pickled or copied into another process")


@dataclass(slots=True)
class OperationSecrets:
    """What an operation must not show, and what dies with the kernel: a provider and a context are in memory only."""

    query: Secret | None = None
    user_info: Secret | None = None
    headers: dict[str, Secret] = field(default_factory=dict)
    server: Credential | None = None
    proxy: Credential | None = None
    proxy_user_info: Secret | None = None
    provider: CredentialProvider | None = None
    ssl_context: ssl.SSLContext | None = None
    storage: Secret | None = None
    mirrors: dict[str, Secret] = field(default_factory=dict)

    @property
    def names(self) -> list[str]:
        """What there is, by name; safe to store and to show."""
        return [
            *(name for name in _SINGLE if getattr(self, name) is not None),
            *(f"header {name}" for name in self.headers),
            *(f"{OF_MIRRORS}{name}" for name in self.mirrors),
        ]

    def values(self) -> list[Secret]:
        """Return all of them, to be masked in texts of others."""
        credentials = [each.password for each in (self.server, self.proxy) if each is not None]
        simple = [each for each in (self.query, self.user_info, self.proxy_user_info) if each is not None]
        many = [*self.headers.values(), *self.mirrors.values()]
        return [*simple, *many, *credentials, *_texts_in(self.storage)]

    def redact(self, text: str) -> str:
        """Return a text of others with every secret masked."""
        return redact(text, self.values())

    def fill_up(self, stored: OperationSecrets, wanted: Collection[str]) -> None:
        """Take from what was stored the secrets of these names that are missing here."""
        for name in wanted:
            if name.startswith("header "):
                header = name.removeprefix("header ")
                if header in stored.headers:
                    self.headers.setdefault(header, stored.headers[header])
            elif name.startswith(OF_MIRRORS):
                place = name.removeprefix(OF_MIRRORS)
                if place in stored.mirrors:
                    self.mirrors.setdefault(place, stored.mirrors[place])
            elif name in _SINGLE and getattr(self, name) is None:
                setattr(self, name, getattr(stored, name))

    def to_secret(self) -> Secret:
        """Return one secret that holds all."""
        return Secret(
            json.dumps(
                {
                    "query": _revealed(self.query),
                    "user_info": _revealed(self.user_info),
                    "proxy_user_info": _revealed(self.proxy_user_info),
                    "headers": {name: value.reveal() for name, value in self.headers.items()},
                    "mirrors": {name: value.reveal() for name, value in self.mirrors.items()},
                    "server": _pair(self.server),
                    "proxy": _pair(self.proxy),
                    "storage": _revealed(self.storage),
                }
            )
        )

    @classmethod
    def from_secret(cls, secret: Secret) -> OperationSecrets:
        """Return what `to_secret` packed; a wrong shape raises ``KeyError``, ``TypeError`` or ``ValueError``."""
        record = json.loads(secret.reveal())
        return cls(
            query=_secret(record["query"]),
            user_info=_secret(record["user_info"]),
            proxy_user_info=_secret(record["proxy_user_info"]),
            headers={str(name): Secret(str(value)) for name, value in record["headers"].items()},
            mirrors={str(name): Secret(str(value)) for name, value in record.get("mirrors", {}).items()},
            server=_credential(record["server"]),
            proxy=_credential(record["proxy"]),
            storage=_secret(record.get("storage")),
        )


def _texts_in(storage: Secret | None) -> list[Secret]:
    """Return the texts in storage options, however deep; which of them are harmless, only the store knows."""
    texts: list[Secret] = []

    def look(value: object) -> None:
        if isinstance(value, str):
            texts.append(Secret(value))
        elif isinstance(value, list | dict):
            for each in value.values() if isinstance(value, dict) else value:
                look(each)

    look(json.loads(storage.reveal()) if storage is not None else None)
    return texts


def _revealed(secret: Secret | None) -> str | None:
    return secret.reveal() if secret is not None else None


def _secret(value: str | None) -> Secret | None:
    return Secret(value) if value is not None else None


def _pair(credential: Credential | None) -> list[str] | None:
    return [credential.user_name, credential.password.reveal()] if credential is not None else None


def _credential(pair: list[str] | None) -> Credential | None:
    return Credential(str(pair[0]), Secret(str(pair[1]))) if pair is not None else None

"""Through whom a server is asked, and who we are to it: as the operation, its provider or its surroundings say."""

from __future__ import annotations

import asyncio
import functools
import inspect
import netrc
import os
from typing import TYPE_CHECKING, Any, Final

from bgdl_jupyter.errors import InvalidRequest
from bgdl_jupyter.model.credentials import PasswordCredential
from bgdl_jupyter.secret import Credential, Secret
from bgdl_jupyter.transport.base import ProxyServer
from bgdl_jupyter.transport.proxies import EnvironmentProxies
from bgdl_jupyter.uris import SplitUri, origin_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bgdl_jupyter.model.credentials import CredentialProvider
    from bgdl_jupyter.model.operation import DownloadOperation

_LOWER: Final = ("http_proxy", "https_proxy", "all_proxy", "no_proxy")
_VARIABLES: Final = (*_LOWER, *(name.upper() for name in _LOWER), "REQUEST_METHOD")
# Thousands of files a second ask; what is set in the environment meanwhile holds for those that come after.
_MOMENT: Final = 0.02
_PROXIED: Final = frozenset({"http", "https"})


def proxy_of(operation: DownloadOperation, uri: str) -> ProxyServer | None:
    """Return the operation's own proxy; it is used wherever redirects lead."""
    proxy = operation.values["proxy"]
    if not proxy or origin_of(uri).scheme not in _PROXIED:
        return None
    secrets = operation.given_secrets
    return ProxyServer(uri=SplitUri(proxy, None, secrets.proxy_user_info), credential=secrets.proxy)


class Surroundings:
    """What the environment says about proxies, read once for all that ask in the same moment."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._proxies: EnvironmentProxies | None = None

    def proxies_for(self, uri: str, *, proxy: str, options: Mapping[str, Any]) -> EnvironmentProxies | None:
        """
        Return what the environment says, where it is trusted and the operation has no proxy of its own.

        Raises
        ------
        InvalidRequest
            The environment names a proxy that cannot be used.
        """
        if proxy or not options.get("trust_env", True) or origin_of(uri).scheme not in _PROXIED:
            return None
        if self._proxies is None:
            self._proxies = _environment(*(os.environ.get(name) for name in _VARIABLES))
            self._loop.call_later(_MOMENT, self._forget)
        return self._proxies

    def _forget(self) -> None:
        self._proxies = None


@functools.lru_cache(maxsize=8)
def _environment(*values: str | None) -> EnvironmentProxies:
    """Return what the environment says; what it says is understood once, and not for every one of many files."""
    said = {name: value for name, value in zip(_VARIABLES, values, strict=True) if value is not None}
    return EnvironmentProxies.of(said)


async def credential_from_provider(operation: DownloadOperation, provider: CredentialProvider) -> Credential | None:
    """
    Return what a user's provider says now; it is called on a thread of its own, and what it returns may be awaited.

    Raises
    ------
    InvalidRequest
        It failed, or gave something else; the message does not repeat what it said.
    """
    answer: object
    try:
        answer = await asyncio.to_thread(provider, operation)
        if inspect.isawaitable(answer):
            answer = await answer
    except Exception as error:  # noqa: BLE001 (whatever a user's function raises is its own)
        failure = type(error).__name__
    else:
        if answer is None or isinstance(answer, PasswordCredential):
            return answer.credential if answer is not None else None
        failure = f"it returned {type(answer).__name__} in place of a PasswordCredential"
    raise InvalidRequest(f"The credential provider failed ({failure}).")


def credential_from_netrc(host: str) -> Credential | None:
    """
    Return what the user's netrc file says of a host; blocks. The ``default`` entry is not used: it would go anywhere.

    The file is the one that ``NETRC`` names, else ``.netrc`` in the home folder.

    Raises
    ------
    InvalidRequest
        The file cannot be read or understood.
    """
    try:
        entry = netrc.netrc(os.environ.get("NETRC") or None).hosts.get(host)
    except FileNotFoundError:
        return None
    except (OSError, netrc.NetrcParseError) as error:
        raise InvalidRequest(f"The netrc file cannot be used: {type(error).__name__}.") from None
    if entry is None:
        return None
    user_name, _, password = entry
    return Credential(user_name, Secret(password))

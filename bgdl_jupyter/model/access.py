"""Through whom a server is asked, and who we are to it, where the operation does not say so itself."""

from __future__ import annotations

import netrc
import os
from typing import TYPE_CHECKING, Final

from bgdl_jupyter.errors import InvalidRequest
from bgdl_jupyter.secret import Credential, Secret
from bgdl_jupyter.transport.base import ProxyServer
from bgdl_jupyter.transport.proxies import EnvironmentProxies
from bgdl_jupyter.uris import SplitUri, origin_of

if TYPE_CHECKING:
    from bgdl_jupyter.model.operation import DownloadOperation

_PROXIED: Final = frozenset({"http", "https"})


def proxy_for(operation: DownloadOperation) -> ProxyServer | None:
    """
    Return the proxy of an operation: its own, else the environment's where that is trusted.

    Raises
    ------
    InvalidRequest
        The environment names a proxy that cannot be used.
    """
    origin = origin_of(operation.requested_uri)
    if origin.scheme not in _PROXIED:
        return None
    if operation.proxy:
        secrets = operation.secrets
        return ProxyServer(uri=SplitUri(operation.proxy, None, secrets.proxy_user_info), credential=secrets.proxy)
    if not operation.options.get("trust_env", True):
        return None
    return EnvironmentProxies.of(os.environ).proxy_for(origin)


def credential_from_netrc(host: str) -> Credential | None:
    """
    Return what the user's netrc file says of a host; blocks. The ``default`` entry is not used: it would go anywhere.

    Raises
    ------
    InvalidRequest
        The file cannot be read or understood.
    """
    try:
        entry = netrc.netrc().hosts.get(host)
    except FileNotFoundError:
        return None
    except (OSError, netrc.NetrcParseError) as error:
        raise InvalidRequest(f"The netrc file cannot be used: {type(error).__name__}.") from None
    if entry is None:
        return None
    user_name, _, password = entry
    return Credential(user_name, Secret(password))

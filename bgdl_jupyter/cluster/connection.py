"""The connection to a cluster: what the caller has, an address, or processes of this machine."""

from __future__ import annotations

import importlib
import logging
import os
from typing import Any, Final

from bgdl_jupyter.errors import BackgroundTransferError, InvalidRequest

log = logging.getLogger(__name__)

#: What ``cluster=`` says for processes of this machine.
LOCAL: Final = "local"
_WITHIN: Final = 15.0
_FEWEST: Final = 2
_MOST: Final = 8


class Connection:
    """
    A client of a cluster; every method blocks.

    Parameters
    ----------
    client:
        A `distributed.Client` that is not asynchronous.
    owned:
        What ends with this connection: clients and clusters that were made here, in that order.
    is_embedded:
        Whether the cluster ends with this process.
    """

    def __init__(self, client: Any, *, owned: tuple[Any, ...] = (), is_embedded: bool = False) -> None:
        self.client = client
        self._owned = owned
        self.is_embedded = is_embedded
        self.address = str(client.scheduler.address)

    @property
    def is_private(self) -> bool:
        """Whether nobody on the way can read what goes to workers."""
        return self.address.startswith("tls://")

    @property
    def is_alive(self) -> bool:
        """Whether the scheduler can be asked now."""
        return bool(self.client.status == "running")

    @property
    def is_over(self) -> bool:
        """Whether the client will not come back."""
        return self.client.status in {"closed", "closing"}

    def slots(self) -> int:
        """Return how many shards the workers can run at once."""
        return sum(self.client.nthreads().values())

    def renewed(self) -> Connection:
        """Return a connection to the same scheduler, in place of one that is over; raises `OSError`."""
        return _connected(self.address, security=self.client.security)

    def close(self) -> None:
        """End what was made here."""
        for each in self._owned:
            each.close()


def connect(cluster: object) -> Connection:
    """
    Return a connection.

    Parameters
    ----------
    cluster:
        A `distributed.Client`, a cluster, the address of a scheduler, or ``"local"``.

    Raises
    ------
    InvalidRequest
        It is none of these, or Dask is not installed.
    BackgroundTransferError
        The scheduler does not answer.
    """
    distributed = _distributed()
    try:
        if cluster == LOCAL:
            return _embedded(distributed)
        if isinstance(cluster, str):
            return _connected(cluster)
        if isinstance(cluster, distributed.Client):
            return _of_client(cluster)
        if hasattr(cluster, "scheduler_address"):
            client = distributed.Client(cluster, set_as_default=False, timeout=_WITHIN)
            return Connection(client, owned=(client,), is_embedded=_is_embedded(cluster))
    except (OSError, ValueError) as error:
        raise BackgroundTransferError(
            f"The scheduler does not answer: {type(error).__name__}.", hint="Look whether it runs, and at its address."
        ) from error
    raise InvalidRequest(
        f"cluster= is a client of Dask's, a cluster, its address or 'local', not {type(cluster).__name__}."
    )


def _distributed() -> Any:
    try:
        return importlib.import_module("distributed")
    except ImportError:
        raise InvalidRequest(
            "A cluster needs Dask, which is not installed.", hint="Run: pip install 'bgdl-jupyter[dask]'"
        ) from None


def _of_client(client: Any) -> Connection:
    if client.status in {"closed", "closing"}:
        raise BackgroundTransferError("This client is closed.", hint="Make another one for the same scheduler.")
    is_embedded = _is_embedded(client.cluster)
    if client.asynchronous:
        own = _distributed().Client(
            client.scheduler.address, security=client.security, set_as_default=False, timeout=_WITHIN
        )
        return Connection(own, owned=(own,), is_embedded=is_embedded)
    return Connection(client, is_embedded=is_embedded)


def _connected(address: str, *, security: Any = None) -> Connection:
    client = _distributed().Client(address, security=security, set_as_default=False, timeout=_WITHIN)
    return Connection(client, owned=(client,))


def _embedded(distributed: Any) -> Connection:
    workers = max(_FEWEST, min(_MOST, os.cpu_count() or _FEWEST))
    cluster = distributed.LocalCluster(
        n_workers=workers,
        threads_per_worker=1,
        processes=True,
        dashboard_address="127.0.0.1:0",
        silence_logs=logging.CRITICAL,
    )
    client = distributed.Client(cluster, set_as_default=False, timeout=_WITHIN)
    return Connection(client, owned=(client, cluster), is_embedded=True)


def _is_embedded(cluster: object) -> bool:
    local = importlib.import_module("distributed").LocalCluster
    return isinstance(cluster, local)

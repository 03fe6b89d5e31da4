"""What the tests of the cluster share: two worker processes of this machine, and a server that counts."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

import pytest

from tests.cluster.serving import Serving

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="session")
def local_cluster() -> Iterator[Any]:
    """Return a cluster of two processes with a thread each, and no dashboard."""
    from distributed import LocalCluster

    with LocalCluster(
        n_workers=2,
        threads_per_worker=1,
        processes=True,
        dashboard_address="127.0.0.1:0",
        silence_logs=logging.CRITICAL,
    ) as cluster:
        yield cluster


@pytest.fixture
def client(local_cluster: Any) -> Iterator[Any]:
    """Return a client of the cluster, both of whose workers are there."""
    from distributed import Client

    with Client(local_cluster, set_as_default=False) as client:
        client.wait_for_workers(2, timeout=30)
        yield client


@pytest.fixture
def serving(fault_server: Any) -> Serving:
    """Return a server with as many small files as are asked for, each after a moment."""
    return Serving(fault_server)

"""What the tests of the integrations share: a file server, and stores that are empty."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.servers.fault_server import FaultServer
from tests.servers.files import FileSpec

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.servers.s3 import S3Server

BODY = bytes(range(256)) * 100
LARGE = 20 << 20


@pytest.fixture
def files(fault_server: object) -> FaultServer:
    """Return a server with a small file and a large one."""
    assert callable(fault_server)
    server = fault_server(
        {
            "/a.bin": FileSpec(body=BODY),
            "/large.bin": FileSpec(size=LARGE, seed=3),
            "/gone.bin": FileSpec(body=BODY),
        }
    )
    assert isinstance(server, FaultServer)
    return server


@pytest.fixture
def memory() -> Iterator[dict[str, object]]:
    """Return what the store ``memory://`` of this process has, by path."""
    from fsspec.implementations.memory import MemoryFileSystem

    store: dict[str, object] = MemoryFileSystem.store
    store.clear()
    yield store
    store.clear()
    MemoryFileSystem.pseudo_dirs[:] = [""]


@pytest.fixture
def bucket(s3_server: S3Server, request: pytest.FixtureRequest) -> str:
    """Return a bucket of the test's own."""
    return s3_server.make_bucket(f"bucket-{abs(hash(request.node.nodeid)):x}")

"""The counterparts as fixtures; `tests/conftest.py` loads this module as a plugin."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.servers.authority import Authority
from tests.servers.fault_server import FaultServer, Route
from tests.servers.nginx import Nginx

StartFaultServer = Callable[..., FaultServer]
StartNginx = Callable[..., Nginx]


@pytest.fixture(scope="session")
def authority() -> Authority:
    """Return the certificate authority of this run."""
    return Authority()


@pytest.fixture
def fault_server() -> Iterator[StartFaultServer]:
    """Start fault servers: `fault_server({"/a": FileSpec(...)}, host=..., tls=...)`; stopped after the test."""
    with contextlib.ExitStack() as stack:

        def start(routes: Mapping[str, Route] | None = None, **options: Any) -> FaultServer:
            return stack.enter_context(FaultServer(routes, **options))

        yield start


@pytest.fixture
def nginx(tmp_path_factory: pytest.TempPathFactory, authority: Authority) -> Iterator[StartNginx]:
    """Start nginx: `nginx(rate=...)`, with http and https; stopped after the test."""
    with contextlib.ExitStack() as stack:

        def start(**options: Any) -> Nginx:
            folder = Path(tmp_path_factory.mktemp("nginx"))
            return stack.enter_context(Nginx(folder, authority=authority, **options))

        yield start

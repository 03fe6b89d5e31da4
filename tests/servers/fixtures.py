"""The counterparts as fixtures; `tests/conftest.py` loads this module as a plugin."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.servers.authority import Authority
from tests.servers.fault_server import FaultServer, Route
from tests.servers.ftp import FtpServer
from tests.servers.nginx import Nginx
from tests.servers.scripted_ftp import FtpSpec, ScriptedFtp

StartFaultServer = Callable[..., FaultServer]
StartNginx = Callable[..., Nginx]
StartFtpServer = Callable[..., FtpServer]
StartScriptedFtp = Callable[..., ScriptedFtp]


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


@pytest.fixture
def ftp_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StartFtpServer]:
    """Start real FTP servers: `ftp_server(login=..., authority=...)`; stopped after the test."""
    with contextlib.ExitStack() as stack:

        def start(**options: Any) -> FtpServer:
            return stack.enter_context(FtpServer(Path(tmp_path_factory.mktemp("ftp")), **options))

        yield start


@pytest.fixture
def scripted_ftp() -> Iterator[StartScriptedFtp]:
    """Start scripted FTP servers: `scripted_ftp(FtpSpec(...), FtpSpec(...), tls=...)`; stopped after the test."""
    with contextlib.ExitStack() as stack:

        def start(*specs: FtpSpec, **options: Any) -> ScriptedFtp:
            return stack.enter_context(ScriptedFtp(*specs, **options))

        yield start

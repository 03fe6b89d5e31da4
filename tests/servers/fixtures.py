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
from tests.servers.proxies import RecordingProxy
from tests.servers.s3 import S3Server
from tests.servers.scripted_ftp import FtpSpec, ScriptedFtp
from tests.servers.squid import Squid
from tests.servers.tcp_proxy import Link, TcpProxy

StartFaultServer = Callable[..., FaultServer]
StartNginx = Callable[..., Nginx]
StartFtpServer = Callable[..., FtpServer]
StartScriptedFtp = Callable[..., ScriptedFtp]
StartProxy = Callable[..., RecordingProxy]
StartSquid = Callable[..., Squid]
StartTcpProxy = Callable[..., TcpProxy]


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


@pytest.fixture(scope="session")
def s3_server() -> Iterator[S3Server]:
    """Return the object store of this run; each test makes a bucket of its own."""
    with S3Server() as server:
        yield server


@pytest.fixture
def scripted_ftp() -> Iterator[StartScriptedFtp]:
    """Start scripted FTP servers: `scripted_ftp(FtpSpec(...), FtpSpec(...), tls=...)`; stopped after the test."""
    with contextlib.ExitStack() as stack:

        def start(*specs: FtpSpec, **options: Any) -> ScriptedFtp:
            return stack.enter_context(ScriptedFtp(*specs, **options))

        yield start


@pytest.fixture
def proxy() -> Iterator[StartProxy]:
    """Start recording proxies: `proxy(login=..., names=...)`; stopped after the test."""
    with contextlib.ExitStack() as stack:

        def start(**options: Any) -> RecordingProxy:
            return stack.enter_context(RecordingProxy(**options))

        yield start


@pytest.fixture
def squid() -> Iterator[StartSquid]:
    """Start squid: `squid(auth="digest", login=...)`; stopped after the test."""
    with contextlib.ExitStack() as stack:

        def start(**options: Any) -> Squid:
            return stack.enter_context(Squid(**options))

        yield start


@pytest.fixture
def tcp_proxy() -> Iterator[StartTcpProxy]:
    """Lay cables: `tcp_proxy(("127.0.0.1", port), Link(...))`; taken up after the test."""
    with contextlib.ExitStack() as stack:

        def start(target: tuple[str, int], link: Link | None = None, **options: Any) -> TcpProxy:
            return stack.enter_context(TcpProxy(target, link, **options))

        yield start

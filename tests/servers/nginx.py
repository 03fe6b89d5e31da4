"""
A real nginx over http and https on free loopback ports, serving one folder.

```python
with Nginx(tmp_path, authority=authority) as nginx:
    nginx.put("a.bin", Pattern(1_000_000))
    fetch(nginx.url("/a.bin"))
    assert nginx.log()[0].range is None
```
"""

from __future__ import annotations

import contextlib
import dataclasses
import http.client
import json
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

from tests.counterparts import require
from tests.servers.content import Content, write_file
from tests.servers.programs import free_ports, poll, running

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.servers.authority import Authority

# One process, in the foreground: nothing to be left behind, and files of the test's user can be read.
_CONFIGURATION = """
daemon off;
master_process off;
pid {folder}/nginx.pid;
error_log {folder}/error.log warn;
events {{ worker_connections 4096; multi_accept on; }}
http {{
  log_format requests escape=json '{{"method":"$request_method","target":"$request_uri","status":$status,'
    '"body_bytes_sent":$body_bytes_sent,"range":"$http_range","if_range":"$http_if_range",'
    '"accept_encoding":"$http_accept_encoding","user_agent":"$http_user_agent","connection":$connection}}';
  access_log {folder}/access.log requests;
  client_body_temp_path {folder}/body;
  proxy_temp_path {folder}/proxy;
  fastcgi_temp_path {folder}/fastcgi;
  uwsgi_temp_path {folder}/uwsgi;
  scgi_temp_path {folder}/scgi;
  default_type application/octet-stream;
  sendfile on;
  tcp_nopush on;
  sendfile_max_chunk 2m;
  keepalive_requests 1000000;
  autoindex off;
  etag {etag};
  {limits}
  server {{
    listen 127.0.0.1:{port};
    {tls}
    root {root};
    location = {status} {{ stub_status; access_log off; }}
  }}
}}
"""
_STATUS = "/.status"
_TLS = """listen 127.0.0.1:{port} ssl;
    ssl_certificate {chain};
    ssl_certificate_key {key};
    ssl_protocols TLSv1.2 TLSv1.3;"""


@dataclass(frozen=True, slots=True, kw_only=True)
class LogLine:
    """One request as nginx saw it; written when the answer has ended."""

    method: str
    target: str
    status: int
    body_bytes_sent: int
    range: str | None
    if_range: str | None
    accept_encoding: str | None
    user_agent: str | None
    connection: int


_ABSENT: dict[str, Any] = {field.name: None for field in dataclasses.fields(LogLine)}


class Nginx:
    """
    One nginx with the folder `root`, over http and, given an authority, https.

    `rate` is in bytes per second for each connection; `max_connections` answers 503 beyond so many from one address.
    Skips the test where nginx is missing.
    """

    def __init__(
        self,
        folder: Path,
        *,
        authority: Authority | None = None,
        root: Path | None = None,
        rate: int | None = None,
        max_connections: int | None = None,
        etag: bool = True,
    ) -> None:
        self._binary = require("nginx")
        self._folder = folder
        self._authority = authority
        self._limits = _limits(rate, max_connections)
        self._etag = "on" if etag else "off"
        self._stack = contextlib.ExitStack()
        self._port, self._tls_port = 0, 0
        self.root = folder / "files" if root is None else root

    def url(self, path: str = "/") -> str:
        """Return the http URL of a path."""
        return f"http://127.0.0.1:{self._port}{path}"

    def https_url(self, path: str = "/") -> str:
        """Return the https URL of a path. Needs an authority."""
        if self._authority is None:
            raise ValueError("an Nginx without an authority has no https; pass authority=")
        return f"https://127.0.0.1:{self._tls_port}{path}"

    def put(self, name: str, content: Content | bytes) -> Path:
        """Write a file to be served, by rename; a new version has another ETag, also within the same second."""
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        hidden = path.with_name(f".{path.name}.new")
        if isinstance(content, bytes):
            hidden.write_bytes(content)
        else:
            write_file(hidden, content)
        if path.exists():
            later = max(hidden.stat().st_mtime, path.stat().st_mtime + 1)
            os.utime(hidden, (later, later))
        return hidden.replace(path)

    def put_sparse(self, name: str, size: int) -> Path:
        """Make a file of zeros that takes no room on the disk."""
        path = self.put(name, b"")
        os.truncate(path, size)
        return path

    def log(self) -> list[LogLine]:
        """Return the answers that have ended, oldest first."""
        path = self._folder / "access.log"
        lines = path.read_text().splitlines() if path.exists() else []
        records: Iterator[dict[str, Any]] = (json.loads(line) for line in lines)
        return [LogLine(**{**_ABSENT, **{k: v for k, v in each.items() if v != ""}}) for each in records]

    def wait_for_log(self, predicate: Callable[[list[LogLine]], bool], timeout: float = 10.0) -> list[LogLine]:
        """Return the log once the predicate holds for it. Raises `TimeoutError`."""
        poll(lambda: predicate(self.log()), deadline=timeout, what=f"{predicate} of the access log")
        return self.log()

    def wait_until_idle(self, timeout: float = 30.0) -> None:
        """
        Return when every connection has ended, so that all requests are in the log.

        A connection whose client was killed ends when the next bytes are due on it, which a rate puts off.
        """
        poll(lambda: self._connections() == 1, deadline=timeout, what="nginx has no connections")

    def _connections(self) -> int:
        """Return how many there are, with the one that asks."""
        with contextlib.closing(http.client.HTTPConnection("127.0.0.1", self._port, timeout=10)) as connection:
            connection.request("GET", _STATUS)
            return int(connection.getresponse().read().split()[2])  # Active connections: 1

    def start(self) -> None:
        """Start. Raises `RuntimeError` with the program's words when it does not."""
        self.root.mkdir(parents=True, exist_ok=True)
        self._port, self._tls_port = free_ports(2)
        configuration = self._folder / "nginx.conf"
        configuration.write_text(self._configuration())
        ports = [self._port] if self._authority is None else [self._port, self._tls_port]
        command: list[str | Path] = [
            self._binary,
            "-e",
            self._folder / "error.log",
            "-p",
            self._folder,
            "-c",
            configuration,
        ]
        self._stack.enter_context(running(command, ports=ports, output=self._folder / "output.log"))

    def stop(self) -> None:
        """End the program and wait for it."""
        self._stack.close()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _configuration(self) -> str:
        tls = ""
        if self._authority is not None:
            chain, key = self._authority.server_files(self._folder)
            tls = _TLS.format(port=self._tls_port, chain=chain, key=key)
        return _CONFIGURATION.format(
            folder=self._folder,
            port=self._port,
            root=self.root,
            etag=self._etag,
            limits=self._limits,
            tls=tls,
            status=_STATUS,
        )


def _limits(rate: int | None, max_connections: int | None) -> str:
    lines = []
    if rate is not None:
        lines.append(f"limit_rate {rate};")
    if max_connections is not None:
        lines += ["limit_conn_zone $binary_remote_addr zone=addresses:1m;", f"limit_conn addresses {max_connections};"]
    return "\n  ".join(lines)

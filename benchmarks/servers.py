"""The servers of the benchmarks, all on loopback: nginx, and the compiled proxy that makes a long or a thin line."""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import subprocess
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Self

from benchmarks.scratch import compiled

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

ADDRESS: Final = "127.0.0.1"
#: Bytes per second of each connection of the paced server (W6, W7).
PACE: Final = 20_000_000
_DEADLINE: Final = 10.0
# Where servers are kept, outside the PATH of ordinary users.
_SYSTEM_PLACES: Final = "/usr/local/sbin:/usr/sbin:/sbin"

# The one process stays in the foreground, so that nothing is left behind.
_CONFIGURATION: Final = """
daemon off;
master_process off;
pid {folder}/nginx.pid;
error_log {folder}/error.log error;
worker_rlimit_nofile 16384;
events {{ worker_connections 8192; multi_accept on; }}
http {{
  log_format connections '$connection $status $body_bytes_sent';
  access_log off;
  client_body_temp_path {folder}/body;
  proxy_temp_path {folder}/proxy;
  fastcgi_temp_path {folder}/fastcgi;
  uwsgi_temp_path {folder}/uwsgi;
  scgi_temp_path {folder}/scgi;
  default_type application/octet-stream;
  sendfile on;
  tcp_nopush on;
  sendfile_max_chunk 2m;
  keepalive_requests 10000000;
  open_file_cache max=20000 inactive=600s;
  open_file_cache_valid 600s;
  root {root};
  server {{
    listen 0.0.0.0:{plain};
    allow 127.0.0.0/8;
    deny all;
    location /same/ {{ try_files /one.bin =404; }}
  }}
  server {{
    listen 127.0.0.1:{tls} ssl;
    ssl_certificate {certificate};
    ssl_certificate_key {key};
    ssl_protocols TLSv1.2 TLSv1.3;
  }}
  server {{
    listen 127.0.0.1:{paced};
    limit_rate {pace};
    access_log {folder}/connections.log connections;
  }}
}}
"""


def free_ports(count: int) -> list[int]:
    """Return ports of loopback that nobody listens on."""
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind((ADDRESS, 0))
        return [each.getsockname()[1] for each in sockets]


@contextlib.contextmanager
def running(command: Sequence[str | Path], *, port: int, output: Path) -> Iterator[None]:
    """
    Run a server, and wait until it accepts on its port.

    Raises
    ------
    RuntimeError
        It ended, or did not accept in 10 s; with its words.
    """
    with output.open("wb") as sink, subprocess.Popen(command, stdout=sink, stderr=sink) as process:
        try:
            _await_port(process, port, output)
            yield
        finally:
            process.terminate()
            process.wait(_DEADLINE)


def _await_port(process: subprocess.Popen[bytes], port: int, output: Path) -> None:
    deadline = time.monotonic() + _DEADLINE
    while process.poll() is None and time.monotonic() < deadline:
        with contextlib.suppress(ConnectionRefusedError), socket.create_connection((ADDRESS, port), 1.0):
            return
        time.sleep(0.01)
    raise RuntimeError(f"{process.args!r} does not listen on {port}: {output.read_text(errors='replace')}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Certificates:
    """An authority, and a certificate of it for loopback with its key."""

    authority: Path
    server: Path
    key: Path


def make_certificates(folder: Path) -> Certificates:
    """Return certificates that are good for two days."""
    authority, authority_key = folder / "authority.pem", folder / "authority.key"
    server, key = folder / "server.pem", folder / "server.key"
    new: list[str | Path] = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2"]
    command = [*new, "-subj", "/CN=bgdl benchmarks", "-out", authority, "-keyout", authority_key]
    subprocess.run(command, check=True, capture_output=True)
    command = [
        *new,
        "-subj",
        "/CN=localhost",
        "-out",
        server,
        "-keyout",
        key,
        "-CA",
        authority,
        "-CAkey",
        authority_key,
    ]
    for extension in (f"subjectAltName=IP:{ADDRESS},DNS:localhost", "basicConstraints=critical,CA:FALSE"):
        command += ["-addext", extension]
    subprocess.run(command, check=True, capture_output=True)
    return Certificates(authority=authority, server=server, key=key)


class Nginx:
    """
    nginx with the files of a folder: plain, over TLS, and paced at `PACE` for each connection.

    Whatever path is asked for under ``/same/``, it answers with ``one.bin``. The plain server answers on every
    loopback address, so that one machine can be many hosts.
    """

    def __init__(self, folder: Path) -> None:
        self.root = folder / "served"
        self.root.mkdir()
        self._certificates = make_certificates(folder)
        self.certificate = self._certificates.authority
        self._folder = folder
        self._stack = contextlib.ExitStack()
        self.plain_port, self._tls_port, self.paced_port = free_ports(3)

    def __enter__(self) -> Self:
        binary = shutil.which("nginx", path=f"{os.environ.get('PATH', os.defpath)}:{_SYSTEM_PLACES}")
        if binary is None:
            raise RuntimeError("The benchmarks need nginx, and it is not installed.")
        configuration = self._folder / "nginx.conf"
        configuration.write_text(
            _CONFIGURATION.format(
                folder=self._folder,
                root=self.root,
                plain=self.plain_port,
                tls=self._tls_port,
                paced=self.paced_port,
                pace=PACE,
                certificate=self._certificates.server,
                key=self._certificates.key,
            )
        )
        command: list[str | Path] = [binary, "-e", self._folder / "error.log", "-p", self._folder, "-c", configuration]
        self._stack.enter_context(running(command, port=self.plain_port, output=self._folder / "nginx.log"))
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def plain(self, path: str, *, address: str = ADDRESS) -> str:
        """Return the URL of a path."""
        return f"http://{address}:{self.plain_port}/{path}"

    def tls(self, path: str) -> str:
        """Return the https URL of a path."""
        return f"https://{ADDRESS}:{self._tls_port}/{path}"

    def paced(self, path: str) -> str:
        """Return the URL of a path at `PACE` bytes per second for each connection."""
        return f"http://{ADDRESS}:{self.paced_port}/{path}"

    def forget_connections(self) -> None:
        """Begin to count the connections of the paced server anew."""
        with (self._folder / "connections.log").open("w"):
            """Opening empties it; nginx appends."""

    def connections(self, *, least: int = 1) -> int:
        """Return how many connections of the paced server carried at least so many bytes of bodies."""
        return sum(bytes_sent >= least for bytes_sent in self._carried().values())

    def bytes_sent(self) -> int:
        """Return the bytes of bodies that the paced server sent, also those that nobody waited for any more."""
        return sum(self._carried().values())

    def _carried(self) -> dict[str, int]:
        carried: dict[str, int] = {}
        for line in (self._folder / "connections.log").read_text().splitlines():
            connection, _, bytes_sent = line.split()
            carried[connection] = carried.get(connection, 0) + int(bytes_sent)
        return carried


@contextlib.contextmanager
def line(folder: Path, target_port: int, *, round_trip: float = 0.0, rate: int = 0) -> Iterator[int]:
    """
    Put a line before a server, and give its port.

    Parameters
    ----------
    folder:
        For what the proxy prints.
    target_port:
        The server's.
    round_trip:
        In seconds.
    rate:
        Bytes per second for all connections together; 0 for no limit.
    """
    (port,) = free_ports(1)
    one_way = round_trip * 1000 / 2
    command: list[str | Path] = [compiled("delay_proxy.c"), str(port), str(target_port), f"{one_way:g}", str(rate)]
    with running(command, port=port, output=folder / "delay_proxy.log"):
        yield port


def host_address(number: int) -> str:
    """Return the loopback address of one of many hosts: 127.0.1.1 and so on, all of them this machine."""
    return f"127.0.{1 + number // 250}.{1 + number % 250}"


@contextlib.contextmanager
def silent_server() -> Iterator[int]:
    """Give the port of a server that takes connections and never answers."""
    with socket.socket() as listener:
        listener.bind((ADDRESS, 0))
        listener.listen(1024)
        yield listener.getsockname()[1]

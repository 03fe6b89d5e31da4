"""
A real FTP server (pyftpdlib) over one folder, in a thread of its own; with an authority, FTP over TLS.

```python
with FtpServer(tmp_path, login=Login(user="u", password="p")) as server:
    (server.root / "a.bin").write_bytes(data)
    fetch(server.url("/a.bin"))
    assert ("RETR", "/a.bin") in server.commands
```
"""

from __future__ import annotations

import logging
import threading
import warnings
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import quote

with warnings.catch_warnings():
    # Its asyncore is deprecated in Python 3.11, and shipped beside it for the later ones.
    warnings.simplefilter("ignore", DeprecationWarning)
    from pyftpdlib.authorizers import DummyAuthorizer
    from pyftpdlib.handlers import FTPHandler, ThrottledDTPHandler, TLS_FTPHandler
    from pyftpdlib.ioloop import IOLoop
    from pyftpdlib.servers import FTPServer

if TYPE_CHECKING:
    from pathlib import Path

    from tests.servers.auth_faults import Login
    from tests.servers.authority import Authority

_TICK = 0.02
_READABLE = "elr"

logging.getLogger("pyftpdlib").setLevel(logging.WARNING)


def _recording(base: type[Any], commands: list[tuple[str, str]], attributes: dict[str, Any]) -> type[Any]:
    def pre_process_command(self: Any, line: str, cmd: str, arg: str) -> None:
        commands.append((cmd, arg))
        base.pre_process_command(self, line, cmd, arg)

    # pyftpdlib is configured by attributes of the class: a class for each server.
    return type("Recording", (base,), {"pre_process_command": pre_process_command, **attributes})


class FtpServer:
    """
    One FTP server with the folder `root`, for everybody or for one login.

    `rate` is in bytes per second for each connection (without TLS); with `authority`, TLS is offered and, with
    `requires_tls`, wanted on both connections.
    """

    def __init__(
        self,
        folder: Path,
        *,
        login: Login | None = None,
        authority: Authority | None = None,
        requires_tls: bool = False,
        rate: int | None = None,
        max_connections: int = 512,
        max_connections_per_client: int = 0,
        host: str = "127.0.0.1",
    ) -> None:
        self.root = folder / "files"
        self.root.mkdir(parents=True, exist_ok=True)
        self.commands: list[tuple[str, str]] = []
        """Verbs and arguments in order; TLS and passwords included."""
        self._login = login
        self._loop = IOLoop()
        self._server = FTPServer((host, 0), self._handler(folder, authority, requires_tls, rate), ioloop=self._loop)
        self._server.max_cons = max_connections
        self._server.max_cons_per_ip = max_connections_per_client
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="ftp server", daemon=True)
        self.host = host
        self.port = int(self._server.address[1])

    def url(self, path: str = "/", *, scheme: str = "ftp") -> str:
        """Return the URL of a path, with the login in it if there is one."""
        login = self._login
        userinfo = "" if login is None else f"{quote(login.user, safe='')}:{quote(login.password, safe='')}@"
        return f"{scheme}://{userinfo}{self.host}:{self.port}{path}"

    def start(self) -> None:
        """Serve."""
        self._thread.start()

    def stop(self) -> None:
        """Close all connections and wait for the thread."""
        self._stopping.set()
        self._thread.join(10)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _run(self) -> None:
        while not self._stopping.is_set():
            self._server.serve_forever(timeout=_TICK, blocking=False, handle_exit=False)
        self._server.close_all()
        self._loop.close()

    def _handler(self, folder: Path, authority: Authority | None, requires_tls: bool, rate: int | None) -> type[Any]:
        authorizer = DummyAuthorizer()
        if self._login is None:
            authorizer.add_anonymous(str(self.root))
        else:
            authorizer.add_user(self._login.user, self._login.password, str(self.root), perm=_READABLE)
        attributes: dict[str, Any] = {"authorizer": authorizer, "auth_failed_timeout": 0}
        if rate is not None:
            attributes["dtp_handler"] = type("Throttled", (ThrottledDTPHandler,), {"write_limit": rate})
        if authority is None:
            return _recording(FTPHandler, self.commands, attributes)
        chain, key = authority.server_files(folder)
        attributes |= {"certfile": str(chain), "keyfile": str(key), "ssl_context": None}
        attributes |= {"tls_control_required": requires_tls, "tls_data_required": requires_tls}
        return _recording(TLS_FTPHandler, self.commands, attributes)

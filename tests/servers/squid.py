"""
A real squid on a free loopback port that wants Basic or Digest, or nothing.

```python
with Squid(auth="digest", login=Login(user="u", password="p")) as squid:
    fetch(url, proxy=squid.url())
    assert "TCP_DENIED/407" in squid.log()[0]
```
"""

from __future__ import annotations

import contextlib
import hashlib
import subprocess
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Literal, Self

from tests.counterparts import require
from tests.servers.programs import free_ports, running

if TYPE_CHECKING:
    from tests.servers.auth_faults import Login

_CONFIGURATION = """
http_port 127.0.0.1:{port}
pid_filename {folder}/squid.pid
access_log stdio:{folder}/access.log logformat=squid
cache_log {folder}/cache.log
cache_store_log none
coredump_dir {folder}
cache deny all
shutdown_lifetime 0 seconds
visible_hostname squid.test
pinger_enable off
netdb_filename none
{auth}
"""
_BASIC = """auth_param basic program {program} {passwords}
auth_param basic children 2
auth_param basic realm proxy
acl known proxy_auth REQUIRED
http_access allow known
http_access deny all"""
_DIGEST = """auth_param digest program {program} -c {passwords}
auth_param digest children 2
auth_param digest realm proxy
auth_param digest nonce_garbage_interval 5 minutes
acl known proxy_auth REQUIRED
http_access allow known
http_access deny all"""
_OPEN = "http_access allow all"
_PROGRAMS = (Path("/usr/lib/squid"), Path("/usr/lib64/squid"), Path("/usr/libexec/squid"))


class Squid:
    """One squid without a cache. Skips the test where squid or its programs for passwords are missing."""

    def __init__(self, *, auth: Literal["basic", "digest"] | None = None, login: Login | None = None) -> None:
        if (auth is None) != (login is None):
            raise ValueError("auth and login go together: pass both or none")
        self._binary = require("squid")
        self._folder = Path()
        self._auth = auth
        self._login = login
        self._port = 0
        self._stack = contextlib.ExitStack()

    def url(self, *, userinfo: str = "") -> str:
        """Return the URL of the proxy."""
        return f"http://{userinfo + '@' if userinfo else ''}127.0.0.1:{self._port}"

    def log(self) -> list[str]:
        """Return the lines of the access log, written when an answer has ended."""
        path = self._folder / "access.log"
        return path.read_text().splitlines() if path.exists() else []

    def __enter__(self) -> Self:
        [self._port] = free_ports(1)
        # Squid gives up root for a user of its own, who can neither enter the folders of pytest nor write there.
        self._folder = Path(self._stack.enter_context(tempfile.TemporaryDirectory(prefix="squid-")))
        self._folder.chmod(0o777)
        configuration = self._folder / "squid.conf"
        configuration.write_text(
            _CONFIGURATION.format(port=self._port, folder=self._folder, auth=self._configured_auth())
        )
        command: list[str | Path] = [self._binary, "-N", "-f", configuration]
        self._stack.enter_context(running(command, ports=[self._port], output=self._folder / "output.log"))
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def _configured_auth(self) -> str:
        if self._login is None:
            return _OPEN
        user, password = self._login.user, self._login.password
        passwords = self._folder / "passwords"
        if self._auth == "digest":
            secret = hashlib.md5(f"{user}:proxy:{password}".encode(), usedforsecurity=False).hexdigest()
            passwords.write_text(f"{user}:proxy:{secret}\n")
            return _DIGEST.format(program=_program("digest_file_auth"), passwords=passwords)
        crypted = subprocess.run([require("htpasswd"), "-nbm", user, password], check=True, capture_output=True)
        passwords.write_bytes(crypted.stdout)
        return _BASIC.format(program=_program("basic_ncsa_auth"), passwords=passwords)


def _program(name: str) -> Path:
    for folder in _PROGRAMS:
        if (folder / name).exists():
            return folder / name
    raise FileNotFoundError(f"squid is here, but its {name} is in none of {[str(folder) for folder in _PROGRAMS]}")

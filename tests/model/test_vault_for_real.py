"""Secrets over a restart: with the desktop's Secret Service, and with keyrings that are slow, hang or are missing."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
import threading
from pathlib import Path
from typing import TYPE_CHECKING

import keyring
import pytest
from keyring.backend import KeyringBackend

from bgdl_jupyter.errors import AttentionRequired
from bgdl_jupyter.model.credentials import PasswordCredential
from bgdl_jupyter.model.process import current_runner
from bgdl_jupyter.status import BackgroundTransferStatus as Status
from bgdl_jupyter.storage.vault import Vault
from bgdl_jupyter.web_error_status import WebErrorStatus
from tests.counterparts import require
from tests.servers.auth_faults import Login, basic_auth, basic_value
from tests.servers.content import file_sha256
from tests.servers.faults import hold_after
from tests.servers.files import FileSpec
from tests.servers.oracle import hits_in_texts, hits_in_tree
from tests.servers.programs import poll

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from bgdl_jupyter.model.downloader import BackgroundDownloader
    from tests.downloads import Seen
    from tests.servers.fault_server import FaultServer
    from tests.servers.fixtures import StartFaultServer

ROOT = Path(__file__).parents[2]
WAIT = 20.0
SIZE = 400_000
HALF = SIZE // 2
LOGIN = Login(user="ada", password="Glockenspiel-31")
TOKEN = "token=Paukenschlag-94"
FILE = FileSpec(size=SIZE, faults=(basic_auth(LOGIN), hold_after(HALF, until="go", on=1)))

# One kernel's life each; the session bus and its Secret Service outlive both.
LIVES = {
    "first": """
        import sys
        from bgdl_jupyter import BackgroundDownloader, PasswordCredential
        from bgdl_jupyter.model.process import current_runner
        sys.stdin.readline()
        downloader = BackgroundDownloader(
            loop="thread", server_credential=PasswordCredential("files", "ada", sys.stdin.readline().strip())
        )
        operation = downloader.create_download(sys.stdin.readline().strip(), "a")
        operation.set_request_header("X-Api-Key", sys.stdin.readline().strip())
        operation.start()
        import threading
        half = threading.Event()
        operation.watch(lambda: operation.bytes_received >= 200_000 and (half.set() or True))
        operation.observe(lambda change: operation.bytes_received >= 200_000 and half.set(), "progress")
        assert half.wait(20)
        assert current_runner().vault.delete("nothing").result(20), current_runner().vault.status
        print(current_runner().vault.status)
    """,
    "second": """
        import sys
        from bgdl_jupyter import BackgroundDownloader
        from bgdl_jupyter.model.process import current_runner
        downloader = BackgroundDownloader(loop="thread")
        [operation] = downloader.restore()
        operation.wait(20)
        print(operation.status.name, current_runner().vault.status)
    """,
}


def under_secret_service(*commands: str) -> str:
    """Return a shell's line that runs commands one after the other on a bus that has a Secret Service of its own."""
    daemon = f"printf 'pass' | {require('gnome-keyring-daemon')} --unlock --components=secrets >/dev/null"
    return " && ".join((daemon, *commands))


@pytest.fixture
def desktop(tmp_path: Path, home: Path) -> dict[str, str]:
    """Return the environment of a desktop: its own runtime folder, and the keyring that the library finds by itself."""
    runtime = tmp_path / "runtime"
    runtime.mkdir(mode=0o700)
    return {
        **{name: value for name, value in os.environ.items() if name != "DBUS_SESSION_BUS_ADDRESS"},
        "XDG_RUNTIME_DIR": str(runtime),
        "PYTHON_KEYRING_BACKEND": "keyring.backends.SecretService.Keyring",
        "PYTHONPATH": str(ROOT),
        "BGDL_STATE_FILE": str(tmp_path / "state" / "state.sqlite3"),
        "BGDL_APPLICATION": "notebook",
    }


def test_a_real_secret_service_carries_the_secrets_over_a_restart(
    desktop: dict[str, str], fault_server: StartFaultServer, work: Path, tmp_path: Path, home: Path
):
    """Stored by one process, fetched by the next: the download goes on by itself, and nothing lies in the clear."""
    pytest.importorskip("secretstorage")
    server = fault_server({"/a": FILE})
    scripts = []
    for name, text in LIVES.items():
        scripts.append(tmp_path / f"{name}.py")
        scripts[-1].write_text(textwrap.dedent(text))
    line = under_secret_service(*(f"{sys.executable} {script}" for script in scripts))
    given = "\n".join(("", LOGIN.password, f"{server.url('/a')}?{TOKEN}", "Triangel-55", ""))
    ended = subprocess.run(
        [require("dbus-run-session"), "--", "sh", "-c", line],
        input=given,
        env=desktop,
        cwd=work,
        capture_output=True,
        text=True,
        timeout=90,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    first, second = ended.stdout.splitlines()
    assert "SecretService" in first
    assert second.startswith("COMPLETED")
    assert file_sha256(work / "a") == FILE.sha256
    last = server.requests("/a")[-1]
    assert last.header("Range") is not None  # not from the beginning again
    assert (last.header("Authorization"), last.header("X-Api-Key")) == (basic_value(LOGIN), "Triangel-55")
    assert last.target.endswith(TOKEN)
    for secret in (LOGIN.password, TOKEN.partition("=")[2], "Triangel-55"):
        assert hits_in_tree(secret, tmp_path / "state") == []
        assert hits_in_texts(secret, [ended.stdout, ended.stderr]) == []
        assert hits_in_tree(secret, home / ".local") == []  # the keyring's own file is encrypted


# ------------------------------------------------------------------------------------- keyrings that are of no use


class Troubled(KeyringBackend):
    """A keyring that takes its time, or for ever."""

    priority = 1

    def __init__(self, seconds: float | None) -> None:
        self.entries: dict[tuple[str, str], str] = {}
        self.is_over = threading.Event()
        self._seconds = seconds

    def _think(self) -> None:
        self.is_over.wait(self._seconds)

    def get_password(self, service: str, username: str) -> str | None:
        self._think()
        return self.entries.get((service, username))

    def set_password(self, service: str, username: str, password: str) -> None:
        self._think()
        self.entries[service, username] = password

    def delete_password(self, service: str, username: str) -> None:
        self._think()
        self.entries.pop((service, username), None)


@pytest.fixture
def use(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[KeyringBackend], None]]:
    """Put a keyring in the place of the platform's, and let nobody wait longer than a second for it."""
    before, used = keyring.get_keyring(), []
    monkeypatch.setattr("bgdl_jupyter.model.process.Vault", lambda: Vault(timeout=0.5))

    def put(backend: KeyringBackend) -> None:
        used.append(backend)
        keyring.set_keyring(backend)

    yield put
    for backend in used:
        if isinstance(backend, Troubled):
            backend.is_over.set()
    keyring.set_keyring(before)


def begin(downloader: BackgroundDownloader, server: FaultServer) -> None:
    """Start a download that has every kind of secret, and leave it half-way."""
    operation = downloader.create_download(f"{server.url('/a')}?{TOKEN}", "a")
    operation.set_request_header("X-Api-Key", "Triangel-55")
    operation.provide_credential(PasswordCredential("files", LOGIN.user, LOGIN.password))
    operation.start()
    poll(lambda: operation.bytes_received == HALF, deadline=WAIT, what="the first half")


def test_a_slow_keyring_is_waited_for_on_a_thread_of_its_own(
    new_downloader: Callable[..., BackgroundDownloader],
    restart: Callable[..., BackgroundDownloader],
    fault_server: StartFaultServer,
    use: Callable[[KeyringBackend], None],
    work: Path,
):
    use(Troubled(seconds=0.1))
    server = fault_server({"/a": FILE})
    begin(new_downloader(), server)
    assert current_runner().vault.store("last", PasswordCredential("", "", "x").credential.password).result(WAIT)
    [again] = restart().restore()
    again.wait(WAIT)
    assert file_sha256(work / "a") == FILE.sha256


@pytest.mark.parametrize("kind", ["hanging", "missing", "in the clear"])
def test_without_a_vault_each_lost_secret_is_asked_for_and_the_download_goes_on(
    new_downloader: Callable[..., BackgroundDownloader],
    restart: Callable[..., BackgroundDownloader],
    fault_server: StartFaultServer,
    *,
    use: Callable[[KeyringBackend], None],
    work: Path,
    kind: str,
):
    if kind == "hanging":
        use(Troubled(seconds=None))
    elif kind == "in the clear":
        use(type("PlaintextKeyring", (Troubled,), {})(seconds=0))
    server = fault_server({"/a": FILE})
    begin(new_downloader(), server)
    [again] = restart().restore()
    assert "memory" in current_runner().vault.status or "not needed" in current_runner().vault.status

    for give in (
        lambda: again.provide_credential(PasswordCredential("files", LOGIN.user, LOGIN.password)),
        lambda: again.set_request_header("X-Api-Key", "Triangel-55"),
        lambda: setattr(again, "requested_uri", f"{server.url('/a')}?{TOKEN}"),
    ):
        with pytest.raises(AttentionRequired, match="give it again"):
            again.wait(WAIT)
        assert again.status is Status.PAUSED_RECOVERABLE_WEB_ERROR_STATUS
        assert again.current_web_error_status is WebErrorStatus.UNAUTHORIZED
        assert len(server.requests("/a")) == 1  # nothing is asked without the secrets
        give()
        again.resume()
    again.wait(WAIT)
    assert file_sha256(work / "a") == FILE.sha256
    assert server.requests("/a")[-1].header("Range") is not None
    assert "memory" in current_runner().vault.status


def test_a_hanging_keyring_holds_nobody_up(
    new_downloader: Callable[..., BackgroundDownloader],
    fault_server: StartFaultServer,
    use: Callable[[KeyringBackend], None],
    seen: Seen,
):
    use(Troubled(seconds=None))
    server = fault_server({"/a": FileSpec(size=SIZE, faults=(basic_auth(LOGIN),))})
    downloader = new_downloader(server_credential=PasswordCredential("files", LOGIN.user, LOGIN.password))
    downloader.create_download(server.url("/a"), "a").wait(0.5 + WAIT)
    assert server.exchanges_for("/a")[-1].status in {200, 206}

from __future__ import annotations

import os
import subprocess
import sys
import threading

import keyring
import keyring.backend
import keyring.errors
import pytest

from bgdl_jupyter.secret import Secret
from bgdl_jupyter.storage.vault import Vault

DEADLINE = 10
SENTINEL = "hunter2-sentinel"


class Keyring(keyring.backend.KeyringBackend):
    """A keyring in memory that can be made to misbehave."""

    priority = 1

    def __init__(self):
        self.passwords = {}
        self.go_on = threading.Event()
        self.go_on.set()
        self.error = None
        self.threads = set()

    def _behave(self):
        self.threads.add(threading.current_thread().name)
        assert self.go_on.wait(DEADLINE)
        if self.error is not None:
            raise self.error

    def get_password(self, service, username):
        self._behave()
        return self.passwords.get((service, username))

    def set_password(self, service, username, password):
        self._behave()
        self.passwords[service, username] = password

    def delete_password(self, service, username):
        self._behave()
        if (service, username) not in self.passwords:
            raise keyring.errors.PasswordDeleteError(username)
        del self.passwords[service, username]


@pytest.fixture
def backend():
    backend = Keyring()
    before = keyring.get_keyring()
    keyring.set_keyring(backend)
    yield backend
    backend.go_on.set()
    keyring.set_keyring(before)


@pytest.fixture
def vault():
    vault = Vault(timeout=DEADLINE)
    yield vault
    vault.close()


@pytest.fixture
def hasty_vault():
    vault = Vault(timeout=0.05)
    yield vault
    vault.close()


def test_a_secret_is_kept_in_the_keyring(backend, vault):
    assert vault.store("guid", Secret(SENTINEL)).result(DEADLINE)
    assert backend.passwords == {("bgdl_jupyter", "guid"): SENTINEL}
    assert Vault().fetch("guid").result(DEADLINE) == Secret(SENTINEL)
    assert "Keyring" in vault.status


def test_a_deleted_secret_is_gone(backend, vault):
    vault.store("guid", Secret(SENTINEL)).result(DEADLINE)
    assert vault.delete("guid").result(DEADLINE)
    assert vault.fetch("guid").result(DEADLINE) is None
    assert backend.passwords == {}


def test_deleting_what_is_not_there_is_no_failure(backend, vault):
    assert vault.delete("guid").result(DEADLINE)
    assert "memory only" not in vault.status


def test_the_keyring_is_asked_on_its_own_thread(backend, vault):
    vault.store("guid", Secret(SENTINEL)).result(DEADLINE)
    assert backend.threads == {"bgdl-keyring"}


def test_a_keyring_that_hangs_is_answered_for_and_not_asked_again(backend, hasty_vault):
    backend.go_on.clear()
    assert hasty_vault.store("a", Secret(SENTINEL)).result(DEADLINE) is False
    assert "did not answer" in hasty_vault.status
    assert hasty_vault.store("b", Secret("other")).result(DEADLINE) is False
    assert hasty_vault.fetch("c").result(DEADLINE) is None
    assert hasty_vault.fetch("a").result(DEADLINE) == Secret(SENTINEL)
    assert hasty_vault.fetch("b").result(DEADLINE) == Secret("other")


def test_a_keyring_that_was_unlocked_meanwhile_is_used_again(backend, vault):
    vault._timeout = 0.05
    backend.go_on.clear()
    assert vault.store("a", Secret(SENTINEL)).result(DEADLINE) is False
    late = vault._unanswered
    assert late is not None
    backend.go_on.set()
    assert late.is_answered.wait(DEADLINE)
    vault._timeout = DEADLINE
    assert vault.store("b", Secret("other")).result(DEADLINE) is True
    assert "kept in the keyring" in vault.status


@pytest.mark.parametrize(
    "error",
    [keyring.errors.KeyringLocked("locked"), keyring.errors.InitError(), OSError(SENTINEL), SystemExit(1)],
    ids=["locked", "cannot start", "os error", "exits"],
)
def test_a_keyring_that_fails_leaves_the_secret_in_memory(backend, vault, error):
    backend.error = error
    assert vault.store("guid", Secret(SENTINEL)).result(DEADLINE) is False
    assert vault.fetch("guid").result(DEADLINE) == Secret(SENTINEL)
    assert "memory only" in vault.status
    assert vault.fetch("unknown").result(DEADLINE) is None


def test_an_error_that_repeats_the_secret_tells_nobody(backend, vault, caplog):
    backend.error = RuntimeError(f"cannot store {SENTINEL}")
    vault.store("guid", Secret(SENTINEL)).result(DEADLINE)
    assert SENTINEL not in vault.status + caplog.text + repr(vault.__dict__)


def test_a_keyring_that_keeps_nothing_is_found_out(backend, vault, monkeypatch):
    monkeypatch.setattr(Keyring, "set_password", lambda *_: None)
    assert vault.store("guid", Secret(SENTINEL)).result(DEADLINE) is False
    assert "does not keep" in vault.status


def keyring_called(name):
    kind = type(name.rpartition(".")[2], (Keyring,), {"__module__": name.rpartition(".")[0]})
    return kind()


@pytest.mark.parametrize(
    "name",
    [
        "keyrings.alt.file.PlaintextKeyring",
        "keyrings.alt.file.EncryptedKeyring",
        "keyring.backends.null.Keyring",
        "keyring.backends.fail.Keyring",
        "somebody.PlainTextVault",
    ],
)
def test_a_keyring_that_is_no_safe_place_is_refused(backend, vault, name):
    unsafe = keyring_called(name)
    keyring.set_keyring(unsafe)
    assert vault.store("guid", Secret(SENTINEL)).result(DEADLINE) is False
    assert unsafe.passwords == {}
    assert vault.fetch("guid").result(DEADLINE) == Secret(SENTINEL)
    assert "no safe place" in vault.status


def test_of_several_keyrings_the_first_safe_one_is_used(backend, vault):
    unsafe = keyring_called("keyrings.alt.file.PlaintextKeyring")
    safe = Keyring()
    chain = keyring_called("keyring.backends.chainer.ChainerBackend")
    chain.backends = [unsafe, safe]
    keyring.set_keyring(chain)
    assert vault.store("guid", Secret(SENTINEL)).result(DEADLINE)
    assert unsafe.passwords == {}
    assert safe.passwords


def test_a_missing_library_is_named(vault, monkeypatch):
    monkeypatch.setitem(sys.modules, "keyring", None)
    assert vault.store("guid", Secret(SENTINEL)).result(DEADLINE) is False
    assert "not installed" in vault.status


def test_the_library_is_loaded_only_when_a_secret_is_kept():
    program = "import sys; from bgdl_jupyter.storage.vault import Vault; Vault(); print('keyring' in sys.modules)"
    out = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert out.stdout == "False\n"


def test_nothing_hangs_in_a_forked_child(backend, vault):
    vault.store("guid", Secret(SENTINEL)).result(DEADLINE)
    pid = os.fork()
    if pid == 0:
        is_right = vault.store("other", Secret("x")).result(DEADLINE) is False
        os._exit(0 if is_right and vault.fetch("guid").result(DEADLINE) == Secret(SENTINEL) else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0

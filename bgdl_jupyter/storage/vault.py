"""
The vault: secrets in the platform's keyring, or in memory where there is none worth the name.

Keyrings hang, prompt, are locked, are missing, or keep texts in the clear. So each call runs on a thread of its own
with a deadline; who does not answer once is not asked again before that answer came; and what is known to store in the
clear, or nothing at all, is refused. What cannot be stored stays in memory for the life of the kernel.
"""

from __future__ import annotations

import importlib
import logging
import os
import queue
import threading
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, Protocol, TypeVar

from bgdl_jupyter.secret import Secret

if TYPE_CHECKING:
    from collections.abc import Callable

log = logging.getLogger(__name__)

T = TypeVar("T")

_REFUSED_MODULES: Final = ("keyrings.alt", "keyring.backends.fail", "keyring.backends.null")
_CHAINER: Final = "keyring.backends.chainer"


class Backend(Protocol):
    """A keyring, as the library `keyring` makes them."""

    def get_password(self, service: str, username: str, /) -> str | None:
        """Return what is stored."""

    def set_password(self, service: str, username: str, password: str, /) -> None:
        """Store."""

    def delete_password(self, service: str, username: str, /) -> None:
        """Delete."""


class _Unusable(Exception):
    """There is no keyring that may be used; the message says why."""


@dataclass(frozen=True, slots=True, eq=False)
class _Call:
    """Something to ask the keyring, and what to answer where it cannot be asked."""

    ask: Callable[[Backend], Any]
    fallback: Any
    outcome: Future[Any]
    is_answered: threading.Event = field(default_factory=threading.Event)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def answer(self, value: object) -> None:
        """Answer, unless that was done: the keyring and the deadline may come at the same time."""
        with self.lock:
            if not self.outcome.done() and self.outcome.set_running_or_notify_cancel():
                self.outcome.set_result(value)


class Vault:
    """
    Keeps secrets by key. Every method may be called from any thread and returns at once.

    Parameters
    ----------
    service:
        The name that the keyring shows to the user.
    timeout:
        Seconds that the keyring has for an answer.
    """

    def __init__(self, service: str = "bgdl_jupyter", timeout: float = 5.0) -> None:
        self._service = service
        self._timeout = timeout
        self._memory: dict[str, Secret] = {}
        self._status = "The keyring was not needed yet."
        self._backend: Backend | None = None
        self._is_proven = False
        self._calls: queue.SimpleQueue[_Call | None] = queue.SimpleQueue()
        self._asked: queue.SimpleQueue[_Call | None] = queue.SimpleQueue()
        self._unanswered: _Call | None = None
        self._process: int | None = None
        self._lock = threading.Lock()

    @property
    def status(self) -> str:
        """A sentence that says where secrets are kept."""
        return self._status

    def store(self, key: str, secret: Secret) -> Future[bool]:
        """Keep a secret; tell whether it outlives the kernel."""
        self._memory[key] = secret
        return self._call(lambda backend: self._write(backend, key, secret), fallback=False)

    def fetch(self, key: str) -> Future[Secret | None]:
        """Return a secret, None where there is none or it cannot be had."""
        if (known := self._memory.get(key)) is not None:
            future: Future[Secret | None] = Future()
            future.set_result(known)
            return future
        return self._call(lambda backend: self._read(backend, key), fallback=None)

    def delete(self, key: str) -> Future[bool]:
        """Forget a secret; tell whether the keyring surely has none any more."""
        self._memory.pop(key, None)
        return self._call(lambda backend: self._remove(backend, key), fallback=False)

    def close(self) -> None:
        """End the threads after what was asked for."""
        with self._lock:
            if self._process == os.getpid():
                self._calls.put(None)
                self._process = None

    # ------------------------------------------------------------------------------------------------ asking

    def _call(self, ask: Callable[[Backend], T], *, fallback: T) -> Future[T]:
        outcome: Future[T] = Future()
        call = _Call(ask, fallback, outcome)
        with self._lock:
            if self._process is None:
                self._process = os.getpid()
                for name, target in (("bgdl-vault", self._watch), ("bgdl-keyring", self._work)):
                    threading.Thread(target=target, name=name, daemon=True).start()
            if self._process == os.getpid():
                self._calls.put(call)
                return outcome
        call.answer(fallback)  # a forked child has no threads
        return outcome

    def _watch(self) -> None:
        """Pass on one call after the other, and answer in place of a keyring that does not."""
        while (call := self._calls.get()) is not None:
            if self._unanswered is not None and not self._unanswered.is_answered.is_set():
                call.answer(call.fallback)
                continue
            self._unanswered = None
            self._asked.put(call)
            if not call.is_answered.wait(self._timeout):
                self._unanswered = call
                self._status = f"Secrets are kept in memory only: the keyring did not answer in {self._timeout:g} s."
                log.warning("%s", self._status)
                call.answer(call.fallback)
        self._asked.put(None)

    def _work(self) -> None:
        """Ask the keyring; this thread may hang."""
        while (call := self._asked.get()) is not None:
            call.answer(self._asked_for(call))
            call.is_answered.set()

    def _asked_for(self, call: _Call) -> Any:
        try:
            if self._backend is None:
                self._backend = _usable_backend()
            value = call.ask(self._backend)
        except _Unusable as error:
            self._status = f"Secrets are kept in memory only: {error}."
        except BaseException as error:  # noqa: BLE001 (whatever a keyring raises, also to end the process, is its own)
            # Its message may repeat what was to be stored.
            self._status = f"Secrets are kept in memory only: the keyring failed ({type(error).__name__})."
            log.warning("%s", self._status)
        else:
            self._status = f"Secrets are kept in the keyring {_name_of(self._backend)}."
            return value
        return call.fallback

    def _write(self, backend: Backend, key: str, secret: Secret) -> bool:
        backend.set_password(self._service, key, secret.reveal())
        if not self._is_proven:
            # Some keyrings take everything and keep nothing.
            self._is_proven = backend.get_password(self._service, key) == secret.reveal()
            if not self._is_proven:
                raise _Unusable(f"the keyring {_name_of(backend)} does not keep what it is given")
        return True

    def _read(self, backend: Backend, key: str) -> Secret | None:
        value = backend.get_password(self._service, key)
        return None if value is None else Secret(value)

    def _remove(self, backend: Backend, key: str) -> bool:
        try:
            backend.delete_password(self._service, key)
        except importlib.import_module("keyring.errors").PasswordDeleteError:
            # Also raised where there was none.
            return backend.get_password(self._service, key) is None
        return True


def _usable_backend() -> Backend:
    """Return the best keyring that keeps secrets as secrets; loading it may take long and do anything."""
    try:
        keyring = importlib.import_module("keyring")
    except ImportError as error:
        raise _Unusable("the package keyring is not installed") from error
    backend = keyring.get_keyring()
    candidates = backend.backends if type(backend).__module__ == _CHAINER else [backend]
    for candidate in candidates:
        if not _is_refused(candidate):
            usable: Backend = candidate
            return usable
    raise _Unusable(f"{_name_of(backend)} is no safe place for them")


def _is_refused(backend: object) -> bool:
    classes = type(backend).__mro__
    return any(each.__module__.startswith(_REFUSED_MODULES) or "plaintext" in each.__name__.lower() for each in classes)


def _name_of(backend: object) -> str:
    return f"{type(backend).__module__}.{type(backend).__qualname__}"

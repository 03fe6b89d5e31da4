"""
Where secrets outlive the kernel: the platform's vault, through keyring, or memory alone.

Every call runs on one worker thread, with a deadline: a locked, missing, hanging or failing vault costs a few seconds
once, and then secrets stay in memory.
"""

from __future__ import annotations

import logging
import threading
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, Final, TypeVar

from bgdl_jupyter.secret import Secret

if TYPE_CHECKING:
    from collections.abc import Callable

log = logging.getLogger(__name__)

T = TypeVar("T")

# These answer, and keep the secret where anybody can read it, or nowhere.
_REFUSED: Final = ("keyrings.alt", "keyring.backends.fail", "keyring.backends.null")


class Vault:
    """
    Keeps secrets under names.

    Parameters
    ----------
    service:
        Under which name the platform's vault shows them.
    timeout:
        Seconds that the vault has for an answer.
    """

    def __init__(self, service: str = "bgdl_jupyter", timeout: float = 5.0) -> None:
        self._service = service
        self._timeout = timeout
        self._memory: dict[str, Secret] = {}
        self._lock = threading.Lock()
        self._worker: ThreadPoolExecutor | None = None
        self._backend: Any = None
        self.status = "The platform's vault was not needed yet."
        self._is_usable = True

    def store(self, key: str, secret: Secret) -> Future[bool]:
        """Keep a secret; the result tells whether it outlives the kernel."""
        with self._lock:
            self._memory[key] = secret
        return self._ask(lambda vault: vault.set_password(self._service, key, secret.reveal()) is None, otherwise=False)

    def fetch(self, key: str) -> Future[Secret | None]:
        """Return a secret, None where it is not known (any more)."""
        with self._lock:
            known = self._memory.get(key)
        if known is not None:
            found: Future[Secret | None] = Future()
            found.set_result(known)
            return found
        return self._ask(lambda vault: _secret(vault.get_password(self._service, key)), otherwise=None)

    def delete(self, key: str) -> Future[bool]:
        """Forget a secret; the result tells whether the platform's vault had it."""
        with self._lock:
            self._memory.pop(key, None)
        return self._ask(lambda vault: vault.delete_password(self._service, key) is None, otherwise=False)

    def close(self) -> None:
        """End the worker; what it waits for is left behind."""
        if self._worker is not None:
            self._worker.shutdown(wait=False, cancel_futures=True)

    def _ask(self, question: Callable[[Any], T], *, otherwise: T) -> Future[T]:
        """Ask the vault on the worker; whatever goes wrong, the answer is ``otherwise``."""
        answer: Future[T] = Future()
        if not self._is_usable:
            answer.set_result(otherwise)
            return answer
        deadline = threading.Timer(self._timeout, self._give_up, (answer, otherwise))
        deadline.daemon = True
        deadline.start()
        with self._lock:
            if self._worker is None:
                self._worker = ThreadPoolExecutor(1, thread_name_prefix="bgdl-vault")
            worker = self._worker
        worker.submit(self._answer, question, answer, deadline, otherwise)
        return answer

    def _answer(self, question: Callable[[Any], T], answer: Future[T], deadline: threading.Timer, otherwise: T) -> None:
        try:
            result = question(self._open())
        except Exception as error:  # noqa: BLE001 (any backend, any error; it may name no secret)
            self._refuse(f"The platform's vault failed ({type(error).__name__}); secrets stay in memory.")
            result = otherwise
        deadline.cancel()
        if not answer.done():
            answer.set_result(result)

    def _open(self) -> Any:
        if self._backend is None:
            import keyring  # slow to load, and most operations have no secret

            backend = keyring.get_keyring()
            name = type(backend).__module__
            if name.startswith(_REFUSED):
                raise LookupError(name)
            self._backend = backend
            self.status = f"Secrets are kept by {name}."
        return self._backend

    def _give_up(self, answer: Future[T], otherwise: T) -> None:
        self._refuse(f"The platform's vault did not answer in {self._timeout:g} s; secrets stay in memory.")
        if not answer.done():
            answer.set_result(otherwise)

    def _refuse(self, why: str) -> None:
        if self._is_usable:
            log.info("%s", why)
        self._is_usable = False
        self.status = why


def _secret(text: str | None) -> Secret | None:
    return Secret(text) if text is not None else None

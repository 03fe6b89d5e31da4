"""
What is to be put away before the kernel ends.

A kernel has about two and a half seconds between the request and SIGTERM. Its `do_shutdown` runs on the control thread
at once, also when the main shell is stuck in a cell, and the loop of a subshell still runs; at `atexit` it does not.
"""

from __future__ import annotations

import atexit
import logging
import os
import threading
from typing import TYPE_CHECKING, Any

from bgdl_jupyter.frontends.kernel.running import running_kernel
from bgdl_jupyter.model.host import FLUSH_BUDGET

if TYPE_CHECKING:
    from collections.abc import Callable

    from ipykernel.kernelbase import Kernel

log = logging.getLogger(__name__)


def on_shutdown(flush: Callable[[float], object]) -> Callable[[], None]:
    """
    Have `flush` called once before the kernel (or the interpreter) ends.

    Parameters
    ----------
    flush:
        Called with the seconds it has, on a thread of its own, or on the main thread where no kernel ran and at
        `atexit`; thread pools and subshell loops are gone in that last case. What it raises is logged.

    Returns
    -------
    A function that takes the wish back.
    """
    wish = _Flush(flush)
    kernel = running_kernel()
    if kernel is not None:
        _flushing(kernel).wishes.append(wish)
    atexit.register(wish.at_exit)
    return wish.withdraw


class _Flush:
    """A flush that happens once, whoever asks first."""

    def __init__(self, function: Callable[[float], object]) -> None:
        self._function = function
        self._pid = os.getpid()
        self._is_due = True
        self._thread: threading.Thread | None = None

    def at_shutdown(self) -> None:
        """Run it beside us and wait for it as long as its budget is: a flush that hangs must not hang the shutdown."""
        if self._is_due:
            self._thread = threading.Thread(target=self._run, name="bgdl_jupyter-flush", daemon=True)
            self._thread.start()
        self._wait()

    def at_exit(self) -> None:
        """Run it, unless it ran at the shutdown; then give it the rest of its time."""
        if self._pid != os.getpid():
            return  # a forked child that ends is not our end
        if self._thread is None:
            self._run()  # here: no thread can be started once the interpreter ends
        else:
            self._wait()

    def withdraw(self) -> None:
        """Take the wish back."""
        self._is_due = False
        atexit.unregister(self.at_exit)

    def _run(self) -> None:
        if not self._is_due:
            return
        self._is_due = False
        try:
            self._function(FLUSH_BUDGET)
        except Exception:
            log.exception("The state could not be put away in full; the next start takes what is there")

    def _wait(self) -> None:
        if self._thread is None:
            return
        self._thread.join(FLUSH_BUDGET)
        if self._thread.is_alive():
            log.warning("Putting the state away takes more than %g s; the next start takes what is there", FLUSH_BUDGET)


class _FlushingShutdown:
    """A kernel's `do_shutdown` with flushes before it; what it returns (or awaits) passes through."""

    def __init__(self, original: Callable[..., Any]) -> None:
        self._original = original
        self.wishes: list[_Flush] = []

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        for wish in self.wishes:
            wish.at_shutdown()
        return self._original(*args, **kwargs)


def _flushing(kernel: Kernel) -> _FlushingShutdown:
    """Return the kernel's `do_shutdown`, wrapped at the first call."""
    present: Any = kernel.do_shutdown
    if isinstance(present, _FlushingShutdown):
        return present
    wrapped = _FlushingShutdown(present)
    kernel.do_shutdown = wrapped  # type: ignore[method-assign] # on the instance: it is looked up at each request
    return wrapped

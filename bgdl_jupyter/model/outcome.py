"""
What `start`, `attach`, `pause` and their like return.

Neither a coroutine nor a Future: it may be awaited from any loop, any number of times, and dropped without a word.
Cancelling or interrupting who awaits it does nothing to the transfer.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

T = TypeVar("T")


class Outcome(Generic[T]):
    """
    Something that will be known.

    Parameters
    ----------
    listen:
        Takes a function to be called once, on any thread, when the outcome is known.
    result:
        Gives the outcome or raises; called only when it is known.
    """

    __slots__ = ("_listen", "_result")

    def __init__(self, listen: Callable[[Callable[[], None]], object], result: Callable[[], T]) -> None:
        self._listen = listen
        self._result = result

    def __await__(self) -> Generator[object, None, T]:
        loop = asyncio.get_running_loop()
        known: asyncio.Future[None] = loop.create_future()

        def wake() -> None:
            if not known.done():
                known.set_result(None)

        self._listen(lambda: _call_soon(loop, wake))
        yield from known
        return self._result()

    def wait(self, timeout: float | None = None) -> T:
        """
        Block this thread until the outcome is known.

        Parameters
        ----------
        timeout:
            Seconds; None waits for ever.

        Raises
        ------
        TimeoutError
            It was not known in time.
        """
        known = threading.Event()
        self._listen(known.set)
        if not known.wait(timeout):
            raise TimeoutError(f"Not known after {timeout:g} s.")
        return self._result()


def _call_soon(loop: asyncio.AbstractEventLoop, function: Callable[[], None]) -> None:
    with contextlib.suppress(RuntimeError):  # closed: nobody waits there any more
        loop.call_soon_threadsafe(function)

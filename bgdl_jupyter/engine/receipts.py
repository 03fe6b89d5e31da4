"""What the writer has done, on its way to the loop."""

from __future__ import annotations

from collections import deque
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable, Iterator

    #: Is told on the loop that something is written, or why it is not.
    Told = Callable[[BaseException | None], None]


class Receipts:
    """
    Brings what was written to the loop, which is woken only where somebody waits for it.

    To wake it costs the writer and the loop a turn at the interpreter each; beside a cell that computes, these turns
    are most of the time of a transfer. Others hear of it when the loop comes by: with the next bytes or the next tick.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._done: deque[tuple[Told, BaseException | None]] = deque()
        self._waiting = 0
        self._is_woken = False

    def post(self, told: Told, error: BaseException | None, *, wakes: bool) -> None:
        """
        Tell of a write; called on any thread.

        Parameters
        ----------
        told:
            Is called on the loop with the error, or None.
        wakes:
            Whether it is to be told at once though nobody waits.
        """
        self._done.append((told, error))
        # Looked at after that: who begins to wait looks for what is done after saying so.
        if (wakes or self._waiting) and not self._is_woken:
            self._is_woken = True
            self._loop.call_soon_threadsafe(self.take_in)

    def take_in(self) -> None:
        """Tell what is done by now; on the loop."""
        self._is_woken = False
        while self._done:
            told, error = self._done.popleft()
            told(error)

    @contextmanager
    def awaited(self) -> Iterator[None]:
        """Have everything told at once while somebody waits for it."""
        self._waiting += 1
        self.take_in()
        try:
            yield
        finally:
            self._waiting -= 1

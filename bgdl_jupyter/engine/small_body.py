"""A small body on its way into memory, watched for a stall."""

from __future__ import annotations

import asyncio
import time
from http import HTTPStatus
from typing import TYPE_CHECKING, Final

from bgdl_jupyter.engine.sink import MemorySink
from bgdl_jupyter.errors import TransferTimeout

if TYPE_CHECKING:
    from bgdl_jupyter.engine.order import Options
    from bgdl_jupyter.engine.rate_limit import CombinedLimiter
    from bgdl_jupyter.resource import Answer
    from bgdl_jupyter.transport.base import Exchange, Framing

#: Bodies up to this size are collected and written by the committer, many in one turn.
SMALL_BODY: Final = 64 * 1024


def is_small(answer: Answer) -> bool:
    """Whether the body is a whole file that the committer writes together with others, and then names it."""
    length = answer.resource.length
    return answer.status == HTTPStatus.OK and length is not None and length <= SMALL_BODY and not answer.is_encoded


class SmallBody:
    """
    Receives one.

    Attributes
    ----------
    body:
        What has come.
    """

    __slots__ = ("_begun_at", "_has_stalled", "_limiter", "_options", "_task", "body")

    def __init__(self, limiter: CombinedLimiter, options: Options) -> None:
        self._limiter = limiter
        self._options = options
        self._task: asyncio.Task[object] | None = None
        self._begun_at = 0.0
        self._has_stalled = False
        self.body = memoryview(b"")

    async def receive(self, exchange: Exchange, length: int) -> Framing:
        """
        Receive the body of an exchange.

        Raises
        ------
        TransferFailed
            It broke off, or stalled.
        """
        sink = MemorySink(length, self._limiter)
        # Most come whole with their answer: the ticks look after the others, a timer for each would cost more.
        self._task = task = asyncio.current_task()
        self._begun_at = time.monotonic()
        try:
            return await exchange.receive(sink)
        except asyncio.CancelledError:
            if task is None or not self._has_stalled or task.uncancel() > 0:
                raise
            raise stall_error(self._options) from None
        finally:
            self._task = None
            self.body = sink.body

    def tick(self, now: float) -> None:
        """End it where it has taken too long; ``now`` is monotonic."""
        if self._task is not None and now - self._begun_at >= self._options.stall_timeout and not self._has_stalled:
            self._has_stalled = True
            self._task.cancel()


def stall_error(options: Options) -> TransferTimeout:
    """Return what a body fails with that comes too slowly."""
    return TransferTimeout(f"Less than {options.stall_bytes:,} bytes came in {options.stall_timeout:g} s.")

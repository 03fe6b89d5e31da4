"""What the first exchange of an operation brought that is no small file: what a transfer goes on from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from contextlib import AbstractAsyncContextManager
    from types import TracebackType

    from bgdl_jupyter.errors import TransferFailed
    from bgdl_jupyter.resource import Answer
    from bgdl_jupyter.transport.base import Exchange, Framing, Sink
    from bgdl_jupyter.uris import Origin


class Opened:
    """An exchange that is open already, for a ``with`` statement that ends it."""

    __slots__ = ("_exchange", "_opening")

    def __init__(self, exchange: Exchange, opening: AbstractAsyncContextManager[Exchange] | None = None) -> None:
        self._exchange = exchange
        self._opening = opening

    async def __aenter__(self) -> Exchange:
        return self._exchange

    async def __aexit__(
        self,
        kind: type[BaseException] | None = None,
        error: BaseException | None = None,
        traceback: TracebackType | None = None,
    ) -> bool | None:
        opening, self._opening = self._opening, None
        return None if opening is None else await opening.__aexit__(kind, error, traceback)


class Received:
    """An exchange whose body has come already, and is delivered once more."""

    has_sent_body = False

    def __init__(self, answer: Answer, origin: Origin, body: memoryview, framing: Framing) -> None:
        self.answer = answer
        self.origin = origin
        self._body = body
        self._framing = framing

    async def receive(self, sink: Sink, *, limit: int | None = None) -> Framing:
        """Deliver the body."""
        wait = sink.write(self._body[:limit])
        if wait is not None:
            await wait
        return self._framing


@dataclass(frozen=True, slots=True, kw_only=True)
class First:
    """
    The first exchange: ``opened``, or the ``failure`` that it ended with.

    ``host`` was asked; ``has_body`` whether the request had one, ``was_answered`` whether an answer came.
    """

    host: str
    has_body: bool = False
    was_answered: bool = False
    opened: Opened | None = None
    failure: TransferFailed | None = None

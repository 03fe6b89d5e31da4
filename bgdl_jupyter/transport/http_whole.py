"""An answer that came whole at once, and needs its connection no more."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bgdl_jupyter.transport.base import Framing
from bgdl_jupyter.transport.headers import read_answer

if TYPE_CHECKING:
    from multidict import CIMultiDictProxy

    from bgdl_jupyter.resource import Answer
    from bgdl_jupyter.transport.base import Sink
    from bgdl_jupyter.transport.http_parsing import WholeAnswer
    from bgdl_jupyter.uris import Origin


class WholeExchange:
    """An exchange whose body, framed by its length and without a content coding, is in memory."""

    def __init__(self, answer: WholeAnswer, *, origin: Origin, shown: str) -> None:
        self._whole = answer
        self._shown = shown
        self._answer: Answer | None = None
        self.origin = origin
        self.has_sent_body = False

    @property
    def status(self) -> int:
        """The status code."""
        return self._whole.status

    @property
    def headers(self) -> CIMultiDictProxy[str]:
        """The header fields as they came."""
        return self._whole.headers

    @property
    def answer(self) -> Answer:
        """What the server says."""
        if self._answer is None:
            self._answer = read_answer(self.status, self.headers, self._shown)
        return self._answer

    async def receive(self, sink: Sink, *, limit: int | None = None) -> Framing:
        """Deliver the body, up to so many bytes of it."""
        body = self._whole.body[:limit]
        if body and (pending := sink.write(body)) is not None:
            await pending
        return Framing.LENGTH

    async def aclose(self) -> None:
        """End the exchange: nothing is held."""

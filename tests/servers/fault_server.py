"""
An HTTP/1.1 server of raw bytes whose faults are data and whose memory is complete.

```python
with FaultServer({"/a.bin": FileSpec(size=10_000_000, faults=(cut_after(4096, on=1),))}) as server:
    fetch(server.url("/a.bin"))
assert [r.header("Range") for r in server.requests("/a.bin")] == [None, "bytes=4096-"]
```
A route is a `FileSpec`, a script (a tuple of steps), or a function from the request to a script.
"""

from __future__ import annotations

import itertools
import re
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Self

from tests.servers.content import Literal
from tests.servers.files import Answer, FileSpec
from tests.servers.listener import DEADLINE, Listener
from tests.servers.messages import Exchange, MessageReader, Request, parse_head
from tests.servers.steps import Close, Cut, Ended, Events, Script, Send, Stage, perform

if TYPE_CHECKING:
    import ssl

    from tests.servers.wire import Wire

Route = FileSpec | Script | Callable[[Request], Script]

_STATUS_LINE = re.compile(rb"HTTP/1\.[01] \d{3}")
_NOT_FOUND = Answer(status=404, headers=(("Content-Length", "0"),))
_BAD_REQUEST = Answer(status=400, headers=(("Content-Length", "0"), ("Connection", "close")))


class FaultServer:
    """
    A web server on a loopback address, on a thread of its own.

    `greetings` are scripts to be performed on a connection (by its number, from 1) before any request is read. With
    `at_once` the head of an answer leaves together with the beginning of its body, as a quick server's does.
    """

    def __init__(
        self,
        routes: Mapping[str, Route] | None = None,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        tls: ssl.SSLContext | None = None,
        greetings: Mapping[int, Script] | None = None,
        send_buffer: int | None = None,
        at_once: bool = False,
    ) -> None:
        self._at_once = at_once
        self.events = Events()
        self.exchanges: list[Exchange] = []
        self.malformed: list[bytes] = []
        self._routes: dict[str, Route] = dict(routes or {})
        self._greetings = dict(greetings or {})
        self._numbers: Counter[str] = Counter()
        self._answering: Counter[str] = Counter()
        self._scheme = "http" if tls is None else "https"
        self.listener = Listener(self._converse, host=host, port=port, tls=tls, send_buffer=send_buffer)

    # Use

    def url(self, path: str = "/", *, host: str | None = None) -> str:
        """Return the URL of a path, with another name for the host if given."""
        authority = self.listener.authority if host is None else f"{host}:{self.listener.port}"
        return f"{self._scheme}://{authority}{path}"

    def put(self, path: str, route: Route) -> None:
        """Serve this from the next request on. Safe from any thread."""
        self._routes[path] = route

    def remove(self, path: str) -> None:
        """Answer 404 from the next request on."""
        del self._routes[path]

    def start(self) -> None:
        """Listen."""
        self.listener.start()

    def stop(self) -> None:
        """Abort what is open. Raises the first error in the server itself."""
        self.listener.stop()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    # What happened

    @property
    def connections_open(self) -> int:
        """Connections that are open now."""
        return self.listener.connections.open

    @property
    def connections_peak(self) -> int:
        """The most connections that were open at a time."""
        return self.listener.connections.peak

    @property
    def connections_total(self) -> int:
        """All connections that were ever accepted."""
        return self.listener.connections.total

    def exchanges_for(self, path: str | None = None) -> list[Exchange]:
        """Return the exchanges so far, in the order of their requests, of one path or of all."""
        with self.listener.changed:
            exchanges = list(self.exchanges)
        return [each for each in exchanges if path is None or each.request.path == path]

    def requests(self, path: str | None = None) -> list[Request]:
        """Return the requests so far, of one path or of all."""
        return [each.request for each in self.exchanges_for(path)]

    def body_bytes_sent(self, path: str | None = None) -> int:
        """Return how many bytes of files were sent, repeated ones counted again."""
        return sum(each.body_bytes_sent for each in self.exchanges_for(path))

    def bytes_sent_twice(self, path: str) -> int:
        """Return how many bytes of a file were sent more than once, each repetition counted."""
        ranges = sorted(itertools.chain.from_iterable(each.ranges_sent for each in self.exchanges_for(path)))
        repeated = reach = 0
        for start, stop in ranges:
            repeated += max(0, min(stop, reach) - start)
            reach = max(reach, stop)
        return repeated

    def wait_until(self, predicate: Callable[[], bool], timeout: float = DEADLINE) -> None:
        """Block until the predicate holds, asked at every request, answer and connection. Raises `TimeoutError`."""
        self.listener.wait_until(predicate, timeout)

    async def until(self, predicate: Callable[[], bool], timeout: float = DEADLINE) -> None:
        """Wait, without blocking the loop, until the predicate holds. Raises `TimeoutError`."""
        await self.listener.until(predicate, timeout)

    # Conversation

    async def _converse(self, wire: Wire) -> None:
        try:
            await perform(self._greetings.get(wire.number, ()), Stage(wire, None, self.events))
            reader = MessageReader(wire)
            while (head := await reader.head()) is not None:
                await self._serve(wire, reader, head)
            await wire.close()
        except Ended:
            return

    async def _serve(self, wire: Wire, reader: MessageReader, head: bytes) -> None:
        try:
            request = parse_head(head, connection=wire.number, peer=wire.peer[0])
        except ValueError:
            self.malformed.append(head)
            await perform((*_BAD_REQUEST.script(), Cut()), Stage(wire, None, self.events))
            return
        exchange = self._begin(request)
        try:
            await self._answer(wire, reader, exchange)
        finally:
            self._finish(exchange)
        if not exchange.request.keeps_alive:
            await perform((Close(),), Stage(wire, exchange, self.events))

    async def _answer(self, wire: Wire, reader: MessageReader, exchange: Exchange) -> None:
        route = self._routes.get(exchange.request.path)
        if not isinstance(route, FileSpec) or route.reads_body(exchange.request):
            body = await reader.body(exchange.request.headers)
            exchange.request = replace(exchange.request, body=body)
        script = self._script(route, exchange.request)
        exchange.status = _status(script)
        if self._at_once:
            wire.gather()
        try:
            await perform(script, Stage(wire, exchange, self.events))
        except Ended:
            exchange.is_finished = True
            raise
        finally:
            wire.part()
        exchange.is_finished = True

    def _script(self, route: Route | None, request: Request) -> Script:
        if route is None:
            return _NOT_FOUND.script()
        if isinstance(route, tuple):
            return route
        if not isinstance(route, FileSpec):
            return route(request)
        limit = route.limit
        if limit is not None and self._answering[request.path] > limit.connections:
            return limit.answer().script()
        return route.answer(request)

    def _begin(self, request: Request) -> Exchange:
        with self.listener.changed:
            self._numbers[request.path] += 1
            self._answering[request.path] += 1
            exchange = Exchange(request=replace(request, number=self._numbers[request.path]))
            self.exchanges.append(exchange)
            self.listener.changed.notify_all()
        return exchange

    def _finish(self, exchange: Exchange) -> None:
        with self.listener.changed:
            self._answering[exchange.request.path] -= 1
            self.listener.changed.notify_all()


def _status(script: Script) -> int | None:
    heads = (step.content.body for step in script if isinstance(step, Send) and isinstance(step.content, Literal))
    return next((int(head[9:12]) for head in heads if _STATUS_LINE.match(head)), None)

"""
An HTTP proxy that records what it is told: absolute-form requests and CONNECT, Basic, pages of its own.

```python
with RecordingProxy(login=Login(user="u", password="p"), names={"files.test": ("127.0.0.1", port)}) as proxy:
    fetch("http://files.test/a", proxy=proxy.url())
assert proxy.requests[0].target == "http://files.test/a"
```
One request per connection, so that what it sends upstream is what the client sent but for the hop-by-hop headers.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Self
from urllib.parse import urlsplit

from tests.servers.auth_faults import Login, basic_value
from tests.servers.content import read
from tests.servers.files import Answer
from tests.servers.listener import Listener
from tests.servers.messages import MessageReader, Request, parse_head
from tests.servers.relay import both_ways, carry, connect
from tests.servers.steps import Close, Ended, Events, Script, Stage, perform, raw

if TYPE_CHECKING:
    import ssl
    from collections.abc import Mapping

    from tests.servers.wire import Wire

Address = tuple[str, int]

_HOP_BY_HOP = frozenset({"connection", "proxy-connection", "proxy-authorization", "keep-alive", "te", "upgrade"})


class RecordingProxy:
    """
    A proxy on a loopback address.

    `login` is what it wants by Basic (else 407); `pages` are scripts by host that it answers itself in place of passing
    the request on; `names` are hosts that only it can resolve; with `tls` it is to be spoken to by https.
    """

    def __init__(
        self,
        *,
        login: Login | None = None,
        pages: Mapping[str, Script] | None = None,
        names: Mapping[str, Address] | None = None,
        host: str = "127.0.0.1",
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self.events = Events()
        self.requests: list[Request] = []
        """Everything that was asked of it, CONNECT and refused requests included, in order."""
        self._login = login
        self._pages = dict(pages or {})
        self._names = dict(names or {})
        self._scheme = "http" if tls is None else "https"
        self.listener = Listener(self._converse, host=host, tls=tls)

    def url(self, *, userinfo: str = "") -> str:
        """Return the URL of the proxy."""
        return f"{self._scheme}://{userinfo + '@' if userinfo else ''}{self.listener.authority}"

    def __enter__(self) -> Self:
        self.listener.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.listener.stop()

    async def _converse(self, wire: Wire) -> None:
        reader = MessageReader(wire)
        while (head := await reader.head()) is not None:
            request = parse_head(head, connection=wire.number, peer=wire.peer[0])
            request = self._record(replace(request, body=await reader.body(request.headers)))
            if self._is_welcome(request):
                await self._fulfil(wire, reader, request)
                return
            # The connection stays, for the client to answer the challenge on it.
            await wire.send(_challenge())

    async def _fulfil(self, wire: Wire, reader: MessageReader, request: Request) -> None:
        host, port = _destination(request)
        if host in self._pages:
            await self._show(wire, self._pages[host])
            return
        try:
            far = await connect(*self._names.get(host, (host, port)))
        except OSError:
            await self._show(wire, (raw(_bad_gateway()), Close()))
            return
        if request.method == "CONNECT":
            await wire.send(b"HTTP/1.1 200 Connection established\r\n\r\n")
            await far.send(reader.rest())
        else:
            await far.send(_forwarded(request))
        await both_ways(wire, far, carry(wire, far), carry(far, wire))

    async def _show(self, wire: Wire, script: Script) -> None:
        try:
            await perform((*script, Close()), Stage(wire, None, self.events))
        except Ended:
            return

    def _is_welcome(self, request: Request) -> bool:
        return self._login is None or request.header("Proxy-Authorization") == basic_value(self._login)

    def _record(self, request: Request) -> Request:
        with self.listener.changed:
            numbered = replace(request, number=len(self.requests) + 1)
            self.requests.append(numbered)
            self.listener.changed.notify_all()
        return numbered


def _destination(request: Request) -> Address:
    if request.method == "CONNECT":
        host, _, port = request.target.rpartition(":")
        return host.strip("[]"), int(port)
    parts = urlsplit(request.target)
    return parts.hostname or "", parts.port or 80


def _forwarded(request: Request) -> bytes:
    parts = urlsplit(request.target)
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    kept = [(name, value) for name, value in request.headers if name.lower() not in _HOP_BY_HOP]
    lines = [f"{request.method} {target} HTTP/1.1", *(f"{name}: {value}" for name, value in kept)]
    return "\r\n".join([*lines, "Connection: close", "", ""]).encode("latin-1") + request.body


def _challenge() -> bytes:
    page = b"<html>the proxy wants to know you</html>"
    fields = (("Proxy-Authenticate", 'Basic realm="proxy"'), ("Content-Length", str(len(page))))
    return _head(Answer(status=407, headers=fields)) + page


def _bad_gateway() -> bytes:
    return _head(Answer(status=502, headers=(("Content-Length", "0"),)))


def _head(answer: Answer) -> bytes:
    return read(answer.head().content)

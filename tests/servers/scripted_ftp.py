"""
An FTP server whose replies are data: rows F1 to F11 of the catalogue of faults.

```python
half = FtpSpec(files={"/a": content}, sends=500)  # half the file, then "226 done"
with ScriptedFtp(half, FtpSpec(files={"/a": content})) as server:  # the first session, and all later ones
    fetch(server.url("/a"))
assert "REST 500" in server.commands
```
What the spec does not mention is done as RFC 959, 2428, 3659 and 4217 want it.
"""

from __future__ import annotations

import asyncio
import socket
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, Self

from tests.servers.listener import Listener
from tests.servers.messages import Exchange, Request
from tests.servers.steps import Close, Ended, Events, Script, Send, Stage, Step, perform, raw, take
from tests.servers.wire import Wire

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable, Mapping

    from tests.servers.content import Content

_MAX_LINE = 1 << 16
_FINE = b"200 fine\r\n"
_FIXED: dict[str, bytes | Script] = {
    **dict.fromkeys(("TYPE", "PBSZ", "NOOP", "CWD", "MODE", "STRU"), _FINE),
    "PWD": b'257 "/"\r\n',
    "FEAT": b"211-features\r\n SIZE\r\n MDTM\r\n REST STREAM\r\n EPSV\r\n211 end\r\n",
    "QUIT": (raw(b"221 bye\r\n"), Close()),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class FtpSpec:
    """What one session of the server does. Replies are bytes with their line ends, or scripts."""

    files: Mapping[str, Content] = field(default_factory=dict)
    greeting: bytes | Script = b"220 ready\r\n"
    replies: Mapping[str, bytes | Script] = field(default_factory=dict)
    """By verb: said in place of doing what the verb means (`{"SIZE": b"502 no\\r\\n"}`)."""
    logins: Mapping[str, str] | None = None
    """Names and passwords; None lets in everybody."""
    rest: Literal["honours", "ignores", "begins elsewhere"] = "honours"
    """What REST does after its 350: the offset, nothing, or the half of the offset."""
    modified: str = "20240203040506"
    sends: int | None = None
    """Bytes of each RETR before the data connection ends; None is all."""
    data_end: Step = field(default_factory=Close)
    final: bytes | Script = b"226 done\r\n"
    """After the data of a RETR; empty says nothing."""
    passive_host: str | None = None
    """Told by PASV in place of the address of the data port."""
    passive_port: int | None = None
    """Told by PASV and EPSV in place of the data port."""
    rate: int | None = None


class ScriptedFtp:
    """The n-th session follows the n-th spec, later ones the last. With `tls`, AUTH TLS is agreed to."""

    def __init__(self, *specs: FtpSpec, host: str = "127.0.0.1", tls: ssl.SSLContext | None = None) -> None:
        self.events = Events()
        self.commands: list[str] = []
        """Every line that was received, in order; passwords too, for tests to look for."""
        self.retrievals: list[Exchange] = []
        self._specs = specs or (FtpSpec(),)
        self._tls = tls
        self.listener = Listener(self._converse, host=host)

    def url(self, path: str = "/", *, userinfo: str = "") -> str:
        """Return the URL of a path."""
        return f"ftp://{userinfo + '@' if userinfo else ''}{self.listener.authority}{path}"

    def body_bytes_sent(self) -> int:
        """Return how many bytes of files were sent, repeated ones counted again."""
        return sum(each.body_bytes_sent for each in self.retrievals)

    async def until(self, predicate: Callable[[], bool], timeout: float = 10.0) -> None:
        """Wait, without blocking the loop, until the predicate holds. Raises `TimeoutError`."""
        await self.listener.until(predicate, timeout)

    def __enter__(self) -> Self:
        self.listener.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.listener.stop()

    async def _converse(self, wire: Wire) -> None:
        spec = self._specs[min(wire.number, len(self._specs)) - 1]
        session = _Session(wire, spec, self)
        try:
            await session.run(self._tls)
        except Ended:
            return
        finally:
            session.close()

    def note(self, line: str) -> None:
        """Record a command."""
        with self.listener.changed:
            self.commands.append(line)
            self.listener.changed.notify_all()


class _Session:
    def __init__(self, wire: Wire, spec: FtpSpec, server: ScriptedFtp) -> None:
        self._wire = wire
        self._spec = spec
        self._server = server
        self._user = ""
        self._offset = 0
        self._passive: socket.socket | None = None
        self._tls: ssl.SSLContext | None = None
        self._data_tls: ssl.SSLContext | None = None
        self._buffer = bytearray()

    async def run(self, tls: ssl.SSLContext | None) -> None:
        self._tls = tls
        await self._say(self._spec.greeting)
        while (line := await self._line()) is not None:
            self._server.note(line)
            verb, _, argument = line.partition(" ")
            await self._obey(verb.upper(), argument)

    def close(self) -> None:
        if self._passive is not None:
            self._passive.close()

    async def _obey(self, verb: str, argument: str) -> None:
        if verb in self._spec.replies:
            await self._say(self._spec.replies[verb])
            return
        match verb:
            case "USER" | "PASS":
                await self._say(self._login(verb, argument))
            case "SIZE" | "MDTM":
                await self._say(self._fact(verb, argument))
            case "REST":
                await self._say(self._rest(int(argument)))
            case "PASV" | "EPSV":
                await self._say(self._open_passive(verb))
            case "AUTH" | "PROT":
                await self._secure(verb, argument)
            case "RETR":
                await self._retrieve(argument)
            case _:
                await self._say(_FIXED.get(verb, b"502 not implemented\r\n"))

    def _login(self, verb: str, argument: str) -> bytes:
        if verb == "USER":
            self._user = argument
            return b"230 in\r\n" if self._spec.logins is None else b"331 password\r\n"
        logins = self._spec.logins
        return b"230 in\r\n" if logins is None or logins.get(self._user) == argument else b"530 no\r\n"

    def _fact(self, verb: str, path: str) -> bytes:
        content = self._file(path)
        if content is None:
            return b"550 no such file\r\n"
        return f"213 {content.size if verb == 'SIZE' else self._spec.modified}\r\n".encode()

    def _rest(self, offset: int) -> bytes:
        effects = {"honours": offset, "ignores": 0, "begins elsewhere": offset // 2}
        self._offset = effects[self._spec.rest]
        return f"350 restarting at {self._offset}\r\n".encode()

    def _open_passive(self, verb: str) -> bytes:
        self.close()
        host = self._server.listener.host
        self._passive = socket.create_server((host, 0), family=socket.AF_INET6 if ":" in host else socket.AF_INET)
        self._passive.setblocking(False)
        port = self._spec.passive_port or int(self._passive.getsockname()[1])
        if verb == "EPSV":
            return f"229 entering (|||{port}|)\r\n".encode()
        numbers = (self._spec.passive_host or host).replace(".", ",")
        return f"227 entering ({numbers},{port >> 8},{port & 255})\r\n".encode()

    async def _secure(self, verb: str, argument: str) -> None:
        if self._tls is None:
            await self._say(b"502 no TLS here\r\n")
        elif verb == "AUTH":
            await self._say(b"234 go\r\n")
            await self._wire.start_tls(self._tls)
        else:
            self._data_tls = self._tls if argument.upper() == "P" else None
            await self._say(_FINE)

    async def _retrieve(self, path: str) -> None:
        content, passive = self._file(path), self._passive
        if content is None or passive is None:
            await self._say(b"550 no such file\r\n" if content is None else b"425 no data connection\r\n")
            return
        await self._say(b"150 here it comes\r\n")
        sock, _ = await self._wire.unless_gone(asyncio.get_running_loop().sock_accept(passive))
        with sock:
            await self._send(Wire(sock), path, content)
        await self._say(self._spec.final)

    async def _send(self, data: Wire, path: str, content: Content) -> None:
        if self._data_tls is not None:
            await data.start_tls(self._data_tls)
        start, self._offset = min(self._offset, content.size), 0
        whole: Script = (Send(content=content, start=start, stop=content.size, of_file=True, rate=self._spec.rate),)
        script = whole if self._spec.sends is None else take(whole, self._spec.sends)
        exchange = self._begin(path)
        try:
            await perform((*script, self._spec.data_end), Stage(data, exchange, self._server.events))
        except Ended:
            exchange.is_finished = True
        except ConnectionError:
            # The client ended the data connection; the control connection may go on.
            return

    def _begin(self, path: str) -> Exchange:
        request = Request(
            number=len(self._server.retrievals) + 1,
            connection=self._wire.number,
            peer=self._wire.peer[0],
            method="RETR",
            target=path,
            version="FTP",
            headers=(),
        )
        exchange = Exchange(request=request)
        self._server.retrievals.append(exchange)
        return exchange

    def _file(self, path: str) -> Content | None:
        return self._spec.files.get("/" + path.lstrip("/"))

    async def _say(self, reply: bytes | Script) -> None:
        script = (raw(reply),) if isinstance(reply, bytes) else reply
        await perform(script, Stage(self._wire, None, self._server.events))

    async def _line(self) -> str | None:
        while (end := self._buffer.find(b"\n")) < 0:
            received = await self._wire.receive()
            if not received or len(self._buffer) > _MAX_LINE:
                return None
            self._buffer += received
        line = bytes(self._buffer[:end])
        del self._buffer[: end + 1]
        return line.decode("utf-8", "replace").rstrip("\r")

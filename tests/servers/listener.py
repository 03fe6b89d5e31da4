"""
Where the counterparts run: a thread with its own loop, and a listening socket whose connections are counted.

A test may stand in any loop, or block its own, or be a kernel in another process: the counterpart goes on.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
import ssl
import threading
from typing import TYPE_CHECKING, Any, Self, TypeVar

from tests.servers.wire import Wire

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine

log = logging.getLogger(__name__)

T = TypeVar("T")

DEADLINE = 10.0


class LoopThread:
    """A daemon thread with a running event loop."""

    def __init__(self, name: str) -> None:
        self.loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    def start(self) -> None:
        """Run the loop."""
        self._thread.start()

    def call(self, coroutine: Coroutine[Any, Any, T]) -> T:
        """Run a coroutine over there and return its result."""
        return asyncio.run_coroutine_threadsafe(coroutine, self.loop).result(DEADLINE)

    def stop(self) -> None:
        """Stop the loop, wait for the thread, close the loop."""
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join(DEADLINE)
        self.loop.close()

    def _run(self) -> None:
        asyncio.set_event_loop(self.loop)
        self.loop.run_forever()


class Connections:
    """How many connections there are and were. `changed` is notified at every change."""

    def __init__(self, changed: threading.Condition) -> None:
        self.changed = changed
        self.open = 0
        self.peak = 0
        self.total = 0

    def opened(self) -> int:
        """Count one more and return its number, from 1."""
        with self.changed:
            self.open += 1
            self.total += 1
            self.peak = max(self.peak, self.open)
            self.changed.notify_all()
            return self.total

    def closed(self) -> None:
        """Count one less."""
        with self.changed:
            self.open -= 1
            self.changed.notify_all()


class Listener:
    """
    Accept connections and give each to one coroutine, on a thread of its own.

    A client that goes away is ordinary; any other exception in `converse` is raised when the listener stops, so that a
    broken counterpart cannot pass for a fault.
    """

    def __init__(
        self,
        converse: Callable[[Wire], Awaitable[None]],
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        tls: ssl.SSLContext | None = None,
        send_buffer: int | None = None,
    ) -> None:
        self._converse = converse
        self._tls = tls
        self._thread = LoopThread(f"listener {host}")
        self._conversations: set[asyncio.Task[None]] = set()
        self._socket = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if send_buffer is not None:
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, send_buffer)
        self._socket.bind((host, port))
        self.host = host
        self.port = int(self._socket.getsockname()[1])
        self.changed = threading.Condition()
        self.connections = Connections(self.changed)
        self.errors: list[Exception] = []
        self.refused_handshakes: list[Exception] = []

    @property
    def authority(self) -> str:
        """Host and port as they stand in a URL."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    @property
    def loop(self) -> asyncio.AbstractEventLoop:
        """The loop on which `converse` runs."""
        return self._thread.loop

    def start(self) -> None:
        """Listen."""
        self._socket.listen(1024)
        self._socket.setblocking(False)
        self._thread.start()
        asyncio.run_coroutine_threadsafe(self._accept(), self.loop)

    def stop(self) -> None:
        """Abort what is still open. Raises the first error that was not the client's doing. Once is enough."""
        if self.loop.is_closed():
            return
        self._thread.call(self._abort())
        self._thread.stop()
        self._socket.close()
        if self.errors:
            raise self.errors[0]

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def call(self, function: Callable[[], object]) -> None:
        """Run a function on the loop of the listener and wait for it."""

        async def run() -> None:
            function()

        self._thread.call(run())

    def wait_until(self, predicate: Callable[[], bool], timeout: float = DEADLINE) -> None:
        """Block until the predicate holds, asked at every change. Raises `TimeoutError`."""
        with self.changed:
            if not self.changed.wait_for(predicate, timeout):
                message = f"{self.authority}: not reached within {timeout} s: {predicate}"
                raise TimeoutError(message)

    async def until(self, predicate: Callable[[], bool], timeout: float = DEADLINE) -> None:
        """Wait, without blocking the loop, until the predicate holds. Raises `TimeoutError`."""
        await asyncio.to_thread(self.wait_until, predicate, timeout)

    async def _accept(self) -> None:
        loop = asyncio.get_running_loop()
        with contextlib.suppress(asyncio.CancelledError):
            while True:
                sock, _ = await loop.sock_accept(self._socket)
                conversation = loop.create_task(self._hold(sock))
                self._conversations.add(conversation)
                conversation.add_done_callback(self._conversations.discard)

    async def _hold(self, sock: socket.socket) -> None:
        number = self.connections.opened()
        try:
            wire = Wire(sock, number)
            if self._tls is not None:
                await self._shake_hands(wire, self._tls)
            await self._converse(wire)
        except (ConnectionError, ssl.SSLError) as error:
            log.debug("%s: client gone: %r", self.authority, error)
        except OSError as error:
            # The script closed the socket itself, or the client reset it before it was looked at.
            log.debug("%s: socket gone: %r", self.authority, error)
        except Exception as error:  # noqa: BLE001 - raised by stop(), in the thread of the test
            self.errors.append(error)
        finally:
            sock.close()
            self.connections.closed()

    async def _shake_hands(self, wire: Wire, context: ssl.SSLContext) -> None:
        try:
            await wire.start_tls(context)
        except (ssl.SSLError, ConnectionError) as error:
            self.refused_handshakes.append(error)
            raise

    async def _abort(self) -> None:
        current = asyncio.current_task()
        others = [task for task in asyncio.all_tasks() if task is not current]
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)

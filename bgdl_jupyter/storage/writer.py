"""
The thread that writes what arrives, so that no loop waits for a disk.

One thread for the process. Bytes come to it in buffers of 1 MiB that it lends
and takes back; what is queued is bounded, and `room` tells when to go on. What must follow the writes of a file, such
as an fsync, runs in a small pool of its own, so that it holds up no other file.
"""

from __future__ import annotations

import logging
import queue
import threading
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

    from bgdl_jupyter.storage.digests import RunningDigest
    from bgdl_jupyter.storage.partial_file import PartialFile

log = logging.getLogger(__name__)

T = TypeVar("T")

#: What one buffer takes: less costs more calls, more falls out of the processor's cache.
BUFFER_SIZE: Final = 1 << 20
# What a buffer takes while so many are lent that large ones would fill the memory, and when these would, too.
_SMALL_BUFFER_SIZE: Final = 128 * 1024
_SMALLEST_BUFFER_SIZE: Final = 32 * 1024
# What is kept of these to be lent again: the system takes its time to give memory anew.
_KEPT: Final = 8 << 20
_FOLLOWERS_AT_ONCE: Final = 4


@dataclass(frozen=True, slots=True)
class _Write:
    file: PartialFile
    offset: int
    data: memoryview
    digest: RunningDigest | None
    done: Callable[[BaseException | None], None]


@dataclass(frozen=True, slots=True)
class _Follower:
    function: Callable[[], Any]
    outcome: Future[Any]


class Writer:
    """
    Writes in the order of the calls, on one daemon thread that starts with the first write.

    All methods may be called from any thread; none blocks but `close`.

    Parameters
    ----------
    limit:
        The bytes that may be queued before `room` asks to wait, and that lent buffers of full size may take together.
    """

    def __init__(self, limit: int = 32 << 20) -> None:
        self._limit = limit
        self._queue: queue.SimpleQueue[_Write | _Follower | None] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._free: dict[int, list[bytearray]] = {BUFFER_SIZE: [], _SMALL_BUFFER_SIZE: [], _SMALLEST_BUFFER_SIZE: []}
        self._lent: dict[int, bytearray] = {}
        self._lent_bytes = 0
        self._queued_bytes = 0
        self._room: Future[None] | None = None
        self._thread: threading.Thread | None = None
        self._followers: ThreadPoolExecutor | None = None
        self._is_closed = False

    @property
    def queued_bytes(self) -> int:
        """The bytes that wait to be written."""
        return self._queued_bytes

    def buffer(self) -> memoryview:
        """
        Lend a buffer, to be given to `write` or `give_back`: 1 MiB, or 128 or 32 KiB while many are lent.

        It must not be touched any more after that: it is lent again.
        """
        with self._lock:
            if self._lent_bytes + BUFFER_SIZE <= self._limit:
                size = BUFFER_SIZE
            else:
                is_half_more = 2 * self._lent_bytes > 3 * self._limit
                size = _SMALLEST_BUFFER_SIZE if is_half_more else _SMALL_BUFFER_SIZE
            free = self._free[size]
            block = free.pop() if free else bytearray(size)
            self._lent[id(block)] = block
            self._lent_bytes += len(block)
        return memoryview(block)

    def give_back(self, view: memoryview) -> None:
        """Take back a buffer, or a part of one, that is not to be written; anything else is ignored."""
        with self._lock:
            self._take_back(view)

    def _take_back(self, view: memoryview) -> None:
        block = self._lent.pop(id(view.obj), None)
        if block is None:
            return
        self._lent_bytes -= len(block)
        free = self._free[len(block)]
        if len(block) == BUFFER_SIZE or (len(free) + 1) * len(block) <= _KEPT:
            free.append(block)

    def room(self) -> Future[None] | None:
        """Return what to wait for before more is taken from a socket; None while there is room."""
        with self._lock:
            if self._queued_bytes < self._limit:
                return None
            if self._room is None or self._room.done():
                self._room = Future()
            return self._room

    def write(
        self,
        file: PartialFile,
        offset: int,
        view: memoryview,
        *,
        digest: RunningDigest | None,
        done: Callable[[BaseException | None], None],
    ) -> None:
        """
        Queue a write.

        Parameters
        ----------
        file, offset:
            Where the bytes belong.
        view:
            The bytes; a buffer that was lent is taken back when they are written.
        digest:
            Is fed with the bytes after they are written.
        done:
            Called on the writer's thread with the error or None; must not block.
        """
        self._begin()
        with self._lock:
            self._queued_bytes += len(view)
        self._queue.put(_Write(file, offset, view, digest, done))

    def run(self, function: Callable[[], T]) -> Future[T]:
        """Run something that blocks (fsync, hash, commit) after the writes that were queued before, beside others."""
        self._begin()
        outcome: Future[T] = Future()
        self._queue.put(_Follower(function, outcome))
        return outcome

    def _begin(self) -> None:
        with self._lock:
            if self._is_closed:
                raise RuntimeError("the writer was closed")
            if self._thread is None:
                self._followers = ThreadPoolExecutor(_FOLLOWERS_AT_ONCE, thread_name_prefix="bgdl-sync")
                self._thread = threading.Thread(target=self._work, name="bgdl-writer", daemon=True)
                self._thread.start()

    def close(self, timeout: float = 5.0) -> bool:
        """End the thread after what is queued, within ``timeout`` seconds; tell whether it ended. May be repeated."""
        with self._lock:
            self._is_closed = True
            thread, followers = self._thread, self._followers
        if thread is None or followers is None:
            return True
        self._queue.put(None)
        thread.join(timeout)
        followers.shutdown(wait=not thread.is_alive())
        return not thread.is_alive()

    def _work(self) -> None:
        while (entry := self._queue.get()) is not None:
            if isinstance(entry, _Write):
                self._write(entry)
            else:
                self._follow(entry)
            del entry  # else the last buffer and file would live until the next write

    def _write(self, write: _Write) -> None:
        error: BaseException | None = None
        try:
            write.file.write(write.data, write.offset)
            if write.digest is not None:
                write.digest.feed(write.offset, write.data)
        except Exception as caught:  # noqa: BLE001 (whatever it was, the caller is told, and the next write goes on)
            error = caught
        self._make_room(write.data)
        try:
            write.done(error)
        except Exception as caught:  # noqa: BLE001 (the loop that was to be told may be closed)
            log.warning("Nobody could be told of a write: %r", caught)

    def _make_room(self, data: memoryview) -> None:
        with self._lock:
            self._queued_bytes -= len(data)
            self._take_back(data)
            room = self._room if self._queued_bytes <= self._limit // 2 else None
            if room is not None:
                self._room = None
        if room is not None and room.set_running_or_notify_cancel():
            room.set_result(None)

    def _follow(self, follower: _Follower) -> None:
        if self._followers is None or not follower.outcome.set_running_or_notify_cancel():
            return
        self._followers.submit(_carry_out, follower)


def _carry_out(follower: _Follower) -> None:
    try:
        result = follower.function()
    except BaseException as error:  # noqa: BLE001 (it belongs to whoever waits)
        follower.outcome.set_exception(error)
    else:
        follower.outcome.set_result(result)

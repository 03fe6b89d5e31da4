"""
Bodies of middle size: into memory where they come soon, and from there into their files, many in one turn.

Most are whole before a transfer for them would be made. How much of them is in memory is bounded: who finds no room
waits a moment for it, with an open connection, and takes the long way if none comes.
"""

from __future__ import annotations

import asyncio
from collections import deque
from http import HTTPStatus
from typing import TYPE_CHECKING, Final

from bgdl_jupyter.engine.commit import unhindered
from bgdl_jupyter.engine.naming import attempt, by_folder, each, write_back
from bgdl_jupyter.errors import StorageFailed
from bgdl_jupyter.storage.disk import free_space, no_space

if TYPE_CHECKING:
    from bgdl_jupyter.engine.facilities import Facilities
    from bgdl_jupyter.engine.finished import Finished
    from bgdl_jupyter.resource import Answer
    from bgdl_jupyter.storage.folder import Folder

#: Bodies up to this size are received into memory first.
MIDDLE_BODY: Final = 4 * 1024 * 1024
#: What they may take of it together.
MEMORY: Final = 64 * 1024 * 1024
# It is lent in blocks of these sizes, which are lent again: the system takes long to give so much anew.
_SIZES: Final = (1024 * 1024, MIDDLE_BODY)
# Where bodies are late, only a half of it is lent.
_OF_MEMORY: Final = 2
# What is kept of each size when nobody has any of it.
_KEPT: Final = 4 * 1024 * 1024
_LOOK_EVERY: Final = 0.25
_LONGEST_WAIT: Final = 5.0
# How many are sent away in one turn of the loop, and the seconds to the next turn: each becomes a transfer.
_AWAY_AT_ONCE: Final = 8
_NEXT_TURN: Final = 0.02
# After a body that was late nobody waits for so many seconds: others will be late, too.
_SLOW_FOR: Final = 2.0


def is_middle(answer: Answer) -> bool:
    """Whether the body is a whole file that may be received into memory."""
    length = answer.resource.length
    return answer.status == HTTPStatus.OK and length is not None and length <= MIDDLE_BODY and not answer.is_encoded


class MiddleBodies:
    """The memory for all of them, and what writes those that are whole; used on the loop."""

    def __init__(self, facilities: Facilities) -> None:
        self._facilities = facilities
        self._free: dict[int, list[bytearray]] = {size: [] for size in _SIZES}
        self._lent = 0
        # Since when, for how much, and what is done then.
        self._waiting: deque[tuple[float, int, asyncio.Future[bytearray | None]]] = deque()
        self._moved_at = 0.0
        self._slow_until = 0.0
        self._timer: asyncio.TimerHandle | None = None
        self._whole: list[tuple[Finished, asyncio.Future[None]]] = []
        self._is_writing = False

    async def room(self, length: int) -> bytearray | None:
        """Return memory for a body, to be given back; None where there is none, and none comes in a moment."""
        size = next(each for each in _SIZES if length <= each)
        if not self._waiting and (block := self._lend(size)) is not None:
            return block
        loop = asyncio.get_running_loop()
        if loop.time() < self._slow_until:
            return None
        turn: asyncio.Future[bytearray | None] = loop.create_future()
        self._waiting.append((loop.time(), size, turn))
        if self._timer is None:
            self._moved_at = loop.time()
            self._timer = loop.call_later(_LOOK_EVERY, self._look)
        try:
            return await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled() and (block := turn.result()) is not None:
                self.give_back(block)
            raise

    def _most(self) -> int:
        """Return what may be lent: less where bodies are late, for then it only lies there."""
        return MEMORY // _OF_MEMORY if asyncio.get_running_loop().time() < self._slow_until else MEMORY

    def _kept(self) -> int:
        return sum(size * len(free) for size, free in self._free.items())

    def _lend(self, size: int) -> bytearray | None:
        most = self._most()
        if self._lent + size > most:
            return None
        self._lent += size
        if self._free[size]:
            return self._free[size].pop()
        if self._lent + self._kept() > most:
            for free in self._free.values():  # of other sizes
                free.clear()
        return bytearray(size)

    def give_back(self, block: bytearray) -> None:
        """Take memory back, for whoever waits for it."""
        self._moved_at = asyncio.get_running_loop().time()
        self._lent -= len(block)
        if self._lent + self._kept() < self._most():
            self._free[len(block)].append(block)
        while self._waiting:
            _, size, turn = self._waiting[0]
            if not turn.done():
                lent = self._lend(size)
                if lent is None:
                    return
                turn.set_result(lent)
            self._waiting.popleft()
        if not self._lent:
            for each, free in self._free.items():
                del free[_KEPT // each :]

    def late(self) -> None:
        """Hear of a body that did not come soon: it is no use to wait for the memory of others like it."""
        loop = asyncio.get_running_loop()
        self._slow_until = loop.time() + _SLOW_FOR
        if self._timer is not None:
            self._timer.cancel()
            self._timer = loop.call_later(_NEXT_TURN, self._look)

    def _look(self) -> None:
        """Send away who has waited long, and a few after the others while those who have the memory keep it."""
        loop = asyncio.get_running_loop()
        now = loop.time()
        is_hopeless = now < self._slow_until or now - self._moved_at >= _LOOK_EVERY
        away = 0
        while self._waiting and away < _AWAY_AT_ONCE and (is_hopeless or now - self._waiting[0][0] >= _LONGEST_WAIT):
            *_, turn = self._waiting.popleft()
            if not turn.done():
                turn.set_result(None)
                away += 1
        pause = _NEXT_TURN if away == _AWAY_AT_ONCE else _LOOK_EVERY
        self._timer = loop.call_later(pause, self._look) if self._waiting else None

    async def write(self, finished: Finished) -> None:
        """
        Return when the body is in its file, not durable yet; the memory is not needed any more.

        Cancelling waits for it, and the file goes on to its name.

        Raises
        ------
        StorageFailed
            The disk refused, or has no room.
        """
        written: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._whole.append((finished, written))
        if not self._is_writing:
            self._is_writing = True
            self._facilities.place.spawn(self._write(), name="bodies")
        await unhindered(written)

    async def _write(self) -> None:
        """Write what is whole; what becomes so meanwhile is the next batch."""
        batch: list[tuple[Finished, asyncio.Future[None]]] = []
        try:
            while self._whole:
                batch, self._whole = self._whole, []
                await self._facilities.run(_write_all, [finished for finished, _ in batch])
                for finished, written in batch:
                    finished.small_body = memoryview(b"")  # the memory is somebody else's now
                    if finished.failure is None:
                        written.set_result(None)
                        continue
                    if finished.file is not None:
                        await self._facilities.run(finished.file.discard)
                    written.set_exception(finished.failure)
        finally:
            self._is_writing = False
            for _, written in (*batch, *self._whole):
                if not written.done():  # the loop is being shut down: whoever waits must be told
                    written.set_exception(StorageFailed("The writing was interrupted."))


def _write_all(batch: list[Finished]) -> None:
    for entries in by_folder(batch):
        attempt(entries, _write, is_made=True)


def _write(folder: Folder, entries: list[Finished]) -> None:
    _refuse_without_space(folder, entries)
    each(folder, entries, write_back)


def _refuse_without_space(folder: Folder, entries: list[Finished]) -> None:
    """Refuse what would take of the space that is to stay free."""
    free, taken = free_space(folder.path), 0
    for entry in entries:
        if taken + entry.size + entry.order.options.disk_reserve > free:
            entry.failure = no_space(entry.size, free)
        else:
            taken += entry.size

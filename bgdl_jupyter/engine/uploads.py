"""
Hands whole and verified files over to stores: destinations that are no path of this machine.

The bytes came into a private file as always. It is synchronised, the place in the store is
announced in the state file, the store makes the file appear there, the private file goes, the completion is recorded,
and only then told. A run that was cut off in between does the same again: what the store has already is recognised by
its bytes.
"""

from __future__ import annotations

import asyncio
import threading
from concurrent.futures import Future
from typing import TYPE_CHECKING, Final, NamedTuple, ParamSpec, Protocol, TypeVar

from bgdl_jupyter.engine.commit import unhindered
from bgdl_jupyter.ranges import RangeSet

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from bgdl_jupyter.engine.facilities import Facilities
    from bgdl_jupyter.engine.finished import Finished

    #: Makes the publisher of an operation when its file is whole; may load a library, and so blocks.
    PublisherMaker = Callable[[], "Publisher"]

P = ParamSpec("P")
T = TypeVar("T")

# On threads of their own, not on those that write files: an upload takes minutes, and downloads must not wait for it.
_AT_ONCE: Final = 8
_CROWDED: Final = 2 * _AT_ONCE
_TELL_EVERY: Final = 0.5


class Choice(NamedTuple):
    """The URL that a file is to get, and whether it is there already with the very same bytes."""

    url: str
    is_there: bool


class Publisher(Protocol):
    """
    The place in a store that one file is to get.

    Every method blocks, and raises `TransferFailed` or one of its kinds where the store refuses; `NetworkFailed` is
    worth another try.
    """

    def choose(self, staged: Path, announced: str | None) -> Choice:
        """
        Return the URL to use; ``announced`` is the one of a run before that was cut off, None where there was none.

        Raises
        ------
        DestinationExists
            It is taken, and may be neither replaced nor avoided.
        """

    def deliver(self, staged: Path, url: str, *, sent: Callable[[int], None]) -> bool:
        """
        Make the file appear in the store, whole or not at all, and check that it did.

        Parameters
        ----------
        staged:
            The private file.
        url:
            As `choose` returned it.
        sent:
            Is told how many bytes have left; raises `GivenUp` when the upload is to end, which is passed on.

        Returns
        -------
        bool
            False where somebody else got the name meanwhile: choose another.
        """


class GivenUp(Exception):
    """The upload is not wanted any longer: canceled, or the process ends."""


class _Upload:
    """How far an upload is; told by the thread that does it, read by the loop."""

    def __init__(self) -> None:
        self.sent = 0
        self.is_wanted = True

    def count(self, sent: int) -> None:
        if not self.is_wanted:
            raise GivenUp
        self.sent = sent


class Uploads:
    """Delivers files to stores, some at once; belongs to the engine's loop."""

    def __init__(self, facilities: Facilities) -> None:
        self._facilities = facilities
        self._places = asyncio.Semaphore(_AT_ONCE)
        self._under_way = 0

    @property
    def is_crowded(self) -> bool:
        """Whether so many files wait that no more should be fetched meanwhile."""
        return self._under_way >= _CROWDED

    async def deliver(self, finished: Finished, make: PublisherMaker, tell: Callable[[str], None]) -> None:
        """
        Return when the store has the file and that is recorded.

        Parameters
        ----------
        finished:
            The file that has all its bytes; its ``destination`` plays no part.
        make:
            Makes the publisher.
        tell:
            Is told in words how far it is.

        Raises
        ------
        TransferFailed
            The store did not take the file; the private one is kept.
        DestinationExists
            See `Publisher.choose`.
        LeaseLost
            Another kernel owns the operation.
        asyncio.CancelledError
            Canceled before the file appeared in the store.
        """
        self._under_way += 1
        try:
            staged = await self._stage(finished)
            publisher = await self.run(make)
            url = await self._hand_over(finished, publisher, staged, tell)
            await unhindered(asyncio.ensure_future(self._complete(finished, url)))
        finally:
            self._under_way -= 1

    async def _complete(self, finished: Finished, url: str) -> None:
        # The private file goes first: a crash before the record costs another fetch, never space for ever.
        await finished.held.discard_file()
        completed = finished.completed(url)
        await self._facilities.journal.remember_completed([completed])
        finished.publish(completed)

    async def _stage(self, finished: Finished) -> Path:
        """Have all bytes on the disk."""
        holding = finished.held
        file = await holding.open_file()
        if finished.small_body is not None:
            await self._facilities.run(file.write, finished.small_body, 0)
            holding.written = RangeSet.of([(0, finished.size)])
        await self._facilities.sync(file)
        await self._facilities.run(file.check, finished.size)
        return file.path

    async def _hand_over(
        self, finished: Finished, publisher: Publisher, staged: Path, tell: Callable[[str], None]
    ) -> str:
        while True:
            choice = await self.run(publisher.choose, staged, finished.held.durable.committing)
            await finished.held.announce(choice.url)
            if choice.is_there or await self._upload(finished, publisher, staged, choice.url, tell):
                return choice.url

    async def _upload(
        self, finished: Finished, publisher: Publisher, staged: Path, url: str, tell: Callable[[str], None]
    ) -> bool:
        """Upload, and wait to the end even when canceled meanwhile: if the file appeared all the same, it is there."""
        upload = _Upload()
        running = asyncio.ensure_future(self.run(publisher.deliver, staged, url, sent=upload.count))
        canceled: asyncio.CancelledError | None = None
        told = ""
        while not running.done():
            if told != (told := _words(upload.sent, finished.size, url)):
                tell(told)
            try:
                await asyncio.wait({running}, timeout=_TELL_EVERY)
            except asyncio.CancelledError as error:
                upload.is_wanted, canceled = False, error
        if canceled is not None and (running.exception() is not None or not running.result()):
            raise canceled
        return running.result()

    async def run(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run something that talks to a store on a thread of its own; a few at once."""
        outcome: Future[T] = Future()

        def work() -> None:
            if not outcome.set_running_or_notify_cancel():
                return
            try:
                outcome.set_result(function(*args, **kwargs))
            except BaseException as error:  # noqa: BLE001 (raised where it is awaited)
                outcome.set_exception(error)

        async with self._places:
            # A daemon: a store that does not answer must not keep the process from ending.
            threading.Thread(target=work, name="bgdl-store", daemon=True).start()
            return await asyncio.wrap_future(outcome)


def _words(sent: int, size: int, url: str) -> str:
    return f"uploading to {url}" + (f", {sent * 100 // size} %" if sent and size else "")

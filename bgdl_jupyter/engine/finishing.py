"""The end of a transfer: what came is verified, and the file gets its name or goes to its store."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from bgdl_jupyter.engine.finished import Finished
from bgdl_jupyter.engine.verification import has_right_digest, integrity_of
from bgdl_jupyter.errors import TransferFailed
from bgdl_jupyter.status import TransferActivity
from bgdl_jupyter.transport.base import Framing

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from pathlib import Path

    from bgdl_jupyter.engine.facilities import Facilities
    from bgdl_jupyter.engine.holding import Holding
    from bgdl_jupyter.engine.order import Order
    from bgdl_jupyter.engine.uploads import PublisherMaker
    from bgdl_jupyter.events import Event

    #: Waits until it is worth another try, and tells whether the last one counts; raises the error where none is.
    BackOff = Callable[[TransferFailed, int], Awaitable[bool]]


@dataclass(slots=True, kw_only=True, eq=False)
class Fetched:
    """
    What the requests of a transfer brought, beside the bytes in the partial file.

    ``small_body`` is the whole file where it is not on the disk yet, ``framing`` how its end was known, and
    ``destination`` the path that it has the right to; None while only the server knows its name.
    """

    destination: Path | None
    small_body: memoryview | None = None
    framing: Framing = Framing.LENGTH

    @property
    def small_size(self) -> int | None:
        """The bytes that are not on the disk yet; None where they go there as they come."""
        return len(self.small_body) if self.small_body is not None else None


class Finishing:
    """
    Brings what was fetched to its place.

    Parameters
    ----------
    tell:
        Is told the activity, and words about it.
    publish:
        Is told everything that happens.
    leave:
        Gives the place at the front back.
    """

    def __init__(
        self,
        order: Order,
        fetched: Fetched,
        *,
        holding: Holding,
        facilities: Facilities,
        tell: Callable[..., None],
        publish: Callable[[Event], None],
        leave: Callable[[], None],
    ) -> None:
        self._order = order
        self._fetched = fetched
        self._holding = holding
        self._facilities = facilities
        self._tell = tell
        self._publish = publish
        self._leave = leave

    async def is_right(self) -> bool:
        """Whether what was fetched has the digest that is known of it."""
        if self._holding.expected_digest is not None and self._fetched.small_body is None:
            self._tell(TransferActivity.VERIFYING)  # which takes its time
        return await has_right_digest(self._holding, self._facilities, self._fetched.small_body)

    @property
    def is_crowded(self) -> bool:
        """Whether so many files wait for their names that no more should be fetched meanwhile."""
        facilities = self._facilities
        return (facilities.committer if self._order.publisher is None else facilities.uploads).is_crowded

    async def deliver(self, back_off: BackOff) -> None:
        """Return when the file has its name, or is in its store, and that is durable."""
        # A watermark that is recorded behind the announcement would take it back, and a file that has its name by then
        # would not be known again.
        await self._holding.finish_recording()
        resource = self._holding.resource
        assert resource is not None  # noqa: S101 (an answer was accepted)
        path = self._fetched.destination
        finished = self._finished(path or self._order.path_for(resource), is_ours=path is not None)
        if self._order.publisher is None:
            await self._facilities.committer.commit(finished)
        else:
            await self._upload(finished, self._order.publisher, back_off)

    async def finish_published(self, path: Path) -> None:
        """Record a file that got its name just before its kernel died."""
        await self._facilities.committer.finish_published(self._finished(path, is_ours=True))

    async def _upload(self, finished: Finished, make: PublisherMaker, back_off: BackOff) -> None:
        failures = 0
        while True:
            try:
                return await self._facilities.uploads.deliver(finished, make, self._tell_upload)
            except TransferFailed as error:
                if not error.is_transient:
                    raise
                failures += await back_off(error, failures)

    def _tell_upload(self, words: str) -> None:
        self._tell(TransferActivity.COMMITTING, reason=words)

    def _finished(self, path: Path, *, is_ours: bool) -> Finished:
        holding, expected = self._holding, self._holding.expected_digest
        return Finished(
            order=self._order,
            durable=holding.durable,
            holding=holding,
            file=holding.file,
            place=str(path),
            is_ours=is_ours,
            small_body=self._fetched.small_body,
            size=holding.length or holding.written.total,
            integrity=integrity_of(expected, holding.resource, self._fetched.framing),
            digest=str(expected) if expected else None,
            publish=self._publish,
            leave=self._leave,
        )

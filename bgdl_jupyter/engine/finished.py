"""A file that has all its bytes, on its way to its name."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from bgdl_jupyter.events import Completed

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path
    from uuid import UUID

    from bgdl_jupyter.engine.holding import Holding
    from bgdl_jupyter.engine.order import Durable, Order
    from bgdl_jupyter.events import Event
    from bgdl_jupyter.status import Integrity
    from bgdl_jupyter.storage.descriptor import Footprint
    from bgdl_jupyter.storage.partial_file import PartialFile


@dataclass(slots=True, kw_only=True, eq=False)
class Finished:
    """
    A file that has all its bytes, on its way to its name.

    ``place`` is the path that it is to get; where that is not ``is_ours`` yet, it gets one like it. ``holding``
    has the bytes where they are not all in ``small_body``, and ``is_written`` tells whether those are in ``file``
    already. ``failure``, ``footprint`` and
    ``path`` are what came of it; ``ended`` is called with None when that is recorded and told, or with the error.
    ``leave`` gives its place at the front back, as soon as not too many files wait for their names.
    """

    order: Order
    durable: Durable
    place: str
    is_ours: bool
    small_body: memoryview | None
    size: int
    integrity: Integrity
    digest: str | None
    publish: Callable[[Event], None]
    holding: Holding | None = None
    file: PartialFile | None = None
    is_written: bool = False
    ended: Callable[[BaseException | None], None] | None = None
    leave: Callable[[], None] | None = None
    path: Path | None = None
    footprint: Footprint | None = None
    failure: BaseException | None = None

    @property
    def operation_id(self) -> UUID:
        """Whose it is."""
        return self.order.operation_id

    @property
    def held(self) -> Holding:
        """What holds its bytes, where they are not all in ``small_body``."""
        assert self.holding is not None  # noqa: S101 (a transfer made it)
        return self.holding

    def announcement(self) -> Durable:
        """Return what the state file is to know before the file gets its name."""
        if self.small_body is None:
            return self.held.ready_to_commit(self.place)
        assert self.file is not None  # noqa: S101 (it was just written)
        return self.durable.announced(self.size, self.file.identity, self.place)

    def completed(self, path: Path | str | None = None) -> Completed:
        """Return the fact that the file has its name, or is at this URL."""
        return Completed(
            operation_id=self.order.operation_id,
            path=str(path or self.path or self.place),
            size=self.size,
            integrity=self.integrity,
            digest=self.digest,
            footprint=self.footprint,
        )

    def make_room(self) -> None:
        """Give its place at the front back, once."""
        leave, self.leave = self.leave, None
        if leave is not None:
            leave()

    def close(self) -> None:
        """Close the file; may be repeated."""
        if self.holding is not None:
            self.holding.close()
        if self.file is not None:
            self.file.close()

    def fail(self, error: BaseException) -> None:
        """Let whoever waits know that it has failed, unless it has ended before."""
        if self.ended is not None:
            if self.small_body is not None and self.file is not None:
                self.file.close()  # of the others something is still to be made durable
            self.end(error)

    def end(self, error: BaseException | None = None) -> None:
        """Let whoever waits know that it has ended."""
        ended, self.ended = self.ended, None
        if ended is not None:
            ended(error)

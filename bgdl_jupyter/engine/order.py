"""What a transfer is told, what it is told to remember, and the seam to whoever remembers it."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from bgdl_jupyter.engine.retry import RetryPolicy
from bgdl_jupyter.ranges import EMPTY, RangeSet
from bgdl_jupyter.resource import OVERLAP, Resource, Validator
from bgdl_jupyter.status import CreationCollisionOption
from bgdl_jupyter.storage.descriptor import FileIdentity
from bgdl_jupyter.storage.filenames import safe_name

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping
    from uuid import UUID

    from bgdl_jupyter.engine.uploads import PublisherMaker
    from bgdl_jupyter.events import Completed
    from bgdl_jupyter.resource import Digest
    from bgdl_jupyter.storage.descriptor import Footprint
    from bgdl_jupyter.transport.base import Request


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """
    The settings of one operation, copied when it was created. Times are in seconds, sizes in bytes.

    ``is_repeatable`` is False for a request that must not arrive twice by itself, ``may_ask_for_parts`` False for one
    that has no ranges: only a GET has (RFC 9110, 14.2).
    """

    stall_timeout: float = 30.0
    stall_bytes: int = 4096
    overlap: int = OVERLAP
    retry: RetryPolicy = field(default_factory=RetryPolicy)
    max_connections: int = 16
    require_length: bool = False
    expect_type: str | None = None
    max_size: int | None = None
    trusts_unverified: bool = False
    guards_active_names: bool = False
    is_repeatable: bool = True
    may_ask_for_parts: bool = True
    is_random_access_required: bool = False
    disk_reserve: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """
    What one transfer is to achieve.

    ``place`` is the path of the file, None until the server has named it; then ``directory`` holds it. Where there is a
    ``publisher``, the file goes to a store and ``directory`` is where its bytes are until they are whole. ``sources``
    are what may be shown of the URI and of its mirrors, ``replaces`` the files that OPEN_IF_EXISTS may replace.
    """

    operation_id: UUID
    directory: Path
    place: str | None
    fallback_name: str
    collision: CreationCollisionOption = CreationCollisionOption.GENERATE_UNIQUE_NAME
    digest: Digest | None = None
    replaces: frozenset[Footprint] = frozenset()
    publisher: PublisherMaker | None = None
    sources: tuple[str, ...] = ("",)
    options: Options = field(default_factory=Options)

    @property
    def destination(self) -> Path | None:
        """The path of the file; made when it is asked for, since small files are named by its text."""
        return None if self.place is None else Path(self.place)

    def path_for(self, resource: Resource) -> Path:
        """Return the path that the server's name for the file leads to; somebody else may have it."""
        given, fallback = resource.suggested_name, self.fallback_name
        guards_active = given is not None and self.options.guards_active_names
        return self.directory / safe_name(given or fallback, fallback=fallback, guards_active=guards_active)


@dataclass(frozen=True, slots=True, kw_only=True)
class Durable:
    """
    What the state file knows of an operation's bytes: the one place from which every transfer begins.

    ``file_epoch`` is the epoch in the partial file's name, ``epoch`` that of the present lease; ``is_disputed`` when
    the owner before us is not proven dead, so that its descriptor must not reach our file. ``committing`` is the
    path that was about to get the file, ``source`` the place among the order's that the bytes came from last.
    """

    epoch: int = 1
    resource: Resource | None = None
    finished: RangeSet = EMPTY
    file: FileIdentity | None = None
    file_epoch: int = 1
    is_disputed: bool = False
    restarts: int = 0
    committing: str | None = None
    source: int = 0

    def to_record(self) -> dict[str, Any]:
        """Return the JSON form; the lease is the state file's own."""
        return {
            "resource": self.resource.to_record() if self.resource else None,
            "finished": self.finished.to_pairs(),
            "file": [self.file.device, self.file.inode] if self.file else None,
            "file_epoch": self.file_epoch,
            "restarts": self.restarts,
            "committing": self.committing,
            "source": self.source,
        }

    @classmethod
    def from_record(cls, record: Mapping[str, Any] | None, *, epoch: int, is_disputed: bool = False) -> Durable:
        """Return what a JSON form says; a wrong shape raises ``KeyError``, ``TypeError`` or ``ValueError``."""
        if record is None:
            return cls(epoch=epoch, file_epoch=epoch, is_disputed=is_disputed)
        return cls(
            epoch=epoch,
            resource=Resource.from_record(record["resource"]) if record["resource"] else None,
            finished=RangeSet.of((int(start), int(stop)) for start, stop in record["finished"]),
            file=FileIdentity(int(record["file"][0]), int(record["file"][1])) if record["file"] else None,
            file_epoch=int(record["file_epoch"]),
            is_disputed=is_disputed,
            restarts=int(record["restarts"]),
            committing=record["committing"],
            source=int(record.get("source", 0)),
        )

    @property
    def is_nothing(self) -> bool:
        """Whether there is nothing to begin from: neither bytes nor a file nor a place that had some."""
        return self.file is None and self.resource is None and not self.finished and not self.source

    def announced(self, size: int, file: FileIdentity, place: str) -> Durable:
        """Return the record that a small body is in a file, and which name that is about to get."""
        return Durable(
            epoch=self.epoch,
            finished=RangeSet.whole(size),
            file=file,
            file_epoch=self.epoch,
            is_disputed=self.is_disputed,
            restarts=self.restarts,
            committing=place,
            source=self.source,
        )

    def forgotten(self) -> Durable:
        """Return the state of an operation that begins from nothing."""
        return replace(self, resource=None, finished=EMPTY, file=None, restarts=0, committing=None)


class LeaseLost(Exception):
    """Another kernel owns the operation now; nothing of it may be written here any more."""


class Journal(Protocol):
    """Who remembers. Every method returns when the record is durable, and raises `LeaseLost` when it is not ours."""

    async def remember(self, operation_id: UUID, durable: Durable) -> None:
        """Record the watermark and what it belongs to."""

    async def remember_all(self, records: list[tuple[UUID, Durable]]) -> list[bool]:
        """Record many in one transaction; False stands for a lost lease."""

    async def name_all(self, records: list[tuple[UUID, Durable, Path]]) -> list[Path | None]:
        """
        Record many whose files have no name yet, in one transaction, and return their names: as given, or like these.

        None stands for a lost lease. The name is then reserved, and recorded as the one that the file is about to get.
        """

    async def remember_completed(self, completed: list[Completed]) -> None:
        """Record many final states in one transaction."""


class RequestMaker(Protocol):
    """Makes the request of an attempt from what the operation says now: URI, headers and credentials may change."""

    def __call__(
        self, *, start: int | None, stop: int | None, condition: Validator | None, source: int
    ) -> Awaitable[Request]:
        """Return a request for a range, or for everything, to one of the places of the file."""


if TYPE_CHECKING:
    #: Waits out of the way of others until a (monotonic) time has come and there is room again.
    Park = Callable[[float, str], Awaitable[None]]

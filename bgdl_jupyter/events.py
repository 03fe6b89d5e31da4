"""
What happened, as frozen values, and the stream that tells it.

Commands go down, facts come up: the engine publishes, the model applies, front ends listen. Everything is published
on the engine's loop.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable
    from uuid import UUID

    from bgdl_jupyter.errors import BackgroundTransferError
    from bgdl_jupyter.post_processing import PostProcessing
    from bgdl_jupyter.ranges import ByteRange, RangeSet
    from bgdl_jupyter.resource import Resource
    from bgdl_jupyter.status import BackgroundTransferStatus, Integrity, TransferActivity

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """Something that happened."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OperationEvent(Event):
    """Something that happened to one operation."""

    operation_id: UUID


@dataclass(frozen=True, slots=True, kw_only=True)
class OperationsAdded(Event):
    """Operations exist, in this order: created, restored, or adopted from another application."""

    operation_ids: tuple[UUID, ...]
    was_restored: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class OperationRemoved(OperationEvent):
    """An operation is not kept any longer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StatusChanged(OperationEvent):
    """A step was taken; ``reason`` says in a sentence why the operation is not moving, empty where it is."""

    old: BackgroundTransferStatus
    new: BackgroundTransferStatus
    reason: str = ""
    error: BackgroundTransferError | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ActivityChanged(OperationEvent):
    """A running operation does something else; ``until`` is the (wall clock, UTC) end of a wait."""

    activity: TransferActivity
    reason: str = ""
    until: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ResourceProbed(OperationEvent):
    """The server said what is there."""

    resource: Resource


@dataclass(frozen=True, slots=True, kw_only=True)
class ArrivedAtOnce(ResourceProbed):
    """The server said what is there, and all of it came with that: the file is about to get its name."""

    bytes_received: int


@dataclass(frozen=True, slots=True, kw_only=True)
class DestinationChosen(OperationEvent):
    """The file's name is known: given by the server, or another one because the first was taken."""

    path: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Progressed(OperationEvent):
    """Bytes were written. ``rate`` is in bytes per second."""

    bytes_received: int
    total_bytes: int | None
    rate: float
    finished: RangeSet
    connections: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class RangesArrived(OperationEvent):
    """Ranges came in since the last such event; ``was_restarted`` when earlier ones are void."""

    added: tuple[ByteRange, ...]
    was_restarted: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Restarted(OperationEvent):
    """What was there is void; the transfer begins again at byte 0."""

    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Completed(OperationEvent):
    """
    The file is whole, verified as far as could be, and has its name.

    ``footprint`` are its inode, size and time, by which it is known while nobody touches it; None in a store.
    """

    path: str
    size: int
    integrity: Integrity
    digest: str | None = None
    footprint: tuple[int, int, int] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PostProcessingChanged(OperationEvent):
    """What follows a complete file is in another state, or further on."""

    old: PostProcessing
    new: PostProcessing


@dataclass(frozen=True, slots=True, kw_only=True)
class OptionsChanged(OperationEvent):
    """A setting that a view may show was changed: priority, headers, URI, cost policy."""

    names: frozenset[str] = field(default_factory=frozenset)


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupChanged(Event):
    """A group of an application came, went, or has other limits."""

    application: str
    name: str


class AlertKind(Enum):
    """What an alert is about."""

    SUCCESS = "success"
    FAILURE = "failure"
    WARNING = "warning"


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertRaised(Event):
    """Something a person should see once. Alerts with the same ``tag`` replace each other."""

    alert_id: str
    application: str
    kind: AlertKind
    title: str
    body: str
    tag: str | None = None
    group: str | None = None
    while_away: bool = False
    expires_at: float | None = None
    is_quiet: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertDismissed(Event):
    """An alert was read or has expired."""

    alert_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TileChanged(Event):
    """The lines that an application has at the head of its panel are others; ``texts`` are those on show."""

    application: str
    texts: tuple[str, ...] = ()


class EventStream:
    """
    Tells every listener every event, in order, on the thread that publishes.

    A listener that raises is logged and stays: a broken view must not stop a download.
    """

    def __init__(self) -> None:
        self._listeners: dict[int, tuple[Callable[[Event], None], tuple[type[Event], ...]]] = {}
        self._interested: dict[type[Event], tuple[Callable[[Event], None], ...]] = {}
        self._next = 0

    def subscribe(self, listener: Callable[[Event], None], *kinds: type[Event]) -> Callable[[], None]:
        """Call ``listener`` with every event of these kinds (none: of all) from now on; return what ends that."""
        number = self._next
        self._next += 1
        self._listeners[number] = listener, kinds or (Event,)
        self._interested.clear()

        def end() -> None:
            self._listeners.pop(number, None)
            self._interested.clear()

        return end

    def _interested_in(self, kind: type[Event]) -> tuple[Callable[[Event], None], ...]:
        found = tuple(listener for listener, kinds in self._listeners.values() if issubclass(kind, kinds))
        self._interested[kind] = found
        return found

    def publish(self, event: Event) -> None:
        """Tell all who listen to its kind."""
        kind = type(event)
        interested = self._interested.get(kind)
        for listener in self._interested_in(kind) if interested is None else interested:
            try:
                listener(event)
            except Exception:
                log.exception("A listener failed on %s", type(event).__name__)

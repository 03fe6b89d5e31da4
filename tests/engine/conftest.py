"""Transfers without a model: an order, a memory for the journal, and everything that is told."""

from __future__ import annotations

import asyncio
import threading
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, TypeVar
from uuid import UUID, uuid4

import pytest

from bgdl_jupyter.engine.at_once import AtOnce
from bgdl_jupyter.engine.facilities import Facilities, known_schemes
from bgdl_jupyter.engine.loop import LoopPlace
from bgdl_jupyter.engine.order import Durable, LeaseLost, Options, Order
from bgdl_jupyter.engine.rate_limit import CombinedLimiter
from bgdl_jupyter.engine.retry import RetryPolicy
from bgdl_jupyter.engine.transfer import Transfer
from bgdl_jupyter.events import Completed, Event, Restarted
from bgdl_jupyter.storage.partial_file import partial_name
from bgdl_jupyter.transport.base import Request, Safety
from bgdl_jupyter.uris import split_uri

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from pathlib import Path

    from bgdl_jupyter.engine.first import First
    from bgdl_jupyter.resource import Resource, Validator

E = TypeVar("E", bound=Event)


class MemoryJournal:
    """Remembers as the state file does, through the same records."""

    def __init__(self) -> None:
        self.durable: dict[UUID, Durable] = {}
        self.records: list[Durable] = []
        self.completed: list[Completed] = []
        self.is_ours = True

    async def remember(self, operation_id: UUID, durable: Durable) -> None:
        if not self.is_ours:
            raise LeaseLost
        self.records.append(durable)
        self.durable[operation_id] = Durable.from_record(durable.to_record(), epoch=durable.epoch)

    async def remember_all(self, records: list[tuple[UUID, Durable]]) -> list[bool]:
        if self.is_ours:
            for operation_id, durable in records:
                await self.remember(operation_id, durable)
        return [self.is_ours] * len(records)

    async def name_all(self, records: list[tuple[UUID, Durable, Path]]) -> list[Path | None]:
        named = [(operation_id, replace(durable, committing=str(path))) for operation_id, durable, path in records]
        ours = await self.remember_all(named)
        return [path if is_ours else None for (_, _, path), is_ours in zip(records, ours, strict=True)]

    async def remember_completed(self, completed: list[Completed]) -> None:
        self.completed += completed


@dataclass
class Fetch:
    """One operation, run as often as the test likes: each run begins from what the journal says."""

    facilities: Facilities
    folder: Path
    uri: str
    journal: MemoryJournal
    name: str | None = "file.bin"
    mirrors: tuple[str, ...] = ()
    settings: dict[str, Any] = field(default_factory=dict)
    order: dict[str, Any] = field(default_factory=dict)
    operation_id: UUID = field(default_factory=uuid4)
    epoch: int = 1
    events: list[Event] = field(default_factory=list)
    changed: asyncio.Event = field(default_factory=asyncio.Event)
    has_left: bool = False

    @property
    def path(self) -> Path:
        return self.folder / (self.name or "chosen.bin")

    @property
    def part(self) -> Path:
        return self.folder / partial_name(self.operation_id, self.epoch)

    @property
    def durable(self) -> Durable:
        return self.journal.durable.get(self.operation_id, Durable(epoch=self.epoch, file_epoch=self.epoch))

    def transfer(self) -> AtOnce:
        """Return one run, as an operation has it."""
        return AtOnce(
            self._order(),
            replace(self.durable, epoch=self.epoch),
            facilities=self.facilities,
            limiter=CombinedLimiter(),
            make_request=self._request,
            leave=self._leave,
            publish=self._publish,
            otherwise=self.thorough,
        )

    def _order(self) -> Order:
        options = Options(**{"retry": RetryPolicy(max_retries=3), **self.settings})
        return Order(
            operation_id=self.operation_id,
            directory=self.folder,
            place=None if self.name is None else str(self.path),
            fallback_name="fallback",
            sources=(self.uri, *self.mirrors),
            options=options,
            **self.order,
        )

    def thorough(self, first: First | None = None) -> Transfer:
        """Return what a file needs that does not come at once."""
        return Transfer(
            self._order(),
            replace(self.durable, epoch=self.epoch),
            facilities=self.facilities,
            limiter=CombinedLimiter(),
            make_request=self._request,
            choose_destination=self._choose,
            park=self._park,
            leave=self._leave,
            publish=self._publish,
            draw=lambda: 0.0,
            first=first,
        )

    async def run(self) -> Completed:
        """Transfer, and return the completion."""
        await self.transfer().run()
        return self.of(Completed)[-1]

    def start(self) -> asyncio.Task[Completed]:
        return asyncio.ensure_future(self.run())

    async def until(self, is_so: Callable[[], bool]) -> None:
        """Wait until the condition holds; asked at each event."""
        async with asyncio.timeout(15):
            while not is_so():
                self.changed.clear()
                await self.changed.wait()

    def of(self, kind: type[E]) -> list[E]:
        return [each for each in self.events if isinstance(each, kind)]

    @property
    def restarts(self) -> list[str]:
        return [each.reason for each in self.of(Restarted)]

    def _leave(self) -> None:
        self.has_left = True

    def _publish(self, event: Event) -> None:
        self.events.append(event)
        self.changed.set()

    async def _request(
        self, *, start: int | None, stop: int | None, condition: Validator | None, source: int
    ) -> Request:
        uri = split_uri([self.uri, *self.mirrors][source], known_schemes())
        return Request(uri=uri, start=start, stop=stop, condition=condition, safety=Safety(), response_timeout=5.0)

    async def _choose(self, _: Resource) -> Path:
        return self.path

    async def _park(self, until: float, _: str) -> None:
        await asyncio.sleep(max(0.0, until - asyncio.get_running_loop().time()))


@pytest.fixture
async def fetch(tmp_path: Path) -> AsyncIterator[Callable[..., Fetch]]:
    """Make operations: `fetch(uri, name=…, collision=…, digest=…, stall_timeout=…)`."""
    journal = MemoryJournal()
    place = LoopPlace(asyncio.get_running_loop(), threading.current_thread(), kind="main", reason="The test's loop.")
    facilities = Facilities(place, journal)
    folder = tmp_path / "out"
    folder.mkdir()

    def make(uri: str, *, name: str | None = "file.bin", mirrors: tuple[str, ...] = (), **values: Any) -> Fetch:
        order: dict[str, Any] = {key: values.pop(key) for key in ("collision", "digest") if key in values}
        return Fetch(facilities, folder, uri, journal, name=name, mirrors=mirrors, settings=values, order=order)

    yield make
    await facilities.aclose()

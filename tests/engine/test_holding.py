"""The order of effects: bytes are in the file, then durable, then recorded, and nothing else is ever claimed."""

from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING

import pytest

from bgdl_jupyter.engine.order import LeaseLost
from bgdl_jupyter.errors import StorageFailed
from bgdl_jupyter.events import Completed
from bgdl_jupyter.storage.partial_file import PartialFile
from tests.servers.content import file_sha256
from tests.servers.faults import hold_after
from tests.servers.files import FileSpec

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.engine.conftest import Fetch
    from tests.servers.fixtures import StartFaultServer

LARGE = 40_000_000


async def test_a_watermark_is_recorded_only_after_the_bytes_are_durable(
    fault_server: StartFaultServer, fetch: Callable[..., Fetch], monkeypatch: pytest.MonkeyPatch
):
    """What is recorded was in the file when the sync began, and at most 8 MiB are not recorded."""
    spec = FileSpec(size=LARGE)
    one = fetch(fault_server({"/a": spec}).url("/a"), max_connections=1)
    steps: list[tuple[str, int]] = []
    sync, remember = PartialFile.sync, one.journal.remember
    behind: list[int] = []
    rates: list[float] = []

    def note_sync(self: PartialFile) -> None:
        sync(self)
        steps.append(("sync", self.path.stat().st_size))

    async def note_record(operation_id, durable) -> None:
        steps.append(("record", durable.finished.stop))
        await remember(operation_id, durable)

    monkeypatch.setattr(PartialFile, "sync", note_sync)
    monkeypatch.setattr(one.journal, "remember", note_record)
    transfer = one.thorough()
    wrote = transfer._holding.wrote

    def note_behind(start: int, stop: int) -> None:
        wrote(start, stop)
        behind.append(transfer._holding.written.total - one.durable.finished.total)
        rates.append(transfer._holding.rate)

    monkeypatch.setattr(transfer._holding, "wrote", note_behind)
    await transfer.run()
    assert file_sha256(one.path) == spec.sha256
    records = [(number, stop) for number, (what, stop) in enumerate(steps) if what == "record" and stop]
    assert len(records) >= 3
    for number, stop in records:
        synced = [size for what, size in steps[:number] if what == "sync"]
        assert synced, "recorded before anything was durable"
        assert stop <= max(synced)
    assert max(behind) <= max(8 * 1024 * 1024, 0.1 * max(rates))


async def test_bytes_come_while_the_disk_takes_in_those_before(
    fault_server: StartFaultServer, fetch: Callable[..., Fetch], monkeypatch: pytest.MonkeyPatch
):
    """A sync that takes its time stops nothing until the most that may be not durable has come."""
    spec = FileSpec(size=LARGE)
    one = fetch(fault_server({"/a": spec}).url("/a"), max_connections=1)
    transfer = one.thorough()
    sync, wrote = PartialFile.sync, transfer._holding.wrote
    has_come = threading.Event()
    came_in_time: list[bool] = []

    def note_written(start: int, stop: int) -> None:
        wrote(start, stop)
        if transfer._holding.written.total - one.durable.finished.total >= 6 * 1024 * 1024:
            has_come.set()

    def sync_slowly(self: PartialFile) -> None:
        if not came_in_time:
            came_in_time.append(has_come.wait(5))
        sync(self)

    monkeypatch.setattr(transfer._holding, "wrote", note_written)
    monkeypatch.setattr(PartialFile, "sync", sync_slowly)
    await transfer.run()
    assert came_in_time == [True]
    assert file_sha256(one.path) == spec.sha256


async def test_a_transfer_whose_lease_is_lost_writes_and_publishes_nothing_more(
    fault_server: StartFaultServer, fetch: Callable[..., Fetch]
):
    spec = FileSpec(size=1_000_000, faults=(hold_after(500_000, until="go", on=1),))
    server = fault_server({"/a": spec})
    one = fetch(server.url("/a"))
    running = one.start()
    await one.until(lambda: bool(one.events) and one.durable.file is not None)
    one.journal.is_ours = False
    server.events.set("go")
    with pytest.raises(LeaseLost):
        await running
    assert not one.path.exists()
    assert one.of(Completed) == []
    assert one.journal.completed == []


async def test_a_sync_that_fails_ends_the_transfer_and_leaves_the_last_good_record(
    fault_server: StartFaultServer, fetch: Callable[..., Fetch], monkeypatch: pytest.MonkeyPatch
):
    """After a failed fsync nobody knows what is on the disk: it is not tried again and not recorded."""

    def fail(_: object) -> None:
        raise StorageFailed("The disk did not take the bytes.")

    one = fetch(fault_server({"/a": FileSpec(size=LARGE)}).url("/a"), max_connections=1)
    with monkeypatch.context() as patch:
        patch.setattr(PartialFile, "sync", fail)
        with pytest.raises(StorageFailed):
            await one.run()
    assert one.durable.finished.total == 0
    assert not one.path.exists()
    await one.run()
    assert one.path.stat().st_size == LARGE


async def test_a_cancel_during_the_transfer_closes_the_descriptor(
    fault_server: StartFaultServer, fetch: Callable[..., Fetch]
):
    server = fault_server({"/a": FileSpec(size=1_000_000, faults=(hold_after(500_000, until="go"),))})
    one = fetch(server.url("/a"))
    transfer = one.thorough()
    running = asyncio.ensure_future(transfer.run())
    await one.until(lambda: one.durable.file is not None)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert transfer._holding.file is None
    await server.until(lambda: server.connections_open == 0)

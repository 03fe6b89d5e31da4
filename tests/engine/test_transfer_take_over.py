"""A pause, a crash or another owner loses no durable byte and splices none in."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING

import pytest

from bgdl_jupyter.errors import HttpStatusError
from bgdl_jupyter.events import Progressed
from bgdl_jupyter.resource import OVERLAP
from tests.servers.content import file_sha256
from tests.servers.faults import cut_after, hold_after, status
from tests.servers.files import FileSpec

if TYPE_CHECKING:
    from uuid import UUID

    from bgdl_jupyter.engine.order import Durable
    from bgdl_jupyter.storage.partial_file import PartialFile
    from tests.engine.transfers import NewFetch
    from tests.servers.fixtures import StartFaultServer

BIG = 1_000_000
HALF = 500_000
# Enough to be recorded on the way.
WATERMARKED = 6_000_000


async def test_a_pause_leaves_bytes_that_are_durable(fault_server: StartFaultServer, fetch: NewFetch):
    spec = FileSpec(size=BIG, faults=(hold_after(HALF, until="go", on=1),))
    server = fault_server({"/a": spec})
    one = fetch(server.url("/a"))
    running = one.start()
    await one.until(lambda: any(each.bytes_received == HALF for each in one.of(Progressed)))
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert one.durable.finished.total == HALF
    assert one.part.read_bytes()[:HALF] == spec.read(0, HALF)
    await server.until(lambda: server.connections_open == 0)
    await one.run()
    assert server.bytes_sent_twice("/a") <= OVERLAP
    assert file_sha256(one.path) == spec.sha256


async def test_a_crash_goes_on_from_the_last_record_and_not_from_the_file(
    fault_server: StartFaultServer, fetch: NewFetch
):
    """What is in the file beyond the record may be torn: it is fetched again."""
    spec = FileSpec(size=BIG, faults=(cut_after(HALF, on=1), status(404, on=2)))
    server = fault_server({"/a": spec})
    one = fetch(server.url("/a"))
    with pytest.raises(HttpStatusError):
        await one.run()
    with one.part.open("r+b") as part:
        part.seek(HALF)
        part.write(b"torn" * 1000)
    await one.run()
    assert file_sha256(one.path) == spec.sha256
    assert one.restarts == []


async def test_a_lost_partial_file_means_beginning_from_nothing(fault_server: StartFaultServer, fetch: NewFetch):
    spec = FileSpec(size=BIG, faults=(cut_after(HALF, on=1), status(404, on=2)))
    server = fault_server({"/a": spec})
    one = fetch(server.url("/a"))
    with pytest.raises(HttpStatusError):
        await one.run()
    one.part.unlink()
    await one.run()
    assert server.requests("/a")[-1].header("Range") is None
    assert file_sha256(one.path) == spec.sha256
    assert one.restarts == ["the partial file is gone"]


async def test_another_file_in_place_of_the_partial_file_is_not_spliced(
    fault_server: StartFaultServer, fetch: NewFetch
):
    spec = FileSpec(size=BIG, faults=(cut_after(HALF, on=1), status(404, on=2)))
    one = fetch(fault_server({"/a": spec}).url("/a"))
    with pytest.raises(HttpStatusError):
        await one.run()
    other = one.folder / "other"
    other.write_bytes(bytes(BIG))
    other.replace(one.part)
    await one.run()
    assert file_sha256(one.path) == spec.sha256


async def test_the_next_owner_goes_on_with_a_partial_file_of_its_own(fault_server: StartFaultServer, fetch: NewFetch):
    spec = FileSpec(size=BIG, faults=(cut_after(HALF, on=1), status(404, on=2)))
    server = fault_server({"/a": spec})
    one = fetch(server.url("/a"))
    with pytest.raises(HttpStatusError):
        await one.run()
    old = one.part
    one.epoch = 2
    await one.run()
    assert file_sha256(one.path) == spec.sha256
    assert server.bytes_sent_twice("/a") <= OVERLAP
    assert not old.exists()


async def test_no_watermark_takes_the_announcement_of_the_commit_back(
    fault_server: StartFaultServer, fetch: NewFetch, monkeypatch: pytest.MonkeyPatch
):
    """A kernel that died just then would not know that the file has its name, and would deliver it twice."""
    one = fetch(fault_server({"/a": FileSpec(size=WATERMARKED)}).url("/a"))
    sync, is_announced = one.facilities.sync, asyncio.Event()

    async def sync_late(file: PartialFile) -> None:
        with contextlib.suppress(TimeoutError):  # as it should be: the announcement waits for us
            async with asyncio.timeout(0.5):
                await is_announced.wait()
        await sync(file)

    async def remember_all(records: list[tuple[UUID, Durable]]) -> list[bool]:
        is_announced.set()
        return await type(one.journal).remember_all(one.journal, records)

    monkeypatch.setattr(one.facilities, "sync", sync_late)
    monkeypatch.setattr(one.journal, "remember_all", remember_all)
    await one.run()
    assert len(one.journal.records) > 2, "no watermark was recorded"
    assert one.journal.records[-1].committing == str(one.path)


async def test_a_file_that_got_its_name_before_its_kernel_died_is_complete(
    fault_server: StartFaultServer, fetch: NewFetch
):
    spec = FileSpec(size=BIG)
    server = fault_server({"/a": spec})
    one = fetch(server.url("/a"))
    await one.run()
    announced = next(each for each in one.journal.records if each.committing)
    one.journal.durable[one.operation_id] = announced
    one.journal.completed.clear()
    completed = await one.run()
    assert completed.path == str(one.path)
    assert completed.size == BIG
    assert one.journal.completed == [completed]
    assert len(server.requests("/a")) == 1
    assert [each.name for each in one.folder.iterdir()] == ["file.bin"]

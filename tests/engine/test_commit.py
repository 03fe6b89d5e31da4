"""Whole files get their names: many in one turn, each by its own rules, and one that fails takes no other with it."""

from __future__ import annotations

import asyncio
import errno
import os
from typing import TYPE_CHECKING

import pytest

from bgdl_jupyter.engine import commit
from bgdl_jupyter.engine.middle_bodies import MIDDLE_BODY
from bgdl_jupyter.engine.order import LeaseLost
from bgdl_jupyter.errors import DestinationExists, StorageFailed
from bgdl_jupyter.status import CreationCollisionOption as Collision
from bgdl_jupyter.storage import publishing
from bgdl_jupyter.storage.partial_file import PartialFileLost
from tests.servers.faults import hold_after
from tests.servers.files import FileSpec, many_files

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.engine.conftest import Fetch
    from tests.servers.fixtures import StartFaultServer

MIDDLE = 200_000
LARGE = MIDDLE_BODY + 1


def turns_of(one: Fetch) -> list[int]:
    """Return how many completions each turn will record; filled on the way."""
    turns: list[int] = []
    record = one.journal.remember_completed

    async def count(completed) -> None:
        turns.append(len(completed))
        await record(completed)

    one.journal.remember_completed = count  # type: ignore[method-assign]  # counted on the way
    return turns


async def test_many_small_files_share_their_transactions(fault_server: StartFaultServer, fetch: Callable[..., Fetch]):
    files = many_files(200, size=2000)
    server = fault_server(files)
    fetches = [fetch(server.url(path), name=path[1:]) for path in files]
    turns = turns_of(fetches[0])
    await asyncio.gather(*(each.run() for each in fetches))
    assert sum(turns) == 200
    assert max(turns) <= 128
    assert len(turns) < 50
    for each in fetches:
        assert each.path.read_bytes() == files[f"/{each.name}"].read()


async def test_a_batch_leaves_descriptors_to_others_where_there_are_few(
    fault_server: StartFaultServer, fetch: Callable[..., Fetch], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(commit, "most_descriptors", lambda: 64)
    files = many_files(40, size=2000)
    server = fault_server(files)
    fetches = [fetch(server.url(path), name=path[1:]) for path in files]
    turns = turns_of(fetches[0])
    await asyncio.gather(*(each.run() for each in fetches))
    assert sum(turns) == 40
    assert max(turns) <= 8


@pytest.mark.parametrize(
    ("collision", "name", "kept"),
    [
        (Collision.GENERATE_UNIQUE_NAME, "file (1).bin", True),
        (Collision.REPLACE_EXISTING, "file.bin", False),
    ],
)
@pytest.mark.parametrize("size", [1000, MIDDLE, LARGE])
async def test_a_file_that_appears_meanwhile_is_met_as_was_asked(
    *,
    fault_server: StartFaultServer,
    fetch: Callable[..., Fetch],
    collision: Collision,
    name: str,
    kept: bool,
    size: int,
):
    spec = FileSpec(size=size, faults=(hold_after(size // 2, until="go"),))
    server = fault_server({"/a": spec})
    one = fetch(server.url("/a"), collision=collision)
    running = one.start()
    await server.until(lambda: bool(server.requests("/a")))
    one.path.write_text("mine")
    server.events.set("go")
    completed = await running
    assert completed.path == str(one.folder / name)
    assert (one.folder / name).read_bytes() == spec.read()
    assert ((one.folder / "file.bin").read_bytes() == b"mine") is kept
    assert list(one.folder.glob(".*")) == []


async def test_a_taken_name_fails_one_and_not_the_others_of_the_turn(
    fault_server: StartFaultServer, fetch: Callable[..., Fetch]
):
    files = many_files(10, size=2000)
    server = fault_server(files)
    fetches = [fetch(server.url(path), name=path[1:], collision=Collision.FAIL_IF_EXISTS) for path in files]
    fetches[3].path.write_text("mine")
    outcomes = await asyncio.gather(*(each.run() for each in fetches), return_exceptions=True)
    assert isinstance(outcomes[3], DestinationExists)
    assert fetches[3].path.read_text() == "mine"
    assert sum(isinstance(each, Exception) for each in outcomes) == 1


@pytest.mark.parametrize("size", [1000, MIDDLE, LARGE])
async def test_a_partial_file_that_somebody_changes_after_the_announcement_gets_no_name(
    fault_server: StartFaultServer, fetch: Callable[..., Fetch], size: int
):
    spec = FileSpec(size=size)
    one = fetch(fault_server({"/a": spec}).url("/a"))
    remember_all = one.journal.remember_all

    async def announce_and_lengthen(records):
        with one.part.open("ab") as part:
            part.write(b"more")
        return await remember_all(records)

    one.journal.remember_all = announce_and_lengthen  # type: ignore[method-assign]  # changed on the way
    with pytest.raises(PartialFileLost):
        await one.run()
    assert not one.path.exists()
    one.journal.remember_all = remember_all  # type: ignore[method-assign]  # as it was
    await one.run()
    assert one.path.read_bytes() == spec.read()


async def test_the_commit_is_announced_before_the_name_is_given_and_told_after_it_is_recorded(
    fault_server: StartFaultServer, fetch: Callable[..., Fetch], monkeypatch: pytest.MonkeyPatch
):
    one = fetch(fault_server({"/a": FileSpec(size=LARGE)}).url("/a"))
    order: list[str] = []
    journal, carry_out = one.journal, publishing.Publication.carry_out
    remember_all, remember_completed = journal.remember_all, journal.remember_completed

    async def announce(records):
        order.append("announced")
        return await remember_all(records)

    def give_name(self, *args):
        order.append("named")
        return carry_out(self, *args)

    async def record(completed) -> None:
        order.append("recorded")
        assert one.path.exists()
        await remember_completed(completed)

    monkeypatch.setattr(journal, "remember_all", announce)
    monkeypatch.setattr(journal, "remember_completed", record)
    monkeypatch.setattr(publishing.Publication, "carry_out", give_name)
    await one.run()
    assert order == ["announced", "named", "recorded"]


async def test_without_the_lease_no_name_is_given(fault_server: StartFaultServer, fetch: Callable[..., Fetch]):
    one = fetch(fault_server({"/a": FileSpec(size=1000)}).url("/a"))
    one.journal.is_ours = False
    with pytest.raises(LeaseLost):
        await one.run()
    assert not one.path.exists()


async def test_a_partial_file_that_was_changed_under_us_is_no_complete_file(
    fault_server: StartFaultServer, fetch: Callable[..., Fetch]
):
    """C2: its length is looked at once more, behind the last write."""
    spec = FileSpec(size=LARGE, faults=(hold_after(LARGE // 2, until="go"),))
    server = fault_server({"/a": spec})
    one = fetch(server.url("/a"))
    running = one.start()
    await one.until(lambda: one.durable.file is not None)
    with one.part.open("r+b") as part:
        part.truncate(LARGE + 1)
    server.events.set("go")
    with pytest.raises(StorageFailed):
        await running
    assert not one.path.exists()


@pytest.mark.parametrize("size", [1000, MIDDLE, LARGE])
@pytest.mark.parametrize("epoch", [1, 2])
async def test_a_file_whose_name_could_not_be_given_is_given_it_by_the_next_run(
    *,
    fault_server: StartFaultServer,
    fetch: Callable[..., Fetch],
    monkeypatch: pytest.MonkeyPatch,
    size: int,
    epoch: int,
):
    """The commit was announced, and the disk or the kernel failed before the name was given."""
    one = fetch(fault_server({"/a": FileSpec(size=size)}).url("/a"))
    with monkeypatch.context() as patch:
        patch.setattr(os, "link", _refuse)
        patch.setattr(publishing, "_rename_at", _refuse)
        with pytest.raises(StorageFailed):
            await one.run()
    one.epoch = epoch
    assert (await one.run()).path == str(one.path)
    assert one.path.read_bytes() == FileSpec(size=size).read()
    assert [each.name for each in one.folder.iterdir()] == ["file.bin"]


@pytest.mark.parametrize("epoch", [1, 2])
async def test_a_private_name_that_was_not_dropped_is_dropped_by_the_next_run(
    fault_server: StartFaultServer, fetch: Callable[..., Fetch], monkeypatch: pytest.MonkeyPatch, epoch: int
):
    """The kernel died between the giving of the name and the dropping of the private one."""
    one = fetch(fault_server({"/a": FileSpec(size=LARGE)}).url("/a"))
    with monkeypatch.context() as patch:
        patch.setattr(publishing.Publication, "_drop_part", lambda _: None)
        patch.setattr(one.journal, "remember_completed", _die)
        with pytest.raises(StorageFailed):
            await one.run()
    assert one.part.exists()
    one.epoch = epoch
    assert (await one.run()).path == str(one.path)
    assert [each.name for each in one.folder.iterdir()] == ["file.bin"]


async def test_a_partial_file_that_was_renamed_and_not_recorded_is_not_taken_for_the_file(
    fault_server: StartFaultServer, fetch: Callable[..., Fetch], monkeypatch: pytest.MonkeyPatch
):
    """One kernel died before it gave the name, the next one while it took the partial file over."""
    one = fetch(fault_server({"/a": FileSpec(size=LARGE)}).url("/a"))
    with monkeypatch.context() as patch:
        patch.setattr(os, "link", _refuse)
        with pytest.raises(StorageFailed):
            await one.run()
    one.epoch = 2
    with monkeypatch.context() as patch:
        patch.setattr(one.journal, "remember", _die)
        with pytest.raises(StorageFailed):
            await one.run()
    assert one.part.exists()
    one.epoch = 3
    assert (await one.run()).path == str(one.path)
    assert [each.name for each in one.folder.iterdir()] == ["file.bin"]


def _refuse(*_: object, **__: object) -> None:
    raise OSError(errno.EIO, "refused")


async def _die(*_: object) -> None:
    raise StorageFailed("as far as it came")

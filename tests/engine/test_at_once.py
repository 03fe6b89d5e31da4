"""What comes whole with the first answer goes straight to its name; all else goes on from that very answer."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from bgdl_jupyter.engine import commit, middle_bodies
from bgdl_jupyter.engine.coming import Coming
from bgdl_jupyter.engine.middle_bodies import MIDDLE_BODY
from bgdl_jupyter.engine.small_body import SMALL_BODY
from bgdl_jupyter.errors import DiskFull, IntegrityFailed, StorageFailed
from bgdl_jupyter.events import ArrivedAtOnce, Progressed
from bgdl_jupyter.ranges import RangeSet
from bgdl_jupyter.resource import Digest
from tests.servers.content import file_sha256
from tests.servers.faults import cut_after, hold_after, is_resumed, reset_after, stall_after, status
from tests.servers.files import Fault, FileSpec
from tests.servers.programs import poll

if TYPE_CHECKING:
    from collections.abc import Callable

    from bgdl_jupyter.engine.first import First
    from bgdl_jupyter.engine.transfer import Transfer
    from bgdl_jupyter.events import Completed
    from tests.engine.conftest import Fetch
    from tests.servers.fixtures import StartFaultServer

    NewFetch = Callable[..., Fetch]

SMALL = 10_000
MIDDLE = 600_000
LARGE = MIDDLE_BODY + 1


@pytest.fixture
def firsts(monkeypatch: pytest.MonkeyPatch) -> list[First | None]:
    """Return what transfers were made from."""
    from tests.engine.conftest import Fetch

    made: list[First | None] = []
    thorough = Fetch.thorough

    def note(self: Fetch, first: First | None = None) -> Transfer:
        made.append(first)
        return thorough(self, first)

    monkeypatch.setattr(Fetch, "thorough", note)
    return made


@pytest.mark.parametrize("size", [0, 1, SMALL, SMALL_BODY + 1, MIDDLE, MIDDLE_BODY])
async def test_a_file_that_comes_soon_needs_no_transfer(
    fault_server: StartFaultServer, fetch: NewFetch, firsts: list[First | None], size: int
):
    server = fault_server({"/a": FileSpec(size=size)})
    one = fetch(server.url("/a"))
    await one.run()
    assert firsts == []
    assert one.path.read_bytes() == FileSpec(size=size).read()
    assert len(server.requests("/a")) == 1


async def test_a_larger_file_is_taken_from_the_answer_that_is_open(
    fault_server: StartFaultServer, fetch: NewFetch, firsts: list[First | None]
):
    server = fault_server({"/a": FileSpec(size=LARGE)})
    one = fetch(server.url("/a"))
    await one.run()
    assert len(firsts) == 1
    assert file_sha256(one.path) == FileSpec(size=LARGE).sha256
    assert len(server.requests("/a")) == 1


@pytest.mark.parametrize("fault", [cut_after(SMALL // 2, on=1), status(503, on=1)])
async def test_a_small_file_that_does_not_come_at_once_is_asked_for_again(
    fault_server: StartFaultServer, fetch: NewFetch, firsts: list[First | None], fault: Fault
):
    server = fault_server({"/a": FileSpec(size=SMALL, faults=(fault,))})
    one = fetch(server.url("/a"))
    await one.run()
    (first,) = firsts
    assert first is not None
    assert first.failure is not None
    assert one.path.read_bytes() == FileSpec(size=SMALL).read()
    assert len(server.requests("/a")) == 2


async def test_what_there_is_to_begin_from_is_a_transfers(
    fault_server: StartFaultServer, fetch: NewFetch, firsts: list[First | None], monkeypatch: pytest.MonkeyPatch
):
    """The commit was announced, and its kernel died: another run does not make a second file."""
    one = fetch(fault_server({"/a": FileSpec(size=SMALL)}).url("/a"))

    async def die(_: list[Completed]) -> None:
        raise StorageFailed("as far as it came")

    with monkeypatch.context() as patch:
        patch.setattr(one.journal, "remember_completed", die)
        with pytest.raises(StorageFailed):
            await one.run()
    assert (await one.run()).path == str(one.path)
    assert firsts == [None]
    assert [each.name for each in one.folder.iterdir()] == [one.path.name]


async def test_a_body_that_comes_slowly_is_written_as_it_comes_from_the_same_answer(
    fault_server: StartFaultServer, fetch: NewFetch, firsts: list[First | None]
):
    server = fault_server({"/a": FileSpec(size=MIDDLE, faults=(hold_after(MIDDLE // 2, until="go"),))})
    one = fetch(server.url("/a"))
    running = one.start()
    await one.until(lambda: any(each.bytes_received == MIDDLE // 2 for each in one.of(Progressed)))
    assert one.part.stat().st_size == MIDDLE // 2
    server.events.set("go")
    await running
    assert len(firsts) == 1
    assert file_sha256(one.path) == FileSpec(size=MIDDLE).sha256
    assert len(server.requests("/a")) == 1


@pytest.mark.parametrize("fault", [cut_after(MIDDLE // 2, on=1), reset_after(MIDDLE // 2, on=1)])
async def test_what_came_of_a_body_that_broke_off_is_gone_on_with(
    fault_server: StartFaultServer, fetch: NewFetch, fault: Fault
):
    server = fault_server({"/a": FileSpec(size=MIDDLE, faults=(fault,))})
    one = fetch(server.url("/a"))
    await one.run()
    assert file_sha256(one.path) == FileSpec(size=MIDDLE).sha256
    assert one.restarts == []
    _, second = server.requests("/a")
    assert is_resumed(second)


async def test_what_came_before_a_pause_is_durable_and_told(
    fault_server: StartFaultServer, fetch: NewFetch, monkeypatch: pytest.MonkeyPatch
):
    came = asyncio.Event()

    def look(coming: Coming, _: float, *, is_limited: bool) -> None:
        if len(coming.body) == MIDDLE // 2 and not is_limited:
            came.set()

    monkeypatch.setattr(Coming, "tick", look)
    server = fault_server({"/a": FileSpec(size=MIDDLE, faults=(stall_after(MIDDLE // 2, on=1),))})
    one = fetch(server.url("/a"))
    running = one.start()
    await asyncio.wait_for(came.wait(), 15)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert one.durable.finished == RangeSet.of([(0, MIDDLE // 2)])
    assert one.of(Progressed)[-1].bytes_received == MIDDLE // 2
    await one.run()
    assert file_sha256(one.path) == FileSpec(size=MIDDLE).sha256
    assert is_resumed(server.requests("/a")[-1])


async def test_without_room_in_memory_a_file_is_written_as_it_comes(
    fault_server: StartFaultServer, fetch: NewFetch, firsts: list[First | None], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(middle_bodies, "MEMORY", 0)
    server = fault_server({"/a": FileSpec(size=MIDDLE)})
    one = fetch(server.url("/a"))
    await one.run()
    assert len(firsts) == 1
    assert file_sha256(one.path) == FileSpec(size=MIDDLE).sha256
    assert len(server.requests("/a")) == 1


async def test_more_files_than_there_is_room_for_take_turns(
    fault_server: StartFaultServer, fetch: NewFetch, firsts: list[First | None], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(middle_bodies, "MEMORY", 2 << 20)
    spec = FileSpec(size=MIDDLE)
    server = fault_server({f"/{number}": spec for number in range(12)})
    all_of_them = [fetch(server.url(f"/{number}"), name=f"{number}.bin") for number in range(12)]
    await asyncio.gather(*(each.run() for each in all_of_them))
    assert {file_sha256(each.path) for each in all_of_them} == {spec.sha256}
    assert firsts == []


async def test_where_one_file_is_late_the_others_do_not_wait_for_its_room(
    fault_server: StartFaultServer, fetch: NewFetch, firsts: list[First | None], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(middle_bodies, "MEMORY", 1 << 20)
    monkeypatch.setattr(middle_bodies, "_LOOK_EVERY", 60.0)
    spec = FileSpec(size=MIDDLE, faults=(hold_after(MIDDLE // 2, until="go"),))
    server = fault_server({f"/{number}": spec for number in range(20)})
    all_of_them = [fetch(server.url(f"/{number}"), name=f"{number}.bin") for number in range(20)]
    running = asyncio.gather(*(each.run() for each in all_of_them))
    await asyncio.to_thread(
        poll, lambda: len(firsts) == len(all_of_them), deadline=10, what="all are written as they come"
    )
    server.events.set("go")
    await running
    assert {file_sha256(each.path) for each in all_of_them} == {FileSpec(size=MIDDLE).sha256}


async def test_a_body_that_has_not_its_digest_is_no_file(fault_server: StartFaultServer, fetch: NewFetch):
    one = fetch(fault_server({"/a": FileSpec(size=MIDDLE)}).url("/a"), digest=Digest("sha256", "0" * 64))
    with pytest.raises(IntegrityFailed):
        await one.run()
    assert not one.path.exists()


async def test_a_file_that_would_take_the_space_that_is_to_stay_free_is_not_written(
    fault_server: StartFaultServer, fetch: NewFetch
):
    one = fetch(fault_server({"/a": FileSpec(size=MIDDLE)}).url("/a"), disk_reserve=1 << 60)
    with pytest.raises(DiskFull):
        await one.run()
    assert list(one.folder.iterdir()) == []
    assert not [each for each in one.of(ArrivedAtOnce) if each.bytes_received]  # it would be taken back


@pytest.mark.parametrize("size", [SMALL, MIDDLE])
async def test_a_checked_file_that_was_announced_and_got_no_name_is_gone_on_with(
    fault_server: StartFaultServer, fetch: NewFetch, monkeypatch: pytest.MonkeyPatch, size: int
):
    """As after a crash: its record has a place and a file, and nothing of what the server said."""
    spec = FileSpec(size=size)
    one = fetch(fault_server({"/a": spec}).url("/a"), digest=Digest("sha256", spec.sha256))

    def refuse(_: object) -> None:
        raise OSError("nobody is there to do it")

    with monkeypatch.context() as patched:
        patched.setattr(commit, "publish_all", refuse)
        with pytest.raises(OSError, match="nobody is there"):
            await one.run()
    assert one.durable.committing is not None
    assert one.durable.resource is None
    await one.run()
    assert file_sha256(one.path) == spec.sha256

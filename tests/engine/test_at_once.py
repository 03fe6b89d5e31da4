"""What comes whole with the first answer goes straight to its name; all else goes on from that very answer."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from bgdl_jupyter.errors import StorageFailed
from tests.servers.content import file_sha256
from tests.servers.faults import cut_after, status
from tests.servers.files import Fault, FileSpec

if TYPE_CHECKING:
    from collections.abc import Callable

    from bgdl_jupyter.engine.first import First
    from bgdl_jupyter.engine.transfer import Transfer
    from bgdl_jupyter.events import Completed
    from tests.engine.conftest import Fetch
    from tests.servers.fixtures import StartFaultServer

    NewFetch = Callable[..., Fetch]

SMALL = 10_000
LARGE = 300_000


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


@pytest.mark.parametrize("size", [0, 1, SMALL])
async def test_a_small_file_needs_no_transfer(
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

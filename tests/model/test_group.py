"""Operations under one name: their limits, their progress as one, and what is done to all of them."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest
from traitlets import TraitError

from bgdl_jupyter import BackgroundTransferGroup
from bgdl_jupyter.errors import AttentionRequired, HttpStatusError, InvalidRequest
from bgdl_jupyter.events import GroupChanged
from bgdl_jupyter.model import by_and_by
from bgdl_jupyter.model.process import current_runner
from bgdl_jupyter.resource import OVERLAP
from bgdl_jupyter.status import BackgroundTransferBehavior as Behavior
from bgdl_jupyter.status import BackgroundTransferPriority as Priority
from bgdl_jupyter.status import BackgroundTransferStatus as Status
from bgdl_jupyter.status import TransferActivity
from tests.downloads import partial_files
from tests.servers.faults import hold_after, status
from tests.servers.files import FileSpec

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from bgdl_jupyter.model.downloader import BackgroundDownloader
    from bgdl_jupyter.model.operation import DownloadOperation
    from tests.downloads import Seen
    from tests.servers.fault_server import FaultServer
    from tests.servers.fixtures import StartFaultServer

SIZE = 200_000
HALF = SIZE // 2
WAIT = 15.0


@pytest.fixture
def server(fault_server: StartFaultServer) -> FaultServer:
    """Serve a file at once, one that stops half-way, and one that is not there."""
    return fault_server(
        {
            "/plain": FileSpec(size=SIZE),
            "/held": FileSpec(size=SIZE, faults=(hold_after(HALF, until="go"),)),
            "/gone": FileSpec(size=SIZE, faults=(status(404, on=1),)),
        }
    )


def held(downloader: BackgroundDownloader, server: FaultServer, count: int, **options: Any) -> BackgroundTransferGroup:
    """Start operations that stop half-way."""
    lines = [{"uri": server.url(f"/held?{number}"), "destination": f"{number}"} for number in range(count)]
    return downloader.download_many(lines, group="held", **options)


def running(group: BackgroundTransferGroup) -> list[str]:
    return [each.name for each in group.operations if each.activity > TransferActivity.QUEUED]


def test_the_same_name_is_the_same_group_in_one_application_and_no_other(
    downloader: BackgroundDownloader, new_downloader: Callable[..., BackgroundDownloader], server: FaultServer
):
    group = downloader.create_group("data")
    assert downloader.create_group("data") is group
    assert BackgroundTransferGroup.create_group("data") is group
    assert downloader.create_download(server.url("/plain"), "a", group=group).transfer_group is group
    assert new_downloader(application="/other.ipynb").create_group("data") is not group
    assert [each.name for each in group.operations] == ["a"]
    for wrong in ("", "two\nlines", "x" * 201):
        with pytest.raises(InvalidRequest):
            downloader.create_group(wrong)


def test_a_serial_group_runs_one_and_high_ones_beside_it(
    downloader: BackgroundDownloader, server: FaultServer, seen: Seen
):
    group = downloader.create_group("held")
    group.transfer_behavior = Behavior.SERIALIZED
    held(downloader, server, 3)
    server.wait_until(lambda: len(server.requests("/held")) == 1)
    assert running(group) == ["0"]
    high = downloader.create_download(server.url("/held?high"), "high", group="held", priority=Priority.HIGH)
    high.start()
    server.wait_until(lambda: len(server.requests("/held")) == 2)
    assert running(group) == ["0", "high"]
    server.events.set("go")
    group.wait(WAIT)
    order = [each.target.partition("?")[2] for each in server.requests("/held")]
    assert order == ["0", "high", "1", "2"]


def test_a_group_keeps_its_own_limit(downloader: BackgroundDownloader, server: FaultServer):
    group = downloader.create_group("held")
    group.max_parallel = 2
    held(downloader, server, 4)
    server.wait_until(lambda: len(server.requests("/held")) == 2)
    assert running(group) == ["0", "1"]
    group.max_parallel = None
    server.wait_until(lambda: len(server.requests("/held")) == 4)
    with pytest.raises(TraitError):
        group.max_parallel = 0


def test_one_that_is_made_current_goes_next_and_its_followers_behind_it(
    downloader: BackgroundDownloader, server: FaultServer
):
    group = downloader.create_group("held")
    group.transfer_behavior = Behavior.SERIALIZED
    held(downloader, server, 5)
    server.wait_until(lambda: len(server.requests("/held")) == 1)
    group.operations[3].make_current_in_transfer_group()
    server.events.set("go")
    group.wait(WAIT)
    assert [each.target.partition("?")[2] for each in server.requests("/held")] == ["0", "3", "4", "1", "2"]


async def test_all_are_paused_and_resumed_and_the_bytes_are_durable(
    downloader: BackgroundDownloader, server: FaultServer, seen: Seen
):
    group = held(downloader, server, 3)
    await asyncio.to_thread(seen.until, lambda: group.progress.bytes_received == 3 * HALF)
    async with asyncio.timeout(WAIT):
        assert await group.pause() is group
    assert [each.durable.finished.total for each in group.operations] == [HALF] * 3
    assert group.progress.paused == 3
    with pytest.raises(AttentionRequired):
        await asyncio.to_thread(group.wait, WAIT)
    server.events.set("go")
    async with asyncio.timeout(WAIT):
        await group.resume()
    assert group.progress.completed == 3
    assert group.progress.fraction == 1.0
    assert server.body_bytes_sent("/held") <= 3 * (SIZE + OVERLAP)


@pytest.mark.parametrize("step", ["pause", "cancel"])
def test_very_many_are_stopped_a_few_at_a_time_and_none_of_them_begins_meanwhile(
    downloader: BackgroundDownloader, server: FaultServer, monkeypatch: pytest.MonkeyPatch, step: str
):
    downloader.max_parallel = 2
    group = held(downloader, server, 30)
    server.wait_until(lambda: len(server.requests("/held")) == 2)
    monkeypatch.setattr(by_and_by, "_STEP", 0.0)
    monkeypatch.setattr(by_and_by, "_AT_ONCE", 3)
    place = current_runner().place
    left: list[int] = []

    def look() -> None:
        left.append(sum(each.status is Status.RUNNING for each in group.operations))
        if left[-1]:
            place.loop.call_soon(look)

    place.post(look)
    getattr(group, step)().wait(WAIT)
    assert len(set(left)) == 11, "others have a turn after every three"
    assert len(server.requests("/held")) == 2


def test_all_are_canceled_and_nothing_is_left_of_them(
    downloader: BackgroundDownloader, server: FaultServer, seen: Seen, work: Path
):
    group = held(downloader, server, 3)
    seen.until(lambda: len(partial_files(work)) == 3)
    group.cancel().wait(WAIT)
    assert list(work.iterdir()) == []
    assert group.progress.canceled == 3
    assert group.wait(WAIT) is group


def test_failures_are_raised_when_asked_for_and_can_be_tried_again(
    downloader: BackgroundDownloader, server: FaultServer
):
    group = downloader.download_many([server.url("/plain"), server.url("/gone")], group="all")
    assert group.wait(WAIT) is group
    progress = group.progress
    assert (progress.total, progress.completed, progress.failed) == (2, 1, 1)
    with pytest.raises(ExceptionGroup) as raised:
        group.raise_for_errors()
    assert isinstance(raised.value.exceptions[0], HttpStatusError)
    group.retry_failed().wait(WAIT)
    group.raise_for_errors()
    assert group.progress.completed == 2


async def test_a_group_of_which_nothing_is_live_answers_at_once(downloader: BackgroundDownloader, server: FaultServer):
    downloader.create_download(server.url("/plain"), "idle", group="still")
    group = downloader.create_group("still")
    async with asyncio.timeout(WAIT):
        assert await group is group
    group.start().wait(WAIT)
    assert [each.status for each in group.operations] == [Status.COMPLETED]


def test_the_limits_of_a_group_outlive_the_kernel(
    downloader: BackgroundDownloader, restart: Callable[..., BackgroundDownloader], seen: Seen
):
    group = downloader.create_group("limited")
    group.max_parallel, group.max_rate, group.transfer_behavior = 3, 1000, Behavior.SERIALIZED
    assert GroupChanged(application=group.application, name="limited") in seen.events
    again = restart().create_group("limited")
    assert again is not group
    assert (again.max_parallel, again.max_rate, again.transfer_behavior) == (3, 1000, Behavior.SERIALIZED)


def test_a_group_says_in_words_how_it_is(downloader: BackgroundDownloader, server: FaultServer):
    names: list[DownloadOperation] = []
    group = downloader.download_many([server.url("/plain"), server.url("/gone")], group="<b>all</b>")
    group.wait(WAIT)
    names += group.operations
    assert group.summary.startswith("<b>all</b>: 1 of 2 done, 1 failed")
    assert "404" in repr(group)
    html = group._repr_mimebundle_()["text/html"]
    assert "<b>all</b>" not in html
    assert "&lt;b&gt;all&lt;/b&gt;" in html

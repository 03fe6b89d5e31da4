"""What is said at the end of a batch: once, whatever order things happen in, also after a restart."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import pytest

from bgdl_jupyter import TileNotification, ToastNotification
from bgdl_jupyter.errors import DuplicateDownload, HttpStatusError
from bgdl_jupyter.events import AlertKind, AlertRaised, StatusChanged, TileChanged
from bgdl_jupyter.model.process import current_runner
from bgdl_jupyter.status import BackgroundTransferStatus as Status
from tests.downloads import Seen
from tests.servers.faults import hold_after, status
from tests.servers.files import FileSpec

if TYPE_CHECKING:
    from collections.abc import Callable

    from bgdl_jupyter.model.downloader import BackgroundDownloader
    from tests.servers.fault_server import FaultServer

ALL = ToastNotification("All there", "")
SOME = ToastNotification("Some are missing", "")


@pytest.fixture
def server(fault_server: Callable[..., FaultServer]) -> FaultServer:
    """Serve files, some that wait half-way for "go", and some that are not there."""
    files = {f"/{name}": FileSpec(size=2000) for name in "abc"}
    slow = {f"/slow{n}": FileSpec(size=300_000, faults=(hold_after(100_000, until="go"),)) for n in (1, 2)}
    gone = {f"/gone{n}": FileSpec(size=2000, faults=(status(404),)) for n in (1, 2)}
    return fault_server({**files, **slow, **gone})


@pytest.fixture
def outspoken(downloader: BackgroundDownloader) -> BackgroundDownloader:
    """Return a downloader with something to say."""
    downloader.success_toast_notification = ALL
    downloader.failure_toast_notification = SOME
    return downloader


def titles(seen: Seen) -> list[str]:
    return [each.title for each in seen.of(AlertRaised)]


def settled(seen: Seen) -> list[str]:
    """Return what was said, once everything that was on its way has been said."""
    runner = current_runner()
    runner.state.flush(5)
    for _ in range(3):
        runner.place.call(lambda: None)
    return titles(seen)


async def test_nothing_is_said_while_one_of_the_batch_was_not_started(outspoken, seen, server):
    """Starting early cannot fire it early."""
    first = outspoken.create_download(server.url("/a"), "a")
    second = outspoken.create_download(server.url("/b"), "b")
    await first.start()
    assert settled(seen) == []
    await second.start()
    seen.until(lambda: titles(seen) == ["All there"])


async def test_what_is_made_after_a_batch_has_closed_is_another_one(outspoken, seen, server):
    for name in "ab":
        await outspoken.create_download(server.url(f"/{name}"), name).start()
        seen.until(lambda name=name: len(titles(seen)) == "ab".index(name) + 1)
    assert settled(seen) == ["All there"] * 2


async def test_a_batch_with_one_failure_tells_of_the_failure_alone(outspoken, seen, server):
    made = [outspoken.create_download(server.url(f"/{name}"), name) for name in ("a", "gone1", "b")]
    for each in made:
        each.start()
    seen.until(lambda: bool(titles(seen)))
    assert settled(seen) == ["Some are missing"]
    (alert,) = seen.of(AlertRaised)
    assert alert.kind is AlertKind.FAILURE
    assert not alert.while_away


async def test_canceled_ones_count_as_neither(outspoken, seen, server):
    kept = outspoken.create_download(server.url("/a"), "a")
    dropped = outspoken.create_download(server.url("/b"), "b")
    dropped.cancel()
    await kept.start()
    seen.until(lambda: bool(titles(seen)))
    assert settled(seen) == ["All there"]


async def test_a_batch_that_was_canceled_as_a_whole_says_nothing(outspoken, seen, server):
    for name in "ab":
        outspoken.create_download(server.url(f"/{name}"), name).cancel()
    assert settled(seen) == []


async def test_a_paused_operation_keeps_its_batch_open(outspoken, seen, server):
    slow = outspoken.create_download(server.url("/slow1"), "slow1")
    quick = outspoken.create_download(server.url("/a"), "a")
    slow.start()
    seen.until(lambda: slow.bytes_received > 0)
    await slow.pause()
    await quick.start()
    assert settled(seen) == []
    server.events.set("go")
    await slow.resume()
    seen.until(lambda: titles(seen) == ["All there"])


async def test_each_download_is_a_batch_of_its_own(outspoken, seen, server):
    for name in "ab":
        await outspoken.download(server.url(f"/{name}"), name)
    seen.until(lambda: titles(seen) == ["All there"] * 2)


async def test_many_downloads_are_one_batch_and_name_their_group(outspoken, seen, server):
    group = outspoken.download_many([server.url(f"/{name}") for name in "abc"], group="corpus")
    await group
    seen.until(lambda: bool(titles(seen)))
    assert settled(seen) == ["All there"]
    assert seen.of(AlertRaised)[0].group == "corpus"


async def test_without_toasts_of_its_own_a_plain_one_is_said(downloader, seen, server):
    group = downloader.download_many([server.url(f"/{name}") for name in ("a", "b", "gone1")], group="corpus")
    await group
    seen.until(lambda: bool(titles(seen)))
    (alert,) = seen.of(AlertRaised)
    assert alert.title == "1 of 3 downloads failed"
    assert "404" in alert.body


async def test_a_tile_is_shown_beside_the_toast(outspoken, seen, server):
    outspoken.success_tile_notification = TileNotification("3 files")
    outspoken.failure_tile_notification = TileNotification("missing files")
    await outspoken.download(server.url("/a"), "a")
    seen.until(lambda: seen.of(TileChanged))
    assert seen.of(TileChanged)[0].texts == ("3 files",)


async def test_a_batch_is_told_of_after_its_last_end(outspoken, seen, server):
    await outspoken.download(server.url("/a"), "a")
    seen.until(lambda: bool(titles(seen)))
    kinds = [type(each) for each in seen.events if isinstance(each, AlertRaised | StatusChanged)]
    assert kinds[-2:] == [StatusChanged, AlertRaised]


async def test_a_creation_that_is_refused_says_nothing(outspoken, seen, server):
    outspoken.create_download(server.url("/slow1"), "slow1")
    with pytest.raises(DuplicateDownload):
        outspoken.create_download(server.url("/slow1"), "other")
    assert outspoken.download(server.url("/slow1"), "slow1").status is Status.RUNNING
    assert settled(seen) == []


async def test_what_was_there_already_is_not_told_of_again(outspoken, seen, server):
    first = await outspoken.download(server.url("/a"), "a")
    seen.until(lambda: bool(titles(seen)))
    assert await outspoken.download(server.url("/a"), "a") is first
    assert settled(seen) == ["All there"]


async def test_a_retry_that_succeeds_takes_the_note_of_the_failure_away(outspoken, seen, server):
    operation = outspoken.create_download(server.url("/gone1"), "x")
    with pytest.raises(HttpStatusError):
        await operation.start()
    seen.until(lambda: titles(seen) == ["Some are missing"])
    server.put("/gone1", FileSpec(size=2000))
    await operation.retry()
    seen.until(lambda: titles(seen) == ["Some are missing", "All there"])
    failure, success = seen.of(AlertRaised)
    assert failure.tag == success.tag is not None


async def test_many_that_are_retried_and_succeed_are_told_of_as_a_success(downloader, seen, server):
    group = downloader.download_many([server.url(f"/{name}") for name in ("a", "gone1", "gone2")], group="corpus")
    await group
    seen.until(lambda: titles(seen) == ["2 of 3 downloads failed"])
    server.put("/gone1", FileSpec(size=2000))
    server.put("/gone2", FileSpec(size=2000))
    group.retry_failed()
    await group
    seen.until(lambda: titles(seen)[1:] == ["2 downloads are complete"])


async def test_a_failure_that_nobody_awaits_is_logged_once(downloader, seen, server, caplog):
    with caplog.at_level(logging.WARNING, "bgdl_jupyter.model.batches"):
        downloader.download(server.url("/gone1"), "x")
        seen.until(lambda: bool(titles(seen)))
    assert len([each for each in caplog.records if "404" in each.getMessage()]) == 1
    assert titles(seen) == ["The download of x failed"]


async def test_a_failure_that_somebody_awaits_is_not_logged(downloader, seen, server, caplog):
    server.put("/late", FileSpec(size=2000, faults=(status(404),)))
    operation = downloader.create_download(server.url("/late"), "x")
    with caplog.at_level(logging.WARNING, "bgdl_jupyter.model.batches"), pytest.raises(HttpStatusError):
        await operation
    seen.until(lambda: bool(titles(seen)))
    assert [each for each in caplog.records if "404" in each.getMessage()] == []


async def test_after_a_restart_it_is_told_once_as_something_that_happened_meanwhile(outspoken, seen, server, restart):
    done = outspoken.create_download(server.url("/a"), "a")
    slow = outspoken.create_download(server.url("/slow1"), "slow1")
    await done.start()
    slow.start()
    seen.until(lambda: slow.bytes_received > 0)
    assert settled(seen) == []
    later = restart()
    after = Seen()
    (restored,) = later.get_current_downloads()
    server.events.set("go")
    await restored
    after.until(lambda: bool(titles(after)))
    assert settled(after) == ["All there"]
    assert after.of(AlertRaised)[0].while_away
    last = restart()
    silent = Seen()
    last.get_current_downloads()
    assert settled(silent) == []


async def test_a_failure_before_the_restart_still_counts(outspoken, seen, server, restart):
    gone = outspoken.create_download(server.url("/gone1"), "gone")
    slow = outspoken.create_download(server.url("/slow1"), "slow1")
    with pytest.raises(HttpStatusError):
        await gone.start()
    slow.start()
    seen.until(lambda: slow.bytes_received > 0)
    later = restart()
    after = Seen()
    (restored,) = later.get_current_downloads()
    server.events.set("go")
    await restored
    after.until(lambda: bool(titles(after)))
    assert settled(after) == ["Some are missing"]


async def test_a_batch_without_words_of_its_own_is_known_again_by_its_operations(downloader, seen, server, restart):
    group = downloader.download_many([server.url(f"/slow{n}") for n in (1, 2)], group="corpus")
    seen.until(lambda: all(each.bytes_received for each in group.operations))
    later = restart()
    after = Seen()
    later.restore()
    server.events.set("go")
    await later.create_group("corpus")
    after.until(lambda: bool(titles(after)))
    assert settled(after) == ["2 downloads are complete"]
    assert after.of(AlertRaised)[0].while_away


async def test_a_kernel_that_died_between_the_last_end_and_its_alert_leaves_the_alert_to_the_next(
    outspoken, seen, server, restart, monkeypatch
):
    with monkeypatch.context() as dying:
        dying.setattr("bgdl_jupyter.model.batches.Batches._look", lambda *_: None)
        await outspoken.create_download(server.url("/a"), "a").start()
        assert settled(seen) == []
        later = restart()
    after = Seen()
    later.restore()
    after.until(lambda: bool(titles(after)))
    assert settled(after) == ["All there"]


async def test_of_two_kernels_one_tells(outspoken, seen, server):
    """What another kernel of the notebook has told of already is not told of again."""
    operation = outspoken.create_download(server.url("/slow1"), "slow1")
    operation.start()
    seen.until(lambda: operation.bytes_received > 0)
    runner = current_runner()
    assert runner.state.delete_batch(operation.batch, operation.application).result(5)
    server.events.set("go")
    await operation
    assert settled(seen) == []

"""What is remembered of final operations, and for how long."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bgdl_jupyter.errors import TransferFailed
from bgdl_jupyter.model.history import forget_history, present_time
from bgdl_jupyter.model.process import current_runner
from tests.downloads import DEADLINE, partial_files
from tests.servers.faults import cut_after, status
from tests.servers.files import FileSpec

if TYPE_CHECKING:
    from bgdl_jupyter.model.operation import DownloadOperation

DAY = 24 * 3600.0
REAL_TIME = time.time


def age(operation: DownloadOperation, days: float) -> None:
    """Let the operation have become final so many days ago."""
    runner = current_runner()
    runner.place.call(operation.set_trait, "final_at", time.time() - days * DAY)
    runner.place.call(runner.save, operation)
    assert runner.state.flush(5)


def remembered() -> set[str]:
    return {row.record["result_file"].rsplit("/", 1)[-1] for row in current_runner().state.rows().result(5)}


def wait_for(names: set[str]) -> None:
    end = time.monotonic() + DEADLINE
    while remembered() != names:
        assert time.monotonic() < end, remembered()


async def test_the_next_start_forgets_what_was_final_for_ninety_days_and_keeps_the_files(
    downloader, fault_server, restart, work
):
    server = fault_server({f"/{name}": FileSpec(size=10) for name in ("old", "recent", "idle")})
    old = await downloader.download(server.url("/old"), "old")
    recent = await downloader.download(server.url("/recent"), "recent")
    downloader.create_download(server.url("/idle"), "idle")
    age(old, 91)
    age(recent, 89)
    restart()
    wait_for({"recent", "idle"})
    assert (work / "old").is_file()


async def test_the_bytes_that_a_failed_one_kept_go_with_it(new_downloader, fault_server, restart, work):
    server = fault_server(
        {"/a": FileSpec(size=300_000, faults=(cut_after(100_000, on=1), status(404, on=range(2, 99))))}
    )
    downloader = new_downloader(max_retries=1)
    current_runner().transfers.draw = lambda: 0.0
    failed = downloader.create_download(server.url("/a"), "a")
    with pytest.raises(TransferFailed):
        await failed.start()
    assert partial_files(work)
    age(failed, 91)
    restart()
    wait_for(set())
    assert partial_files(work) == []


async def test_a_clock_that_is_years_ahead_forgets_nothing(downloader, fault_server, restart, work, monkeypatch):
    server = fault_server({"/a": FileSpec(size=10)})
    await downloader.download(server.url("/a"), "a")
    restart()
    looked = current_runner().state.setting("", "history looked at")
    assert looked.result(5) == pytest.approx(time.time(), abs=60)
    monkeypatch.setattr("bgdl_jupyter.model.history.time.time", lambda: REAL_TIME() + 3650 * DAY)
    asyncio.run_coroutine_threadsafe(forget_history(current_runner()), current_runner().place.loop).result(DEADLINE)
    assert remembered() == {"a"}


@given(now=st.floats(0, 1e10), last=st.none() | st.floats(0, 1e10))
def test_the_history_never_goes_by_a_time_that_is_ahead_of_the_clock(now: float, last: float | None):
    assert present_time(now, last) <= now
    assert last is None or present_time(now, last) - last <= 30 * DAY + 1

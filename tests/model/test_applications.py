"""Whose downloads these are, and how long they are remembered: seen in the state file and at the server."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

import pytest

from bgdl_jupyter.errors import HttpStatusError
from bgdl_jupyter.model.history import HISTORY, forget_history
from bgdl_jupyter.model.process import current_runner
from tests.downloads import DEADLINE, partial_files
from tests.servers.content import file_sha256
from tests.servers.faults import cut_after, status
from tests.servers.files import FileSpec

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from bgdl_jupyter.model.downloader import BackgroundDownloader
    from tests.servers.fixtures import StartFaultServer

SIZE = 400_000
DAY = 24 * 3600.0


def test_the_downloads_of_other_notebooks_are_looked_at_and_not_started(
    new_downloader: Callable[..., BackgroundDownloader],
    restart: Callable[..., BackgroundDownloader],
    fault_server: StartFaultServer,
):
    server = fault_server({"/a": FileSpec(size=SIZE)})
    theirs = new_downloader(application="/books/theirs.ipynb").create_download(server.url("/a"), "a")
    here = restart(application="/books/mine.ipynb")
    assert here.get_current_downloads() == []
    [seen] = here.get_current_downloads(application="*")
    assert (seen.guid, seen.application, seen.is_held) == (theirs.guid, "/books/theirs.ipynb", True)
    assert seen.allowed_steps == frozenset()
    assert server.requests() == []
    [own] = restart(application="/books/theirs.ipynb").get_current_downloads()
    assert own.start().wait(DEADLINE).status.is_success


@pytest.mark.parametrize(("days", "is_kept"), [(HISTORY - 1, True), (HISTORY + 1, False)])
def test_what_failed_long_ago_is_forgotten_with_its_bytes_and_secrets_and_finished_files_stay(
    downloader: BackgroundDownloader,
    fault_server: StartFaultServer,
    *,
    work: Path,
    days: int,
    is_kept: bool,
):
    whole = FileSpec(size=SIZE)
    half = FileSpec(size=SIZE, faults=(cut_after(SIZE // 2, on=1), status(404, on=2)))
    server = fault_server({"/whole": whole, "/half": half})
    done = downloader.create_download(server.url("/whole"), "whole").wait(DEADLINE)
    failed = downloader.create_download(server.url("/half"), "half", headers={"Authorization": "Bearer x"})
    with pytest.raises(HttpStatusError):
        failed.wait(DEADLINE)
    runner = current_runner()
    for operation in (done, failed):
        runner.state.update(operation.guid, at_once=True, final_at=time.time() - days * DAY).result(DEADLINE)
    asyncio.run_coroutine_threadsafe(forget_history(runner), runner.place.loop).result(DEADLINE)
    left = {row.operation_id for row in runner.state.rows(operation_ids=[done.guid, failed.guid]).result(DEADLINE)}
    assert left == ({done.guid, failed.guid} if is_kept else set())
    assert len(partial_files(work)) == int(is_kept)
    assert (runner.vault.fetch(str(failed.guid)).result(DEADLINE) is not None) == is_kept
    assert file_sha256(work / "whole") == whole.sha256

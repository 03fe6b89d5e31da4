"""Clearing, adopting, taking up, purging and verifying: what is done to many operations at once."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest

from bgdl_jupyter.errors import InvalidRequest, TransferCanceled
from bgdl_jupyter.model import facts, housekeeping, purging, verification
from bgdl_jupyter.model.housekeeping import ApplicationSummary
from bgdl_jupyter.model.process import current_runner
from bgdl_jupyter.status import BackgroundTransferStatus, Step
from tests.downloads import DEADLINE, Seen, partial_files
from tests.servers.faults import hold_after, hold_head
from tests.servers.files import FileSpec

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from bgdl_jupyter.model.downloader import BackgroundDownloader
    from tests.servers.fault_server import FaultServer
    from tests.servers.fixtures import StartFaultServer

SMALL = FileSpec(size=30_000)
HELD = FileSpec(size=400_000, faults=(hold_after(100_000, until="go"),))
DAY = 24 * 3600.0


@pytest.fixture
def server(fault_server: StartFaultServer) -> FaultServer:
    return fault_server(
        {"/a.bin": SMALL, "/held.bin": HELD, "/silent.bin": FileSpec(size=10, faults=(hold_head(until="go"),))}
    )


def summary(name: str, *, days_ago: float, held_by: tuple[object, ...] = ()) -> ApplicationSummary:
    return ApplicationSummary(
        application=name,
        operations=1,
        live=1,
        bytes_held=5,
        last_seen_at=time.time() - days_ago * DAY,
        held_by=held_by,  # type: ignore[arg-type] # only whether there are some counts
    )


def test_an_application_without_a_kernel_for_thirty_days_is_forgotten():
    old, young = summary("old", days_ago=31), summary("young", days_ago=29)
    open_still = summary("open", days_ago=31, held_by=("a kernel",))
    assert housekeeping.forgotten_applications([old, young, open_still]) == [old]


def test_a_step_is_taken_by_those_that_allow_it(downloader: BackgroundDownloader, server: FaultServer):
    done = downloader.download(server.url("/a.bin")).wait(DEADLINE)
    running = downloader.download(server.url("/held.bin"))
    assert housekeeping.take([done, running], Step.PAUSE) == [running]


def test_clearing_a_failed_download_removes_what_came_of_it(
    downloader: BackgroundDownloader, server: FaultServer, work: Path, seen: Seen
):
    server.put("/short.bin", FileSpec(size=400_000))
    operation = downloader.download(server.url("/short.bin"), sha256="0" * 64)
    seen.until(lambda: operation.status.is_failure)
    assert housekeeping.clear([operation]) == [operation]
    assert partial_files(work) == []
    assert housekeeping.operations_of(downloader) == []


def test_adopting_keeps_groups_and_their_limits(
    new_downloader: Callable[..., BackgroundDownloader],
    restart: Callable[..., BackgroundDownloader],
    server: FaultServer,
):
    old = new_downloader(application="/books/old.ipynb", group="plates")
    old.create_group("plates").max_rate = 123_456
    old.create_download(server.url("/a.bin"))
    new = restart(application="/books/new.ipynb")
    [moved] = housekeeping.adopt(new, "/books/old.ipynb")
    assert moved.group == "plates"
    assert new.create_group("plates").max_rate == 123_456
    assert moved.start().wait(DEADLINE).status.is_success


def test_what_may_be_two_notebooks_is_not_adopted(
    new_downloader: Callable[..., BackgroundDownloader], server: FaultServer
):
    for name in ("/books/one/a.ipynb", "/books/two/a.ipynb"):
        new_downloader(application=name).create_download(server.url("/a.bin"))
    with pytest.raises(InvalidRequest, match="may be one of"):
        housekeeping.adopt(new_downloader(), "a.ipynb")


def test_a_request_that_must_not_be_sent_twice_is_not_taken_up(
    downloader: BackgroundDownloader,
    restart: Callable[..., BackgroundDownloader],
    server: FaultServer,
    work: Path,
):
    """Its own application ends it as interrupted; a command line that looks in must not send it again."""
    (work / "body").write_text("order one")
    operation = downloader.create_download(server.url("/silent.bin"), "answer", request_body_file=work / "body")
    operation.start()
    server.wait_until(lambda: len(server.requests("/silent.bin")) == 1)
    restart()
    assert housekeeping.take_up([operation.guid]) == []
    assert len(server.requests("/silent.bin")) == 1


def test_purging_ends_what_runs_and_removes_its_bytes(
    downloader: BackgroundDownloader, server: FaultServer, work: Path, seen: Seen
):
    operation = downloader.download(server.url("/held.bin"))
    seen.until(lambda: len(partial_files(work)) == 1)
    purged = purging.purge(housekeeping.application_of(downloader))
    assert (purged.operations, purged.left) == (1, ())
    assert partial_files(work) == []
    assert operation.status is BackgroundTransferStatus.CANCELED
    with pytest.raises(TransferCanceled):
        operation.wait(DEADLINE)


def test_purging_forgets_secrets(downloader: BackgroundDownloader, server: FaultServer):
    operation = downloader.create_download(server.url("/a.bin"), headers={"Authorization": "Bearer s3cr3t"})
    purging.purge(None)
    assert current_runner().vault.fetch(str(operation.guid)).result(DEADLINE) is None


def test_a_verified_file_is_known_by_its_digest(downloader: BackgroundDownloader, server: FaultServer, work: Path):
    operation = downloader.download(server.url("/a.bin"), sha256=SMALL.sha256).wait(DEADLINE)
    assert verification.verify(operation).is_whole
    path = work / "a.bin"
    path.write_bytes(path.read_bytes()[:-1] + b"?")
    assert verification.verify(operation).says == "its sha256 is another one than when it was fetched"


def test_without_a_digest_the_size_is_compared_and_that_is_said(downloader: BackgroundDownloader, server: FaultServer):
    operation = downloader.download(server.url("/a.bin")).wait(DEADLINE)
    found = verification.verify(operation)
    assert (found.is_whole, found.says) == (True, "it has the right size; no digest is known")


def test_a_vault_that_refuses_is_known_not_to_work(downloader: BackgroundDownloader):
    assert facts.vault_works() is False


def test_the_facts_name_the_loop_and_the_state_file(downloader: BackgroundDownloader, state_path: Path):
    engine = facts.engine_facts()
    assert (engine.place_kind, engine.state_file, engine.is_in_memory) == ("thread", state_path, False)

"""The subcommands of `%bgdl`, in a real IPython shell."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from bgdl_jupyter.errors import TransferFailed
from bgdl_jupyter.model.downloader import default_downloader
from bgdl_jupyter.status import BackgroundTransferBehavior, BackgroundTransferStatus, NotificationSetting
from tests.downloads import DEADLINE, Seen, partial_files
from tests.frontends.files import SMALL, served

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from bgdl_jupyter.model.downloader import BackgroundDownloader
    from tests.frontends.conftest import Cells
    from tests.servers.fault_server import FaultServer
    from tests.servers.fixtures import StartFaultServer

PAUSED = BackgroundTransferStatus.PAUSED_BY_APPLICATION


@pytest.fixture
def server(fault_server: StartFaultServer) -> FaultServer:
    return served(fault_server)


@pytest.fixture
def site(server: FaultServer, cells: Cells) -> FaultServer:
    """Serve the files, with the address in the notebook's variable `site`."""
    cells.set(site=server.url(""))
    return server


def test_pause_and_resume_by_name(cells: Cells, site: FaultServer, seen: Seen):
    operation = cells.run("%bgdl {site}/held.bin")
    seen.until(lambda: operation.bytes_received > 0)
    assert "Paused 1 download: held.bin." in cells.run("%bgdl pause held.bin")
    assert operation.status is PAUSED
    site.events.set("go")
    assert "Resumed 1 download" in cells.run("%bgdl resume held.bin")
    assert operation.wait(DEADLINE).status.is_success


def test_pause_without_a_name_means_all_of_this_notebook(cells: Cells, site: FaultServer):
    first = cells.run("%bgdl {site}/held.bin one.bin")
    second = cells.run("%bgdl {site}/held.bin?2 two.bin -g a")
    cells.run("%bgdl pause")
    assert (first.status, second.status) == (PAUSED, PAUSED)


@pytest.mark.parametrize("how", ["-g a", "a", "tw?.bin", "{str(second.guid)[:6]}", "{second.guid}", "'two.bin'"])
def test_one_is_chosen_by_group_pattern_or_guid(cells: Cells, site: FaultServer, how: str):
    first = cells.run("%bgdl {site}/held.bin one.bin --as first")
    second = cells.run("%bgdl {site}/held.bin?2 two.bin -g a --as second")
    cells.run(f"%bgdl pause {how}")
    assert first.status.is_running
    assert second.status is PAUSED


def test_a_step_that_one_does_not_allow_is_explained_by_the_model(cells: Cells, site: FaultServer):
    cells.run("%bgdl {site}/a.bin --wait")
    assert "COMPLETED" in cells.refusal("%bgdl pause a.bin")


def test_a_step_that_none_allows_says_how_they_are(cells: Cells, site: FaultServer):
    cells.run("%bgdl {site}/a.bin --wait")
    assert cells.run("%bgdl pause") == "Nothing to pause: 1 completed."


def test_cancel_removes_the_partial_file(cells: Cells, site: FaultServer, seen: Seen, work: Path):
    operation = cells.run("%bgdl {site}/held.bin")
    seen.until(lambda: len(partial_files(work)) == 1)
    assert "Canceled 1 download" in cells.run("%bgdl cancel")
    seen.until(lambda: partial_files(work) == [])
    assert operation.status is BackgroundTransferStatus.CANCELED


def test_retry_starts_what_failed_and_only_that(cells: Cells, site: FaultServer):
    canceled = cells.run("%bgdl {site}/held.bin")
    cells.run("%bgdl cancel")
    failed = cells.run("%bgdl {site}/gone.bin")
    with pytest.raises(TransferFailed):
        failed.wait(DEADLINE)
    site.put("/gone.bin", SMALL)
    assert "Started again 1 download: gone.bin." in cells.run("%bgdl retry")
    assert failed.wait(DEADLINE).status.is_success
    assert canceled.status is BackgroundTransferStatus.CANCELED


def test_list_is_a_list_and_a_table(cells: Cells, site: FaultServer):
    cells.run("%bgdl {site}/a.bin --wait")
    cells.run("%bgdl {site}/b.bin -g x --wait")
    listing = cells.run("%bgdl list")
    assert [each.name for each in listing] == ["a.bin", "b.bin"]
    assert "2 downloads" in repr(listing)
    assert "a.bin" in listing._repr_mimebundle_()["text/html"]
    assert [each.name for each in cells.run("%bgdl list -g x")] == ["b.bin"]


def test_listing_does_not_count_as_seen(cells: Cells, site: FaultServer, seen: Seen):
    """Windows shows a final operation until a caller got it; the list for the eyes is no caller."""
    operation = cells.run("%bgdl {site}/a.bin")
    seen.until(lambda: operation.status.is_final)
    cells.run("%bgdl list")
    assert operation in default_downloader().get_current_downloads()


def test_show_says_which_loop_runs_the_downloads_and_where_the_state_is(cells: Cells, state_path: Path):
    shown = repr(cells.run("%bgdl show"))
    assert "loop: thread. " in shown
    assert f"state file: {state_path} (durable)" in shown
    assert "max_parallel: 16" in shown


def test_show_gives_one_operation_or_a_group(cells: Cells, site: FaultServer):
    operation = cells.run("%bgdl {site}/a.bin -g x")
    assert cells.run("%bgdl show a.bin") is operation
    assert cells.run("%bgdl show -g x") is operation.transfer_group


def test_attach_waits_for_what_runs(cells: Cells, site: FaultServer):
    operation = cells.run("%bgdl {site}/held.bin")
    site.events.set("go")
    assert cells.run("%bgdl attach held.bin --wait") is operation
    assert operation.status.is_success


def test_clear_forgets_what_is_final_and_keeps_the_files(cells: Cells, site: FaultServer, work: Path):
    cells.run("%bgdl {site}/a.bin --wait")
    running = cells.run("%bgdl {site}/held.bin")
    assert cells.run("%bgdl clear") == "Cleared 1 download."
    assert cells.run("%bgdl list") == [running]
    assert (work / "a.bin").exists()


def test_limits_are_set_and_said(cells: Cells):
    said = cells.run("%bgdl limits --rate 5MB --parallel 8 --per-host 4 --connections 6")
    downloader = default_downloader()
    assert (downloader.max_rate, downloader.max_parallel) == (5_000_000, 8)
    assert (downloader.max_parallel_per_host, downloader.max_connections_per_host) == (4, 6)
    assert "max_rate: 5.0 MB/s" in said
    assert "max_rate: no limit" in cells.run("%bgdl limits --rate none")


def test_the_config_magic_lists_and_sets_the_settings(cells: Cells):
    cells.run("%config BackgroundDownloader.max_parallel = 7")
    assert default_downloader().max_parallel == 7
    cells.capture.readouterr()
    cells.run("%config BackgroundDownloader")
    assert "How many operations may run at once" in cells.capture.readouterr().out


def test_a_group_has_its_own_limits(cells: Cells):
    cells.run("%bgdl limits -g x --rate 1MiB --parallel 2 --behavior serialized")
    group = default_downloader().create_group("x")
    assert (group.max_rate, group.max_parallel) == (1 << 20, 2)
    assert group.transfer_behavior is BackgroundTransferBehavior.SERIALIZED
    assert default_downloader().max_parallel == 16


def test_the_users_word_about_the_network_counts_and_is_kept(cells: Cells):
    assert "metered" in cells.run("%bgdl network metered")
    assert default_downloader().network_conditions.cost.value == "metered"
    assert "You said" in cells.run("%bgdl network")
    assert "You said" not in cells.run("%bgdl network auto")


def test_alerts_are_turned_off_and_on(cells: Cells):
    assert cells.run("%bgdl alerts") == "alerts: enabled"
    assert cells.run("%bgdl alerts off") == "alerts: disabled for application"
    assert default_downloader().notification_setting is NotificationSetting.DISABLED_FOR_APPLICATION
    assert cells.run("%bgdl alerts on") == "alerts: enabled"


def test_adopt_brings_the_downloads_of_a_renamed_notebook(
    cells: Cells, site: FaultServer, new_downloader: Callable[..., BackgroundDownloader], work: Path
):
    old = new_downloader(application="/books/old name.ipynb", group="x")
    operation = old.download(site.url("/a.bin"))
    operation.wait(DEADLINE)
    moved = cells.run("%bgdl adopt 'old name.ipynb'")
    assert [each.guid for each in moved] == [operation.guid]
    assert [each.group for each in cells.run("%bgdl list")] == ["x"]


def test_purge_says_what_would_go_and_then_removes_it(cells: Cells, site: FaultServer, seen: Seen, work: Path):
    cells.run("%bgdl {site}/a.bin --wait")
    cells.run("%bgdl {site}/held.bin")
    seen.until(lambda: len(partial_files(work)) == 1)
    assert cells.run("%bgdl purge").startswith("--yes would remove 2 downloads")
    assert len(cells.run("%bgdl list")) == 2
    assert cells.run("%bgdl purge --yes").startswith("Removed 2 downloads")
    assert cells.run("%bgdl list") == []
    assert partial_files(work) == []
    assert (work / "a.bin").exists()


def test_nothing_behind_the_name_gives_the_downloader(cells: Cells):
    assert cells.run("%bgdl") is default_downloader()


def test_help_lists_the_subcommands_and_explains_one(cells: Cells):
    assert "%bgdl adopt" in cells.run("%bgdl help")
    assert "--override" in cells.run("%bgdl help resume")


def test_a_question_mark_shows_the_options(cells: Cells):
    info = cells.shell.object_inspect("%bgdl")
    assert "--sha256" in info["docstring"]
    assert "%bgdl pause" in info["docstring"]


def test_the_magics_can_be_taken_away(cells: Cells):
    from bgdl_jupyter.frontends import magics

    magics.unregister(cells.shell)
    assert "bgdl" not in cells.shell.magics_manager.magics["line"]
    assert list(cells.shell.strdispatchers["complete_command"].flat_matches("%bgdl pa")) == []

"""`%bgdl` and `%%bgdl` in a real IPython shell, and in a real kernel where the kernel matters."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from bgdl_jupyter.errors import TransferFailed
from bgdl_jupyter.model.downloader import default_downloader
from bgdl_jupyter.model.group import BackgroundTransferGroup
from bgdl_jupyter.model.operation import DownloadOperation
from bgdl_jupyter.status import (
    BackgroundTransferBehavior,
    BackgroundTransferPriority,
    BackgroundTransferStatus,
    NotificationSetting,
)
from tests.downloads import DEADLINE, Seen, partial_files
from tests.kernels import TIMEOUT, RealKernel, subshells
from tests.servers.faults import hold_after, status
from tests.servers.files import FileSpec

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from bgdl_jupyter.model.downloader import BackgroundDownloader
    from tests.frontends.conftest import Cells
    from tests.servers.fault_server import FaultServer
    from tests.servers.fixtures import StartFaultServer

PAUSED = BackgroundTransferStatus.PAUSED_BY_APPLICATION
SMALL = FileSpec(size=40_000)
#: Stands still after some bytes, until the test sets the event "go".
HELD = FileSpec(size=400_000, faults=(hold_after(30_000, until="go"),))
BROKEN = FileSpec(faults=(status(404),))


@pytest.fixture
def server(fault_server: StartFaultServer) -> FaultServer:
    return fault_server(
        {"/a.bin": SMALL, "/b.bin": FileSpec(size=50_000, seed=2), "/held.bin": HELD, "/gone.bin": BROKEN}
    )


@pytest.fixture
def site(server: FaultServer, cells: Cells) -> FaultServer:
    """Serve the files, with the address in the notebook's variable `site`."""
    cells.set(site=server.url(""))
    return server


# ---------------------------------------------------------------------------------------------------- a line, a cell


def test_a_line_downloads_a_file_and_gives_its_operation(cells: Cells, site: FaultServer, work: Path):
    operation = cells.run(f"%bgdl {site.url('/a.bin')} here.bin --sha256 {SMALL.sha256}")
    assert isinstance(operation, DownloadOperation)
    assert operation.wait(DEADLINE).result_file == work / "here.bin"
    assert (work / "here.bin").stat().st_size == SMALL.size


def test_variables_and_expressions_stand_for_themselves(cells: Cells, site: FaultServer, work: Path):
    cells.set(name="x y.bin")
    operation = cells.run('%bgdl {site + "/a.bin"} "$name"')
    assert operation.wait(DEADLINE).result_file == work / "x y.bin"


def test_a_quoted_path_may_have_spaces(cells: Cells, site: FaultServer, work: Path):
    operation = cells.run("%bgdl {site}/a.bin 'with some spaces.bin'")
    assert operation.wait(DEADLINE).result_file == work / "with some spaces.bin"


def test_options_reach_the_operation(cells: Cells, site: FaultServer):
    operation = cells.run("%bgdl {site}/a.bin -g 'a group' --priority low --header 'X-Wish: please' --max-size 1MB")
    operation.wait(DEADLINE)
    assert operation.group == "a group"
    assert operation.priority is BackgroundTransferPriority.LOW
    assert operation.options["max_size"] == 1_000_000
    assert site.requests("/a.bin")[0].header("X-Wish") == "please"


def test_mirrors_and_a_checksum_file_reach_the_operation(cells: Cells, site: FaultServer, tmp_path: Path):
    path = tmp_path / "SUMS"
    path.write_text(f"{'0' * 64}  a.bin\n")
    operation = cells.run(
        f"%bgdl {{site}}/a.bin --mirror {{site}}/m.bin --mirror {{site}}/n.bin --checksum-file '{path}'"
    )
    assert [each.rsplit("/", 1)[1] for each in operation.mirrors] == ["m.bin", "n.bin"]
    assert operation.checksum == f"sha256:{'0' * 64}"


def test_the_value_of_a_secret_header_shows_nowhere(cells: Cells, site: FaultServer):
    operation = cells.run("%bgdl {site}/a.bin --header 'Authorization: Bearer s3cr3t'")
    operation.wait(DEADLINE)
    assert site.requests("/a.bin")[0].header("Authorization") == "Bearer s3cr3t"
    bundle = operation._repr_mimebundle_()
    assert "s3cr3t" not in repr(operation) + str(bundle) + str(dict(operation.request_headers))


def test_as_keeps_the_result_in_a_variable(cells: Cells, site: FaultServer):
    operation = cells.run("%bgdl {site}/a.bin --as mine")
    assert cells.get("mine") is operation


def test_a_magic_may_be_assigned(cells: Cells, site: FaultServer):
    cells.run("mine = %bgdl {site}/a.bin")
    assert isinstance(cells.get("mine"), DownloadOperation)


def test_the_same_line_again_gives_what_is_there(cells: Cells, site: FaultServer):
    first = cells.run("%bgdl {site}/a.bin kept.bin --wait")
    assert cells.run("%bgdl {site}/a.bin kept.bin") is first
    assert len(site.requests("/a.bin")) == 1


def test_wait_lets_the_cell_end_with_the_file(cells: Cells, site: FaultServer, work: Path):
    cells.run("%bgdl {site}/a.bin --wait")
    assert (work / "a.bin").stat().st_size == SMALL.size


def test_wait_says_what_went_wrong_in_a_line(cells: Cells, site: FaultServer):
    said = cells.refusal("%bgdl {site}/gone.bin --wait --as mine")
    assert said.startswith("UsageError: ")
    assert "404" in said
    assert len(said.splitlines()) == 1
    assert isinstance(cells.get("mine").error, TransferFailed)


def test_a_cell_downloads_its_lines_as_a_group(cells: Cells, site: FaultServer, work: Path):
    digest = FileSpec(size=50_000, seed=2).sha256
    group = cells.run(
        f"%%bgdl -g two --wait\n# the first\n{{site}}/a.bin\n\n  $site/b.bin -> 'b b.bin' sha256:{digest}  # the last\n"
    )
    assert isinstance(group, BackgroundTransferGroup)
    assert group.name == "two"
    assert {each.name for each in work.iterdir()} == {"a.bin", "b b.bin"}


def test_lines_without_a_destination_go_into_the_folder_of_the_first_line(cells: Cells, site: FaultServer, work: Path):
    cells.run("%%bgdl -g two data --wait\n{site}/a.bin\n{site}/b.bin -> other.bin\n")
    assert (work / "data" / "a.bin").exists()
    assert (work / "other.bin").exists()


def test_a_wrong_line_of_a_cell_is_named_and_nothing_starts(cells: Cells, site: FaultServer):
    said = cells.refusal("%%bgdl -g two\n# a comment\n{site}/a.bin\nnonsense\n")
    assert "line 3: 'nonsense' is no URI; write URI -> DESTINATION sha256:HEX." in said
    assert cells.run("%bgdl list") == []
    assert site.requests() == []


def test_a_line_that_the_model_refuses_is_named_by_its_place_in_the_cell(cells: Cells, site: FaultServer):
    said = cells.refusal("%%bgdl -g two\n# a comment\n\n{site}/a.bin\ngopher://x/y\n")
    assert "cannot be used: line 4: No transport for the scheme 'gopher'" in said
    assert cells.run("%bgdl list") == []


def test_a_cell_may_be_a_manifest_or_name_one(cells: Cells, site: FaultServer, work: Path):
    group = cells.run(f"%%bgdl -g csv data --wait\nuri,destination\n{site.url('/a.bin')},x/one.bin\n")
    assert [each.result_file for each in group.operations] == [work / "data" / "x" / "one.bin"]
    (work / "list.jsonl").write_text(f'{{"uri": "{site.url("/b.bin")}", "destination": "two.bin"}}\n')
    for cell in ("%bgdl -g path --manifest list.jsonl --wait", "%%bgdl -g path2 p2 --wait\nlist.jsonl\n"):
        group = cells.run(cell)
        assert [each.name for each in group.operations] == ["two.bin"]
    assert (work / "p2" / "two.bin").exists()


def test_a_manifest_with_wrong_lines_is_refused_in_a_line_or_used_without_them(
    cells: Cells, site: FaultServer, work: Path
):
    rows = f"uri,destination\n{site.url('/a.bin')},a.bin\n{site.url('/b.bin')},../b.bin\n"
    said = cells.refusal(f"%%bgdl -g csv\n{rows}")
    assert "1 of 2 lines of the manifest cannot be used: line 3: the destination '../b.bin'" in said
    assert len(said.splitlines()) == 1
    group = cells.run(f"%%bgdl -g csv --skip-invalid --wait\n{rows}")
    assert [each.name for each in group.operations] == ["a.bin"]
    assert "leave the cell empty" in cells.refusal(f"%%bgdl -g csv --manifest x\n{rows}")


def test_a_waiting_cell_says_how_many_failed(cells: Cells, site: FaultServer):
    said = cells.refusal("%%bgdl -g two --wait\n{site}/a.bin\n{site}/gone.bin\n")
    assert said.startswith("UsageError: 1 of 2 downloads of 'two' failed")
    assert len(said.splitlines()) == 1


# ----------------------------------------------------------------------------------------------------------- refusals


@pytest.mark.parametrize(
    ("cell", "word"),
    [
        ("%bgdl paus", "the nearest is 'pause'"),
        ("%bgdl example.org/a.bin", "https://example.org/file"),
        ("%bgdl gopher://example.org/a", "gopher"),
        ("%bgdl http://example.org/a b c", "words too many"),
        ("%bgdl http://example.org/a --sha256 12", "64 hexadecimal digits"),
        ("%bgdl http://example.org/a --header nonsense", "Name: value"),
        ("%bgdl http://example.org/a --header 'A: b{chr(13)}C: d'", "line break"),
        ("%bgdl http://example.org/a --priority middling", "high"),
        ("%bgdl http://example.org/a --as 1x", "1x"),
        ("%bgdl http://example.org/a --as class", "class"),
        ("%bgdl http://example.org/a /dev/null/a", "UsageError"),
        ("%bgdl 'http://example.org/a", "No closing quotation"),
        ("%bgdl http://example.org/a --bogus", "--bogus"),
        ("%bgdl pause nobody", "There is no download 'nobody'"),
        ("%bgdl pause -g nobody", "There is no group 'nobody'"),
        ("%bgdl limits --parallel 0", "above 0"),
        ("%bgdl limits --rate fast", "5MB"),
        ("%bgdl limits --behavior serialized", "-g GROUP"),
        ("%bgdl limits -g x --per-host 3", "--per-host"),
        ("%bgdl help nobody", "nobody"),
        ("%bgdl adopt nowhere.ipynb", "nowhere.ipynb"),
        ("%bgdl purge --all --application x", "not both"),
        ("%%bgdl\nhttp://example.org/a", "%%bgdl -g GROUP"),
    ],
)
def test_what_cannot_be_done_is_said_in_one_line(cells: Cells, cell: str, word: str):
    """No traceback, nothing created."""
    said = cells.refusal(cell)
    assert len(said.splitlines()) == 1
    assert said.startswith("UsageError: ")
    assert word in said
    assert cells.run("%bgdl list") == []


@pytest.mark.parametrize(
    "cell",
    [
        "%bgdl example.org/a?key=s3cr3t",
        "%bgdl user:s3cr3t@example.org/a",
        "%bgdl https://user:s3cr3t@nowhere:port/a",
        "%bgdl https://example.org/a --header Authorization: Bearer s3cr3t",
        "%bgdl https://example.org/a --header 'Authorization: Bearer s3cr3t",
        "%bgdl https://example.org/a --header=s3cr3t",
        "%bgdl https://example.org/a --token=s3cr3t",
        "%%bgdl -g x\nexample.org/a?key=s3cr3t",
        "%%bgdl -g x\nhttps://example.org/a -> a.bin key=s3cr3t",
        "%%bgdl -g x\nhttps://user:s3cr3t@nowhere:port/a",
    ],
)
def test_a_refusal_does_not_say_a_secret_again(cells: Cells, cell: str):
    """The line can be deleted from a notebook more easily than what was said about it."""
    assert "s3cr3t" not in cells.refusal(cell)


# -------------------------------------------------------------------------------------------------------- subcommands


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


# ------------------------------------------------------------------------------------------------------ a real kernel


@pytest.fixture
def kernel(state_path: Path, work: Path) -> Iterator[RealKernel]:
    with RealKernel(cwd=work) as kernel:
        assert kernel.run("%load_ext bgdl_jupyter").error is None
        yield kernel


def completed(kernel: RealKernel, line: str) -> list[str]:
    """Return what the line may become by the Tab key at its end."""
    kernel.client.complete(line, len(line))
    reply = kernel.client.get_shell_msg(timeout=TIMEOUT)["content"]
    return sorted(line[: reply["cursor_start"]] + match for match in reply["matches"])


@pytest.mark.kernel
def test_a_kernel_completes_subcommands_options_groups_and_names(kernel: RealKernel, server: FaultServer):
    kernel.run(f"%bgdl {server.url('/held.bin')} one.bin -g 'a group'")
    kernel.run(f"%bgdl {server.url('/held.bin')}?2 'two words.bin'")
    kernel.run("%config IPCompleter.use_jedi = False")  # which is slow to load, and adds Python's keywords
    assert completed(kernel, "%bgdl pa") == ["%bgdl pause"]
    assert completed(kernel, "%bgdl re") == ["%bgdl resume", "%bgdl retry"]
    assert completed(kernel, "%bgdl pause on") == ["%bgdl pause one.bin"]
    assert completed(kernel, "%bgdl resume on") == []
    assert completed(kernel, '%bgdl pause "two w') == ['%bgdl pause "two words.bin"']
    assert completed(kernel, "%bgdl pause -g ") == ['%bgdl pause -g "a group"']
    assert completed(kernel, "%bgdl limits --beh") == ["%bgdl limits --behavior"]
    assert completed(kernel, "%bgdl limits --behavior ser") == ["%bgdl limits --behavior serialized"]
    assert completed(kernel, "%bgdl network m") == ["%bgdl network metered"]
    assert completed(kernel, "%bgdl http://x/y --sh") == ["%bgdl http://x/y --sha256"]
    assert completed(kernel, "%%bgdl --gr") == ["%%bgdl --group"]


@pytest.mark.kernel
@subshells
def test_a_kernel_says_that_a_subshell_runs_the_downloads(kernel: RealKernel):
    assert "loop: subshell. " in kernel.run("%bgdl show").text


@pytest.mark.kernel
def test_a_refusal_in_a_kernel_is_a_line_and_stops_the_cells_behind_it(kernel: RealKernel):
    kernel.client.execute("%bgdl paus")
    reply = kernel.client.get_shell_msg(timeout=TIMEOUT)["content"]
    assert (reply["status"], reply["ename"]) == ("error", "UsageError")


@pytest.mark.kernel
def test_a_result_shows_itself_in_a_kernel_as_widget_html_and_text(kernel: RealKernel, server: FaultServer):
    result = kernel.run(f"%bgdl {server.url('/a.bin')}")
    shown = next(each.content["data"] for each in result.outputs if each.type == "execute_result")
    assert set(shown) == {"text/plain", "text/html", "application/vnd.jupyter.widget-view+json"}


@pytest.mark.kernel
def test_a_waiting_cell_shows_the_download_while_it_waits(kernel: RealKernel, server: FaultServer):
    request = kernel.start(f"%bgdl {server.url('/held.bin')} --wait")
    kernel.wait_for(lambda message: message.type == "display_data" and "held.bin" in message.text, since=0)
    server.events.set("go")
    result = kernel.finish(request)
    assert "completed" in result.text


@pytest.mark.kernel
def test_an_interrupted_wait_leaves_the_download_alone(kernel: RealKernel, server: FaultServer):
    request = kernel.start(f"%bgdl {server.url('/held.bin')} --wait --as held")
    kernel.wait_for(lambda message: message.type == "display_data" and "held.bin" in message.text, since=0)
    kernel.interrupt()
    assert "KeyboardInterrupt" in (kernel.finish(request).error or "")
    server.events.set("go")
    assert "completed" in kernel.run("held.wait(20)").text


@pytest.mark.kernel
def test_waiting_on_the_main_loop_is_refused_with_a_hint(state_path: Path, work: Path, server: FaultServer):
    """It would stop the very loop that downloads."""
    with RealKernel(cwd=work) as kernel:
        kernel.run("import bgdl_jupyter; bgdl_jupyter.BackgroundDownloader(loop='main')")
        kernel.run("%load_ext bgdl_jupyter")
        assert "loop: main. " in kernel.run("%bgdl show").text
        assert "await" in kernel.run(f"%bgdl {server.url('/a.bin')} --wait").text

"""`%bgdl` and `%%bgdl` with what is to be downloaded, in a real IPython shell."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from bgdl_jupyter.errors import TransferFailed
from bgdl_jupyter.model.group import BackgroundTransferGroup
from bgdl_jupyter.model.operation import DownloadOperation
from bgdl_jupyter.status import BackgroundTransferPriority
from tests.downloads import DEADLINE
from tests.frontends.files import SMALL, served
from tests.servers.files import FileSpec

if TYPE_CHECKING:
    from pathlib import Path

    from tests.frontends.conftest import Cells
    from tests.servers.fault_server import FaultServer
    from tests.servers.fixtures import StartFaultServer


@pytest.fixture
def server(fault_server: StartFaultServer) -> FaultServer:
    return served(fault_server)


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

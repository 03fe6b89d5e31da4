"""What follows a download, as the magics, the command line, the ledger and the lab extension show it."""

from __future__ import annotations

import io
import json
import tarfile
import threading
from typing import TYPE_CHECKING, Any

import pytest

from bgdl_jupyter.frontends import wire, words
from bgdl_jupyter.frontends.commandline import Exit, main
from bgdl_jupyter.frontends.ledger import Ledger
from bgdl_jupyter.frontends.terminal import in_a_line
from bgdl_jupyter.frontends.verbs import Verb
from bgdl_jupyter.frontends.widgets.look import Look
from bgdl_jupyter.frontends.widgets.operation_row import OperationRow
from bgdl_jupyter.model.downloader import default_downloader
from bgdl_jupyter.model.process import current_runner, shut_down
from bgdl_jupyter.post_processing import PostProcessing, PostProcessingState
from tests.downloads import DEADLINE
from tests.servers.files import FileSpec

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from bgdl_jupyter.frontends.tally import Entry
    from bgdl_jupyter.model.downloader import BackgroundDownloader
    from bgdl_jupyter.model.operation import DownloadOperation
    from tests.frontends.conftest import Cells
    from tests.servers.fault_server import FaultServer
    from tests.servers.fixtures import StartFaultServer


def archive_of(name: str) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        info = tarfile.TarInfo(name)
        info.size = 5
        archive.addfile(info, io.BytesIO(b"first"))
    return buffer.getvalue()


@pytest.fixture
def server(fault_server: StartFaultServer) -> FaultServer:
    return fault_server({"/a.tgz": FileSpec(body=archive_of("x")), "/evil.tgz": FileSpec(body=archive_of("../x"))})


@pytest.fixture
def entry(downloader: BackgroundDownloader, server: FaultServer) -> Iterator[Entry]:
    """Return the entry of a download whose function is at work, in a ledger of its own."""
    began, may_end = threading.Event(), threading.Event()

    def follow(_: Path) -> None:
        began.set()
        may_end.wait(DEADLINE)

    with pytest.warns(UserWarning, match="restart"):
        operation = downloader.download(server.url("/a.tgz"), post_process=follow)
    assert began.wait(DEADLINE)
    yield current_runner().place.call(entry_of, operation)
    may_end.set()
    operation.wait(DEADLINE)


def entry_of(operation: DownloadOperation) -> Entry:
    ledger = Ledger(current_runner().registry)
    ledger.refresh_all()
    found = ledger.find(operation.guid)
    assert found is not None
    return found


def unpacking(operation: DownloadOperation, **values: Any) -> None:
    """Let an operation show how far an unpacking is."""
    value = PostProcessing(state=PostProcessingState.RUNNING, **values)
    current_runner().place.call(operation.set_trait, "post_processing", value)


def test_a_row_tells_how_far_the_unpacking_is_and_lets_it_be_canceled(entry: Entry):
    unpacking(entry.operation, bytes_done=250, bytes_total=1000, members_done=12, members_total=30)
    assert entry.kind == "running"
    assert Verb.CANCEL in entry.allowed
    assert Verb.CLEAR not in entry.allowed
    assert words.state(entry) == "unpacking: 25%, 12 of 30 files"

    def look() -> tuple[float, str]:
        row = OperationRow(current_runner(), Look(), entry)
        seen = row._bar.value, row._text.value
        row.close()
        return seen

    value, text = current_runner().place.call(look)
    assert value == 0.25
    assert "12 of 30 files" in text
    assert "unpacking: 25%" in in_a_line([entry.operation])


def test_without_a_known_size_a_row_only_moves(entry: Entry):
    def look() -> bool:
        row = OperationRow(current_runner(), Look(), entry)
        moves = row._is_indeterminate
        row.close()
        return moves

    assert current_runner().place.call(look)
    assert words.state(entry) == "complete, being processed"


def test_the_lab_extension_is_told(entry: Entry):
    unpacking(entry.operation, bytes_done=250, bytes_total=1000, members_done=12)
    view = wire.operation_view(entry, root=None)
    assert view["post_processing"] == {"state": "running", "text": "unpacking: 25%, 12 files", "fraction": 0.25}
    assert view["allowed"] == ["cancel"]


def test_a_line_unpacks_and_waits(cells: Cells, server: FaultServer, work: Path):
    operation = cells.run(f"%bgdl {server.url('/a.tgz')} --unpack --wait")
    assert operation.post_process_result == work / "a"
    assert (work / "a" / "x").read_bytes() == b"first"


def test_a_line_may_name_the_folder_and_a_function(cells: Cells, server: FaultServer, work: Path):
    line = f"%bgdl {server.url('/a.tgz')} --unpack-to some/where --post-process os:listdir --wait"
    assert cells.run(line).post_process_result == ["x"]
    assert (work / "some" / "where" / "x").is_file()


def test_a_failure_is_one_line_that_says_where_the_file_is(cells: Cells, server: FaultServer, work: Path):
    said = cells.refusal(f"%bgdl {server.url('/evil.tgz')} --unpack --wait")
    assert len(said.splitlines()) == 1
    assert str(work / "evil.tgz") in said


# ---------------------------------------------------------------------------------------------------- command line


@pytest.fixture
def clean(state_path: Path, work: Path) -> Iterator[None]:
    default_downloader.cache_clear()
    yield
    shut_down()
    default_downloader.cache_clear()


def test_get_unpacks_and_prints_the_folder(
    clean: None, server: FaultServer, work: Path, capsys: pytest.CaptureFixture[str]
):
    assert main(["get", server.url("/a.tgz"), "--unpack"]) == Exit.DONE
    assert capsys.readouterr().out == f"{work / 'a'}\n"


def test_a_failed_unpacking_exits_with_1_and_retry_does_only_that_again(
    clean: None, server: FaultServer, work: Path, capsys: pytest.CaptureFixture[str]
):
    assert main(["get", server.url("/evil.tgz"), "--unpack", "--json"]) == Exit.FAILED
    (record,) = json.loads(capsys.readouterr().out)
    assert record["post_processing"]["state"] == "failed"
    assert "leads out" in record["post_processing"]["error"]
    assert record["status"] == "COMPLETED"
    shut_down()
    (work / "evil.tgz").write_bytes(archive_of("x"))
    requests = len(server.requests())
    assert main(["retry"]) == Exit.DONE
    assert (work / "evil" / "x").is_file()
    assert len(server.requests()) == requests

"""Pooch with our downloads: its own tests, and what ours adds."""

from __future__ import annotations

import hashlib
import io
import os
import subprocess
import sys
import tempfile
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree as ET  # pytest's own report, of our own run

import pooch
import pytest

from bgdl_jupyter.errors import HttpStatusError, InvalidRequest, TransferFailed
from bgdl_jupyter.integrations.pooch import PoochDownloader
from bgdl_jupyter.model.credentials import PasswordCredential
from tests.integrations.conftest import BODY, LARGE
from tests.kernels import RealKernel
from tests.servers.auth_faults import Login, basic_auth
from tests.servers.content import Pattern, digest
from tests.servers.files import FileSpec

if TYPE_CHECKING:
    from bgdl_jupyter.model.downloader import BackgroundDownloader
    from tests.downloads import Seen
    from tests.servers.fault_server import FaultServer
    from tests.servers.fixtures import StartFaultServer, StartFtpServer, StartNginx

SHA256 = f"sha256:{hashlib.sha256(BODY).hexdigest()}"
ROOT = Path(__file__).parents[2]
#: What must be among the tests of pooch that passed: those that ours stands in for.
DOWNLOADER_TESTS = {
    "test_retrieve",
    "test_pooch_download[https]",
    "test_pooch_download_retry",
    "test_pooch_update",
    "test_pooch_corrupted",
    "test_check_availability",
    "test_check_availability_on_ftp",
    "test_fetch_with_downloader",
    "test_stream_download[subdir/tiny-data.txt]",
    "test_ftp_downloader",
    "test_downloader_progressbar[http]",
    "test_downloader_progressbar_ftp",
}


@pytest.mark.timeout(240)
def test_the_tests_of_pooch_pass_with_ours(nginx: StartNginx, tmp_path: Path) -> None:
    """All that need no server of the internet; `pooch_with_ours` lists those that are left out."""
    server = nginx(root=Path(pooch.__file__).parent / "tests" / "data")
    report = tmp_path / "report.xml"
    command = [sys.executable, "-m", "pytest", "-q", "-W", "ignore", "-p", "no:cacheprovider", "-c", os.devnull]
    command += ["-p", "tests.integrations.pooch_with_ours", f"--rootdir={tmp_path}", f"--junit-xml={report}"]
    run = subprocess.run(
        [*command, "--pyargs", "pooch.tests"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT), "POOCH_TEST_URL": server.url("/")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stdout
    cases = list(ET.parse(report).iter("testcase"))  # noqa: S314 (pytest's own report, of our own run)
    passed = {str(case.get("name")) for case in cases if case.find("skipped") is None}
    assert passed >= DOWNLOADER_TESTS
    assert len(passed) > 90


def test_pooch_takes_a_file_from_us(files: FaultServer, downloader: BackgroundDownloader, work: Path) -> None:
    ours = PoochDownloader(downloader=downloader)
    path = pooch.retrieve(files.url("/a.bin"), SHA256, fname="a.bin", path=work, downloader=ours)
    assert Path(path).read_bytes() == BODY
    assert [each.name for each in work.iterdir()] == ["a.bin"]


def test_a_file_object_is_written_to(files: FaultServer, downloader: BackgroundDownloader) -> None:
    target = io.BytesIO()
    PoochDownloader(downloader=downloader)(files.url("/a.bin"), target, None)
    assert target.getvalue() == BODY


def test_what_goes_to_a_file_without_a_name_waits_where_only_we_can_write(
    files: FaultServer, downloader: BackgroundDownloader, state_path: Path
) -> None:
    with tempfile.TemporaryFile() as target:
        PoochDownloader(downloader=downloader)(files.url("/a.bin"), target, None)
        target.seek(0)
        assert target.read() == BODY
    (operation,) = downloader.create_group("pooch").operations
    assert Path(str(operation.destination)).is_relative_to(state_path.parent)
    assert state_path.parent.stat().st_mode & 0o077 == 0


def test_a_credential_is_not_given_to_a_downloader_of_the_users(downloader: BackgroundDownloader) -> None:
    with pytest.raises(InvalidRequest, match="server_credential"):
        PoochDownloader(auth=("me", "mine"), downloader=downloader)
    assert downloader.server_credential is None


def test_an_option_that_does_not_exist_is_refused_before_anything_is_asked_for() -> None:
    with pytest.raises(TypeError, match="the nearest is 'headers'"):
        PoochDownloader(header={"A": "1"})


def test_headers_and_credentials_go_with_the_request(
    fault_server: StartFaultServer, downloader: BackgroundDownloader, work: Path
) -> None:
    server = fault_server({"/a.bin": FileSpec(body=BODY, faults=(basic_auth(Login(user="me", password="mine")),))})
    ours = PoochDownloader(auth=("me", "mine"), headers={"X-Asked-By": "pooch"})
    assert ours(server.url("/a.bin"), None, None, check_only=True) is True
    ours(server.url("/a.bin"), work / "a.bin", None)
    assert (work / "a.bin").read_bytes() == BODY
    assert server.requests("/a.bin")[-1].header("X-Asked-By") == "pooch"
    wrong = PoochDownloader(auth=PasswordCredential("files", "me", "yours"))
    with pytest.raises(HttpStatusError, match="401"):
        wrong(server.url("/a.bin"), work / "b.bin", None)


def test_a_check_asks_the_server_and_leaves_no_trace(
    files: FaultServer, ftp_server: StartFtpServer, downloader: BackgroundDownloader, work: Path
) -> None:
    ours = PoochDownloader(downloader=downloader)
    assert ours(files.url("/a.bin"), None, None, check_only=True) is True
    assert ours(files.url("/nothing.bin"), None, None, check_only=True) is False
    server = ftp_server()
    (server.root / "a.bin").write_bytes(BODY)
    assert ours(server.url("/a.bin"), None, None, check_only=True) is True
    assert ours(server.url("/nothing.bin"), None, None, check_only=True) is False
    assert not downloader.get_current_downloads(group="pooch")
    assert not list(work.iterdir())


def test_a_server_that_says_neither_yes_nor_no_is_an_error(
    fault_server: StartFaultServer, downloader: BackgroundDownloader
) -> None:
    server = fault_server({"/a.bin": FileSpec(body=BODY, faults=(basic_auth(Login(user="me", password="mine")),))})
    with pytest.raises(TransferFailed, match="401"):
        PoochDownloader(downloader=downloader)(server.url("/a.bin"), None, None, check_only=True)


def test_many_threads_that_want_the_same_get_it_each(
    files: FaultServer, downloader: BackgroundDownloader, work: Path
) -> None:
    ours = PoochDownloader(downloader=downloader)
    paths = [work / f"{number}.bin" for number in range(6)]
    with ThreadPoolExecutor(6) as threads:
        list(threads.map(lambda path: ours(files.url("/large.bin"), path, None), paths))
    for path in paths:
        assert hashlib.sha256(path.read_bytes()).digest() == digest(Pattern(LARGE, 3))
    assert len(list(work.iterdir())) == 6


def test_what_is_fetched_in_another_group_is_fetched_again_for_pooch(
    fault_server: StartFaultServer, downloader: BackgroundDownloader, work: Path
) -> None:
    server = fault_server({"/a.bin": FileSpec(body=BODY)})
    downloader.create_download(server.url("/a.bin"), "mine.bin")
    PoochDownloader(downloader=downloader)(server.url("/a.bin"), work / "a.bin", None)
    assert (work / "a.bin").read_bytes() == BODY
    assert not (work / "mine.bin").exists()


def test_an_interrupt_ends_the_waiting_and_not_the_download(
    fault_server: StartFaultServer, downloader: BackgroundDownloader, seen: Seen, work: Path
) -> None:
    """The next call takes what has come meanwhile."""
    server = fault_server({"/a.bin": FileSpec(size=LARGE, seed=3, rate=LARGE)})

    class Impatient:
        total = 0

        def update(self, _: int) -> None:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        PoochDownloader(Impatient(), downloader=downloader)(server.url("/a.bin"), work / "a.bin", None)
    (operation,) = downloader.get_current_downloads(group="pooch")
    operation.wait(20)
    sent = server.body_bytes_sent("/a.bin")
    PoochDownloader(downloader=downloader)(server.url("/a.bin"), work / "a.bin", None)
    assert hashlib.sha256((work / "a.bin").read_bytes()).digest() == digest(Pattern(LARGE, 3))
    assert server.body_bytes_sent("/a.bin") == sent
    assert [each.name for each in work.iterdir()] == ["a.bin"]


def test_a_bar_of_the_users_is_filled_as_pooch_fills_it(
    files: FaultServer, downloader: BackgroundDownloader, work: Path
) -> None:
    class Bar:
        def __init__(self) -> None:
            self.total = 0
            self.steps: list[int | str] = []

        def update(self, step: int) -> None:
            self.steps.append(step)

        def reset(self) -> None:
            self.steps.append("reset")

        def close(self) -> None:
            self.steps.append("close")

    bar = Bar()
    PoochDownloader(bar, downloader=downloader)(files.url("/large.bin"), work / "a.bin", None)
    assert bar.total == LARGE
    assert bar.steps[-3:] == ["reset", LARGE, "close"]


def test_a_doi_is_looked_up_by_pooch(
    files: FaultServer, downloader: BackgroundDownloader, work: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Repository:
        def download_url(self, name: str) -> str:
            return files.url(f"/{name}")

    monkeypatch.setattr(pooch.downloaders, "doi_to_repository", lambda doi: {"10.1234/5": Repository()}[doi])
    PoochDownloader(downloader=downloader)("doi:10.1234/5/a.bin", work / "a.bin", None)
    assert (work / "a.bin").read_bytes() == BODY


@pytest.mark.kernel
def test_in_a_notebook_the_download_shows_its_view(files: FaultServer, tmp_path: Path) -> None:
    """The cell blocks, as pooch's do, and the bar is ours."""
    with RealKernel(cwd=tmp_path) as kernel:
        kernel.run("import pooch; from bgdl_jupyter.integrations.pooch import PoochDownloader")
        result = kernel.run(
            f"print(open(pooch.retrieve({files.url('/a.bin')!r}, {SHA256!r}, path='.',"
            " downloader=PoochDownloader()), 'rb').read().count(b'a'))"
        )
        assert result.error is None
        shown = [each for each in kernel.messages if each.type == "display_data"]
        assert any("application/vnd.jupyter.widget-view+json" in each.content["data"] for each in shown)
        assert str(BODY.count(b"a")) in result.text


def test_a_downloader_may_be_named_where_nothing_is_downloaded(monkeypatch: pytest.MonkeyPatch) -> None:
    """A library makes it when it is imported: no engine starts for that."""
    monkeypatch.setattr("bgdl_jupyter.integrations.pooch.default_downloader", lambda: pytest.fail("started"))
    before: Any = threading.active_count()
    PoochDownloader(auth=("me", "mine"))
    PoochDownloader()
    assert threading.active_count() == before

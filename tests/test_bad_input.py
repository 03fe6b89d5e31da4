"""What cannot be carried out is refused with a clear error, before anything is written."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import textwrap
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from bgdl_jupyter.errors import DestinationExists, InvalidRequest
from bgdl_jupyter.model.process import current_runner

if TYPE_CHECKING:
    from bgdl_jupyter.model.downloader import BackgroundDownloader

URI = "http://127.0.0.1:1/file.bin"
ROOT = Path(__file__).parents[1]


@pytest.fixture
def nothing_written(downloader: BackgroundDownloader, work: Path, state_path: Path) -> Any:
    """Look after the test whether an operation was recorded or a file made."""
    before = sorted(work.rglob("*"))
    yield
    assert current_runner().state.rows().result(10) == []
    assert downloader.get_current_downloads() == []
    assert sorted(work.rglob("*")) == before


pytestmark = pytest.mark.usefixtures("nothing_written")


@pytest.mark.parametrize(
    "uri",
    [
        "",
        "file.bin",
        "//example.org/file.bin",
        "javascript:alert(1)",
        "file:///etc/passwd",
        "gopher://example.org/",
        "http://",
        "http:///file.bin",
        "http://example.org:99999/",
        "http://example.org:0/",
        "http://[::1/",
        "http://exa mple.org/",
        "http://example.org/a b",
        "http://example.org/a\r\nX: y",
        "http://example.org\\@evil.org/",
        "http://example.org/" + "a" * 9000,
        "http://example.org/\0",
        b"http://example.org/",
        None,
        42,
    ],
    ids=lambda uri: repr(uri)[:30],
)
def test_an_unusable_uri(downloader: BackgroundDownloader, uri: Any):
    for call in (downloader.create_download, downloader.download):
        with pytest.raises(InvalidRequest) as refused:
            call(uri, "file.bin")
        assert isinstance(refused.value, ValueError)
        assert "URI" in str(refused.value) or "scheme" in str(refused.value)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("X-Test", "a\r\nInjected: b"),
        ("X-Test", "a\nb"),
        ("X-Test", "a\0b"),
        ("X-Test", "\N{SNOWMAN}"),
        ("X-Test", "x" * 20_000),
        ("X-Test", 17),
        ("X Test", "a"),
        ("X-Test:", "a"),
        ("", "a"),
        ("X\r\nY", "a"),
        ("Range", "bytes=0-1"),
        ("if-range", "x"),
        ("Host", "evil.org"),
        ("Content-Length", "1"),
        ("Transfer-Encoding", "chunked"),
        ("Accept-Encoding", "gzip"),
        ("Connection", "close"),
    ],
)
def test_a_header_that_cannot_be_sent_or_is_ours(downloader: BackgroundDownloader, name: str, value: Any):
    with pytest.raises(InvalidRequest, match="header"):
        downloader.create_download(URI, "file.bin", headers={name: value})
    with pytest.raises(InvalidRequest, match="header"):
        downloader.set_request_header(name, value)
    assert dict(downloader.request_headers) == {}


def test_a_folder_as_the_file(downloader: BackgroundDownloader, tmp_path: Path):
    for folder in (tmp_path, f"{tmp_path}/new/"):
        with pytest.raises(InvalidRequest, match="folder"):
            downloader.create_download(URI, folder)
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize("path", ["", "a\0b", "x" * 300, 17, b"bytes"], ids=lambda path: repr(path)[:10])
def test_a_destination_that_is_no_path(downloader: BackgroundDownloader, path: Any):
    with pytest.raises(InvalidRequest):
        downloader.create_download(URI, path)


def test_a_destination_below_a_file_or_on_a_device(downloader: BackgroundDownloader, tmp_path: Path):
    (tmp_path / "file").write_text("")
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path / "file" / "below", tmp_path / "pipe", "/dev/null"):
        with pytest.raises(InvalidRequest):
            downloader.create_download(URI, path)


@pytest.mark.skipif(os.name == "nt", reason="permissions are those of POSIX")
def test_a_folder_that_cannot_be_written_to():
    """In a process whose user is not root, for root may write anywhere."""
    program = """
        import os, sys
        from pathlib import Path
        from bgdl_jupyter.errors import InvalidRequest
        from bgdl_jupyter.storage.destinations import check_destination

        if os.geteuid() == 0:
            os.setgid(65534)
            os.setuid(65534)
        try:
            check_destination(Path(sys.argv[1]))
        except InvalidRequest as error:
            print(error)
    """
    # Not below pytest's folder, which is closed to others.
    with tempfile.TemporaryDirectory() as closed:
        Path(closed).chmod(0o555)
        command = [sys.executable, "-c", textwrap.dedent(program), f"{closed}/new/file.bin"]
        finished = subprocess.run(command, capture_output=True, text=True, check=True, cwd=ROOT)
        assert list(Path(closed).iterdir()) == []
    assert "cannot be written to" in finished.stdout


def test_an_unknown_option_names_the_nearest(downloader: BackgroundDownloader):
    with pytest.raises(TypeError, match=r"'shar256'.*'sha256'"):
        downloader.create_download(URI, "file.bin", shar256="0" * 64)  # type: ignore[call-arg]  # what is refused
    with pytest.raises(TypeError, match=r"'colision'.*'collision'"):
        downloader.download(URI, "file.bin", colision="fail_if_exists")  # type: ignore[call-arg]  # as above
    with pytest.raises(TypeError, match="max_paralel"):
        type(downloader)(max_paralel=3)


@pytest.mark.parametrize(
    "options",
    [
        {"sha256": "abc"},
        {"sha256": "g" * 64},
        {"sha256": 17},
        {"checksum": "sha256"},
        {"checksum": "md17:00"},
        {"checksum": "sha256:" + "0" * 63},
        {"sha256": "0" * 64, "checksum": "sha256:" + "0" * 64},
        {"collision": "overwrite"},
        {"collision": 17},
        {"priority": "urgent"},
        {"cost_policy": 9},
        {"method": "FETCH"},
        {"method": "GET\r\nX: y"},
        {"max_size": -1},
        {"max_size": "10 MB"},
        {"max_size": True},
        {"expect_type": "csv"},
        {"group": "two\nlines"},
        {"group": 17},
        {"headers": ["X: y"]},
        {"headers": "X: y"},
        {"request_body_file": "missing.json"},
        {"request_body_file": "."},
    ],
    ids=repr,
)
def test_an_option_of_a_wrong_value(downloader: BackgroundDownloader, options: dict[str, Any]):
    with pytest.raises(InvalidRequest):
        downloader.create_download(URI, "file.bin", **options)


def test_an_existing_file_where_failing_was_asked_for(downloader: BackgroundDownloader, tmp_path: Path):
    (tmp_path / "there.bin").write_text("mine")
    with pytest.raises(DestinationExists, match=r"there\.bin"):
        downloader.create_download(URI, tmp_path / "there.bin", collision="fail_if_exists")

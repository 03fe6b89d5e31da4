"""What is no place is refused without a word of its password, and a store that fails keeps the file here."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

import pytest

from bgdl_jupyter.errors import InvalidRequest, StorageFailed
from bgdl_jupyter.events import ActivityChanged
from bgdl_jupyter.integrations.fsspec import open_place
from bgdl_jupyter.model.process import current_runner
from bgdl_jupyter.status import BackgroundTransferStatus, CreationCollisionOption, TransferActivity
from tests.integrations.conftest import BODY
from tests.integrations.stores import in_memory, is_large, names, staged

if TYPE_CHECKING:
    from pathlib import Path

    from bgdl_jupyter.model.downloader import BackgroundDownloader
    from tests.downloads import Seen
    from tests.servers.fault_server import FaultServer


@pytest.mark.parametrize(
    ("destination", "says"),
    [
        ("nosuch://a/b", "no store"),
        ("https://example.org/a", "no store"),
        ("simplecache::memory://a", "one place"),
        ("s3://", "bucket"),
        ("memory://a?token=of-somebody", "secret"),
    ],
)
def test_what_is_no_place_in_a_store_is_refused_when_it_is_named(
    files: FaultServer, downloader: BackgroundDownloader, destination: str, says: str
) -> None:
    with pytest.raises(InvalidRequest, match=says) as refusal:
        downloader.download(files.url("/a.bin"), destination)
    assert "of-somebody" not in str(refusal.value)


def test_storage_options_need_a_store_and_hold_only_what_can_be_kept(
    files: FaultServer, downloader: BackgroundDownloader
) -> None:
    with pytest.raises(InvalidRequest, match="for a destination in a store"):
        downloader.download(files.url("/a.bin"), "a.bin", storage_options={"anon": True})
    with pytest.raises(InvalidRequest, match="mapping of names"):
        downloader.download(files.url("/a.bin"), "memory://a.bin", storage_options={"session": object()})


def test_a_password_in_the_url_is_shown_nowhere(downloader: BackgroundDownloader, files: FaultServer) -> None:
    operation = downloader.create_download(files.url("/a.bin"), "ftp://me:of-nobody-else@127.0.0.1:9/a.bin")
    assert operation.destination == "ftp://me@127.0.0.1:9/a.bin"
    assert "storage" in operation.secret_names
    row = current_runner().state.rows(operation_ids=[operation.guid]).result(5)[0]
    assert "of-nobody-else" not in str(row)


def test_a_password_in_the_address_of_an_endpoint_is_not_stored(
    downloader: BackgroundDownloader, files: FaultServer, memory: dict[str, object]
) -> None:
    options = {"client_kwargs": {"endpoint_url": "https://id:of-nobody-else@minio.example:9000/?token=of-nobody-else"}}
    operation = downloader.create_download(files.url("/a.bin"), "memory://bucket/a.bin", storage_options=options)
    row = current_runner().state.rows(operation_ids=[operation.guid]).result(5)[0]
    assert "of-nobody-else" not in str(row)
    options = {"client_kwargs": {"endpoint_url": "https://minio.example:9000"}}
    same = downloader.create_download(files.url("/large.bin"), "memory://bucket/a.bin", storage_options=options)
    assert same.name == "a (1).bin"


@pytest.mark.parametrize("host", ["me:of-nobody-else[@host", "me:of-#nobody-else@host", "me:of-nobody-else@host:port"])
def test_a_store_whose_url_cannot_be_parsed_is_refused_without_a_word_of_its_password(
    downloader: BackgroundDownloader, files: FaultServer, host: str
) -> None:
    with pytest.raises(InvalidRequest, match="Percent-encode") as refusal:
        downloader.create_download(files.url("/a.bin"), f"ftp://{host}/a.bin")
    assert "nobody" not in str(refusal.value)
    assert "of-" not in str(refusal.value)


def test_a_store_that_has_other_bytes_is_a_failure_that_keeps_the_file(
    files: FaultServer,
    downloader: BackgroundDownloader,
    memory: dict[str, object],
    monkeypatch: pytest.MonkeyPatch,
    state_path: Path,
) -> None:
    from fsspec.implementations.memory import MemoryFileSystem

    def spoil(self: Any, old: str, new: str, **_: Any) -> None:
        self.pipe_file(new, b"spoiled")

    with monkeypatch.context() as patch:
        patch.setattr(MemoryFileSystem, "cp_file", spoil)
        operation = downloader.download(files.url("/large.bin"), "memory://large.bin")
        with pytest.raises(StorageFailed, match="other bytes"):
            operation.wait(20)
    assert len(staged(state_path)) == 1
    sent = files.body_bytes_sent("/large.bin")
    operation.retry().wait(20)
    assert files.body_bytes_sent("/large.bin") == sent
    assert is_large(in_memory("/large.bin"))


def test_a_store_that_lost_bytes_never_shows_the_name(
    files: FaultServer, downloader: BackgroundDownloader, memory: dict[str, object], monkeypatch: pytest.MonkeyPatch
) -> None:
    from fsspec.implementations.memory import MemoryFileSystem

    def lose_bytes(self: Any, _: str, path: str, **__: Any) -> None:
        self.pipe_file(path, BODY[:-1])

    monkeypatch.setattr(MemoryFileSystem, "put_file", lose_bytes)
    operation = downloader.download(files.url("/a.bin"), "memory://a.bin")
    with pytest.raises(StorageFailed, match=r"25,599 of the 25,600 bytes"):
        operation.wait(20)
    assert not memory


def test_a_store_that_is_out_of_reach_for_a_moment_is_tried_again(
    files: FaultServer,
    downloader: BackgroundDownloader,
    memory: dict[str, object],
    seen: Seen,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from fsspec.implementations.memory import MemoryFileSystem

    copy, failures = MemoryFileSystem.cp_file, iter([ConnectionResetError("gone"), TimeoutError()])
    fetched: list[int] = []

    def fail_at_first(self: Any, *paths: str, **options: Any) -> None:
        fetched.append(files.body_bytes_sent("/large.bin"))
        for failure in failures:
            raise failure
        copy(self, *paths, **options)

    monkeypatch.setattr(MemoryFileSystem, "cp_file", fail_at_first)
    operation = downloader.download(files.url("/large.bin"), "memory://large.bin").wait(20)
    activities = [each.activity for each in seen.of(ActivityChanged, operation)]
    assert activities.count(TransferActivity.BACKING_OFF) == 2
    assert fetched == [files.body_bytes_sent("/large.bin")] * 3
    assert names(memory) == ["/large.bin"]


def test_a_cancel_that_comes_after_the_store_has_the_file_is_too_late(
    files: FaultServer, downloader: BackgroundDownloader, memory: dict[str, object], monkeypatch: pytest.MonkeyPatch
) -> None:
    from fsspec.implementations.memory import MemoryFileSystem

    copy, is_moving, go_on = MemoryFileSystem.cp_file, threading.Event(), threading.Event()

    def move_slowly(self: Any, *paths: str, **options: Any) -> None:
        is_moving.set()
        assert go_on.wait(20)
        copy(self, *paths, **options)

    monkeypatch.setattr(MemoryFileSystem, "cp_file", move_slowly)
    operation = downloader.download(files.url("/a.bin"), "memory://a.bin")
    assert is_moving.wait(20)
    canceled = operation.cancel()
    go_on.set()
    canceled.wait(20)
    assert operation.wait(20).status is BackgroundTransferStatus.COMPLETED
    assert in_memory("/a.bin") == BODY


def test_what_a_kernel_left_in_the_store_when_it_died_goes_with_the_next_delivery(
    memory: dict[str, object], tmp_path: Path
) -> None:
    import fsspec

    fsspec.filesystem("memory").pipe_file("/data/.0a-1.bgdl", b"half")
    file = tmp_path / ".0a-3.bgdl"
    file.write_bytes(BODY)
    place = open_place(
        "memory://data/a.bin", None, collision=CreationCollisionOption.REPLACE_EXISTING, guard=lambda text: text
    )
    assert place.deliver(file, "memory://data/a.bin", sent=lambda _: None)
    assert names(memory) == ["/data/a.bin"]

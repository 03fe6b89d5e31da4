"""Downloads whose destination is a store."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from bgdl_jupyter.errors import DestinationExists, DestinationInUse, InvalidRequest, StorageFailed, TransferCanceled
from bgdl_jupyter.events import ActivityChanged
from bgdl_jupyter.integrations.fsspec import open_place
from bgdl_jupyter.model.process import current_runner
from bgdl_jupyter.model.purging import purge, remove_state_file
from bgdl_jupyter.model.stores import packed
from bgdl_jupyter.model.verification import verify
from bgdl_jupyter.status import BackgroundTransferStatus, CreationCollisionOption, Integrity, TransferActivity
from tests.downloads import partial_files
from tests.integrations.conftest import BODY, LARGE
from tests.servers.content import Pattern, digest
from tests.servers.s3 import DEADLINE

if TYPE_CHECKING:
    from collections.abc import Callable

    from bgdl_jupyter.model.downloader import BackgroundDownloader
    from bgdl_jupyter.model.operation import DownloadOperation
    from tests.downloads import Seen
    from tests.servers.fault_server import FaultServer
    from tests.servers.s3 import S3Request, S3Server

ROOT = Path(__file__).parents[2]
SHA256 = hashlib.sha256(BODY).hexdigest()


def staged(state_path: Path) -> list[Path]:
    """Return the private files that wait for a store."""
    return partial_files(state_path.parent / "staged")


def in_memory(path: str) -> bytes:
    import fsspec

    return bytes(fsspec.filesystem("memory").cat_file(path))


def is_large(body: bytes) -> bool:
    """Whether these are the bytes of the large file."""
    return hashlib.sha256(body).digest() == digest(Pattern(LARGE, 3))


def names(memory: dict[str, object]) -> list[str]:
    return sorted(memory)


# ---------------------------------------------------------------------------------------------------- any fsspec store


def test_a_file_arrives_in_the_store_and_nothing_of_it_stays_here(
    files: FaultServer, downloader: BackgroundDownloader, memory: dict[str, object], state_path: Path, work: Path
) -> None:
    operation = downloader.download(files.url("/a.bin"), "memory://data/a.bin", sha256=SHA256).wait(20)
    assert in_memory("/data/a.bin") == BODY
    assert operation.destination == "memory://data/a.bin"
    assert operation.result_file is None
    assert operation.integrity is Integrity.DIGEST
    assert names(memory) == ["/data/a.bin"]
    assert not staged(state_path)
    assert not list(work.iterdir())


def test_a_large_file_comes_in_parts_and_goes_as_a_whole(
    files: FaultServer, downloader: BackgroundDownloader, memory: dict[str, object]
) -> None:
    downloader.download(files.url("/large.bin"), "memory://large.bin").wait(20)
    assert is_large(in_memory("/large.bin"))


def test_the_name_appears_only_with_all_bytes(
    files: FaultServer, downloader: BackgroundDownloader, memory: dict[str, object], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A store that shows what is being written gets the bytes beside the name."""
    from fsspec.implementations.memory import MemoryFileSystem

    seen: list[list[str]] = []
    copy = MemoryFileSystem.cp_file

    def look_and_copy(self: Any, *paths: str, **options: Any) -> None:
        seen.append(names(memory))
        copy(self, *paths, **options)

    monkeypatch.setattr(MemoryFileSystem, "cp_file", look_and_copy)
    downloader.download(files.url("/large.bin"), "memory://data/large.bin").wait(20)
    ((aside,),) = seen
    assert aside.startswith("/data/.")
    assert aside.endswith(".bgdl")
    assert names(memory) == ["/data/large.bin"]


def test_a_folder_in_a_store_gets_the_name_that_the_server_gives(
    files: FaultServer, downloader: BackgroundDownloader, memory: dict[str, object]
) -> None:
    operation = downloader.download(files.url("/a.bin"), "memory://data/")
    assert operation.wait(20).destination == "memory://data/a.bin"
    assert names(memory) == ["/data/a.bin"]


def test_a_file_url_is_a_path_of_this_machine(files: FaultServer, downloader: BackgroundDownloader, work: Path) -> None:
    operation = downloader.download(files.url("/a.bin"), f"file://{work}/b.bin").wait(20)
    assert operation.result_file == work / "b.bin"
    assert operation.destination == str(work / "b.bin")


# ------------------------------------------------------------------------------------------------ what is there already


def test_a_taken_name_in_a_store_is_avoided(
    files: FaultServer, downloader: BackgroundDownloader, memory: dict[str, object]
) -> None:
    import fsspec

    fsspec.filesystem("memory").pipe_file("/a.bin", b"old")
    operation = downloader.create_download(files.url("/a.bin"), "memory://a.bin")
    operation.start().wait(20)
    assert operation.destination == "memory://a (1).bin"
    assert in_memory("/a.bin") == b"old"
    assert in_memory("/a (1).bin") == BODY


def test_a_name_that_another_download_will_write_is_avoided_or_refused(
    files: FaultServer, downloader: BackgroundDownloader, memory: dict[str, object]
) -> None:
    downloader.create_download(files.url("/a.bin"), "memory://a.bin")
    second = downloader.create_download(files.url("/large.bin"), "memory:///a.bin")
    assert second.destination == "memory:///a (1).bin"
    with pytest.raises(DestinationInUse, match=r"memory://a\.bin"):
        downloader.create_download(
            files.url("/gone.bin"), "memory://a.bin", collision=CreationCollisionOption.REPLACE_EXISTING
        )
    assert not memory


def test_a_name_that_must_be_free_is_looked_at_before_a_byte_is_fetched(
    files: FaultServer, downloader: BackgroundDownloader, memory: dict[str, object]
) -> None:
    import fsspec

    fsspec.filesystem("memory").pipe_file("/a.bin", b"old")
    operation = downloader.create_download(
        files.url("/a.bin"), "memory://a.bin", collision=CreationCollisionOption.FAIL_IF_EXISTS
    )
    with pytest.raises(DestinationExists):
        operation.start().wait(20)
    assert not files.requests("/a.bin")
    assert in_memory("/a.bin") == b"old"


def test_download_takes_what_it_has_put_there_before(
    files: FaultServer, downloader: BackgroundDownloader, memory: dict[str, object]
) -> None:
    downloader.download(files.url("/a.bin"), "memory://a.bin").wait(20)
    again = downloader.download(files.url("/a.bin"), "memory://a.bin").wait(20)
    assert again.status is BackgroundTransferStatus.COMPLETED
    assert len(files.requests("/a.bin")) == 1
    memory.clear()
    downloader.download(files.url("/a.bin"), "memory://a.bin").wait(20)
    assert in_memory("/a.bin") == BODY


def test_what_has_the_expected_digest_is_taken_as_it_is_and_what_has_not_is_left_alone(
    files: FaultServer, downloader: BackgroundDownloader, memory: dict[str, object]
) -> None:
    import fsspec

    store = fsspec.filesystem("memory")
    store.pipe_file("/a.bin", BODY)
    downloader.download(files.url("/a.bin"), "memory://a.bin", sha256=SHA256).wait(20)
    assert not files.requests("/a.bin")
    store.pipe_file("/b.bin", b"of somebody else")
    for expected in (SHA256, None):
        with pytest.raises(DestinationExists):
            downloader.download(files.url("/a.bin"), "memory://b.bin", sha256=expected).wait(20)
        assert in_memory("/b.bin") == b"of somebody else"
    assert not files.requests("/a.bin")


def test_what_the_same_download_has_put_there_is_replaced_by_the_right_bytes(
    files: FaultServer, downloader: BackgroundDownloader, memory: dict[str, object]
) -> None:
    import fsspec

    downloader.download(files.url("/a.bin"), "memory://a.bin").wait(20)
    fsspec.filesystem("memory").pipe_file("/a.bin", b"shorter")
    downloader.download(files.url("/a.bin"), "memory://a.bin").wait(20)
    assert in_memory("/a.bin") == BODY


def test_verify_reads_what_the_store_has(
    files: FaultServer, downloader: BackgroundDownloader, memory: dict[str, object]
) -> None:
    import fsspec

    operation = downloader.download(files.url("/a.bin"), "memory://a.bin", sha256=SHA256).wait(20)
    assert verify(operation).is_whole
    fsspec.filesystem("memory").pipe_file("/a.bin", BODY[::-1])
    assert not verify(operation).is_whole
    memory.clear()
    assert verify(operation).says == "the file is gone"


async def test_a_file_in_a_store_is_to_be_opened_there(
    files: FaultServer, downloader: BackgroundDownloader, memory: dict[str, object]
) -> None:
    operation = await downloader.download(files.url("/a.bin"), "memory://a.bin")
    async with await operation.open_result() as file:
        with pytest.raises(StorageFailed, match=r"memory://a\.bin"):
            await file.read(1)
    assert memory


def test_a_manifest_goes_to_a_folder_in_a_store(
    files: FaultServer, downloader: BackgroundDownloader, memory: dict[str, object]
) -> None:
    lines = [
        {"uri": files.url("/a.bin"), "destination": "small/a.bin"},
        {"uri": files.url("/large.bin"), "destination": "large.bin"},
    ]
    group = downloader.download_many(lines, group="data", directory="memory://data/")
    group.wait(20).raise_for_errors()
    assert names(memory) == ["/data/large.bin", "/data/small/a.bin"]
    assert [each.destination for each in group.results()] == ["memory://data/small/a.bin", "memory://data/large.bin"]


def test_two_lines_of_a_manifest_that_mean_one_place_are_refused_before_anything_starts(
    files: FaultServer, downloader: BackgroundDownloader, memory: dict[str, object]
) -> None:
    lines = [
        {"uri": files.url("/a.bin"), "destination": "memory://a.bin"},
        {"uri": files.url("/large.bin"), "destination": "memory:///a.bin"},
    ]
    with pytest.raises(InvalidRequest, match="line 1 has the same destination"):
        downloader.download_many(lines, group="data")
    assert not memory


# ----------------------------------------------------------------------------------------------------- what is refused


def test_purging_everything_takes_what_waits_for_stores(
    files: FaultServer, downloader: BackgroundDownloader, memory: dict[str, object], state_path: Path
) -> None:
    downloader.download(files.url("/a.bin"), "memory://a.bin").wait(20)
    assert (state_path.parent / "staged").is_dir()
    purge(None)
    assert names(memory) == ["/a.bin"]
    assert remove_state_file() == ""
    assert not state_path.parent.exists()


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


# ------------------------------------------------------------------------------------------------------------------ S3


def is_part(request: S3Request) -> bool:
    return "partNumber=" in request.query


@pytest.fixture
def to_s3(
    files: FaultServer, downloader: BackgroundDownloader, s3_server: S3Server, bucket: str
) -> Callable[..., DownloadOperation]:
    """Download to the test's bucket."""

    def to_s3(path: str, key: str, **options: Any) -> DownloadOperation:
        return downloader.download(
            files.url(path), f"s3://{bucket}/{key}", storage_options=s3_server.options, **options
        )

    return to_s3


def test_a_small_file_goes_to_s3_in_one_request(
    to_s3: Callable[..., DownloadOperation], s3_server: S3Server, bucket: str
) -> None:
    operation = to_s3("/a.bin", "data/a.bin").wait(20)
    assert s3_server.body(f"{bucket}/data/a.bin") == BODY
    assert operation.destination == f"s3://{bucket}/data/a.bin"
    assert [each.method for each in s3_server.requests if each.path == f"/{bucket}/data/a.bin"].count("PUT") == 1


def test_a_large_file_goes_to_s3_in_parts_and_says_how_far_it_is(
    to_s3: Callable[..., DownloadOperation], s3_server: S3Server, bucket: str, seen: Seen
) -> None:
    s3_server.hold(lambda request: is_part(request) and "partNumber=3" in request.query)
    operation = to_s3("/large.bin", "large.bin")
    seen.until(lambda: any("%" in each.reason for each in seen.of(ActivityChanged, operation)))
    assert operation.activity is TransferActivity.COMMITTING
    assert f"uploading to s3://{bucket}/large.bin" in operation.status_reason
    assert s3_server.body(f"{bucket}/large.bin") is None
    s3_server.release()
    operation.wait(20)
    body = s3_server.body(f"{bucket}/large.bin")
    assert body is not None
    assert is_large(body)


def test_canceling_an_upload_leaves_nothing_in_the_store(
    to_s3: Callable[..., DownloadOperation], s3_server: S3Server, bucket: str, state_path: Path
) -> None:
    s3_server.hold(lambda request: is_part(request) and "partNumber=2" in request.query)
    operation = to_s3("/large.bin", "large.bin")
    s3_server.until(lambda request: bucket in request.path and is_part(request), 3)
    canceled = operation.cancel()
    s3_server.release()
    canceled.wait(20)
    with pytest.raises(TransferCanceled):
        operation.wait(20)
    assert s3_server.body(f"{bucket}/large.bin") is None
    assert any(each.method == "DELETE" and bucket in each.path for each in s3_server.requests)
    assert not staged(state_path)


def test_nobody_loses_an_object_that_came_while_we_fetched(
    files: FaultServer, downloader: BackgroundDownloader, s3_server: S3Server, bucket: str
) -> None:
    """The store itself refuses to replace what must not be replaced."""
    s3_server.hold(lambda request: is_part(request) and "partNumber=3" in request.query)
    operation = downloader.create_download(
        files.url("/large.bin"), f"s3://{bucket}/large.bin", storage_options=s3_server.options
    )
    done = operation.start()
    s3_server.until(lambda request: bucket in request.path and is_part(request), 3)
    s3_server.put(f"{bucket}/large.bin", b"of somebody else")
    s3_server.release()
    done.wait(20)
    assert operation.destination == f"s3://{bucket}/large (1).bin"
    assert s3_server.body(f"{bucket}/large.bin") == b"of somebody else"


def test_a_store_that_cannot_refuse_to_replace_is_asked_just_before(
    files: FaultServer,
    downloader: BackgroundDownloader,
    s3_server: S3Server,
    bucket: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(s3_server, "knows_conditions", False)
    operation = downloader.create_download(
        files.url("/a.bin"), f"s3://{bucket}/a.bin", storage_options=s3_server.options
    )
    operation.start().wait(20)
    assert s3_server.body(f"{bucket}/a.bin") == BODY


def test_a_store_that_does_not_let_us_in_is_told_in_our_words_without_the_secret(
    files: FaultServer, downloader: BackgroundDownloader, s3_server: S3Server, state_path: Path
) -> None:
    operation = downloader.download(files.url("/a.bin"), "s3://no-such-bucket/a.bin", storage_options=s3_server.options)
    with pytest.raises(StorageFailed, match="bucket") as failure:
        operation.wait(20)
    assert "of-no-store" not in str(failure.value)
    assert len(staged(state_path)) == 1


def test_an_upload_that_was_cut_off_is_done_again_after_a_restart(
    files: FaultServer,
    to_s3: Callable[..., DownloadOperation],
    s3_server: S3Server,
    bucket: str,
    restart: Callable[..., BackgroundDownloader],
) -> None:
    """The bytes are not fetched again; without a vault the store's options are asked for."""
    s3_server.hold(lambda request: is_part(request) and "partNumber=2" in request.query)
    operation = to_s3("/large.bin", "large.bin")
    s3_server.until(lambda request: bucket in request.path and is_part(request), 3)
    sent = files.body_bytes_sent("/large.bin")
    guid = operation.guid
    downloader = restart()
    s3_server.release()
    assert s3_server.body(f"{bucket}/large.bin") is None
    (restored,) = downloader.get_current_downloads()
    assert restored.guid == guid
    restored.set_storage_options(s3_server.options)
    if restored.status.waits_for_a_person:
        restored.resume()
    restored.wait(20)
    body = s3_server.body(f"{bucket}/large.bin")
    assert body is not None
    assert is_large(body)
    assert files.body_bytes_sent("/large.bin") == sent
    assert not partial_files(restored.directory)
    assert restored.destination == f"s3://{bucket}/large.bin"


def test_what_the_store_got_just_before_the_end_is_not_sent_again(
    s3_server: S3Server, bucket: str, tmp_path: Path
) -> None:
    """The place was announced: what is there is recognised by its bytes, and somebody else's are left alone."""
    file = tmp_path / "whole"
    file.write_bytes(BODY)
    url = f"s3://{bucket}/a.bin"
    place = open_place(
        url,
        packed(s3_server.options),
        collision=CreationCollisionOption.GENERATE_UNIQUE_NAME,
        guard=lambda text: text,
    )
    s3_server.put(f"{bucket}/a.bin", BODY)
    assert place.choose(file, url) == (url, True)
    s3_server.put(f"{bucket}/a.bin", BODY[::-1])
    assert place.choose(file, url) == (f"s3://{bucket}/a (1).bin", False)


START = """
import bgdl_jupyter, sys
bgdl_jupyter.download(sys.argv[1], sys.argv[2]).wait()
"""


def test_a_kill_during_the_upload_costs_no_byte_and_leaves_no_part_to_be_seen(
    files: FaultServer,
    s3_server: S3Server,
    bucket: str,
    new_downloader: Callable[..., BackgroundDownloader],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A process that is killed; the next one finds the store by fsspec's own configuration, and sends it again."""
    import fsspec.config

    s3_server.hold(lambda request: is_part(request) and "partNumber=2" in request.query)
    environment = {f"FSSPEC_S3_{name.upper()}": value for name, value in s3_server.options.items()}
    command = [sys.executable, "-c", START, files.url("/large.bin"), f"s3://{bucket}/large.bin"]
    with subprocess.Popen(command, env={**os.environ, **environment, "PYTHONPATH": str(ROOT)}) as process:
        s3_server.until(lambda request: bucket in request.path and is_part(request), 3)
        process.kill()
    s3_server.release()
    assert s3_server.body(f"{bucket}/large.bin") is None
    sent = files.body_bytes_sent("/large.bin")
    monkeypatch.setitem(fsspec.config.conf, "s3", s3_server.options)
    (restored,) = new_downloader().get_current_downloads()
    restored.wait(20)
    body = s3_server.body(f"{bucket}/large.bin")
    assert body is not None
    assert is_large(body)
    assert files.body_bytes_sent("/large.bin") == sent
    assert not partial_files(restored.directory)


LEAVE = """
import bgdl_jupyter, sys, threading
operation, sent = bgdl_jupyter.download(sys.argv[1], sys.argv[2]), threading.Event()
operation.observe(lambda change: "uploading" in change["new"] and sent.set(), "status_reason")
assert "uploading" in operation.status_reason or sent.wait(20)
"""


def test_a_store_that_does_not_answer_keeps_no_process_from_ending(
    files: FaultServer, s3_server: S3Server, bucket: str, state_path: Path, work: Path
) -> None:
    s3_server.hold(lambda request: bucket in request.path and request.method in {"POST", "PUT"})
    environment = {f"FSSPEC_S3_{name.upper()}": value for name, value in s3_server.options.items()}
    command = [sys.executable, "-c", LEAVE, files.url("/large.bin"), f"s3://{bucket}/large.bin"]
    try:
        ended = subprocess.run(
            command,
            env={**os.environ, **environment, "PYTHONPATH": str(ROOT)},
            timeout=DEADLINE - 2,  # before the store answers
            check=False,
        )
    finally:
        s3_server.release()
    assert ended.returncode == 0
    assert len(staged(state_path)) == 1

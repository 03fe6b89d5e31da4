"""Downloads whose destination is S3: parts, conditions, restarts, and the end of the process."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from bgdl_jupyter.errors import StorageFailed, TransferCanceled
from bgdl_jupyter.events import ActivityChanged
from bgdl_jupyter.integrations.fsspec import open_place
from bgdl_jupyter.model.stores import packed
from bgdl_jupyter.status import CreationCollisionOption, TransferActivity
from tests.downloads import partial_files
from tests.integrations.conftest import BODY
from tests.integrations.stores import is_large, staged
from tests.servers.s3 import DEADLINE

if TYPE_CHECKING:
    from collections.abc import Callable

    from bgdl_jupyter.model.downloader import BackgroundDownloader
    from bgdl_jupyter.model.operation import DownloadOperation
    from tests.downloads import Seen
    from tests.servers.fault_server import FaultServer
    from tests.servers.s3 import S3Request, S3Server

ROOT = Path(__file__).parents[2]


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

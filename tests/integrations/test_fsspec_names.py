"""What a store has already under the name of a download: avoided, refused, taken as it is, or replaced."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import pytest

from bgdl_jupyter.errors import DestinationExists, DestinationInUse, InvalidRequest, StorageFailed
from bgdl_jupyter.model.verification import verify
from bgdl_jupyter.status import BackgroundTransferStatus, CreationCollisionOption
from tests.integrations.conftest import BODY
from tests.integrations.stores import in_memory, names

if TYPE_CHECKING:
    from bgdl_jupyter.model.downloader import BackgroundDownloader
    from tests.servers.fault_server import FaultServer

SHA256 = hashlib.sha256(BODY).hexdigest()


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

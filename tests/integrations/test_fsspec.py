"""Downloads whose destination is a store: any that fsspec opens gets the whole file, or nothing."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

from bgdl_jupyter.model.purging import purge, remove_state_file
from bgdl_jupyter.status import Integrity
from tests.integrations.conftest import BODY
from tests.integrations.stores import in_memory, is_large, names, staged

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

    from bgdl_jupyter.model.downloader import BackgroundDownloader
    from tests.servers.fault_server import FaultServer

SHA256 = hashlib.sha256(BODY).hexdigest()


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


def test_purging_everything_takes_what_waits_for_stores(
    files: FaultServer, downloader: BackgroundDownloader, memory: dict[str, object], state_path: Path
) -> None:
    downloader.download(files.url("/a.bin"), "memory://a.bin").wait(20)
    assert (state_path.parent / "staged").is_dir()
    purge(None)
    assert names(memory) == ["/a.bin"]
    assert remove_state_file() == ""
    assert not state_path.parent.exists()

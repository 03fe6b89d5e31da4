"""Downloads whose digest stands in a checksum file, on this machine or at a server."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from bgdl_jupyter.errors import HttpStatusError, IntegrityFailed, InvalidManifest, InvalidRequest, TransferFailed
from bgdl_jupyter.manifests.checksums import MAX_SIZE
from bgdl_jupyter.status import Integrity
from tests.servers.faults import hold_head, status
from tests.servers.files import Fault, FileSpec

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from bgdl_jupyter.model.downloader import BackgroundDownloader
    from tests.servers.fault_server import FaultServer
    from tests.servers.fixtures import StartFaultServer

WAIT = 20.0
FILES = {f"/v1/{number}.bin": FileSpec(size=1000 + number, seed=number) for number in range(6)}


@pytest.fixture
def server(fault_server: StartFaultServer) -> FaultServer:
    return fault_server(FILES)


def sums(*, wrong: int | None = None) -> str:
    """Return the checksum file of all files, with one that is wrong."""
    lines = [f"{spec.sha256}  {path.removeprefix('/v1/')}" for path, spec in FILES.items()]
    if wrong is not None:
        lines[wrong] = f"{'0' * 64}  {wrong}.bin"
    return "\n".join(lines)


def serve(server: FaultServer, path: str, text: str, *faults: Fault) -> str:
    """Serve a text, and return its URI."""
    server.put(path, FileSpec(body=text.encode(), faults=faults))
    return server.url(path)


def test_a_checksum_file_of_this_machine_is_read_at_once(
    downloader: BackgroundDownloader, server: FaultServer, work: Path
):
    (work / "SHA256SUMS").write_text(sums())
    operation = downloader.create_download(server.url("/v1/1.bin"), "renamed.bin", checksum_file="SHA256SUMS")
    assert operation.checksum == f"sha256:{FILES['/v1/1.bin'].sha256}"
    operation.wait(WAIT)
    assert operation.integrity is Integrity.DIGEST
    with pytest.raises(InvalidRequest, match="'SHA256SUMS' does not name 'x'"):
        downloader.create_download(server.url("/x"), "x", checksum_file="SHA256SUMS")
    with pytest.raises(InvalidRequest, match="cannot be read: No such file"):
        downloader.create_download(server.url("/x"), "x", checksum_file="nowhere")
    with pytest.raises(InvalidRequest, match="one of them"):
        downloader.create_download(server.url("/x"), "x", checksum_file="SHA256SUMS", sha256="0" * 64)
    with pytest.raises(InvalidRequest, match="may hold no secret"):
        downloader.create_download(server.url("/x"), "x", checksum_file="https://x/SUMS?token=s3cr3t")


def test_in_a_manifest_a_missing_name_is_a_bad_line_and_a_line_of_its_own_comes_first(
    downloader: BackgroundDownloader, server: FaultServer, work: Path
):
    (work / "SHA256SUMS").write_text(sums(wrong=2))
    with pytest.raises(InvalidManifest, match=r"line 2: The checksum file 'SHA256SUMS' does not name 'x'"):
        downloader.download_many([server.url("/v1/1.bin"), server.url("/x")], group="all", checksum_file="SHA256SUMS")
    lines = [server.url("/v1/1.bin"), {"uri": server.url("/v1/2.bin"), "sha256": FILES["/v1/2.bin"].sha256}]
    group = downloader.download_many(lines, group="all", checksum_file="SHA256SUMS")
    group.wait(WAIT).raise_for_errors()
    assert {each.integrity for each in group.operations} == {Integrity.DIGEST}


def test_a_checksum_file_at_a_server_is_fetched_once_for_all_that_name_it(
    downloader: BackgroundDownloader, server: FaultServer
):
    source = serve(server, "/v1/SHA256SUMS", sums(), status(503, on=1))
    lines = [server.url(path) for path in FILES]
    group = downloader.download_many(lines, group="all", checksum_file=source)
    group.wait(WAIT).raise_for_errors()
    assert {each.integrity for each in group.operations} == {Integrity.DIGEST}
    assert len(server.requests("/v1/SHA256SUMS")) == 2


def test_what_is_wrong_with_a_checksum_file_at_a_server_ends_the_download_and_a_retry_asks_again(
    downloader: BackgroundDownloader, server: FaultServer, work: Path
):
    source = serve(server, "/SUMS", sums(wrong=1))
    operation = downloader.create_download(server.url("/v1/1.bin"), "a", checksum_file=source)
    with pytest.raises(IntegrityFailed, match="twice"):
        operation.wait(WAIT)
    other = downloader.create_download(server.url("/plain"), "b", checksum_file=source)
    with pytest.raises(IntegrityFailed, match="The checksum file 'SUMS' does not name 'plain'"):
        other.wait(WAIT)
    missing = downloader.create_download(
        server.url("/v1/2.bin"), "c", checksum_file=serve(server, "/late", sums(), status(404, on=1))
    )
    with pytest.raises(HttpStatusError):
        missing.wait(WAIT)
    missing.retry()
    missing.wait(WAIT)
    assert missing.integrity is Integrity.DIGEST
    assert not (work / "a").exists()
    assert server.requests("/plain") == []


def test_a_checksum_file_that_is_no_such_thing_is_not_read_for_ever(
    downloader: BackgroundDownloader, server: FaultServer
):
    server.put("/huge", FileSpec(size=MAX_SIZE + 100_000))
    for source, message in ((server.url("/huge"), "has more than"), (serve(server, "/page", "<html>"), "no checksum")):
        operation = downloader.create_download(server.url("/v1/1.bin"), None, checksum_file=source)
        with pytest.raises(TransferFailed, match=message):
            operation.wait(WAIT)


def test_headers_go_with_it_to_the_same_origin_and_to_no_other(
    downloader: BackgroundDownloader, server: FaultServer, fault_server: StartFaultServer
):
    other = fault_server({})
    for where in (server, other):
        source = serve(where, "/SUMS", sums())
        downloader.create_download(
            server.url("/v1/1.bin"), None, checksum_file=source, headers={"X-Api-Key": "s3cr3tkey"}
        ).wait(WAIT)
    assert server.requests("/SUMS")[0].header("X-Api-Key") == "s3cr3tkey"
    assert other.requests("/SUMS")[0].header("X-Api-Key") is None


def test_after_a_restart_the_digest_is_still_asked_for(
    downloader: BackgroundDownloader, restart: Callable[..., BackgroundDownloader], server: FaultServer
):
    source = serve(server, "/SUMS", sums(), hold_head(until="go", on=1))
    downloader.create_download(server.url("/v1/1.bin"), "a", checksum_file=source).start()
    server.wait_until(lambda: bool(server.requests("/SUMS")))
    (operation,) = restart().get_current_downloads()
    operation.wait(WAIT)
    assert operation.integrity is Integrity.DIGEST
    assert operation.checksum == f"sha256:{FILES['/v1/1.bin'].sha256}"


def test_a_file_that_is_there_is_taken_by_its_checksum_file(
    downloader: BackgroundDownloader, server: FaultServer, work: Path
):
    (work / "1.bin").write_bytes(FILES["/v1/1.bin"].read())
    source = serve(server, "/SUMS", sums())
    first = downloader.download(server.url("/v1/1.bin"), "1.bin", checksum_file=source).wait(WAIT)
    assert downloader.download(server.url("/v1/1.bin"), "1.bin", checksum_file=source) is first
    assert server.requests("/v1/1.bin") == []

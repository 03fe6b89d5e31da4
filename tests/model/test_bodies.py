"""Requests with a body: sent as they were given, kept privately, and a POST never twice by itself."""

from __future__ import annotations

import asyncio
import io
import os
import stat
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from bgdl_jupyter.errors import HttpStatusError, InvalidRequest, InvalidTransferState, NetworkFailed, TransferFailed
from bgdl_jupyter.events import ActivityChanged
from bgdl_jupyter.model import housekeeping, purging
from bgdl_jupyter.model.process import current_runner
from bgdl_jupyter.status import BackgroundTransferStatus as Status
from bgdl_jupyter.status import Step, TransferActivity
from tests.downloads import Seen
from tests.servers.faults import close_after, cut_after, hold_after, hold_head, set_header, status
from tests.servers.files import FileSpec
from tests.servers.steps import Cut

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from pathlib import Path

    from bgdl_jupyter.model.downloader import BackgroundDownloader
    from tests.servers.fault_server import FaultServer
    from tests.servers.fixtures import StartFaultServer, StartFtpServer

SIZE = 300_000
LARGE = 20_000_000
BODY = b'{"query": "everything"}' * 10_000
WAIT = 15.0


@pytest.fixture
def server(fault_server: StartFaultServer) -> FaultServer:
    return fault_server({"/query": FileSpec(size=SIZE)})


@pytest.fixture
def spool(state_path: Path) -> Path:
    """Return the folder in which bodies are kept."""
    return state_path.parent / "spool"


async def pieces() -> AsyncIterator[bytes]:
    for start in range(0, len(BODY), 50_000):
        await asyncio.sleep(0)
        yield BODY[start : start + 50_000]


@pytest.mark.parametrize(
    "stream",
    [
        lambda: BODY,
        lambda: memoryview(BODY),
        lambda: io.BytesIO(BODY),
        pieces,
        lambda: (BODY[start : start + 70_000] for start in range(0, len(BODY), 70_000)),
    ],
    ids=["bytes", "memoryview", "binary file", "async iterable", "generator"],
)
async def test_a_stream_is_sent_as_it_was_given_and_its_copy_is_private_and_gone_at_the_end(
    downloader: BackgroundDownloader, server: FaultServer, spool: Path, seen: Seen, stream: Callable[[], Any]
):
    operation = await downloader.create_download_from_stream(server.url("/query"), "answer.bin", stream())
    (kept,) = spool.iterdir()
    assert kept.name == str(operation.guid)
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600
    assert stat.S_IMODE(spool.stat().st_mode) == 0o700
    assert operation.method == "POST"
    await operation
    (request,) = server.requests("/query")
    assert (request.method, request.body) == ("POST", BODY)
    assert operation.result_file is not None
    assert operation.result_file.read_bytes() == FileSpec(size=SIZE).read()
    seen.until(lambda: not list(spool.iterdir()))


@pytest.mark.parametrize(
    "stream",
    ["text", {"a": 1}, 7, io.StringIO("text"), ["text"]],
    ids=["a text", "a mapping", "a number", "a file of text", "a list"],
)
async def test_what_gives_no_bytes_is_refused_and_nothing_is_kept(
    downloader: BackgroundDownloader, server: FaultServer, spool: Path, stream: Any
):
    with pytest.raises(InvalidRequest, match="bytes"):
        await downloader.create_download_from_stream(server.url("/query"), "answer.bin", stream)
    assert not spool.exists() or not list(spool.iterdir())
    assert downloader.get_current_downloads() == []


async def test_a_stream_that_breaks_makes_no_operation_and_keeps_nothing(
    downloader: BackgroundDownloader, server: FaultServer, spool: Path
):
    async def broken() -> AsyncIterator[bytes]:
        yield b"half"
        raise RuntimeError("the source broke")

    with pytest.raises(RuntimeError, match="the source broke"):
        await downloader.create_download_from_stream(server.url("/query"), "answer.bin", broken())
    assert list(spool.iterdir()) == []
    assert downloader.get_current_downloads() == []


async def test_an_unknown_option_is_refused_before_the_stream_is_read(
    downloader: BackgroundDownloader, server: FaultServer
):
    source = io.BytesIO(BODY)
    with pytest.raises(TypeError, match="sha256"):
        await downloader.create_download_from_stream(  # type: ignore[call-arg]  # what is refused
            server.url("/query"), "answer.bin", source, sha265="0"
        )
    assert source.tell() == 0


async def test_a_failed_post_keeps_its_body_for_a_retry_that_is_asked_for(
    downloader: BackgroundDownloader, server: FaultServer, spool: Path, seen: Seen
):
    server.put("/query", FileSpec(size=SIZE, faults=(status(503, on=1),)))
    operation = await downloader.create_download_from_stream(server.url("/query"), "answer.bin", BODY)
    with pytest.raises(HttpStatusError):
        await operation
    assert len(server.requests("/query")) == 1
    await operation.retry()
    assert [each.body for each in server.requests("/query")] == [BODY] * 2
    seen.until(lambda: not list(spool.iterdir()))


async def test_a_body_goes_when_its_operation_is_canceled(
    downloader: BackgroundDownloader, server: FaultServer, spool: Path, seen: Seen
):
    operation = await downloader.create_download_from_stream(server.url("/query"), "answer.bin", BODY)
    await operation.cancel()
    seen.until(lambda: not list(spool.iterdir()))
    assert server.requests() == []
    assert Step.RETRY not in operation.allowed_steps
    with pytest.raises(InvalidTransferState, match="was not kept"):
        operation.retry()


async def test_a_spooled_body_is_sent_after_a_restart(
    downloader: BackgroundDownloader, restart: Callable[..., BackgroundDownloader], server: FaultServer, spool: Path
):
    created = await downloader.create_download_from_stream(server.url("/query"), "answer.bin", BODY, method="put")
    (operation,) = restart().get_current_downloads()
    assert operation.guid == created.guid
    await operation
    (request,) = server.requests("/query")
    assert (request.method, request.body) == ("PUT", BODY)


async def test_a_post_that_ran_at_a_crash_is_an_error_and_is_sent_again_only_by_retry(
    downloader: BackgroundDownloader, restart: Callable[..., BackgroundDownloader], server: FaultServer
):
    server.put("/query", FileSpec(size=SIZE, faults=(hold_head(until="never", on=1),)))
    created = await downloader.create_download_from_stream(server.url("/query"), "answer.bin", BODY)
    created.start()
    await server.until(lambda: len(server.requests("/query")) == 1)
    await asyncio.to_thread(restart)
    (operation,) = restart().get_current_downloads()
    assert operation.status is Status.ERROR
    with pytest.raises(TransferFailed, match="interrupted") as raised:
        await operation
    assert "retry()" in raised.value.hint
    assert len(server.requests("/query")) == 1
    await operation.retry()
    assert [each.body for each in server.requests("/query")] == [BODY] * 2


async def test_bodies_that_nobody_knows_are_swept_away_and_others_are_left(
    downloader: BackgroundDownloader, restart: Callable[..., BackgroundDownloader], server: FaultServer, spool: Path
):
    operation = await downloader.create_download_from_stream(server.url("/query"), "answer.bin", BODY)
    orphan = spool / "6f0c2f9d-0b5e-4d8f-9a3c-1f0e7d6b5a49"
    orphan.write_bytes(b"left by a kernel that died")
    young = spool / "7f0c2f9d-0b5e-4d8f-9a3c-1f0e7d6b5a49"
    young.write_bytes(b"being written by another kernel")
    for old in (orphan, spool / str(operation.guid)):
        _age(old)
    restart()
    Seen().until(lambda: not orphan.exists())
    assert sorted(each.name for each in spool.iterdir()) == sorted([str(operation.guid), young.name])


def _age(path: Path) -> None:
    os.utime(path, (0, 0))


async def test_a_body_goes_with_the_failed_operation_that_is_cleared(
    downloader: BackgroundDownloader, server: FaultServer, spool: Path, seen: Seen
):
    server.put("/query", FileSpec(size=SIZE, faults=(status(500),)))
    operation = await downloader.create_download_from_stream(server.url("/query"), "answer.bin", BODY)
    with pytest.raises(HttpStatusError):
        await operation
    assert [each.name for each in spool.iterdir()] == [str(operation.guid)]
    await asyncio.to_thread(housekeeping.clear, [operation])
    seen.until(lambda: not list(spool.iterdir()))


async def test_a_purge_removes_bodies_and_the_last_one_their_folder(
    downloader: BackgroundDownloader, server: FaultServer, spool: Path, state_path: Path
):
    await downloader.create_download_from_stream(server.url("/query"), "answer.bin", BODY)
    purged = await asyncio.to_thread(purging.purge, None)
    assert (purged.operations, purged.left) == (1, ())
    assert list(spool.iterdir()) == []
    assert await asyncio.to_thread(purging.remove_state_file) == ""
    assert not state_path.parent.exists()


# --------------------------------------------------------------------------------------- never twice, never in parts


@pytest.mark.parametrize("fault", [cut_after(SIZE // 2), close_after(SIZE // 2)], ids=repr)
async def test_a_post_whose_answer_broke_off_is_not_sent_again(
    downloader: BackgroundDownloader, server: FaultServer, fault: Any
):
    server.put("/query", FileSpec(size=SIZE, faults=(fault,)))
    operation = await downloader.create_download_from_stream(server.url("/query"), "answer.bin", BODY)
    with pytest.raises(TransferFailed):
        await operation
    assert len(server.requests("/query")) == 1


async def test_a_post_whose_answer_stalls_is_not_sent_again(
    new_downloader: Callable[..., BackgroundDownloader], server: FaultServer
):
    server.put("/query", FileSpec(size=SIZE, faults=(hold_after(SIZE // 2, until="never"),)))
    downloader = new_downloader(stall_timeout=1.0)
    operation = await downloader.create_download_from_stream(server.url("/query"), "answer.bin", BODY)
    with pytest.raises(TransferFailed):
        await operation
    assert len(server.requests("/query")) == 1


async def test_a_post_whose_answer_has_the_wrong_digest_is_not_sent_again(
    downloader: BackgroundDownloader, server: FaultServer
):
    operation = await downloader.create_download_from_stream(server.url("/query"), "answer.bin", BODY, sha256="0" * 64)
    with pytest.raises(TransferFailed, match="digest"):
        await operation
    assert len(server.requests("/query")) == 1


@pytest.mark.parametrize("method", ["POST", "PUT"])
async def test_a_large_answer_comes_over_one_connection_and_is_asked_for_once(
    downloader: BackgroundDownloader, server: FaultServer, method: str
):
    """More connections would send the body again."""
    server.put("/query", FileSpec(size=LARGE, rate=LARGE // 2))
    operation = await downloader.create_download_from_stream(server.url("/query"), "answer.bin", BODY, method=method)
    await operation
    assert len(server.requests("/query")) == 1


async def test_a_post_of_which_no_byte_left_is_tried_again(
    downloader: BackgroundDownloader, fault_server: StartFaultServer, seen: Seen
):
    closed = fault_server({})
    uri = closed.url("/query")
    closed.stop()
    operation = await downloader.create_download_from_stream(uri, "answer.bin", BODY)
    with pytest.raises(NetworkFailed):
        await operation
    waits = [each for each in seen.of(ActivityChanged) if each.activity is TransferActivity.BACKING_OFF]
    assert len(waits) == 3


async def test_a_retry_of_a_post_asks_for_everything_again(downloader: BackgroundDownloader, server: FaultServer):
    server.put("/query", FileSpec(size=SIZE, faults=(cut_after(SIZE // 2, on=1),)))
    operation = await downloader.create_download_from_stream(server.url("/query"), "answer.bin", BODY)
    with pytest.raises(TransferFailed):
        await operation
    await operation.retry()
    assert [each.header("Range") for each in server.requests("/query")] == [None, None]
    assert [each.body for each in server.requests("/query")] == [BODY] * 2


async def test_a_put_replays_by_itself_with_its_whole_body_and_without_a_range(
    downloader: BackgroundDownloader, server: FaultServer, work: Path
):
    server.put("/query", FileSpec(size=SIZE, faults=(status(503, on=1), cut_after(SIZE // 2, on=2))))
    (work / "body").write_bytes(BODY)
    operation = downloader.create_download(server.url("/query"), "answer.bin", request_body_file="body", method="PUT")
    await operation
    requests = server.requests("/query")
    assert [(each.method, each.body, each.header("Range")) for each in requests] == [("PUT", BODY, None)] * 3
    assert (work / "answer.bin").read_bytes() == FileSpec(size=SIZE).read()


async def test_a_put_can_be_paused_and_goes_on_with_its_whole_body(
    downloader: BackgroundDownloader, server: FaultServer, seen: Seen
):
    server.put("/query", FileSpec(size=SIZE, faults=(hold_after(SIZE // 2, until="never", on=1),)))
    operation = await downloader.create_download_from_stream(server.url("/query"), "answer.bin", BODY, method="PUT")
    operation.start()
    seen.until(lambda: operation.bytes_received == SIZE // 2)
    await operation.pause()
    await operation.resume()
    assert [each.body for each in server.requests("/query")] == [BODY] * 2


async def test_a_post_cannot_be_paused_but_canceled(downloader: BackgroundDownloader, server: FaultServer):
    server.put("/query", FileSpec(size=SIZE, faults=(hold_head(until="never"),)))
    operation = await downloader.create_download_from_stream(server.url("/query"), "answer.bin", BODY)
    operation.start()
    await server.until(lambda: len(server.requests("/query")) == 1)
    assert operation.allowed_steps == {Step.CANCEL}
    with pytest.raises(InvalidTransferState, match="pause"):
        operation.pause()
    await operation.cancel()
    await server.until(lambda: server.connections_open == 0)


async def test_a_201_of_a_post_makes_a_file_and_a_201_of_a_get_does_not(
    downloader: BackgroundDownloader, server: FaultServer, work: Path
):
    server.put("/query", _created)
    operation = await downloader.create_download_from_stream(server.url("/query"), "answer.bin", BODY)
    await operation
    assert (work / "answer.bin").read_bytes() == b"made"
    refused = downloader.create_download(server.url("/query"), "other.bin")
    with pytest.raises(HttpStatusError, match="201"):
        await refused
    assert not (work / "other.bin").exists()


def _created(request: Any) -> Any:
    spec = FileSpec(body=b"made", faults=(set_header("Location", "/made"),))
    answer = replace(spec.plain_answer(request), status=201)
    return answer.script()


async def test_the_body_file_is_read_afresh_for_each_attempt(
    downloader: BackgroundDownloader, server: FaultServer, work: Path
):
    server.put("/query", FileSpec(size=SIZE, faults=(status(400, on=1),)))
    (work / "body").write_bytes(b"first")
    operation = downloader.create_download(server.url("/query"), "answer.bin", request_body_file=work / "body")
    with pytest.raises(HttpStatusError):
        await operation
    (work / "body").write_bytes(b"second")
    await operation.retry()
    assert [each.body for each in server.requests("/query")] == [b"first", b"second"]


async def test_a_body_file_that_is_gone_fails_and_says_so_and_nothing_empty_is_sent(
    downloader: BackgroundDownloader, server: FaultServer, work: Path
):
    (work / "body").write_bytes(BODY)
    operation = downloader.create_download(server.url("/query"), "answer.bin", request_body_file=work / "body")
    (work / "body").unlink()
    with pytest.raises(TransferFailed, match="body cannot be read"):
        await operation
    assert [each.body for each in server.requests("/query") if each.method == "POST"] == []


async def test_what_a_body_says_is_nowhere_but_in_its_private_file(
    downloader: BackgroundDownloader, server: FaultServer, state_path: Path, seen: Seen, caplog: Any
):
    secret = b"the-sentinel-of-the-body"
    operation = await downloader.create_download_from_stream(server.url("/query"), "answer.bin", secret)
    await operation
    seen.until(lambda: not list((state_path.parent / "spool").iterdir()))
    await asyncio.wrap_future(current_runner().state.rows())
    files = [each for each in state_path.parent.rglob("*") if each.is_file()]
    assert files
    assert [each for each in files if secret in each.read_bytes()] == []
    assert secret.decode() not in repr(operation) + caplog.text + repr(seen.events)


# ------------------------------------------------------------------------------------------------------------- methods


@pytest.mark.parametrize("method", ["GET", "RETR"])
async def test_a_method_that_has_no_body_is_refused_with_one(
    downloader: BackgroundDownloader, server: FaultServer, spool: Path, method: str
):
    """It would leave as a POST that is taken for something that may be sent again."""
    with pytest.raises(InvalidRequest, match="has no body"):
        await downloader.create_download_from_stream(server.url("/query"), "answer.bin", BODY, method=method)
    assert list(spool.iterdir()) == []


async def test_the_downloaders_method_counts_for_bodies_too(downloader: BackgroundDownloader, server: FaultServer):
    downloader.method = "PUT"
    operation = await downloader.create_download_from_stream(server.url("/query"), "answer.bin", BODY)
    await operation
    assert [(each.method, each.body) for each in server.requests("/query")] == [("PUT", BODY)]


async def test_retr_fetches_over_http_and_ftp(
    downloader: BackgroundDownloader, server: FaultServer, ftp_server: StartFtpServer, work: Path
):
    files = ftp_server()
    (files.root / "file.bin").write_bytes(FileSpec(size=SIZE).read())
    for number, uri in enumerate((server.url("/query"), files.url("/file.bin"))):
        await downloader.create_download(uri, f"{number}.bin", method="RETR")
        assert (work / f"{number}.bin").read_bytes() == FileSpec(size=SIZE).read()
    assert [each.method for each in server.requests("/query")] == ["GET"]


async def test_ftp_takes_no_body_and_says_so(downloader: BackgroundDownloader, work: Path):
    (work / "body").write_bytes(BODY)
    with pytest.raises(InvalidRequest, match="takes no body"):
        downloader.create_download("ftp://127.0.0.1/file", "answer.bin", request_body_file=work / "body")


async def test_a_method_nobody_knows_is_refused(downloader: BackgroundDownloader, server: FaultServer):
    with pytest.raises(InvalidRequest, match="'BREW'"):
        downloader.create_download(server.url("/query"), "answer.bin", method="brew")


async def test_a_post_without_a_body_is_not_sent_again_after_a_lost_answer(
    downloader: BackgroundDownloader, server: FaultServer
):
    server.put("/query", (Cut(),))
    operation = downloader.create_download(server.url("/query"), "answer.bin", method="POST")
    with pytest.raises(NetworkFailed):
        await operation
    assert [each.method for each in server.requests("/query")] == ["POST"]

from __future__ import annotations

import asyncio
import contextlib
import gc
import hashlib
import time
import weakref
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from bgdl_jupyter.errors import (
    HttpStatusError,
    IntegrityFailed,
    NetworkFailed,
    ProtocolViolation,
    TransferFailed,
    TransferTimeout,
)
from bgdl_jupyter.events import ActivityChanged, ArrivedAtOnce, Progressed, ResourceProbed
from bgdl_jupyter.resource import OVERLAP, Digest
from bgdl_jupyter.status import Integrity, TransferActivity
from bgdl_jupyter.web_error_status import WebErrorStatus
from tests.engine.conftest import Fetch
from tests.servers import range_faults
from tests.servers.content import file_sha256
from tests.servers.faults import (
    chunked,
    close_after,
    cut_after,
    declare_length,
    drop_validators,
    hold_after,
    ignore_range,
    no_length,
    redirects,
    reset_after,
    stall_after,
    status,
    varied,
)
from tests.servers.files import Fault, FileSpec

if TYPE_CHECKING:
    from uuid import UUID

    from bgdl_jupyter.engine.order import Durable
    from bgdl_jupyter.storage.partial_file import PartialFile
    from tests.servers.fixtures import StartFaultServer

NewFetch = Callable[..., Fetch]

BIG = 1_000_000
HALF = 500_000
SMALL = 10_000
# Enough to be recorded on the way.
WATERMARKED = 6_000_000


def sha256(spec: FileSpec) -> Digest:
    return Digest("sha256", spec.sha256)


# ----------------------------------------------------------------------------------------------------------- plain ones


@pytest.mark.parametrize("size", [0, 1, 64 * 1024, 64 * 1024 + 1, BIG])
async def test_a_file_of_any_size_arrives_whole_and_leaves_nothing_beside_it(
    fault_server: StartFaultServer, fetch: NewFetch, size: int
):
    spec = FileSpec(size=size)
    one = fetch(fault_server({"/a": spec}).url("/a"))
    completed = await one.run()
    assert file_sha256(one.path) == spec.sha256
    assert completed.size == size
    assert completed.integrity is Integrity.LENGTH_AND_VALIDATOR
    assert [each.name for each in one.folder.iterdir()] == ["file.bin"]


@pytest.mark.parametrize("size", [1000, BIG])
async def test_a_chunked_body_ends_with_its_last_chunk(fault_server: StartFaultServer, fetch: NewFetch, size: int):
    spec = FileSpec(size=size, faults=(chunked(300),))
    one = fetch(fault_server({"/a": spec}).url("/a"))
    assert (await one.run()).size == size
    assert file_sha256(one.path) == spec.sha256


async def test_a_chunked_body_that_breaks_off_is_not_complete(fault_server: StartFaultServer, fetch: NewFetch):
    spec = FileSpec(size=BIG, faults=(chunked(10_000), cut_after(HALF, on=1)))
    one = fetch(fault_server({"/a": spec}).url("/a"))
    await one.run()
    assert file_sha256(one.path) == spec.sha256


async def test_a_body_that_ends_with_its_connection_says_that_nothing_proves_it_whole(
    fault_server: StartFaultServer, fetch: NewFetch
):
    spec = FileSpec(size=BIG, accept_ranges=None, faults=(no_length(),))
    one = fetch(fault_server({"/a": spec}).url("/a"))
    completed = await one.run()
    assert file_sha256(one.path) == spec.sha256
    assert completed.integrity is Integrity.NONE


async def test_a_server_that_has_ranges_is_asked_whether_there_is_more(fault_server: StartFaultServer, fetch: NewFetch):
    """R7: `416 */n` proves the end."""
    spec = FileSpec(size=BIG, faults=(no_length(),))
    server = fault_server({"/a": spec})
    one = fetch(server.url("/a"))
    completed = await one.run()
    assert file_sha256(one.path) == spec.sha256
    assert completed.integrity is Integrity.LENGTH_AND_VALIDATOR
    assert [each.header("Range") for each in server.requests("/a")] == [None, f"bytes={BIG}-{BIG}"]


async def test_an_end_that_was_none_is_found_out_and_the_rest_is_fetched(
    fault_server: StartFaultServer, fetch: NewFetch
):
    """R7: a connection that breaks in order looks like the end of a body without a length."""
    spec = FileSpec(size=BIG, faults=(no_length(), close_after(BIG // 2, on=1)))
    server = fault_server({"/a": spec})
    one = fetch(server.url("/a"))
    await one.run()
    assert file_sha256(one.path) == spec.sha256
    assert server.bytes_sent_twice("/a") <= OVERLAP + 1


async def test_redirects_lead_to_the_file(fault_server: StartFaultServer, fetch: NewFetch):
    spec = FileSpec(size=BIG)
    server = fault_server({"/a": spec, **redirects(3, to="/a")})
    one = fetch(server.url("/hop1"))
    await one.run()
    assert file_sha256(one.path) == spec.sha256
    assert one.of(ResourceProbed)[0].resource.actual_uri == server.url("/a")


async def test_a_small_file_is_told_of_once_when_it_is_there(fault_server: StartFaultServer, fetch: NewFetch):
    one = fetch(fault_server({"/a": FileSpec(size=SMALL)}).url("/a"))
    await one.run()
    (arrived,) = one.of(ResourceProbed)
    assert isinstance(arrived, ArrivedAtOnce)
    assert [each.activity for each in one.of(ActivityChanged)] == [TransferActivity.CONNECTING]
    assert arrived.resource.length == arrived.bytes_received == SMALL


async def test_a_small_file_that_takes_its_time_is_told_of_on_the_way(fault_server: StartFaultServer, fetch: NewFetch):
    one = fetch(fault_server({"/a": FileSpec(size=SMALL, rate=SMALL)}).url("/a"))
    await one.run()
    activities = [each.activity for each in one.of(ActivityChanged)]
    assert activities == [TransferActivity.CONNECTING, TransferActivity.DOWNLOADING, TransferActivity.COMMITTING]
    assert [type(each) for each in one.of(ResourceProbed)] == [ResourceProbed]


@pytest.mark.parametrize(("size", "is_thorough"), [(SMALL, False), (SMALL, True), (BIG, True)])
async def test_what_a_transfer_had_in_memory_is_free_when_it_ends(
    *, fault_server: StartFaultServer, fetch: NewFetch, size: int, is_thorough: bool
):
    """The garbage collector comes late, and looks at everything that a notebook holds."""
    one = fetch(fault_server({"/a": FileSpec(size=size)}).url("/a"))
    transfer = one.thorough() if is_thorough else one.transfer()
    there = weakref.ref(transfer)
    gc.disable()
    try:
        await transfer.run()
        del transfer
        assert there() is None
    finally:
        gc.enable()


async def test_progress_never_goes_back_and_never_exceeds_what_was_written(
    fault_server: StartFaultServer, fetch: NewFetch
):
    spec = FileSpec(size=BIG, rate=BIG, faults=(cut_after(HALF, on=1),))
    one = fetch(fault_server({"/a": spec}).url("/a"))
    began = time.monotonic()
    await one.run()
    told = one.of(Progressed)
    received = [each.bytes_received for each in told]
    assert received == sorted(received)
    assert received[-1] == BIG
    assert all(each.finished.total == each.bytes_received for each in told)
    assert len(told) <= 4 * (time.monotonic() - began) + 2, "told more than four times a second"


# --------------------------------------------------------------------------------------------------------------- resume


async def test_a_body_that_breaks_off_is_resumed_by_its_etag_from_what_is_there(
    fault_server: StartFaultServer, fetch: NewFetch
):
    spec = FileSpec(size=BIG, faults=(cut_after(HALF, on=1),))
    server = fault_server({"/a": spec})
    one = fetch(server.url("/a"))
    await one.run()
    first, second = server.requests("/a")
    assert first.header("Range") is None
    assert second.header("Range") == f"bytes={HALF - OVERLAP}-"
    assert second.header("If-Range") == '"v1"'
    assert server.bytes_sent_twice("/a") <= OVERLAP
    assert file_sha256(one.path) == spec.sha256
    assert one.restarts == []


async def test_without_an_etag_last_modified_is_what_a_resume_goes_by(fault_server: StartFaultServer, fetch: NewFetch):
    spec = FileSpec(size=BIG, etag=None, faults=(cut_after(HALF, on=1),))
    server = fault_server({"/a": spec})
    one = fetch(server.url("/a"))
    await one.run()
    assert server.requests("/a")[1].header("If-Range") == "Sat, 03 Feb 2024 04:05:06 GMT"
    assert server.bytes_sent_twice("/a") <= OVERLAP
    assert one.restarts == []


@pytest.mark.parametrize("weak", [drop_validators(), varied(etag='W/"v1"', last_modified=None)], ids=["none", "weak"])
async def test_where_nothing_proves_the_version_the_bytes_are_fetched_anew(
    fault_server: StartFaultServer, fetch: NewFetch, weak: Fault
):
    spec = FileSpec(size=BIG, faults=(weak, cut_after(HALF, on=1)))
    server = fault_server({"/a": spec})
    one = fetch(server.url("/a"))
    await one.run()
    assert server.requests("/a")[1].header("Range") is None
    assert len(one.restarts) == 1
    assert file_sha256(one.path) == spec.sha256


async def test_a_known_digest_proves_what_no_validator_does(fault_server: StartFaultServer, fetch: NewFetch):
    spec = FileSpec(size=BIG, faults=(drop_validators(), cut_after(HALF, on=1)))
    server = fault_server({"/a": spec})
    one = fetch(server.url("/a"), digest=sha256(spec))
    assert (await one.run()).integrity is Integrity.DIGEST
    assert one.restarts == []
    assert server.bytes_sent_twice("/a") <= OVERLAP


async def test_a_changed_etag_starts_over_and_says_so(fault_server: StartFaultServer, fetch: NewFetch):
    spec = FileSpec(size=BIG, flip_after=1, faults=(cut_after(HALF, on=1),))
    server = fault_server({"/a": spec})
    one = fetch(server.url("/a"))
    await one.run()
    assert file_sha256(one.path) == spec.next_version().sha256
    assert len(one.restarts) == 1
    assert len(server.requests("/a")) == 2, "the whole answer to the range is the new version already"


async def test_the_same_etag_over_other_bytes_is_found_out_by_the_overlap(
    fault_server: StartFaultServer, fetch: NewFetch
):
    liar = FileSpec(size=BIG, seed=2)
    spec = FileSpec(size=BIG, flip_after=1, becomes=liar, faults=(cut_after(HALF, on=1),))
    one = fetch(fault_server({"/a": spec}).url("/a"))
    await one.run()
    assert file_sha256(one.path) == liar.sha256
    assert len(one.restarts) == 1


async def test_a_server_that_ignores_ranges_still_gives_the_file(fault_server: StartFaultServer, fetch: NewFetch):
    spec = FileSpec(size=BIG, accept_ranges=None, faults=(ignore_range(), cut_after(HALF, on=1)))
    one = fetch(fault_server({"/a": spec}).url("/a"))
    await one.run()
    assert file_sha256(one.path) == spec.sha256
    assert len(one.restarts) == 1


async def test_a_server_that_ignores_if_range_alone_is_asked_again_without_it(
    fault_server: StartFaultServer, fetch: NewFetch
):
    spec = FileSpec(size=BIG, honours_if_range="never matches", faults=(cut_after(HALF, on=1),))
    server = fault_server({"/a": spec})
    one = fetch(server.url("/a"))
    await one.run()
    assert one.restarts == []
    assert server.requests("/a")[-1].header("If-Range") is None
    assert file_sha256(one.path) == spec.sha256


RESUMED = range(2, 30)
LIES = {
    "starts earlier": range_faults.start_earlier(1000, on=RESUMED),
    "starts later": range_faults.start_later(1000, on=2),
    "starts at blocks": range_faults.align_to_blocks(1 << 17, on=RESUMED),
    "gives less": range_faults.shorten_range(200_000, on=RESUMED),
    "claims another place": range_faults.claim_range("bytes 0-{last}/{size}", on=2),
    "claims another total": range_faults.claim_range("bytes {first}-{last}/2000000", on=2),
    "claims nonsense": range_faults.claim_range("bytes one-two/three", on=2),
    "says no place": range_faults.omit_content_range(on=2),
    "sends a slice as the whole": range_faults.slice_as_200(on=2),
    "wraps it in multipart": range_faults.multipart_range(on=2),
    "refuses the range": range_faults.refuse_range(None, on=2),
    "refuses the range with another length": range_faults.refuse_range(f"bytes */{HALF}", on=2),
}


@pytest.mark.parametrize("lie", LIES.values(), ids=LIES)
async def test_a_206_that_lies_never_spoils_the_file(fault_server: StartFaultServer, fetch: NewFetch, lie: Fault):
    spec = FileSpec(size=BIG, faults=(lie, cut_after(HALF, on=1)))
    one = fetch(fault_server({"/a": spec}).url("/a"))
    await one.run()
    assert file_sha256(one.path) == spec.sha256


async def test_a_server_that_sends_slices_whatever_is_asked_ends_it(fault_server: StartFaultServer, fetch: NewFetch):
    spec = FileSpec(size=BIG, faults=(range_faults.unasked_range(0, 1000),))
    one = fetch(fault_server({"/a": spec}).url("/a"))
    with pytest.raises(ProtocolViolation):
        await one.run()
    assert not one.path.exists()


async def test_what_has_all_its_bytes_and_no_commit_is_not_fetched_again(
    fault_server: StartFaultServer, fetch: NewFetch
):
    """A crash between the last byte and the commit costs no byte."""
    spec = FileSpec(size=BIG)
    server = fault_server({"/a": spec})
    one = fetch(server.url("/a"))
    blocked = one.thorough()
    await blocked._fetch()
    await blocked._holding.settle()
    assert one.durable.finished.total == BIG
    await one.run()
    assert file_sha256(one.path) == spec.sha256
    assert len(server.requests("/a")) == 1


# ---------------------------------------------------------------------------------------------- pause, crash, take-over


async def test_a_pause_leaves_bytes_that_are_durable(fault_server: StartFaultServer, fetch: NewFetch):
    spec = FileSpec(size=BIG, faults=(hold_after(HALF, until="go", on=1),))
    server = fault_server({"/a": spec})
    one = fetch(server.url("/a"))
    running = one.start()
    await one.until(lambda: any(each.bytes_received == HALF for each in one.of(Progressed)))
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert one.durable.finished.total == HALF
    assert one.part.read_bytes()[:HALF] == spec.read(0, HALF)
    await server.until(lambda: server.connections_open == 0)
    await one.run()
    assert server.bytes_sent_twice("/a") <= OVERLAP
    assert file_sha256(one.path) == spec.sha256


async def test_a_crash_goes_on_from_the_last_record_and_not_from_the_file(
    fault_server: StartFaultServer, fetch: NewFetch
):
    """What is in the file beyond the record may be torn: it is fetched again."""
    spec = FileSpec(size=BIG, faults=(cut_after(HALF, on=1), status(404, on=2)))
    server = fault_server({"/a": spec})
    one = fetch(server.url("/a"))
    with pytest.raises(HttpStatusError):
        await one.run()
    with one.part.open("r+b") as part:
        part.seek(HALF)
        part.write(b"torn" * 1000)
    await one.run()
    assert file_sha256(one.path) == spec.sha256
    assert one.restarts == []


async def test_a_lost_partial_file_means_beginning_from_nothing(fault_server: StartFaultServer, fetch: NewFetch):
    spec = FileSpec(size=BIG, faults=(cut_after(HALF, on=1), status(404, on=2)))
    server = fault_server({"/a": spec})
    one = fetch(server.url("/a"))
    with pytest.raises(HttpStatusError):
        await one.run()
    one.part.unlink()
    await one.run()
    assert server.requests("/a")[-1].header("Range") is None
    assert file_sha256(one.path) == spec.sha256
    assert one.restarts == ["the partial file is gone"]


async def test_another_file_in_place_of_the_partial_file_is_not_spliced(
    fault_server: StartFaultServer, fetch: NewFetch
):
    spec = FileSpec(size=BIG, faults=(cut_after(HALF, on=1), status(404, on=2)))
    one = fetch(fault_server({"/a": spec}).url("/a"))
    with pytest.raises(HttpStatusError):
        await one.run()
    other = one.folder / "other"
    other.write_bytes(bytes(BIG))
    other.replace(one.part)
    await one.run()
    assert file_sha256(one.path) == spec.sha256


async def test_the_next_owner_goes_on_with_a_partial_file_of_its_own(fault_server: StartFaultServer, fetch: NewFetch):
    spec = FileSpec(size=BIG, faults=(cut_after(HALF, on=1), status(404, on=2)))
    server = fault_server({"/a": spec})
    one = fetch(server.url("/a"))
    with pytest.raises(HttpStatusError):
        await one.run()
    old = one.part
    one.epoch = 2
    await one.run()
    assert file_sha256(one.path) == spec.sha256
    assert server.bytes_sent_twice("/a") <= OVERLAP
    assert not old.exists()


async def test_no_watermark_takes_the_announcement_of_the_commit_back(
    fault_server: StartFaultServer, fetch: NewFetch, monkeypatch: pytest.MonkeyPatch
):
    """A kernel that died just then would not know that the file has its name, and would deliver it twice."""
    one = fetch(fault_server({"/a": FileSpec(size=WATERMARKED)}).url("/a"))
    sync, is_announced = one.facilities.sync, asyncio.Event()

    async def sync_late(file: PartialFile) -> None:
        with contextlib.suppress(TimeoutError):  # as it should be: the announcement waits for us
            async with asyncio.timeout(0.5):
                await is_announced.wait()
        await sync(file)

    async def remember_all(records: list[tuple[UUID, Durable]]) -> list[bool]:
        is_announced.set()
        return await type(one.journal).remember_all(one.journal, records)

    monkeypatch.setattr(one.facilities, "sync", sync_late)
    monkeypatch.setattr(one.journal, "remember_all", remember_all)
    await one.run()
    assert len(one.journal.records) > 2, "no watermark was recorded"
    assert one.journal.records[-1].committing == str(one.path)


async def test_a_file_that_got_its_name_before_its_kernel_died_is_complete(
    fault_server: StartFaultServer, fetch: NewFetch
):
    spec = FileSpec(size=BIG)
    server = fault_server({"/a": spec})
    one = fetch(server.url("/a"))
    await one.run()
    announced = next(each for each in one.journal.records if each.committing)
    one.journal.durable[one.operation_id] = announced
    one.journal.completed.clear()
    completed = await one.run()
    assert completed.path == str(one.path)
    assert completed.size == BIG
    assert one.journal.completed == [completed]
    assert len(server.requests("/a")) == 1
    assert [each.name for each in one.folder.iterdir()] == ["file.bin"]


# ------------------------------------------------------------------------------------------------------ errors, retries


@pytest.mark.parametrize("fault", [reset_after(HALF, on=1), close_after(HALF, on=1)], ids=["reset", "short"])
async def test_a_broken_connection_is_no_end(fault_server: StartFaultServer, fetch: NewFetch, fault: Fault):
    spec = FileSpec(size=BIG, faults=(fault,))
    server = fault_server({"/a": spec})
    one = fetch(server.url("/a"))
    await one.run()
    assert file_sha256(one.path) == spec.sha256
    assert one.restarts == []


@pytest.mark.parametrize("size", [5000, BIG])
async def test_a_body_that_stalls_is_given_up_and_resumed(fault_server: StartFaultServer, fetch: NewFetch, size: int):
    spec = FileSpec(size=size, faults=(stall_after(size // 2, on=1),))
    server = fault_server({"/a": spec})
    one = fetch(server.url("/a"), stall_timeout=0.5)
    await one.run()
    assert file_sha256(one.path) == spec.sha256
    assert any("came in 0.5 s" in each.reason for each in one.of(ActivityChanged))


async def test_503_is_tried_again_when_the_server_said(fault_server: StartFaultServer, fetch: NewFetch):
    spec = FileSpec(size=1000, faults=(status(503, retry_after="1", on=1),))
    server = fault_server({"/a": spec})
    one = fetch(server.url("/a"))
    began = time.monotonic()
    await one.run()
    assert time.monotonic() - began >= 1.0
    waiting = [each for each in one.of(ActivityChanged) if each.activity is TransferActivity.BACKING_OFF]
    assert len(waiting) == 1
    assert waiting[0].until is not None
    assert "the server asks to wait" in waiting[0].reason
    assert one.path.read_bytes() == spec.read()


async def test_an_error_page_never_gets_into_the_file(fault_server: StartFaultServer, fetch: NewFetch):
    page = b"<html>" + b"later" * 20_000
    spec = FileSpec(size=BIG, faults=(cut_after(HALF, on=1), status(503, body=page, on=(2, 3))))
    one = fetch(fault_server({"/a": spec}).url("/a"))
    await one.run()
    assert file_sha256(one.path) == spec.sha256


async def test_the_budget_of_attempts_without_a_byte_is_spent_once(fault_server: StartFaultServer, fetch: NewFetch):
    server = fault_server({"/a": FileSpec(size=BIG, faults=(status(503),))})
    one = fetch(server.url("/a"))
    with pytest.raises(HttpStatusError) as raised:
        await one.run()
    assert raised.value.http_status == 503
    assert len(server.requests("/a")) == 1 + 3


async def test_attempts_that_bring_bytes_cost_nothing(fault_server: StartFaultServer, fetch: NewFetch):
    """Ten breaks with a budget of three: each brought something."""
    faults = tuple(cut_after(OVERLAP + 90_000, on=number) for number in range(1, 11))
    spec = FileSpec(size=BIG, faults=faults)
    server = fault_server({"/a": spec})
    one = fetch(server.url("/a"))
    await one.run()
    assert file_sha256(one.path) == spec.sha256
    assert len(server.requests("/a")) == 11


@pytest.mark.parametrize("code", [401, 403, 404, 410])
async def test_what_is_refused_fails_at_once_and_keeps_the_bytes(
    fault_server: StartFaultServer, fetch: NewFetch, code: int
):
    spec = FileSpec(size=BIG, faults=(cut_after(HALF, on=1), status(code, on=2)))
    server = fault_server({"/a": spec})
    one = fetch(server.url("/a"))
    with pytest.raises(HttpStatusError) as raised:
        await one.run()
    assert raised.value.http_status == code
    assert one.part.read_bytes()[:HALF] == spec.read(0, HALF)
    assert one.durable.finished.total == HALF
    assert not one.path.exists()


async def test_an_expired_link_goes_on_under_a_new_one(fault_server: StartFaultServer, fetch: NewFetch):
    spec = FileSpec(size=BIG, faults=(cut_after(HALF, on=1), status(403, on=2)))
    server = fault_server({"/old": spec, "/new": replace(spec, faults=())})
    one = fetch(server.url("/old"))
    with pytest.raises(HttpStatusError):
        await one.run()
    one.uri = server.url("/new")
    await one.run()
    assert server.requests("/new")[0].header("Range") == f"bytes={HALF - OVERLAP}-"
    assert one.restarts == []
    assert file_sha256(one.path) == spec.sha256


async def test_a_server_that_is_not_there_is_said_to_be_so(fetch: NewFetch):
    one = fetch("http://127.0.0.1:9/a")
    with pytest.raises(NetworkFailed) as raised:
        await one.run()
    assert raised.value.web_error_status is WebErrorStatus.CANNOT_CONNECT


async def test_a_body_that_never_ends_to_stall_fails_in_the_end(fault_server: StartFaultServer, fetch: NewFetch):
    one = fetch(fault_server({"/a": FileSpec(size=BIG, faults=(stall_after(0),))}).url("/a"), stall_timeout=0.25)
    with pytest.raises(TransferTimeout):
        await one.run()


@pytest.mark.parametrize("more", [-1000, 1000])
async def test_a_length_that_is_not_kept_is_never_a_whole_file(
    fault_server: StartFaultServer, fetch: NewFetch, more: int
):
    """Announced shorter or longer than it is: the digest, or the framing, finds it out."""
    spec = FileSpec(size=BIG, etag=None, last_modified=None, faults=(declare_length(BIG + more),))
    one = fetch(fault_server({"/a": spec}).url("/a"), digest=sha256(spec))
    with pytest.raises(TransferFailed):
        await one.run()
    assert not one.path.exists()


# -------------------------------------------------------------------------------------------------------------- digests


@pytest.mark.parametrize("size", [5000, BIG])
async def test_the_right_digest_is_said_to_have_been_checked(
    fault_server: StartFaultServer, fetch: NewFetch, size: int
):
    spec = FileSpec(size=size)
    one = fetch(fault_server({"/a": spec}).url("/a"), digest=sha256(spec))
    completed = await one.run()
    assert completed.integrity is Integrity.DIGEST
    assert completed.digest == f"sha256:{spec.sha256}"


@pytest.mark.parametrize("size", [5000, BIG])
async def test_a_wrong_digest_starts_over_once_and_then_fails(
    fault_server: StartFaultServer, fetch: NewFetch, size: int
):
    server = fault_server({"/a": FileSpec(size=size)})
    one = fetch(server.url("/a"), digest=Digest("sha256", hashlib.sha256(b"other").hexdigest()))
    with pytest.raises(IntegrityFailed):
        await one.run()
    assert len(server.requests("/a")) == 2
    assert len(one.restarts) == 1
    assert not one.path.exists()


async def test_a_file_that_was_damaged_on_its_way_is_right_at_the_second_try(
    fault_server: StartFaultServer, fetch: NewFetch
):
    spec = FileSpec(size=BIG, faults=(varied(seed=7, on=1),))
    one = fetch(fault_server({"/a": spec}).url("/a"), digest=sha256(spec))
    await one.run()
    assert file_sha256(one.path) == spec.sha256


@pytest.mark.parametrize("name", ["Repr-Digest", "Content-Digest", "Digest", "Content-MD5", "x-goog-hash"])
async def test_a_digest_that_the_server_sends_is_checked(fault_server: StartFaultServer, fetch: NewFetch, name: str):
    spec = FileSpec(size=BIG, digests=(name,))
    server = fault_server({"/a": spec, "/wrong": replace(spec, faults=(varied(digests=(), headers=_wrong(name)),))})
    assert (await fetch(server.url("/a"), name="right").run()).integrity is Integrity.DIGEST
    with pytest.raises(IntegrityFailed):
        await fetch(server.url("/wrong"), name="wrong").run()


def _wrong(name: str) -> tuple[tuple[str, str], ...]:
    spec = FileSpec(size=10, digests=(name,))
    return spec._digests(10)


async def test_a_digest_covers_bytes_of_an_earlier_run(fault_server: StartFaultServer, fetch: NewFetch):
    spec = FileSpec(size=BIG, faults=(cut_after(HALF, on=1), status(404, on=2)))
    server = fault_server({"/a": spec})
    one = fetch(server.url("/a"), digest=sha256(spec))
    with pytest.raises(HttpStatusError):
        await one.run()
    assert (await one.run()).integrity is Integrity.DIGEST
    assert server.bytes_sent_twice("/a") <= OVERLAP


# ------------------------------------------------------------------------------------------------- what is not wanted


async def test_too_large_a_file_is_refused_before_a_byte(fault_server: StartFaultServer, fetch: NewFetch):
    one = fetch(fault_server({"/a": FileSpec(size=BIG)}).url("/a"), max_size=HALF)
    with pytest.raises(IntegrityFailed, match="max_size"):
        await one.run()
    assert list(one.folder.iterdir()) == []


@pytest.mark.parametrize("fault", [chunked(10_000), no_length()], ids=["chunked", "no length"])
async def test_a_body_without_length_is_ended_where_it_becomes_too_large(
    fault_server: StartFaultServer, fetch: NewFetch, fault: Fault
):
    one = fetch(fault_server({"/a": FileSpec(size=BIG, faults=(fault,))}).url("/a"), max_size=HALF)
    with pytest.raises(IntegrityFailed, match="max_size"):
        await one.run()
    assert not one.path.exists()


async def test_another_type_than_expected_is_refused(fault_server: StartFaultServer, fetch: NewFetch):
    """A login page in place of the data is no data."""
    server = fault_server({"/a": FileSpec(size=10, content_type="text/html; charset=utf-8")})
    with pytest.raises(IntegrityFailed, match="text/html"):
        await fetch(server.url("/a"), expect_type="application/*").run()
    await fetch(server.url("/a"), expect_type="text/html", name="exact").run()
    await fetch(server.url("/a"), expect_type="text/*", name="any").run()


async def test_what_says_no_length_is_refused_where_one_is_required(fault_server: StartFaultServer, fetch: NewFetch):
    server = fault_server({"/a": FileSpec(size=BIG, faults=(chunked(),))})
    with pytest.raises(ProtocolViolation) as raised:
        await fetch(server.url("/a"), require_length=True).run()
    assert raised.value.web_error_status is WebErrorStatus.MISSING_CONTENT_LENGTH_SUPPORT

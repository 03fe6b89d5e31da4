"""A transfer brings the whole file, whatever frames its body, and refuses what was not wanted."""

from __future__ import annotations

import gc
import time
import weakref
from typing import TYPE_CHECKING

import pytest

from bgdl_jupyter.errors import IntegrityFailed, ProtocolViolation
from bgdl_jupyter.events import ActivityChanged, ArrivedAtOnce, Progressed, ResourceProbed
from bgdl_jupyter.resource import OVERLAP
from bgdl_jupyter.status import Integrity, TransferActivity
from bgdl_jupyter.web_error_status import WebErrorStatus
from tests.servers.content import file_sha256
from tests.servers.faults import chunked, close_after, cut_after, no_length, redirects
from tests.servers.files import Fault, FileSpec

if TYPE_CHECKING:
    from tests.engine.transfers import NewFetch
    from tests.servers.fixtures import StartFaultServer

BIG = 1_000_000
HALF = 500_000
SMALL = 10_000


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

"""What is there already is gone on with where the version is proven, and a server that lies spoils no file."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from bgdl_jupyter.errors import ProtocolViolation
from bgdl_jupyter.resource import OVERLAP
from bgdl_jupyter.status import Integrity
from tests.engine.transfers import NewFetch, sha256
from tests.servers import range_faults
from tests.servers.content import file_sha256
from tests.servers.faults import cut_after, drop_validators, ignore_range, varied
from tests.servers.files import Fault, FileSpec

if TYPE_CHECKING:
    from tests.servers.fixtures import StartFaultServer

BIG = 1_000_000
HALF = 500_000


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

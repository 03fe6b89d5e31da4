"""Mirrors: the next place is asked when one fails for good, and goes on with the bytes where they prove to be right."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest

from bgdl_jupyter.engine.sources import Sources
from bgdl_jupyter.errors import (
    DiskFull,
    HttpStatusError,
    IntegrityFailed,
    NetworkFailed,
    ProtocolViolation,
    TransferFailed,
)
from bgdl_jupyter.resource import OVERLAP, Digest
from bgdl_jupyter.status import Integrity
from tests.engine.conftest import Fetch
from tests.servers.faults import cut_after, drop_validators, has_range, redirect, status
from tests.servers.files import FileSpec

if TYPE_CHECKING:
    from tests.servers.fixtures import StartFaultServer

NewFetch = Callable[..., Fetch]

SIZE = 1_000_000
HALF = 500_000
GOOD = FileSpec(size=SIZE)
BREAKS = FileSpec(size=SIZE, faults=(cut_after(HALF, on=1), status(404, on=has_range)))
OTHER = FileSpec(size=SIZE, seed=9, etag='"other"')


def sha256(spec: FileSpec) -> Digest:
    return Digest("sha256", spec.sha256)


@pytest.mark.parametrize("code", [403, 404, 410, 501])
async def test_the_next_place_is_asked_when_one_has_not_got_it(
    fault_server: StartFaultServer, fetch: NewFetch, code: int
):
    server = fault_server({"/a": FileSpec(faults=(status(code),)), "/b": GOOD})
    one = fetch(server.url("/a"), mirrors=(server.url("/b"),))
    await one.run()
    assert one.path.read_bytes() == GOOD.read()
    assert len(server.requests("/a")) == 1


async def test_a_place_has_all_its_tries_before_the_next_is_asked(fault_server: StartFaultServer, fetch: NewFetch):
    server = fault_server({"/a": FileSpec(faults=(status(503),)), "/b": FileSpec(faults=(status(503),)), "/c": GOOD})
    one = fetch(server.url("/a"), mirrors=(server.url("/b"), server.url("/c")))
    await one.run()
    assert [len(server.requests(path)) for path in ("/a", "/b", "/c")] == [4, 4, 1]
    assert one.restarts == []


@pytest.mark.parametrize("validator", ["same", "another", "none"])
async def test_under_a_digest_the_bytes_are_gone_on_with(
    fault_server: StartFaultServer, fetch: NewFetch, validator: str
):
    """Whatever the mirror calls its version: the digest decides in the end."""
    mirror = {
        "same": GOOD,
        "another": FileSpec(size=SIZE, etag='"mirror"'),
        "none": FileSpec(size=SIZE, faults=(drop_validators(),)),
    }[validator]
    server = fault_server({"/a": BREAKS, "/b": mirror})
    one = fetch(server.url("/a"), mirrors=(server.url("/b"),), digest=sha256(GOOD))
    completed = await one.run()
    assert completed.integrity is Integrity.DIGEST
    assert one.path.read_bytes() == GOOD.read()
    assert one.restarts == []
    assert server.requests("/b")[0].header("Range") == f"bytes={HALF - OVERLAP}-"
    assert server.body_bytes_sent("/b") == HALF + OVERLAP


async def test_without_a_digest_the_same_strong_validator_is_needed(fault_server: StartFaultServer, fetch: NewFetch):
    server = fault_server({"/a": BREAKS, "/same": GOOD, "/other": OTHER})
    same = fetch(server.url("/a"), name="same.bin", mirrors=(server.url("/same"),))
    await same.run()
    assert same.restarts == []
    assert server.body_bytes_sent("/same") == HALF + OVERLAP
    server.put("/a2", BREAKS)
    other = fetch(server.url("/a2"), name="other.bin", mirrors=(server.url("/other"),))
    await other.run()
    assert len(other.restarts) == 1
    assert other.path.read_bytes() == OTHER.read()
    assert server.requests("/other")[0].header("If-Range") == GOOD.etag


async def test_other_bytes_under_a_digest_are_found_by_the_overlap_and_the_next_place_has_the_right_ones(
    fault_server: StartFaultServer, fetch: NewFetch
):
    server = fault_server({"/a": BREAKS, "/wrong": OTHER, "/b": GOOD})
    one = fetch(server.url("/a"), mirrors=(server.url("/wrong"), server.url("/b")), digest=sha256(GOOD))
    await one.run()
    assert one.path.read_bytes() == GOOD.read()
    assert len(one.restarts) == 3


async def test_a_place_with_a_wrong_file_is_left_after_two_tries(fault_server: StartFaultServer, fetch: NewFetch):
    server = fault_server({"/wrong": OTHER, "/b": GOOD})
    one = fetch(server.url("/wrong"), mirrors=(server.url("/b"),), digest=sha256(GOOD))
    await one.run()
    assert one.path.read_bytes() == GOOD.read()
    assert len(server.requests("/b")) == 1


async def test_the_last_error_names_all_that_were_tried(fault_server: StartFaultServer, fetch: NewFetch):
    server = fault_server({"/a": FileSpec(faults=(status(404),)), "/b": FileSpec(faults=(status(410),)), "/c": OTHER})
    uris = [server.url(path) for path in ("/a", "/b", "/c")]
    one = fetch(uris[0], mirrors=tuple(uris[1:]), digest=sha256(GOOD))
    with pytest.raises(IntegrityFailed, match="None of the places that were tried gave the file") as raised:
        await one.run()
    assert all(uri in raised.value.message for uri in uris)
    assert not one.path.exists()


async def test_the_next_run_begins_where_the_bytes_came_from(fault_server: StartFaultServer, fetch: NewFetch):
    """After a crash the mirror is asked first: its validator is the one that the bytes have."""
    server = fault_server(
        {
            "/a": FileSpec(size=SIZE, faults=(status(404, on=1),)),
            "/b": FileSpec(size=SIZE, seed=3, faults=(cut_after(HALF, on=1), status(404, on=2))),
        }
    )
    one = fetch(server.url("/a"), mirrors=(server.url("/b"),))
    with pytest.raises(HttpStatusError):
        await one.run()
    assert one.durable.source == 1
    await one.run()
    assert one.path.read_bytes() == FileSpec(size=SIZE, seed=3).read()
    assert len(server.requests("/a")) == 1


async def test_a_mirror_of_another_scheme_and_one_that_is_down_are_no_obstacle(
    fault_server: StartFaultServer, fetch: NewFetch
):
    server = fault_server({"/a": FileSpec(faults=(redirect("ftp://127.0.0.1/x"),)), "/c": GOOD})
    one = fetch(server.url("/a"), mirrors=("http://127.0.0.1:9/b", server.url("/c")))
    await one.run()
    assert one.path.read_bytes() == GOOD.read()


# ----------------------------------------------------------------------------------------------------------- by itself


def test_sources_are_asked_in_turn_from_the_one_that_was_last():
    sources = Sources(["a", "b", "c"], 1)
    order = [sources.current]
    for _ in range(2):
        sources.turn(NetworkFailed("It broke."))
        order.append(sources.current)
    assert order == [1, 2, 0]
    with pytest.raises(NetworkFailed, match=r"b: It broke; c: It broke; a: It failed\.$"):
        sources.turn(NetworkFailed("It failed."))


def test_no_other_place_helps_against_a_full_disk():
    error = DiskFull("It is full.")
    with pytest.raises(DiskFull, match=r"It is full\. Free some space"):
        Sources(["a", "b"], 0).turn(error)


def test_a_single_place_fails_in_its_own_words():
    with pytest.raises(ProtocolViolation, match=r"^It is odd\.$"):
        Sources(["a"], 7).turn(ProtocolViolation("It is odd."))
    assert issubclass(ProtocolViolation, TransferFailed)

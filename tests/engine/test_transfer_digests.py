"""A digest is checked over all bytes, and a wrong one is never a whole file."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from bgdl_jupyter.errors import HttpStatusError, IntegrityFailed
from bgdl_jupyter.resource import OVERLAP, Digest
from bgdl_jupyter.status import Integrity
from tests.engine.transfers import NewFetch, sha256
from tests.servers.content import file_sha256
from tests.servers.faults import cut_after, status, varied
from tests.servers.files import FileSpec

if TYPE_CHECKING:
    from tests.servers.fixtures import StartFaultServer

BIG = 1_000_000
HALF = 500_000


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

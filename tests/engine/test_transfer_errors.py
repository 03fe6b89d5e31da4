"""A broken connection is no end: what may pass is tried again, what may not fails and keeps the bytes."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from bgdl_jupyter.errors import HttpStatusError, NetworkFailed, TransferFailed, TransferTimeout
from bgdl_jupyter.events import ActivityChanged
from bgdl_jupyter.resource import OVERLAP
from bgdl_jupyter.status import TransferActivity
from bgdl_jupyter.web_error_status import WebErrorStatus
from tests.engine.transfers import NewFetch, sha256
from tests.servers.content import file_sha256
from tests.servers.faults import close_after, cut_after, declare_length, reset_after, stall_after, status
from tests.servers.files import Fault, FileSpec

if TYPE_CHECKING:
    from tests.servers.fixtures import StartFaultServer

BIG = 1_000_000
HALF = 500_000


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

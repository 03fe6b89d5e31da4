"""What the user's consent lifts, and what becomes of the question where nobody can be asked."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from bgdl_jupyter import UnconstrainedTransferRequestResult
from bgdl_jupyter.conditions.values import PowerConditions
from bgdl_jupyter.errors import InvalidRequest
from bgdl_jupyter.model.host import ConsentAnswer, host
from bgdl_jupyter.status import BackgroundTransferStatus as Status
from tests.servers.faults import hold_after
from tests.servers.files import FileSpec

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.servers.fault_server import FaultServer

SIZE = 2_000_000


@pytest.fixture
def server(fault_server: Callable[..., FaultServer]) -> FaultServer:
    """Serve files, and one that waits half-way for "go"."""
    files = {f"/{name}": FileSpec(size=SIZE) for name in "abc"}
    return fault_server({**files, "/slow": FileSpec(size=SIZE, faults=(hold_after(1000, until="go"),))})


@pytest.fixture
def questions(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Let a front end allow everything, and return what it was asked."""
    asked: list[str] = []

    async def allow(question: str) -> ConsentAnswer:
        asked.append(question)
        return ConsentAnswer(is_allowed=True, reason="You allowed it.")

    monkeypatch.setattr(host(), "consent_form", allow)
    return asked


async def test_where_nobody_can_be_asked_the_answer_is_no_with_the_reason(downloader, server):
    operation = downloader.create_download(server.url("/a"), "a")
    result = await downloader.request_unconstrained_downloads([operation])
    assert isinstance(result, UnconstrainedTransferRequestResult)
    assert not result.is_unconstrained
    assert "front end" in result.reason
    assert not operation.is_unconstrained


@pytest.mark.parametrize("operations", [[], ["a"], [None]])
async def test_only_operations_can_be_asked_for(downloader, questions, operations: Any):
    with pytest.raises(InvalidRequest):
        await downloader.request_unconstrained_downloads(operations)
    assert questions == []


async def test_consent_lifts_the_rate_also_of_what_runs(downloader, seen, server, questions):
    downloader.max_rate = 50_000  # forty seconds for the file
    operation = downloader.download(server.url("/a"), "a")
    seen.until(lambda: operation.bytes_received > 0)
    result = await downloader.request_unconstrained_downloads([operation])
    assert result.is_unconstrained
    assert "'a'" in questions[0]
    seen.until(lambda: operation.status is Status.COMPLETED, timeout=15)


async def test_consent_lifts_the_number_at_a_time_and_takes_nobodys_place(downloader, seen, server, questions):
    downloader.max_parallel = 1
    slow = downloader.download(server.url("/slow"), "slow")
    seen.until(lambda: slow.bytes_received > 0)
    waiting = downloader.download(server.url("/a"), "a")
    urgent = downloader.download(server.url("/b"), "b")
    await downloader.request_unconstrained_downloads([urgent])
    await urgent
    assert waiting.bytes_received == 0
    # The one that runs gives its place to the next, and goes on.
    await downloader.request_unconstrained_downloads([slow])
    await waiting
    assert slow.status is Status.RUNNING
    server.events.set("go")
    await slow


async def test_consent_ends_a_pause_that_the_system_asks_for(downloader, server, machine, questions):
    machine.change(power=PowerConditions(on_battery_saver=True))
    operation = downloader.download(server.url("/a"), "a")
    assert operation.status is Status.PAUSED_SYSTEM_POLICY
    await downloader.request_unconstrained_downloads([operation])
    await operation

"""How much a kernel says while very much goes on: a server cuts off a kernel that floods it."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest

from tests.kernels import RealKernel
from tests.servers.files import FileSpec

if TYPE_CHECKING:
    from pathlib import Path

    from tests.kernels import Message
    from tests.servers.fixtures import StartFaultServer

pytestmark = pytest.mark.kernel

LIVE = 1000
#: Seconds over which messages are counted.
SPAN = 6.0
MOST = 20.0

_START = """
%load_ext bgdl_jupyter
import bgdl_jupyter
downloader = bgdl_jupyter.default_downloader()
downloader.max_parallel = downloader.max_parallel_per_host = downloader.max_connections_per_host = {live}
for number in range(10):
    uris = ["{root}%d.bin" % each for each in range(number * {live} // 10, (number + 1) * {live} // 10)]
    bgdl_jupyter.download_many(uris, group="group %d" % number)
downloader
"""


def test_a_kernel_with_a_thousand_live_downloads_sends_fewer_than_twenty_messages_a_second(
    fault_server: StartFaultServer, tmp_path: Path
):
    """The comm, subscribed, and the widgets of ten groups together, each with all its rows."""
    server = fault_server({f"/{number}.bin": FileSpec(size=1_000_000, rate=5000) for number in range(LIVE)})
    env = {"BGDL_STATE_FILE": str(tmp_path / "state.sqlite3"), "BGDL_MAX_CONNECTIONS_PER_DOWNLOAD": "1"}
    with RealKernel(cwd=tmp_path, env=env) as kernel:
        started = kernel.start(_START.format(root=server.url(), live=LIVE))
        opened = kernel.wait_for(lambda each: each.content.get("target_name") == "bgdl_jupyter")
        assert opened.comm_id is not None
        kernel.send_comm(opened.comm_id, {"verb": "subscribe"})
        assert kernel.finish(started, 60).error is None
        kernel.wait_for(lambda each: active(each) == LIVE, 60)
        begun, first = time.monotonic(), len(kernel.messages)
        kernel.wait_for(lambda each: each.received_at >= begun + SPAN)
        said = [each for each in kernel.messages[first:] if each.type.startswith("comm_")]
        assert {each.comm_id == opened.comm_id for each in said} == {True, False}
        rate = len(said) / SPAN
    assert rate < MOST, f"{rate:.1f} messages a second"


def active(message: Message) -> int | None:
    """Return how many downloads run, where a message says so."""
    data = message.content.get("data")
    totals = data.get("totals") if isinstance(data, dict) else None
    return totals["active"] if totals else None

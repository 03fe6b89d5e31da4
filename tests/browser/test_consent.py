"""The question whether downloads may run without our limits, answered by a click in Chromium."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect

from tests.servers.files import FileSpec

if TYPE_CHECKING:
    from tests.browser.conftest import OpenNotebook
    from tests.browser.lab import NotebookPage
    from tests.servers.fault_server import FaultServer
    from tests.servers.fixtures import StartFaultServer

pytestmark = pytest.mark.browser

#: Minutes at the rate that the downloader is held to; and more than the sockets of a loopback hold unread.
SIZE = 24_000_000
LIMIT = 100_000
PATHS = ("/a.bin", "/b.bin")

BEGIN = """\
%load_ext bgdl_jupyter
from bgdl_jupyter import BackgroundDownloader
downloader = BackgroundDownloader(max_parallel=1, max_rate={limit})
operations = [downloader.create_download(uri, uri.rpartition("/")[2]) for uri in {uris}]
for operation in operations:
    operation.start()
"""
ASK = "print(await downloader.request_unconstrained_downloads(operations))"


@pytest.fixture
def server(fault_server: StartFaultServer) -> FaultServer:
    return fault_server({path: FileSpec(size=SIZE) for path in PATHS})


@pytest.fixture
def asked(open_notebook: OpenNotebook, server: FaultServer) -> NotebookPage:
    """Return a notebook with a download that crawls, one that waits, and a cell that waits for an answer."""
    uris = [server.url(path) for path in PATHS]
    notebook = open_notebook([BEGIN.format(limit=LIMIT, uris=uris), ASK, "1 + 1"])
    notebook.run_cell(0)
    server.wait_until(lambda: server.body_bytes_sent() > 0)
    notebook.start_cell(1)
    expect(notebook.output(1)).to_contain_text("Let 2 downloads run without the limits on rate and number")
    assert server.requests("/b.bin") == []
    return notebook


def answer(notebook: NotebookPage, label: str) -> None:
    notebook.output(1).get_by_role("button", name=label, exact=True).click()


def test_allow_lifts_the_limits_of_what_runs_and_of_what_waits(asked: NotebookPage, server: FaultServer):
    answer(asked, "Allow")
    expect(asked.output(1)).to_contain_text("is_unconstrained=True, reason='You allowed it.'")
    expect(asked.output(1)).to_contain_text("Allowed.")
    # Both at once, and in a fraction of the eight minutes that the limit would take.
    server.wait_until(lambda: server.body_bytes_sent() >= len(PATHS) * SIZE, 45)


def test_deny_leaves_the_limits_as_they_are(asked: NotebookPage, server: FaultServer):
    answer(asked, "Deny")
    expect(asked.output(1)).to_contain_text("is_unconstrained=False, reason='You denied it.'")
    expect(asked.output(1)).to_contain_text("Denied.")
    expect(asked.output(1).get_by_role("button")).to_have_count(0)
    asked.run_cell(2)
    assert server.body_bytes_sent("/a.bin") < SIZE
    assert server.requests("/b.bin") == []

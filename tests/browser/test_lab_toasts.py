"""Toasts in a real JupyterLab, made from what a real kernel says."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect

from tests.browser.extension import BUSY, Extension, compute, is_computing
from tests.servers.faults import trickle
from tests.servers.files import FileSpec

if TYPE_CHECKING:
    from tests.browser.conftest import OpenNotebook
    from tests.browser.lab import LabServer
    from tests.servers.fixtures import StartFaultServer

pytestmark = pytest.mark.browser

#: Twenty seconds and more: it is still under way when a test ends.
SLOW = FileSpec(size=8_000_000, rate=400_000)


def test_a_group_that_runs_has_one_toast_whose_text_moves_while_a_cell_computes(
    open_notebook: OpenNotebook, fault_server: StartFaultServer
):
    server = fault_server({"/a.bin": SLOW, "/b.bin": SLOW})
    lines = [f"%bgdl -g data {server.url(each)}" for each in ("/a.bin", "/b.bin")]
    notebook = open_notebook(["\n".join(["%load_ext bgdl_jupyter", *lines]), BUSY])
    notebook.run_cell(0)
    compute(notebook, 1)
    seen = Extension(notebook.page)
    toasts = seen.toasts
    expect(toasts).to_contain_text([re.compile(r"data\s*\d+ % · 0 of 2 files · .* of 16\.0 MB · .*/s · .* left")])
    before = toasts.inner_text()
    expect(toasts).not_to_have_text(before)
    assert toasts.count() == 1
    is_computing(notebook, 1)
    seen.act(toasts, "Show downloads")
    expect(seen.row("a.bin")).to_be_visible()


def test_pause_in_a_toast_acts_while_a_cell_computes(open_notebook: OpenNotebook, fault_server: StartFaultServer):
    server = fault_server({"/a.bin": SLOW})
    notebook = open_notebook([f"%load_ext bgdl_jupyter\n%bgdl -g data {server.url('/a.bin')}", BUSY])
    notebook.run_cell(0)
    compute(notebook, 1)
    seen = Extension(notebook.page)
    seen.act(seen.toast("data"), "Pause")
    expect(seen.toasts).to_have_count(0)
    seen.show_panel()
    expect(seen.step(seen.row("a.bin"), "resume")).to_be_visible()
    expect(seen.status_item).to_have_text("paused")
    is_computing(notebook, 1)


_MANY = """
%load_ext bgdl_jupyter
import bgdl_jupyter
downloader = bgdl_jupyter.default_downloader()
downloader.max_parallel = downloader.max_parallel_per_host = downloader.max_connections_per_host = 500
for group in range(10):
    uris = ["{root}%d.bin" % number for number in range(group * 50, group * 50 + 50)]
    bgdl_jupyter.download_many(uris, group="group %d" % group)
"""


def test_five_hundred_downloads_in_ten_groups_have_three_toasts(
    open_notebook: OpenNotebook, fault_server: StartFaultServer
):
    # A piece a second: five hundred steady streams would be a load test of both ends, and of the browser between them.
    slow = FileSpec(size=1_000_000, faults=(trickle(piece=10_000),))
    server = fault_server({f"/{number}.bin": slow for number in range(500)})
    notebook = open_notebook([_MANY.format(root=server.url())])
    notebook.run_cell(0)
    seen = Extension(notebook.page)
    expect(seen.toast(re.compile("more groups"))).to_be_visible(timeout=60_000)
    assert seen.toasts.count() <= 3


def test_progress_is_told_nowhere_where_the_user_does_not_want_it(
    lab: LabServer, open_notebook: OpenNotebook, fault_server: StartFaultServer
):
    server = fault_server({"/a.bin": SLOW})
    lab.choose(progress="off")
    notebook = open_notebook([f"%load_ext bgdl_jupyter\n%bgdl {server.url('/a.bin')}"])
    notebook.run_cell(0)
    seen = Extension(notebook.page)
    seen.show_panel()
    # Four seconds: a toast would be there after two and a half.
    expect(seen.row("a.bin")).to_contain_text(re.compile(r"(1\.[6-9]|[2-7]\.)\d* of 8\.00 MB"))
    assert seen.toasts.count() == 0

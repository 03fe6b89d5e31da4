"""Voila: no lab extension and no cells, but the widgets of the notebook panel."""

from __future__ import annotations

import contextlib
import re
from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect

from tests.browser.lab import Browser, VoilaServer
from tests.servers.files import FileSpec

if TYPE_CHECKING:
    from pathlib import Path

    from tests.servers.fixtures import StartFaultServer

pytestmark = pytest.mark.browser
pytest.importorskip("voila", reason="voila is not installed: pip install 'bgdl-jupyter[test]'")

SLOW = FileSpec(size=8_000_000, rate=400_000)


def test_the_panel_is_shown_and_its_buttons_work(tmp_path: Path, fault_server: StartFaultServer):
    server = fault_server({"/a.bin": SLOW})
    lines = ["%load_ext bgdl_jupyter", f"%bgdl -g data {server.url('/a.bin')}", "import bgdl_jupyter"]
    code = "\n".join([*lines, "bgdl_jupyter.default_downloader()"])
    with contextlib.ExitStack() as stack:
        voila = stack.enter_context(VoilaServer(tmp_path, env={"BGDL_MAX_CONNECTIONS_PER_DOWNLOAD": "1"}))
        browser = stack.enter_context(Browser(voila))
        page = browser.open_dashboard("demo.ipynb", [code])
        expect(page.locator("body")).to_contain_text(re.compile(r"of 8\.0 MB.*left", re.DOTALL))
        page.get_by_role("button", name="Pause").first.click()
        expect(page.get_by_role("button", name="Resume").first).to_be_visible()

"""Tiles and toasts of a downloader, as the page sees them in the panel."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from bgdl_jupyter.events import TileChanged
from bgdl_jupyter.frontends.alerts import Alerts
from tests.kernels import RealKernel
from tests.servers.files import FileSpec

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.servers.fault_server import FaultServer


def test_each_application_has_its_own_tiles():
    alerts = Alerts()
    assert alerts.note(TileChanged(application="/a", texts=("one", "two")))
    assert alerts.tiles("/a") == ("one", "two")
    assert alerts.tiles("/b") == ()


@pytest.mark.kernel
def test_the_panel_draws_the_tile_and_the_toast_of_a_batch_as_text(
    tmp_path: Path, fault_server: Callable[..., FaultServer]
):
    server = fault_server({"/a.bin": FileSpec(size=1000)})
    state = {"BGDL_STATE_FILE": str(tmp_path / "state.sqlite3"), "JPY_SESSION_NAME": str(tmp_path / "demo.ipynb")}
    with RealKernel(cwd=tmp_path, env=state) as kernel:
        ran = kernel.run(
            "%load_ext bgdl_jupyter\n"
            "from bgdl_jupyter import *\n"
            "downloader = BackgroundDownloader(success_tile_notification=TileNotification('3 of <b>3</b>'),\n"
            "    success_toast_notification=ToastNotification('All there', '<i>whole</i>'))\n"
            "display(downloader)\n"
            f"operation = await downloader.download({server.url('/a.bin')!r})"
        )
        assert ran.error is None

        def texts() -> list[str]:
            models = kernel.models().values()
            return [each["value"] for each in models if each.get("_model_name") == "HTMLModel"]

        def is_drawn() -> bool:
            drawn = "".join(texts())
            return "3 of &lt;b&gt;3&lt;/b&gt;" in drawn and "All there" in drawn and "&lt;i&gt;whole" in drawn

        if not is_drawn():
            kernel.wait_for(lambda _: is_drawn())

from __future__ import annotations

import time

import pytest

from tests.kernels import RealKernel

pytestmark = [pytest.mark.kernel, pytest.mark.timeout(180)]

_CELL = """\
%%bgdl -g many --cluster local out
{lines}
"""
_PROGRESS = "group.progress.completed, group.standing.name"


def until(kernel: RealKernel, text: str, timeout: float = 60.0) -> None:
    """Ask the kernel until it says so."""
    end = time.monotonic() + timeout
    while not eval(kernel.run(text).text):  # noqa: S307 (the kernel is our own)
        assert time.monotonic() < end, kernel.run("group").text
        time.sleep(0.1)


def test_a_cell_has_a_cluster_fetch_and_the_next_kernel_goes_on(serving, tmp_path):
    """The kernel dies with its local cluster; the next one makes another, and fetches nothing twice that was done."""
    lines = serving.lines(400, latency=0.1)
    cell = _CELL.format(lines="\n".join(f"{each['uri']} -> out/{each['destination']}" for each in lines))
    environment = {"BGDL_STATE_FILE": str(tmp_path / "state" / "state.sqlite3")}
    with RealKernel(cwd=tmp_path, env=environment) as kernel:
        assert kernel.run("%load_ext bgdl_jupyter").error is None
        result = kernel.run(cell)
        assert result.error is None, result.error
        kernel.run("import bgdl_jupyter; group = bgdl_jupyter.default_downloader().create_group('many')")
        until(kernel, "group.progress.completed > 60")
        assert "Paused many" in kernel.run("%bgdl pause -g many").text
        until(kernel, "group.standing.is_paused")
        assert "on a cluster" in kernel.run("%bgdl list").text
        kernel.run("%bgdl resume -g many")
        until(kernel, "group.progress.running > 0")
        there = {f"/{path.stem}" for path in (tmp_path / "out").rglob("*.bin")}
        kernel.sigkill()
    with RealKernel(cwd=tmp_path, env=environment) as kernel:
        assert "1 group on a cluster" in kernel.run("%load_ext bgdl_jupyter").text
        kernel.run("import bgdl_jupyter; group = bgdl_jupyter.default_downloader().create_group('many')")
        until(kernel, "group.standing.is_final")
        assert kernel.run("group.progress.completed").text == "400"
    assert serving.wrong(tmp_path / "out", 400) == []
    again = {path for path, count in serving.asked().items() if count > 1}
    assert again & there == set(), "what was there was fetched again"
    assert [path.name for path in (tmp_path / "out").rglob("*.bgdl")] == []

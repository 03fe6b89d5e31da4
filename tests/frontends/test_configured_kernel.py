"""Settings in a real kernel: its own configuration file, Jupyter's, the environment, and ``%config``."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.kernels import RealKernel

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.kernel

LOOK = "from bgdl_jupyter import BackgroundDownloader, default_downloader\nd = default_downloader()\n"


def test_a_kernel_takes_its_own_file_before_jupyters_and_after_the_environment(tmp_path: Path):
    profile, jupyter = tmp_path / "ipython" / "profile_default", tmp_path / "jupyter"
    profile.mkdir(parents=True)
    jupyter.mkdir()
    (profile / "ipython_kernel_config.py").write_text(
        "c = get_config()\nc.BackgroundDownloader.max_retries = 2\nc.BackgroundDownloader.max_parallel = 2\n"
    )
    (jupyter / "jupyter_bgdl_config.py").write_text(
        "c = get_config()\nc.BackgroundDownloader.max_retries = 1\nc.BackgroundDownloader.stall_timeout = 1.5\n"
    )
    env = {
        "BGDL_STATE_FILE": str(tmp_path / "state" / "state.sqlite3"),
        "IPYTHONDIR": str(tmp_path / "ipython"),
        "JUPYTER_CONFIG_DIR": str(jupyter),
        "BGDL_MAX_PARALLEL": "3",
    }
    with RealKernel(cwd=tmp_path, env=env) as kernel:
        kernel.run("%load_ext bgdl_jupyter")
        said = kernel.run(LOOK + "print(d.max_retries, d.stall_timeout, d.max_parallel)")
        assert said.text.strip() == "2 1.5 3"
        own = kernel.run("print(BackgroundDownloader().max_retries, BackgroundDownloader(max_retries=4).max_retries)")
        assert own.text.strip() == "2 4"
        kernel.run("%config BackgroundDownloader.max_parallel = 5")
        assert kernel.run("print(d.max_parallel)").text.strip() == "5"
        listed = kernel.run("%config BackgroundDownloader").text
        assert "BackgroundDownloader.max_parallel" in listed
        assert "Current: 5" in listed

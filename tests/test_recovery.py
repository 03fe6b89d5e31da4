"""The main job, on real counterparts: an ipykernel, an nginx, a SIGKILL, and the same bytes in the end."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from tests.kernels import RealKernel
from tests.servers.content import Pattern, digest, file_sha256
from tests.servers.nginx import Nginx

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = [pytest.mark.kernel, pytest.mark.timeout(240)]

MEBIBYTE = 1 << 20
RATE = 60 * MEBIBYTE
#: How far the watermark of a file may be behind what was written: 8 MiB, for 0.1 s of transfer are less here.
WATERMARK = 8 * MEBIBYTE
#: What a resumed request compares with the bytes before it.
OVERLAP = 64 * 1024
PARTIAL = 206

START = """
import time
began = time.perf_counter()
for uri in {uris!r}:
    bgdl_jupyter.download(uri, group="data")
print(f"{{time.perf_counter() - began:.4f}}")
"""
COMPUTE = """
group = bgdl_jupyter.default_downloader().create_group("data")
def received():
    return sum(each.bytes_received for each in group.operations)
before = received()
until = time.perf_counter() + 5
while time.perf_counter() < until:
    sum(range(1000))
print(received() - before)
"""
KEPT = """
import bgdl_jupyter
group = bgdl_jupyter.default_downloader().create_group("data")
print(*(operation.bytes_received for operation in group.operations))
"""
FINISH = """
group.resume()
group.wait(120)
print([operation.status.name for operation in group.operations])
"""


def test_a_download_survives_a_busy_cell_and_the_death_of_its_kernel(tmp_path: Path) -> None:
    """Three files, one of 1 GiB: one cell starts them, another computes, SIGKILL, and a new kernel finishes them."""
    sizes = {"large.bin": 1024 * MEBIBYTE, "middle.bin": 448 * MEBIBYTE, "little.bin": 400 * MEBIBYTE}
    contents = {name: Pattern(size, seed) for seed, (name, size) in enumerate(sizes.items(), 1)}
    work = tmp_path / "work"
    work.mkdir()
    with Nginx(tmp_path / "nginx", rate=RATE) as nginx:
        for name, content in contents.items():
            nginx.put(name, content)
        os.sync()  # what the test writes itself must not make the state file wait
        with RealKernel(cwd=work) as kernel:
            kernel.run("import bgdl_jupyter, aiohttp; bgdl_jupyter.default_downloader()")
            begun = kernel.run(START.format(uris=[nginx.url(f"/{name}") for name in contents]))
            assert begun.error is None, begun.error
            # 0.2 s on a machine of its own (`python -m benchmarks W11`); here it must only not wait for the bytes.
            assert float(begun.text) < 1.0
            moved = int(kernel.run(COMPUTE).text)
            assert moved > 50 * MEBIBYTE, "the downloads stood still while the cell computed"
            kernel.sigkill()
        assert not any((work / name).exists() for name in contents)
        # Parts that were not fetched yet are holes: only what was written takes room.
        held = sum(part.stat().st_blocks * 512 for part in work.glob(".*.bgdl"))
        assert held > 100 * MEBIBYTE
        with RealKernel(cwd=work, env={"BGDL_ON_RESTORE": "pause"}) as kernel:
            assert "3 downloads restored" in kernel.run("%load_ext bgdl_jupyter").text
            kept = [int(size) for size in kernel.run(KEPT).text.split()]
            assert held - sum(kept) <= len(sizes) * WATERMARK, "more was lost than the watermark allows"
            since = len(nginx.log())
            finished = kernel.run(FINISH, timeout=150)
            assert finished.error is None, finished.error
            assert finished.text.strip() == str(["COMPLETED"] * 3)
        # The new kernel asks for what it lacks, the overlap apart: no range that it has is asked for again.
        assert all(line.status == PARTIAL for line in nginx.log()[since:])
    for name, content in contents.items():
        assert file_sha256(work / name) == digest(content).hex(), name
    assert not list(work.glob(".*.bgdl"))

"""A transport of another package is one module and an entry point; `docs/how_to/add_a_transport.md` shows these two."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from bgdl_jupyter.frontends.sample_server import SampleServer
from tests.kernels import ROOT

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

PACKAGE = ROOT / "tests" / "data" / "transport_package"
SIZE = 40_000_000
PROGRAM = """
import sys
from bgdl_jupyter import BackgroundDownloader, BackgroundTransferError, download

uri, missing, digest = sys.argv[1:]
operation = BackgroundDownloader(max_rate=20_000_000).download(uri, "whole.bin")
operation.start() if operation.status.name == "IDLE" else None
while operation.bytes_received < 4_000_000:
    pass
operation.pause().wait(20)
had = operation.bytes_received
operation.resume()
operation.wait(30)
print(operation.has_restarted, 0 < had < operation.bytes_received, operation.integrity.value)
download(uri, "checked.bin", sha256=digest).wait(30)
try:
    download(missing, "missing.bin").wait(30)
except BackgroundTransferError as error:
    print(error.web_error_status.name)
"""


@pytest.fixture
def installed(tmp_path: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Install the package as pip does, and run a program that uses it."""
    folder = tmp_path / "site"
    shutil.copytree(PACKAGE, folder)
    metadata = folder / "far_transports-1.0.dist-info"
    metadata.mkdir()
    (folder / "entry_points.txt").rename(metadata / "entry_points.txt")
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: far-transports\nVersion: 1.0\n")

    def run(*arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
        state = str(tmp_path / "state.sqlite3")
        path = os.pathsep.join([str(ROOT), str(folder)])
        return subprocess.run(
            [sys.executable, "-c", PROGRAM, *arguments],
            cwd=tmp_path,
            env={**os.environ, **variables, "PYTHONPATH": path, "BGDL_STATE_FILE": state},
            capture_output=True,
            text=True,
            timeout=100,
            check=False,
        )

    return run


def test_a_scheme_may_be_another_way_to_name_what_http_fetches(
    installed: Callable[..., subprocess.CompletedProcess[str]], tmp_path: Path
):
    with SampleServer({"a.bin": SIZE}, rate=100_000_000) as server:
        digest = server.sha256("a.bin")
        ran = installed("mirror://a.bin", "mirror://none", digest, MIRROR=server.url())
    assert (ran.stdout.split(), ran.stderr) == (["False", "True", "length+validator", "NOT_FOUND"], "")
    assert hashlib.sha256((tmp_path / "whole.bin").read_bytes()).hexdigest() == digest


def test_a_transport_of_its_own_is_resumed_verified_and_its_errors_are_told(
    installed: Callable[..., subprocess.CompletedProcess[str]], tmp_path: Path
):
    content = os.urandom(SIZE)
    (tmp_path / "a.bin").write_bytes(content)
    digest = hashlib.sha256(content).hexdigest()
    ran = installed("shelf://here/a.bin", "shelf://here/none", digest, SHELF=str(tmp_path))
    assert (ran.stdout.split(), ran.stderr) == (["False", "True", "length+validator", "NOT_FOUND"], "")
    assert (tmp_path / "whole.bin").read_bytes() == content

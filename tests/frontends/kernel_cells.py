"""Code that runs in a real kernel with a place for the downloads, or in a script."""

from __future__ import annotations

import subprocess
import sys
import textwrap
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.kernels import RealKernel, Result

SETUP = """
import asyncio, os, threading, time
from bgdl_jupyter.frontends import kernel
"""


def run(kernel: RealKernel, code: str) -> Result:
    result = kernel.run(textwrap.dedent(code))
    assert result.error is None, "\n".join(result.outputs[-2].content.get("traceback", []))
    return result


def run_script(code: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)], capture_output=True, text=True, timeout=60, check=False
    )

"""The kernel that runs in this process, if one does, and what it tells about its notebook."""

from __future__ import annotations

import os
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import asyncio

    from ipykernel.kernelbase import Kernel


def running_kernel() -> Kernel | None:
    """Return the ipykernel of this process; None in scripts, terminals, other kernels and forked children."""
    ipython = sys.modules.get("IPython")
    if ipython is None or "ipykernel" not in sys.modules:
        return None
    from ipykernel.kernelbase import Kernel

    kernel = getattr(ipython.get_ipython(), "kernel", None)
    if not isinstance(kernel, Kernel) or kernel.session is None:
        return None
    # A forked child has a copy of the object; the kernel that answers its requests is the parent.
    return kernel if kernel.session.pid == os.getpid() else None


def kernel_version() -> tuple[int, int]:
    """Return the major and the minor version of ipykernel."""
    import ipykernel

    version: str = ipykernel.__version__  # type: ignore[attr-defined] # public, and not declared so
    major, minor = version.split(".")[:2]
    return int(major), int(minor)


def has_started(kernel: Kernel) -> bool:
    """Whether the kernel answers requests; extensions that the configuration loads come before."""
    return getattr(kernel, "io_loop", None) is not None  # declared by the class, and set by its `start()`


def main_loop(kernel: Kernel) -> asyncio.AbstractEventLoop | None:
    """Return the loop of the main shell; None if the kernel has yet to start and this is not its thread."""
    io_loop: Any = getattr(kernel, "io_loop", None)
    if io_loop is None and threading.current_thread() is threading.main_thread():
        from tornado.ioloop import IOLoop

        io_loop = IOLoop.current()  # an extension that is loaded by the configuration: the kernel will take this one
    if io_loop is None:
        return None
    loop: asyncio.AbstractEventLoop = io_loop.asyncio_loop
    return loop


def notebook_path() -> str | None:
    """
    Return the absolute path of the notebook that this kernel belongs to.

    None without a kernel, for consoles, and where the server does not tell it (VS Code, for one).
    """
    name = os.environ.get("JPY_SESSION_NAME", "")
    # A console's session has a name and no suffix; a script that a cell starts inherits the variable.
    if not Path(name).suffix or running_kernel() is None:
        return None
    # A server that gives a path of its own gives it from its root; the kernel starts beside the notebook.
    return str(Path(name) if Path(name).is_absolute() else Path.cwd() / Path(name).name)


def has_front_end() -> bool:
    """Whether somebody can answer a question: false in scripts and in runs without a person (nbconvert, papermill)."""
    kernel = running_kernel()
    if kernel is None:
        return False
    request = kernel.get_parent("shell")
    # Clients that run notebooks in batches say that they will not answer `input()`.
    return bool(request) and bool(request.get("content", {}).get("allow_stdin", True))

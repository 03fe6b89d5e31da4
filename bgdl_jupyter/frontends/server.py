"""What this kernel knows of the Jupyter server that started it."""

from __future__ import annotations

import json
import logging
import os
from pathlib import Path

log = logging.getLogger(__name__)


def server_root() -> Path | None:
    """
    Return the folder that the server shows as its root; None where it cannot be known.

    A server notes it in a file named after its process, which is the parent of the kernel. A hub or a remote
    provisioner has other parents; then nothing is known.
    """
    from jupyter_core.paths import jupyter_runtime_dir

    parent = os.environ.get("JPY_PARENT_PID", "")
    if not parent.isdecimal():
        return None
    try:
        notes = json.loads((Path(jupyter_runtime_dir()) / f"jpserver-{parent}.json").read_text(encoding="utf-8"))
        return Path(notes["root_dir"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        log.debug("The server's root is not known: %s", error)
        return None


def kernel_id() -> str:
    """Return the id under which the server knows this kernel; the name of the connection file has it."""
    from ipykernel.connect import get_connection_file

    return Path(get_connection_file()).stem.removeprefix("kernel-")

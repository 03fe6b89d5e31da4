"""Which notebook this is: on Windows an application sees its own downloads, here a notebook does."""

from __future__ import annotations

import os
from pathlib import Path

from bgdl_jupyter.model.host import host


def present_application() -> str:
    """Return the notebook's absolute path where the server tells it, else the working directory."""
    return host().notebook_path() or str(Path.cwd())


def state_file_path() -> Path:
    """Return where the state is kept: `BGDL_STATE_FILE`, or the platform's folder for a user's state."""
    configured = os.environ.get("BGDL_STATE_FILE")
    if configured:
        return Path(configured).expanduser().absolute()
    from platformdirs import user_state_path  # slow to load, and not needed where the path is given

    return user_state_path("bgdl_jupyter", appauthor=False) / "state.sqlite3"

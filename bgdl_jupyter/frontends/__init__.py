"""Views of the model, and the kernel it runs in; nothing here decides."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from IPython.core.interactiveshell import InteractiveShell

    from bgdl_jupyter.model.host import Host


def furnish(host: Host) -> None:
    """Fill the slots of the model's host; called once a kernel runs in this process."""
    from IPython import get_ipython

    from bgdl_jupyter.frontends import kernel

    host.loop_provider = kernel
    host.configuration = get_ipython().config
    host.view_factory = _view


def _view(model: object) -> Any:
    from bgdl_jupyter.frontends.widgets import view  # ipywidgets is slow to load, and not needed to download

    return view(model)


def load(shell: InteractiveShell) -> None:
    """Add the magics, take this notebook's downloads up again, say so in a line, and show them: ``%load_ext``."""
    from bgdl_jupyter.frontends.loading import load

    load(shell)


def unload(shell: InteractiveShell) -> None:
    """Take the magics away and hang up on the lab extension; downloads go on, and so do widgets that are shown."""
    from bgdl_jupyter.frontends.loading import unload

    unload(shell)

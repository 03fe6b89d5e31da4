"""Views of the model, and the kernel it runs in; nothing here decides."""

from __future__ import annotations

import contextlib
import gc
import importlib
import logging
import threading
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

    from IPython.core.interactiveshell import InteractiveShell

    from bgdl_jupyter.model.host import ConsentAnswer, Host


def furnish(host: Host) -> None:
    """Fill the slots of the model's host; called once a kernel runs in this process."""
    from IPython import get_ipython

    from bgdl_jupyter.frontends import kernel

    # Without a handler Python writes warnings to stderr, which is whatever cell runs last. Who wants them adds one.
    logging.getLogger("bgdl_jupyter").addHandler(logging.NullHandler())
    host.loop_provider = kernel
    host.configuration = get_ipython().config
    host.view_factory = _view
    host.consent_form = _ask_consent


def _view(model: object) -> Any:
    from bgdl_jupyter.frontends.widgets import view  # ipywidgets is slow to load, and not needed to download

    return view(model)


async def _ask_consent(question: str) -> ConsentAnswer:
    from bgdl_jupyter.frontends.widgets.consent import ask  # as above

    return await ask(question)


def load(shell: InteractiveShell) -> None:
    """Add the magics, take this notebook's downloads up again, say so in a line, and show them: ``%load_ext``."""
    with _collecting_later():  # nothing of this is garbage
        from bgdl_jupyter.frontends.loading import load
    # The first download needs it, and it takes as long to load as all of ours: it may wait for its turns, we may not.
    threading.Thread(target=_load_ahead, args=("aiohttp",), name="bgdl-load-ahead", daemon=True).start()
    load(shell)


def unload(shell: InteractiveShell) -> None:
    """Take the magics away and hang up on the lab extension; downloads go on, and so do widgets that are shown."""
    from bgdl_jupyter.frontends.loading import unload

    unload(shell)


@contextlib.contextmanager
def _collecting_later() -> Iterator[None]:
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


def _load_ahead(name: str) -> None:
    with contextlib.suppress(ImportError):  # who needs it says what is missing
        importlib.import_module(name)

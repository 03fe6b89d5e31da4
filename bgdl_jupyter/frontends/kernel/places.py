"""Where the downloads run, and where the callbacks of users run."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from bgdl_jupyter.errors import BackgroundTransferError
from bgdl_jupyter.frontends.kernel.running import main_loop, running_kernel
from bgdl_jupyter.frontends.kernel.subshell import subshell_place
from bgdl_jupyter.model.host import LoopPlace, Place, ThreadPlace, callback_thread, place_without_kernel

if TYPE_CHECKING:
    import asyncio

    from bgdl_jupyter.model.host import PlacePreference


def provide_place(preference: PlacePreference = "auto") -> Place:
    """
    Return a new place for the downloads.

    Parameters
    ----------
    preference:
        "auto" is a subshell of the kernel where there can be one, else a thread; "subshell", "thread" and "main"
        (the main shell's loop; in a script the loop that runs in this thread) are that or an error.

    Raises
    ------
    BackgroundTransferError
        There can be no such place here; the message says why.
    InvalidRequest
        There is no such preference.
    """
    loop = _main_loop()
    if preference == "main" and loop is not None:
        return LoopPlace(loop, threading.main_thread(), kind="main", reason="The main shell's loop was asked for.")
    if preference == "auto":
        return _best_place()
    if preference == "subshell":
        return subshell_place()
    return place_without_kernel(preference)


def callback_place() -> Place:
    """Return a new place for the callbacks of users: the main shell's loop, or a thread where no kernel runs."""
    loop = _main_loop()
    if loop is None:
        return callback_thread()
    return LoopPlace(loop, threading.main_thread(), kind="main", reason="Callbacks belong to the main shell.")


def _main_loop() -> asyncio.AbstractEventLoop | None:
    kernel = running_kernel()
    return None if kernel is None else main_loop(kernel)


def _best_place() -> Place:
    try:
        return subshell_place()
    except BackgroundTransferError as error:
        return ThreadPlace(reason=f"{error.message} A thread takes the place of a subshell.")

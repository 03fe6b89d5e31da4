"""
The kernel we run in: its loops, the way of commands to them, and its end.

::

    running     which kernel runs here, for which notebook, before whose eyes
    subshell    a subshell of our own and its loop, by the kernel's public protocol
    places      where the downloads and the users' callbacks run
    commands    clicks and messages that must be heard while a cell computes
    shutdown    what is to be put away before the kernel ends
"""

from __future__ import annotations

from bgdl_jupyter.frontends.kernel.commands import control_comms, hears_buttons_in_cells, route_commands_to
from bgdl_jupyter.frontends.kernel.places import callback_place, provide_place
from bgdl_jupyter.frontends.kernel.running import has_front_end, notebook_path
from bgdl_jupyter.frontends.kernel.shutdown import on_shutdown

__all__ = [
    "callback_place",
    "control_comms",
    "has_front_end",
    "hears_buttons_in_cells",
    "notebook_path",
    "on_shutdown",
    "provide_place",
    "route_commands_to",
]

"""
Clicks and messages that must be heard while a cell computes.

ipykernel hears what a front end says about a widget on the main shell, unless it is told otherwise. From 7.4 on the
comm itself can say where it is heard; on 6, where there are no subshells, the control channel is the way that is open.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Final

from bgdl_jupyter.frontends.kernel.running import kernel_version, running_kernel
from bgdl_jupyter.frontends.kernel.subshell import SubshellPlace

if TYPE_CHECKING:
    from bgdl_jupyter.model.host import Place

_ROUTE: Final = "_reply_subshell_for"  # private to ipykernel 7.4; looked up by it with a default, so harmless elsewhere


def route_commands_to(place: Place, widget: object) -> None:
    """
    Have what a front end sends to a widget (or to a bare comm) handled while cells run.

    On ipykernel 7.4 and later messages come in on our subshell; where the place is a thread, on the subshell that the
    front end asks for. On older kernels, and for a place on the main shell, nothing changes.
    """
    comm = getattr(widget, "comm", widget)
    if not hasattr(comm, _ROUTE):
        return
    if isinstance(place, SubshellPlace):
        setattr(comm, _ROUTE, partial(_subshell_for, place))
    elif place.kind == "thread":
        setattr(comm, _ROUTE, None)


def hears_buttons_in_cells() -> bool:
    """Whether a click is handled before the running cell has come to its end; not on ipykernel 6."""
    return running_kernel() is not None and kernel_version() >= (7, 0)


def control_comms() -> bool:
    """
    Let comms be opened, used and closed on the control channel too; ipykernel 6 only.

    Returns whether they can be: the lab extension then sends its commands there, and a cell does not hold them up.
    """
    kernel = running_kernel()
    if kernel is None or kernel_version() >= (7, 0):
        return False
    comms = getattr(kernel, "comm_manager", None)
    if comms is None:
        return False
    for message_type in ("comm_open", "comm_msg", "comm_close"):
        kernel.control_handlers[message_type] = getattr(comms, message_type)
    return True


def _subshell_for(place: SubshellPlace, _data: object, default: str | None) -> str | None:
    """Return the subshell that handles a message; somebody may have deleted ours."""
    return place.subshell_id if place.is_alive else default

"""Buttons: a verb each, heard while cells run, pressed on whatever thread and acted upon on the engine's loop."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from ipywidgets import Button

from bgdl_jupyter.frontends.kernel import route_commands_to
from bgdl_jupyter.frontends.verbs import Verb

if TYPE_CHECKING:
    from collections.abc import Callable

    from ipywidgets import ButtonStyle, Layout

    from bgdl_jupyter.model.host import Place

_ICONS: Final = {
    Verb.START: "play",
    Verb.PAUSE: "pause",
    Verb.RESUME: "play",
    Verb.CANCEL: "times",
    Verb.RETRY: "refresh",
    Verb.CLEAR: "eraser",
}
_LABELS: Final = {
    Verb.START: "Start",
    Verb.PAUSE: "Pause",
    Verb.RESUME: "Resume",
    Verb.CANCEL: "Cancel",
    Verb.RETRY: "Retry",
    Verb.CLEAR: "Clear",
}


def verb_button(
    place: Place,
    verb: Verb,
    act: Callable[[], object],
    *,
    layout: Layout,
    style: ButtonStyle,
    label: str | None = None,
    tooltip: str | None = None,
) -> Button:
    """
    Return a button that does `act` on the engine's loop.

    Parameters
    ----------
    label:
        The text beside the icon; None for the icon alone.
    tooltip:
        What it says to a pointer that rests on it, and to a screen reader.
    """
    return button(
        place, act, icon=_ICONS[verb], label=label or "", tooltip=tooltip or _LABELS[verb], layout=layout, style=style
    )


def button(place: Place, act: Callable[[], object], **traits: Any) -> Button:
    """Return a button that does `act` on the engine's loop."""
    made = Button(description=traits.pop("label", ""), **traits)
    made.on_click(lambda _: place.post(act))
    route_commands_to(place, made)
    return made

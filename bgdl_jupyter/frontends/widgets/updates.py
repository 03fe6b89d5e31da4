"""Writing to widgets: only what changed, in one message, counted."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ipywidgets import Widget


def update(widget: Widget, **values: Any) -> int:
    """Set traits of a widget in one message; returns how many messages that took: one, or none for equal values."""
    changed = {name: value for name, value in values.items() if getattr(widget, name) != value}
    if not changed:
        return 0
    with widget.hold_sync():
        for name, value in changed.items():
            setattr(widget, name, value)
    return 1

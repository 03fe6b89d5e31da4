"""A note: an alert that can be put away."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ipywidgets import HTML, Box

from bgdl_jupyter.events import AlertDismissed
from bgdl_jupyter.frontends import words
from bgdl_jupyter.frontends.widgets import look as looks
from bgdl_jupyter.frontends.widgets.buttons import button

if TYPE_CHECKING:
    from bgdl_jupyter.events import AlertRaised
    from bgdl_jupyter.frontends.views import Views
    from bgdl_jupyter.frontends.widgets.look import Look


class Note:
    """The view of an alert; alerts do not change, so neither does this."""

    def __init__(self, views: Views, look: Look, alert: AlertRaised) -> None:
        title, body = words.clip(alert.title, 200), words.clip(alert.body, 500)
        content = looks.note_html(alert.kind.value, title, body, while_away=alert.while_away)
        self._text = HTML(value=content, layout=look.line, style=look.text)
        self._dismiss = button(
            views.place,
            lambda: views.runner.publish(AlertDismissed(alert_id=alert.alert_id)),
            icon="times",
            tooltip="Dismiss",
            layout=look.note_button,
            style=look.flat,
        )
        self.widget: Any = Box((self._text, self._dismiss), layout=look.note)

    def close(self) -> None:
        """Let go of the widgets."""
        for widget in (self.widget, self._text, self._dismiss):
            widget.close()

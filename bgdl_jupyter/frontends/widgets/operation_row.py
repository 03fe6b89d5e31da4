"""A row: one operation with its name, its bar, its state in words and its buttons. Rows are used again for others."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Final

from ipywidgets import HTML, Box, Button, FloatProgress

from bgdl_jupyter.frontends import words
from bgdl_jupyter.frontends.verbs import Verb, perform
from bgdl_jupyter.frontends.widgets import look as looks
from bgdl_jupyter.frontends.widgets.buttons import verb_button
from bgdl_jupyter.frontends.widgets.updates import update

if TYPE_CHECKING:
    from typing import Any

    from ipywidgets import Layout, ProgressStyle, Widget

    from bgdl_jupyter.frontends.tally import Entry
    from bgdl_jupyter.frontends.widgets.look import Look
    from bgdl_jupyter.model.runner import Runner

#: What the first button of a row is for, the best first; there is never more than one of these to choose.
_FIRST: Final = (Verb.PAUSE, Verb.RESUME, Verb.START, Verb.RETRY)
_BAR_STYLES: Final = {"completed": "success", "failed": "danger"}
#: Operations of these kinds have no bar that could show them: nothing is known of how far they are.
_MOVING: Final = frozenset({"running"})
_STEPS_OF_A_BAR: Final = 1000


class OperationRow:
    """
    The view of an operation.

    `entry` is what it shows; whoever changes it has the ticker send the row.
    """

    weight = 1.0

    def __init__(self, runner: Runner, look: Look, entry: Entry, model_id: str | None = None) -> None:
        self.entry = entry
        self._runner = runner
        self._look = look
        self._buttons: dict[Verb, Button] = {}
        self._text = HTML(value=self._html(), layout=look.row_text, style=look.text)
        self._bar = FloatProgress(layout=look.row_bar, **self._bar_traits())
        identity = {} if model_id is None else {"model_id": model_id}
        self.widget: Any = Box(self._children(), layout=look.row, **identity)

    def send(self) -> int:
        """Send what changed."""
        sent = update(self._text, value=self._html())
        if not self._is_indeterminate:
            sent += update(self._bar, **self._bar_traits())
        return sent + update(self.widget, children=self._children())

    @property
    def _is_indeterminate(self) -> bool:
        entry = self.entry
        if entry.following is not None:
            return entry.kind in _MOVING and entry.following.fraction is None
        # Before the first byte nothing moves, and mostly the size comes with it.
        return entry.kind in _MOVING and entry.share is None and entry.received > 0

    @functools.cached_property
    def _stripes(self) -> HTML:
        # A widget of its own: a text that is sent anew would begin its movement anew.
        return HTML(value=looks.stripes(4), layout=self._look.row_bar, style=self._look.text)

    def _html(self) -> str:
        entry = self.entry
        operation = entry.operation
        is_moving = entry.kind in _MOVING and entry.rate
        figures = (words.rate(entry.rate), words.time_left(operation.eta))
        return looks.row_html(
            words.name(operation),
            words.amount(entry),
            figures if is_moving else (words.state(entry),),
            is_bad=entry.kind == "failed",
        )

    def _bar_traits(self) -> dict[str, Any]:
        following = self.entry.following
        share = (self.entry.share or 0) / 1_000_000 if following is None else following.fraction or 0.0
        return {
            # A bar is a few hundred pixels wide: finer steps would be sent and not seen.
            "value": round(share * _STEPS_OF_A_BAR) / _STEPS_OF_A_BAR,
            "max": 1.0,
            "bar_style": _BAR_STYLES.get(self.entry.kind, ""),
            "style": self._bar_style(),
        }

    def _bar_style(self) -> ProgressStyle:
        stands_still = self.entry.kind in {"paused", "canceled", "queued"}
        return self._look.still if stands_still else self._look.moving

    def _children(self) -> tuple[Widget, ...]:
        allowed = self.entry.allowed
        first = next((verb for verb in _FIRST if verb in allowed), None)
        bar = self._stripes if self._is_indeterminate else self._bar
        buttons = [self._button(first, self._look.row_first)] if first else []
        buttons += [self._button(Verb.CANCEL, self._look.row_second)] if Verb.CANCEL in allowed else []
        # A page draws anew what stands behind a change: the buttons come first, so that none is lost under a click.
        return (self._text, *buttons, bar)

    def _button(self, verb: Verb, layout: Layout) -> Button:
        """Return the button of a verb: each has its own, so that a late click never means something else."""
        if verb not in self._buttons:
            self._buttons[verb] = verb_button(
                self._runner.place, verb, lambda: self._act(verb), layout=layout, style=self._look.flat
            )
        return self._buttons[verb]

    def _act(self, verb: Verb) -> None:
        perform(self._runner, [self.entry.operation], verb)

    def close(self) -> None:
        """Let go of the widgets."""
        stripes = [self.__dict__["_stripes"]] if "_stripes" in self.__dict__ else []
        for widget in (self.widget, self._text, self._bar, *stripes, *self._buttons.values()):
            widget.close()

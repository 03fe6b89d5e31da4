"""A question with two buttons, Allow and Deny, shown in the cell that asks; the answer ends it."""

from __future__ import annotations

import asyncio
import concurrent.futures
import functools
from typing import TYPE_CHECKING, Any, Final

from IPython.display import display
from ipywidgets import HTML, Box, Button, HBox

from bgdl_jupyter.frontends.kernel import has_front_end, hears_buttons_in_cells
from bgdl_jupyter.frontends.widgets import look as looks
from bgdl_jupyter.frontends.widgets.buttons import button
from bgdl_jupyter.model.display import with_view
from bgdl_jupyter.model.host import ConsentAnswer
from bgdl_jupyter.model.process import current_runner

if TYPE_CHECKING:
    from bgdl_jupyter.model.host import Place

#: How long a cell waits for an answer, in seconds: a run that nobody looks at must not hang for ever.
ANSWER_WITHIN: Final = 120.0
_WITHIN: Final = 10.0

_NOBODY: Final = "Nobody can be asked: this kernel runs without a front end that answers."
_DEAF: Final = "On this version of ipykernel a button is heard only when the cell has ended; upgrade to ipykernel 7."


async def ask(question: str) -> ConsentAnswer:
    """
    Show a question in the running cell, and return what the user clicks.

    Answers for the user, in the negative and with the reason, where nobody can click, and when nobody did in time.
    """
    if not has_front_end():
        return ConsentAnswer(is_allowed=False, reason=_NOBODY)
    if not hears_buttons_in_cells():
        return ConsentAnswer(is_allowed=False, reason=_DEAF)
    place = current_runner().place
    # On the engine's loop, as every widget; shown on this thread, whose cell it is that asks.
    form = place.call_within(_WITHIN, Question, place, question)
    display(with_view({"text/plain": question}, form.widget), raw=True)
    try:
        is_allowed = await asyncio.wait_for(asyncio.wrap_future(form.answer), ANSWER_WITHIN)
    except TimeoutError:
        place.post(form.close, "Nobody answered.")
        return ConsentAnswer(is_allowed=False, reason=f"Nobody answered in {ANSWER_WITHIN:g} seconds.")
    except asyncio.CancelledError:
        place.post(form.close, "The question was taken back.")
        raise
    return ConsentAnswer(is_allowed=is_allowed, reason="You allowed it." if is_allowed else "You denied it.")


class Question:
    """The view of a question; belongs to the engine's loop."""

    def __init__(self, place: Place, question: str) -> None:
        self.answer: concurrent.futures.Future[bool] = concurrent.futures.Future()
        self._place = place
        self._text = HTML(value=looks.note_html("warning", question, "", while_away=False))
        self._buttons = (self._button("Allow", is_allowed=True), self._button("Deny", is_allowed=False))
        self.widget: Any = Box(
            (self._text, HBox(self._buttons)), layout={"flex_flow": "row wrap", "align_items": "center"}
        )

    def close(self, outcome: str) -> None:
        """Show what came of the question in place of the buttons."""
        self.answer.cancel()
        self._text.value = looks.muted_html(outcome)
        self.widget.children = (self._text,)
        for each in self._buttons:
            each.close()

    def _button(self, label: str, *, is_allowed: bool) -> Button:
        style = "primary" if is_allowed else ""
        act = functools.partial(self._take, is_allowed=is_allowed)
        return button(self._place, act, label=label, tooltip=f"{label} it", button_style=style)

    def _take(self, *, is_allowed: bool) -> None:
        if not self.answer.done():
            self.answer.set_result(is_allowed)
            self.close("Allowed." if is_allowed else "Denied.")

"""A box: a group with its bar, its sums, its buttons, and the rows of its operations, as many as there is room for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from ipywidgets import HTML, Box, Button, FloatProgress, HBox, VBox

from bgdl_jupyter.frontends import words
from bgdl_jupyter.frontends.verbs import Verb
from bgdl_jupyter.frontends.widgets import look as looks
from bgdl_jupyter.frontends.widgets.buttons import verb_button
from bgdl_jupyter.frontends.widgets.ids import model_id
from bgdl_jupyter.frontends.widgets.operation_row import OperationRow
from bgdl_jupyter.frontends.widgets.updates import update

if TYPE_CHECKING:
    from uuid import UUID

    from ipywidgets import Widget

    from bgdl_jupyter.frontends.tally import Entry, GroupKey, Tally
    from bgdl_jupyter.frontends.views import Views
    from bgdl_jupyter.frontends.widgets.look import Look

#: The most rows of a box.
ROWS: Final = 20
_ORDER: Final[tuple[Verb, ...]] = (Verb.PAUSE, Verb.RESUME, Verb.CANCEL, Verb.RETRY)
_LABELS: Final = {Verb.RETRY: "Retry failed", Verb.CLEAR: "Clear"}
_TOOLTIPS: Final = {
    Verb.PAUSE: "Pause all of this group",
    Verb.RESUME: "Let all of this group go on",
    Verb.CANCEL: "Cancel all of this group",
    Verb.RETRY: "Start again what failed",
    Verb.CLEAR: "Forget what is over; the files stay",
}


class GroupBox:
    """The view of a group, or of the operations in no group."""

    weight = 8.0

    def __init__(self, views: Views, look: Look, key: GroupKey) -> None:
        self.key = key
        self._views = views
        self._look = look
        self._rows: list[OperationRow] = []
        self._by_id: dict[UUID, OperationRow] = {}
        self._buttons: dict[Verb, Button] = {}
        self._text = HTML(value=self._html(), layout=look.line, style=look.text)
        self._verbs = HBox(self._verb_buttons(), layout=look.buttons)
        self._bar = FloatProgress(layout=look.bar, **self._bar_traits())
        self._stripes = HTML(value=looks.stripes(8), layout=look.stripes, style=look.text)
        self._foot = Box(self._foot_children(), layout=look.foot)
        self._list = VBox((), layout=look.rows)
        self._more = HTML(value="", layout=look.line, style=look.text)
        self.widget: Any = VBox((), layout=look.box, model_id=model_id(*key, "box"))
        self.send()

    @property
    def _tally(self) -> Tally:
        return self._views.ledger.group(self.key)

    def send(self) -> int:
        """Send what changed; rows that show another operation than before are sent by the ticker."""
        sent = update(self._text, value=self._html())
        sent += update(self._bar, **self._bar_traits())
        sent += update(self._verbs, children=self._verb_buttons())
        sent += update(self._foot, children=self._foot_children())
        return sent + self._arrange() + update(self.widget, children=self._children())

    def show(self, operation_id: UUID, entry: Entry) -> None:
        """Have a row shown anew, if the operation has one."""
        row = self._by_id.get(operation_id)
        if row is not None:
            is_step = row.entry.kind != entry.kind or row.entry.allowed != entry.allowed
            row.entry = entry
            self._views.ticker.wake(row, is_urgent=is_step)

    def _html(self) -> str:
        tally = self._tally
        progress = tally.progress
        figures = (words.group_amount(progress), words.rate(progress.rate), words.time_left(progress.eta))
        rates = tuple(tally.rates) if tally.is_live else ()
        counts, failures = words.group_counts(progress), words.failures(progress)
        return looks.group_html(words.group_title(self.key[1]), counts, failures, figures, rates)

    def _bar_traits(self) -> dict[str, Any]:
        tally = self._tally
        progress = tally.progress
        is_done = progress.completed == progress.total > 0
        bar_style = "success" if is_done else "danger" if progress.failed and not tally.is_live else ""
        return {
            "value": round(tally.share or 0.0, 3),
            "max": 1.0,
            "bar_style": bar_style,
            # What stands still has a color of its own, which would hide that of the bar's style.
            "style": self._look.moving if tally.is_live or bar_style else self._look.still,
        }

    def _children(self) -> tuple[Widget, ...]:
        more = (self._more,) if self._more.value else ()
        return (self._text, self._foot, self._list, *more)

    def _foot_children(self) -> tuple[Widget, ...]:
        progress = self._tally.progress
        is_indeterminate = self._tally.share is None and progress.running and progress.bytes_received
        # As in a row: what changes comes last, and is shown first.
        return (self._verbs, self._stripes if is_indeterminate else self._bar)

    def _arrange(self) -> int:
        """Give every row the operation that it is to show; returns how many messages that took."""
        tally = self._tally
        entries = tally.first(ROWS)
        sent = 0
        while len(self._rows) < len(entries):
            self._rows.append(self._new_row(entries[len(self._rows)]))
            sent += 1
        self._assign(entries)
        rest = len(tally) - len(entries)
        more = tally.remark or (f"and {rest:,} more" if rest else "")
        sent += update(self._more, value=looks.muted_html(words.clip(more, 300)) if more else "")
        return sent + update(self._list, children=tuple(row.widget for row in self._rows[: len(entries)]))

    def _new_row(self, entry: Entry) -> OperationRow:
        return OperationRow(self._views.runner, self._look, entry)

    def _assign(self, entries: list[Entry]) -> None:
        self._by_id = {}
        for row, entry in zip(self._rows, entries, strict=False):
            self._by_id[entry.operation.guid] = row
            if row.entry is not entry:
                row.entry = entry
                self._views.ticker.wake(row)

    def _verb_buttons(self) -> tuple[Button, ...]:
        allowed = self._tally.allowed
        verbs = [verb for verb in _ORDER if verb in allowed]
        # What is over is in nobody's way while the rest runs.
        verbs += [Verb.CLEAR] if Verb.CLEAR in allowed and not self._tally.is_live else []
        return tuple(self._button(verb) for verb in verbs)

    def _button(self, verb: Verb) -> Button:
        if verb not in self._buttons:
            self._buttons[verb] = verb_button(
                self._views.place,
                verb,
                lambda: self._tally.perform(self._views.runner, verb),
                label=_LABELS.get(verb, verb.value.capitalize()),
                tooltip=_TOOLTIPS[verb],
                layout=self._look.button,
                style=self._look.flat,
            )
        return self._buttons[verb]

    def close(self) -> None:
        """Let go of the widgets."""
        for row in self._rows:
            self._views.ticker.forget(row)
            row.close()
        parts = (self._text, self._verbs, self._foot, self._bar, self._stripes, self._list, self._more, self.widget)
        for widget in (*parts, *self._buttons.values()):
            widget.close()

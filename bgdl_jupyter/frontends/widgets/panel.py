"""The panel: the notes and the boxes of an application."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from ipywidgets import HTML, VBox

from bgdl_jupyter.frontends import words
from bgdl_jupyter.frontends.widgets import look as looks
from bgdl_jupyter.frontends.widgets.ids import model_id
from bgdl_jupyter.frontends.widgets.note import Note
from bgdl_jupyter.frontends.widgets.updates import update

if TYPE_CHECKING:
    from collections.abc import Callable

    from ipywidgets import Widget

    from bgdl_jupyter.frontends.tally import GroupKey, Tally
    from bgdl_jupyter.frontends.views import Views
    from bgdl_jupyter.frontends.widgets.group_box import GroupBox
    from bgdl_jupyter.frontends.widgets.look import Look

#: The most boxes, notes and tiles of a panel.
BOXES: Final = 20
NOTES: Final = 5
TILES: Final = 3
_NOTHING: Final = "No downloads. %bgdl URI starts one."


class Panel:
    """The view of an application's downloads."""

    weight = 8.0

    def __init__(self, views: Views, look: Look, application: str, box_of: Callable[[GroupKey], GroupBox]) -> None:
        self.application = application
        self._views = views
        self._look = look
        self._box_of = box_of
        self._notes: dict[str, Note] = {}
        self._nothing = HTML(value=looks.muted_html(_NOTHING), layout=look.line, style=look.text)
        self._shown_tiles: tuple[str, ...] = ()
        self._tiles = HTML(value="", layout=look.line, style=look.text)
        self._more = HTML(value="", layout=look.line, style=look.text)
        self.widget: Any = VBox(self._children(), layout=look.panel, model_id=model_id(application, "", "panel"))

    @property
    def has_new_tiles(self) -> bool:
        """Whether other tiles are to be shown than those that are."""
        return self._shown_tiles != self._views.alerts.tiles(self.application)

    def send(self) -> int:
        """Send what changed."""
        sent = update(self.widget, children=self._children())
        self._put_away()
        return sent

    def _children(self) -> tuple[Widget, ...]:
        shown, hidden = self._groups()
        notes = self._present_notes()
        boxes = [self._box_of(key).widget for key in shown]
        update(self._more, value=looks.muted_html(f"and {hidden:,} more groups") if hidden else "")
        more = [self._more] if hidden else []
        tiles = self._present_tiles()
        return (*tiles, *notes, *boxes, *more) if tiles or notes or boxes else (self._nothing,)

    def _present_tiles(self) -> list[Widget]:
        self._shown_tiles = self._views.alerts.tiles(self.application)
        texts = self._shown_tiles[-TILES:]
        update(self._tiles, value="".join(looks.tile_html(words.clip(text, 200)) for text in reversed(texts)))
        return [self._tiles] if texts else []

    def _groups(self) -> tuple[list[GroupKey], int]:
        """Return the groups to show, those that live before the others, and how many there is no room for."""
        groups = list(self._views.ledger.groups(self.application))
        if len(groups) <= BOXES:
            return [key for key, _ in groups], 0
        by_rank = sorted(groups, key=_rank)[:BOXES]
        return [key for key, _ in by_rank], len(groups) - BOXES

    def _present_notes(self) -> list[Widget]:
        alerts = {each.alert_id: each for each in self._views.alerts.of(self.application)[-NOTES:]}
        for alert_id in alerts.keys() - self._notes.keys():
            self._notes[alert_id] = Note(self._views, self._look, alerts[alert_id])
        return [self._notes[alert_id].widget for alert_id in reversed(alerts)]

    def _put_away(self) -> None:
        """Let go of notes that are not shown any more; not before, or a page would show what is gone."""
        alerts = {each.alert_id for each in self._views.alerts.of(self.application)[-NOTES:]}
        for alert_id in self._notes.keys() - alerts:
            self._notes.pop(alert_id).close()


def _rank(group: tuple[GroupKey, Tally]) -> tuple[bool, bool]:
    _, tally = group
    return not tally.is_live, not tally.progress.failed

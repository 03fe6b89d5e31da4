"""The widgets of this kernel: one panel an application, one box a group, one row an operation, however often shown."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from ipywidgets import VBox

from bgdl_jupyter.frontends.widgets.group_box import GroupBox
from bgdl_jupyter.frontends.widgets.ids import model_id
from bgdl_jupyter.frontends.widgets.look import Look
from bgdl_jupyter.frontends.widgets.operation_row import OperationRow
from bgdl_jupyter.frontends.widgets.panel import Panel

if TYPE_CHECKING:
    from collections.abc import Sequence
    from uuid import UUID

    from bgdl_jupyter.events import AlertRaised
    from bgdl_jupyter.frontends.ledger import Changes
    from bgdl_jupyter.frontends.tally import Entry, GroupKey
    from bgdl_jupyter.frontends.views import Views
    from bgdl_jupyter.model.operation import DownloadOperation

#: The most single operations whose widgets are made again after a restart: nobody knows which were shown.
_REVIVED: Final = 20


class WidgetSets:
    """Makes widgets when they are first asked for, and has them sent when what they show changes."""

    def __init__(self, views: Views) -> None:
        self._views = views
        self._look = Look()
        self._panels: dict[str, Panel] = {}
        self._boxes: dict[GroupKey, GroupBox] = {}
        self._lone_rows: dict[UUID, OperationRow] = {}
        self._frames: dict[UUID, VBox] = {}

    def panel(self, application: str) -> Any:
        """Return the widget of an application."""
        if application not in self._panels:
            self._panels[application] = Panel(self._views, self._look, application, self._box)
        return self._panels[application].widget

    def box(self, key: GroupKey) -> Any:
        """Return the widget of a group."""
        return self._box(key).widget

    def row(self, operation: DownloadOperation) -> Any:
        """Return the widget of one operation; None if it was cleared."""
        entry = self._views.ledger.find(operation.guid)
        if entry is None:
            return None
        if operation.guid not in self._frames:
            row = OperationRow(self._views.runner, self._look, entry)
            self._lone_rows[operation.guid] = row
            identity = model_id(operation.application, operation.group, f"row-{operation.guid.hex}")
            self._frames[operation.guid] = VBox((row.widget,), layout=self._look.box, model_id=identity)
        return self._frames[operation.guid]

    def revive(self, operations: Sequence[DownloadOperation]) -> None:
        """Make the widgets again that a notebook may have saved: of the panel's boxes, and of single operations."""
        self._views.catch_up()
        for operation in operations:
            if operation.group:
                self.box((operation.application, operation.group))
        live = [each for each in operations if not each.is_over]
        for operation in live[:_REVIVED]:
            self.row(operation)

    def take(self, changes: Changes, alerts: tuple[list[AlertRaised], set[str]]) -> None:
        """Have sent what shows something that changed."""
        for operation_id, entry in changes.operations.items():
            self._show(operation_id, entry)
        for operation_id in changes.removed:
            self._let_go(operation_id)
        for key in changes.groups & self._boxes.keys():
            self._views.ticker.wake(self._boxes[key])
        for application, panel in self._panels.items():
            is_news = any(alerts) or panel.has_new_tiles
            if is_news or any(key[0] == application for key in changes.groups):
                self._views.ticker.wake(panel, is_urgent=is_news)

    def pulse(self) -> int:
        """Send something that changes nothing; returns how many messages it took."""
        views: tuple[Any, ...] = (*self._panels.values(), *self._boxes.values(), *self._lone_rows.values())
        widgets = [view.widget for view in views[:1]]
        for widget in widgets:
            widget.send_state("box_style")
        return len(widgets)

    def _box(self, key: GroupKey) -> GroupBox:
        if key not in self._boxes:
            self._boxes[key] = GroupBox(self._views, self._look, key)
        return self._boxes[key]

    def _show(self, operation_id: UUID, entry: Entry) -> None:
        box = self._boxes.get(entry.key)
        if box is not None:
            box.show(operation_id, entry)
        row = self._lone_rows.get(operation_id)
        if row is not None:
            row.entry = entry
            self._views.ticker.wake(row)

    def _let_go(self, operation_id: UUID) -> None:
        row = self._lone_rows.pop(operation_id, None)
        if row is not None:
            self._views.ticker.forget(row)
            row.close()
            self._frames.pop(operation_id).close()

"""
The downloads as widgets of a notebook, of the core of ipywidgets alone.

::

    sets           the widgets of this kernel, made once and shown any number of times
    panel          an application: notes and boxes
    group_box      a group: bar, sums, buttons, rows
    operation_row  an operation: bar, state, buttons
    note           an alert
    look           layouts, styles, and all HTML
    ids            names that outlive the kernel

Widgets are made and written on the engine's loop only: `hold_sync` is not safe between threads.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any, Final

from bgdl_jupyter.errors import BackgroundTransferError
from bgdl_jupyter.model.downloader import BackgroundDownloader
from bgdl_jupyter.model.group import BackgroundTransferGroup
from bgdl_jupyter.model.operation import DownloadOperation
from bgdl_jupyter.model.process import current_runner

if TYPE_CHECKING:
    from bgdl_jupyter.frontends.views import Views

log = logging.getLogger(__name__)

#: How long a cell waits for its widget, in seconds.
_WITHIN: Final = 10.0


def view(model: object) -> Any:
    """
    Return the widget of a downloader, a group or an operation: the one that there is, or a new one.

    None where there can be none; text has to do then.
    """
    from bgdl_jupyter.frontends.views import views_of

    runner = current_runner()
    try:
        return runner.place.call_within(_WITHIN, lambda: _widget_of(views_of(runner), model))
    except BackgroundTransferError as error:
        log.warning("No widget, only text: %s", error)
        return None


def _widget_of(views: Views, model: object) -> Any:
    views.catch_up()
    match model:
        case BackgroundDownloader():
            return views.widgets.panel(views.application_of(model))
        case BackgroundTransferGroup():
            return views.widgets.box((model.application, model.name))
        case DownloadOperation():
            return views.widgets.row(model)
        case _:
            return None

"""
How it looks: the layouts and styles that all boxes and rows share, and the HTML of their texts.

A layout or a style is a model of its own with a comm of its own, so there is one of each kind for the whole kernel.
Colors are JupyterLab's variables, with a value for front ends that have none, and mean something: red failed, green is
done, grey stands still. Every text that comes from outside goes through `escape`, here and nowhere else.
"""

from __future__ import annotations

import html
from typing import TYPE_CHECKING, Final

from ipywidgets import ButtonStyle, Layout
from ipywidgets.widgets.widget_int import ProgressStyle
from ipywidgets.widgets.widget_string import HTMLStyle

if TYPE_CHECKING:
    from collections.abc import Sequence

_MUTED: Final = "var(--jp-ui-font-color2, #757575)"
_TEXT: Final = "var(--jp-ui-font-color1, inherit)"
_ERROR: Final = "var(--jp-error-color1, #d32f2f)"
_NOTE_COLORS: Final = {
    "success": "var(--jp-success-color1, #388e3c)",
    "failure": _ERROR,
    "warning": "var(--jp-warn-color1, #f57c00)",
}
#: Figures of one width: numbers that change do not move what stands beside them.
_LINE: Final = (
    "display:flex;flex-wrap:wrap;align-items:baseline;column-gap:12px;line-height:1.45;"
    f"font-variant-numeric:tabular-nums;color:{_TEXT}"
)
_ONE_LINE: Final = "overflow:hidden;text-overflow:ellipsis;white-space:nowrap"
_PLOT_WIDTH: Final = 60
_PLOT_HEIGHT: Final = 16
_TWO: Final = 2


class Look:
    """The layouts and styles of this kernel; made on the engine's loop, as everything that is sent."""

    def __init__(self) -> None:
        self.panel = Layout(width="100%", max_width="960px", padding="2px 0")
        self.box = Layout(
            width="auto",
            border="1px solid var(--jp-border-color2, #e0e0e0)",
            margin="4px 0",
            padding="8px 12px",
            overflow="hidden",
        )
        self.head = Layout(display="flex", flex_flow="row wrap", align_items="center", overflow="hidden", width="auto")
        self.head_text = Layout(flex="1 1 320px", min_width="0", margin="0", width="auto")
        self.buttons = Layout(flex="0 0 auto", margin="0 0 0 8px", width="auto")
        self.button = Layout(width="auto", height="24px", padding="0 8px", margin="0 2px")
        self.rows = Layout(width="auto", margin="4px 0 0 0", overflow="hidden")
        self.row = Layout(
            display="grid",
            grid_template_columns="minmax(0, 1fr) 28px 28px",
            grid_template_areas='"text first second" "bar first second"',
            align_items="center",
            width="auto",
            padding="3px 0",
            overflow="hidden",
        )
        self.row_text = Layout(grid_area="text", margin="0", width="auto", min_width="0")
        self.row_bar = Layout(grid_area="bar", margin="0", width="auto", height="12px")
        self.row_first = Layout(grid_area="first", width="26px", height="26px", padding="0", margin="0 0 0 2px")
        self.row_second = Layout(grid_area="second", width="26px", height="26px", padding="0", margin="0 0 0 2px")
        self.bar = Layout(width="auto", height="16px", margin="2px 0 0 0")
        self.line = Layout(width="auto", margin="0")
        self.note = Layout(
            display="grid",
            grid_template_columns="minmax(0, 1fr) 28px",
            align_items="center",
            width="auto",
            margin="4px 0",
            overflow="hidden",
        )
        self.note_button = Layout(width="26px", height="26px", padding="0", margin="0")
        self.flat = ButtonStyle(button_color="transparent", text_color=_MUTED)
        self.text = HTMLStyle()
        self.moving = ProgressStyle()
        self.still = ProgressStyle(bar_color="var(--jp-border-color0, #9e9e9e)")


def escape(text: str) -> str:
    """Return text as HTML that shows it and does nothing else."""
    return html.escape(text, quote=True)


def row_html(name: str, words: str, columns: Sequence[str], *, is_bad: bool, is_indeterminate: bool) -> str:
    """Return the text of a row: the file's name, and how far it is (three columns) or what it does (words)."""
    head = (
        f'<span title="{escape(name)}" style="flex:1 1 180px;min-width:0;{_ONE_LINE}"><bdi>{escape(name)}</bdi></span>'
    )
    color = _ERROR if is_bad else _MUTED
    tail = f'<span style="flex:0 1 auto;min-width:0;overflow-wrap:anywhere;color:{color}">{escape(words)}</span>'
    under = stripes() if is_indeterminate else ""
    return f'<div style="{_LINE}">{head}{tail if words else ""}{_columns(columns)}</div>{under}'


def group_html(title: str, counts: str, failures: str, columns: Sequence[str], rates: Sequence[int]) -> str:
    """Return the text of a group: its name, how many are done, how many failed, how far, how fast, for how long."""
    name = escape(title)
    head = f'<span title="{name}" style="font-weight:600;min-width:0;{_ONE_LINE}"><bdi>{name}</bdi></span>'
    done = f'<span style="color:{_MUTED};white-space:nowrap">{escape(counts)}</span>'
    failed = f'<span style="color:{_ERROR};white-space:nowrap">{escape(failures)}</span>' if failures else ""
    figures = f'<span style="display:flex;margin-left:auto;align-items:center">{_columns(columns)}{plot(rates)}</span>'
    return f'<div style="{_LINE}">{head}{done}{failed}{figures}</div>'


def note_html(kind: str, title: str, body: str, *, while_away: bool) -> str:
    """Return the text of an alert; screen readers say it when it appears."""
    color = _NOTE_COLORS.get(kind, _MUTED)
    away = f' <span style="color:{_MUTED}">while you were away</span>' if while_away else ""
    return (
        f'<div role="status" style="border-left:3px solid {color};padding:2px 10px;line-height:1.45;color:{_TEXT};'
        f'overflow-wrap:anywhere"><b>{escape(title)}</b>{away}<br>'
        f'<span style="color:{_MUTED}">{escape(body)}</span></div>'
    )


def muted_html(text: str) -> str:
    """Return a line that steps back."""
    return f'<div style="color:{_MUTED};line-height:1.45;font-variant-numeric:tabular-nums">{escape(text)}</div>'


def stripes() -> str:
    """Return a bar for what has no known size: it moves, and says nothing about how far."""
    return (
        '<svg width="100%" height="4" role="img" aria-label="size unknown" style="display:block;margin:4px 0;'
        'background:var(--jp-layout-color2, #eeeeee)"><rect width="20%" height="4" '
        'fill="var(--jp-brand-color1, #1976d2)"><animate attributeName="x" values="-20%;100%" dur="1.6s" '
        'repeatCount="indefinite"/></rect></svg>'
    )


def plot(rates: Sequence[int]) -> str:
    """Return the rates of the last minute as a small picture, nothing while there is nothing to compare."""
    if len(rates) < _TWO or not any(rates):
        return ""
    top = max(rates)
    step = _PLOT_WIDTH / (len(rates) - 1)
    points = " ".join(
        f"{i * step:.1f},{_PLOT_HEIGHT - each * (_PLOT_HEIGHT - 1) / top:.1f}" for i, each in enumerate(rates)
    )
    return (
        f'<svg width="{_PLOT_WIDTH}" height="{_PLOT_HEIGHT}" aria-hidden="true" style="flex:none;margin-left:12px;'
        f'color:{_MUTED}"><polygon points="0,{_PLOT_HEIGHT} {points} {_PLOT_WIDTH},{_PLOT_HEIGHT}" fill="currentColor" '
        f'fill-opacity="0.15"/><polyline points="{points}" fill="none" stroke="currentColor"/></svg>'
    )


#: The least widths of amount, rate and time left, in characters.
_WIDTHS: Final = (20, 11, 12)


def _columns(texts: Sequence[str]) -> str:
    """Return texts in columns that keep their places while the figures in them change."""
    if not any(texts):
        return ""
    cells = (
        f'<span style="min-width:{width}ch;text-align:right;white-space:nowrap">{escape(text)}</span>'
        for text, width in zip(texts, _WIDTHS, strict=True)
    )
    return f'<span style="display:flex;flex-wrap:wrap;color:{_MUTED}">{"".join(cells)}</span>'

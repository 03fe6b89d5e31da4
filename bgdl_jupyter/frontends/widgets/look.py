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
_PLOT_WIDTH: Final = 44
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
        self.foot = Layout(display="flex", flex_flow="row wrap", align_items="center", overflow="hidden", width="auto")
        self.buttons = Layout(flex="0 0 auto", margin="0 0 0 auto", width="auto", order="1")
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
        self.bar = Layout(flex="1 1 240px", min_width="0", width="auto", height="16px", margin="0")
        self.stripes = Layout(flex="1 1 240px", min_width="0", width="auto", margin="0")
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


def row_html(name: str, amount: str, rest: Sequence[str], *, is_bad: bool) -> str:
    """Return the text of a row: a file's name, how much is there, and its rate and time left or what it does."""
    shown = escape(name)
    head = f'<span title="{shown}" style="flex:1 1 180px;min-width:0;{_ONE_LINE}"><bdi>{shown}</bdi></span>'
    return f'<div style="{_LINE}">{head}{_figures(amount, rest, _ERROR if is_bad else _MUTED)}</div>'


def group_html(title: str, counts: str, failures: str, figures: Sequence[str], rates: Sequence[int]) -> str:
    """Return the text of a group: its name, how many are done, how many failed, how far, how fast, for how long."""
    name = escape(title)
    head = f'<span title="{name}" style="font-weight:600;min-width:0;{_ONE_LINE}"><bdi>{name}</bdi></span>'
    done = f'<span style="color:{_MUTED};white-space:nowrap">{escape(counts)}</span>'
    failed = f'<span style="color:{_ERROR};white-space:nowrap">{escape(failures)}</span>' if failures else ""
    numbers = _figures(figures[0], figures[1:], _MUTED)
    right = f'<span style="display:flex;margin-left:auto;align-items:center">{numbers}{plot(rates)}</span>'
    return f'<div style="{_LINE}">{head}{done}{failed}{right}</div>'


def note_html(kind: str, title: str, body: str, *, while_away: bool) -> str:
    """Return the text of an alert; screen readers say it when it appears."""
    color = _NOTE_COLORS.get(kind, _MUTED)
    below = f'<br><span style="color:{_MUTED}">{escape(body)}</span>' if body else ""
    away = f' <span style="color:{_MUTED}">while you were away</span>' if while_away else ""
    return (
        f'<div role="status" style="border-left:3px solid {color};padding:2px 10px;line-height:1.45;color:{_TEXT};'
        f'overflow-wrap:anywhere"><b>{escape(title)}</b>{away}{below}</div>'
    )


def tile_html(text: str) -> str:
    """Return a tile: a line that stays."""
    return (
        f'<div role="status" style="color:{_TEXT};line-height:1.45;overflow-wrap:anywhere"><b>{escape(text)}</b></div>'
    )


def muted_html(text: str) -> str:
    """Return a line that steps back."""
    return f'<div style="color:{_MUTED};line-height:1.45;font-variant-numeric:tabular-nums">{escape(text)}</div>'


def stripes(height: int) -> str:
    """Return a bar for what has no known size, so many pixels high: it moves, and says nothing about how far."""
    return (
        f'<svg width="100%" height="{height}" role="img" aria-label="size unknown" style="display:block;margin:4px 0;'
        f'background:var(--jp-layout-color2, #eeeeee)"><rect width="20%" height="{height}" '
        'fill="var(--jp-brand-color1, #1976d2)"><animate attributeName="x" values="-20%;100%" dur="1.6s" '
        'repeatCount="indefinite"/></rect></svg>'
    )


def plot(rates: Sequence[int]) -> str:
    """Return the rates of the last minute as a small picture, and its empty place while there are none."""
    frame = f"flex:none;width:{_PLOT_WIDTH}px;height:{_PLOT_HEIGHT}px;margin-left:12px"
    if len(rates) < _TWO or not any(rates):
        return f'<span style="{frame}"></span>'
    top = max(rates)
    step = _PLOT_WIDTH / (len(rates) - 1)
    heights = (_PLOT_HEIGHT - rate * (_PLOT_HEIGHT - 1) / top for rate in rates)
    points = " ".join(f"{index * step:.1f},{height:.1f}" for index, height in enumerate(heights))
    return (
        f'<svg aria-hidden="true" style="{frame};color:{_MUTED}">'
        f'<polygon points="0,{_PLOT_HEIGHT} {points} {_PLOT_WIDTH},{_PLOT_HEIGHT}" fill="currentColor" '
        f'fill-opacity="0.15"/><polyline points="{points}" fill="none" stroke="currentColor"/></svg>'
    )


def _figures(amount: str, rest: Sequence[str], color: str) -> str:
    """
    Return an amount and what comes behind it, in columns that keep their places while the figures in them change.

    Behind it come a rate and a time left, or a state in words; in a narrow cell they go to the next line.
    """
    first = _cell(amount, "20ch") if amount else ""
    # Two columns are as wide as one with words, so that a row that begins to move stays as it is.
    widths = ("11ch", "12ch") if len(rest) > 1 else ("23ch",)
    others = "".join(_cell(text, width) for text, width in zip(rest, widths, strict=True))
    return (
        f'<span style="display:flex;flex-wrap:wrap;justify-content:flex-end;margin-left:auto;color:{color}">'
        f'{first}<span style="display:flex;min-width:0">{others}</span></span>'
    )


def _cell(text: str, width: str) -> str:
    return f'<span style="min-width:{width};text-align:right;overflow-wrap:anywhere">{escape(text)}</span>'

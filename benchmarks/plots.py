"""The results as pictures: bars for the contestants, lines for the growth."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Final

from benchmarks.results import OURS, Result

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

_OURS: Final = "#c0392b"
_THEIRS: Final = "#7f8fa6"
_COLUMNS: Final = 2


def draw(results: Sequence[Result], folder: Path) -> list[Path]:
    """
    Draw what can be drawn as SVG into a folder; returns the files.

    Raises
    ------
    ImportError
        matplotlib is not installed.
    """
    import matplotlib as mpl

    mpl.use("svg")
    mpl.rcParams |= {"svg.hashsalt": "benchmarks", "font.size": 9}
    folder.mkdir(parents=True, exist_ok=True)
    raced = [result for result in results if any(entry.durable for entry in result.entries)]
    grown = [result for result in results if result.series]
    drawn = []
    if raced:
        drawn.append(_draw_each(raced, _bars, folder / "benchmarks.svg", height=3.4))
    if grown:
        drawn.append(_draw_each(grown, _lines, folder / "benchmarks-growth.svg", height=3.6))
    return drawn


def _draw_each(results: Sequence[Result], draw_one: Any, path: Path, *, height: float) -> Path:
    from matplotlib import pyplot as plt

    rows = math.ceil(len(results) / _COLUMNS)
    figure, axes = plt.subplots(rows, _COLUMNS, figsize=(11, height * rows), squeeze=False)
    for axis, result in zip(axes.flat, results, strict=False):
        draw_one(axis, result)
        axis.set_title(f"{result.workload}: {result.title}", fontsize=9)
    for axis in axes.flat[len(results) :]:
        axis.set_visible(False)
    figure.tight_layout()
    figure.savefig(path, metadata={"Date": None})
    plt.close(figure)
    return path


def _bars(axis: Any, result: Result) -> None:
    """Seconds until the files are durable, the fastest on top, those to the last byte inside."""
    timed = [(entry.name, result.durable(entry.name)) for entry in result.entries]
    ordered = sorted(((name, seconds) for name, seconds in timed if seconds), key=lambda each: -each[1])
    names = [name for name, _ in ordered]
    colors = [_OURS if name == OURS else _THEIRS for name in names]
    bars = axis.barh(names, [seconds for _, seconds in ordered], color=colors, alpha=0.45)
    axis.barh(names, [result.last_byte(name) or 0.0 for name in names], color=colors, height=0.4)
    axis.bar_label(bars, fmt="%.2f", padding=3, fontsize=7)
    axis.set_xlabel("seconds: durable (light), last byte (dark)")
    axis.margins(x=0.12)


def _lines(axis: Any, result: Result) -> None:
    """Every series over its amount, both axes logarithmic: what is linear is a straight line of slope one."""
    for name, points in result.series.items():
        axis.plot([x for x, _ in points], [max(y, 1e-4) for _, y in points], marker="o", label=name)
    axis.set_xscale("log")
    axis.set_yscale("log")
    axis.set_xlabel("transfers at once" if result.workload == "W12" else "operations")
    axis.set_ylabel("" if result.workload == "W12" else "seconds")
    axis.grid(visible=True, which="major", alpha=0.3)
    axis.legend(fontsize=7)

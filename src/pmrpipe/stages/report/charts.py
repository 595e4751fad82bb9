"""The charts of the report: each function returns a matplotlib figure, or None without data."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from pmrpipe.drawing.boxes import boxes, pale
from pmrpipe.drawing.style import MUTED, Look, figure
from pmrpipe.metrics import entries
from pmrpipe.stages.report.collect import MethodResult, Study

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


def region_boxes(study: Study, looks: dict[str, Look], narrow: bool = False) -> Figure | None:
    """Box plots of Dice by region and method; boxes lie down for a narrow screen."""
    if not study.labelled:
        return None
    groups = {"all": "dice"} | {name: f"dice_{name}" for name in study.regions}
    methods = study.methods
    step = len(methods) + 1.2
    size = (4.4, 0.9 + 0.19 * step * len(groups)) if narrow else (11.0, 4.6)
    chart = figure(*size)
    axes = chart.add_subplot()
    centres = np.arange(len(groups)) * step
    for n, method in enumerate(methods):
        values = [_known(method, column) for column in groups.values()]
        places = centres + n - (len(methods) - 1) / 2
        boxes(axes, values, places, looks[method.name], narrow)
    ticks = [name.capitalize() if name != "all" else "All labels" for name in groups]
    _group_axis(axes, centres, ticks, step, narrow)
    method_legend(chart, study, looks, boxes=True, columns=2 if narrow else 6)
    return chart


def _known(method: MethodResult, column: str) -> np.ndarray:
    by_pair = method.scores.by_pair
    values = by_pair[column].to_numpy(float) if column in by_pair else np.zeros(0)
    return values[np.isfinite(values)]


def _group_axis(
    axes: Axes, centres: np.ndarray, ticks: list[str], step: float, narrow: bool
) -> None:
    axis = axes.yaxis if narrow else axes.xaxis
    axis.set_ticks(centres, ticks)
    axis.grid(False)
    axis.set_tick_params(length=0)
    limits = (centres[0] - step / 2, centres[-1] + step / 2)
    if narrow:
        axes.set(ylim=limits[::-1], xlabel="Dice")
        axes.axhline(step / 2, color=MUTED, lw=0.8)
    else:
        axes.set(xlim=limits, ylabel="Dice")
        axes.axvline(step / 2, color=MUTED, lw=0.8)


def similarity_boxes(study: Study, looks: dict[str, Look]) -> Figure | None:
    """Box plots of similarity and smoothness by method: what a cohort without labels has."""
    if study.labelled:
        return None
    shown = [metric for metric in entries.METRICS if metric.boxes]
    drawn = figure(3.8 * len(shown), 3.6)
    for axes, metric in zip(np.ravel(drawn.subplots(1, len(shown))), shown, strict=True):
        for n, method in enumerate(study.methods):
            boxes(axes, [_known(method, metric.name)], np.array([n]), looks[method.name], False)
        axes.set_xticks(range(len(study.methods)), [m.name for m in study.methods], rotation=30)
        axes.set_ylabel(f"{metric.title}, {metric.unit}" if metric.unit else metric.title)
        axes.grid(False, axis="x")
    return drawn


def training_curves(study: Study, looks: dict[str, Look], narrow: bool = False) -> Figure | None:
    """Training objective and validation score of every learned method; stacked when narrow."""
    learned = [(method, curves(method.history)) for method in study.methods]
    learned = [(method, lines) for method, lines in learned if lines]
    if not learned:
        return None
    kinds = [kind for kind in _CURVE_NAMES if any(kind in lines for _, lines in learned)]
    across, down = (1, len(kinds)) if narrow else (len(kinds), 1)
    drawn = figure((4.6 if narrow else 5.2) * across, (3.3 if narrow else 3.8) * down)
    for axes, kind in zip(np.ravel(drawn.subplots(down, across)), kinds, strict=True):
        for method, lines in learned:
            if kind in lines:
                _curve(axes, lines[kind], looks[method.name], method.name)
        axes.set(xlabel=learned[0][1]["axis"], ylabel=_CURVE_NAMES[kind])
        axes.legend(fontsize=9)
    return drawn


_CURVE_NAMES = {
    "loss": "Objective (z-scored within method)",
    "score": "Validation Dice",
    "objective": "Validation objective, higher is better\n(z-scored within method)",
}


def _curve(axes: Axes, line: tuple[np.ndarray, np.ndarray], look: Look, label: str) -> None:
    style: dict[str, Any] = {"dashes": look.dashes} if look.dashes else {}
    if len(line[0]) <= 40:
        style |= {"marker": look.marker, "ms": 4.5}
    axes.plot(*line, color=look.colour, lw=1.8, label=label, **style)


def curves(history: pd.DataFrame | None) -> dict[str, Any]:
    """Curves of a history table, by what their columns are called.

    The horizontal axis is the first of step, epoch, minutes, seconds. Validation columns begin
    with val; those with dice in their name are scores. Objectives are drawn z-scored: those of two
    methods have no common scale.

    Returns
    -------
    {} or {"axis": name, "loss" | "score" | "objective": (x, y)}
    """
    if history is None or not len(history):
        return {}
    names = [str(name) for name in history]
    axis = next((name for name in ("step", "epoch", "minutes", "seconds") if name in names), None)
    x = history[axis].to_numpy(float) if axis else np.arange(len(history), dtype=float)
    validation = [name for name in names if name.lower().startswith("val")]
    scores = [n for n in validation if "dice" in n.lower()] or [n for n in names if "dice" in n]
    columns: dict[str, list[str]] = {
        "loss": [n for n in ("train_total", "total", "train_loss", "loss") if n in names],
        "score": scores,
        "objective": [n for n in validation if "objective" in n],
    }
    lines = {k: _line(history[n[0]], x, k != "score") for k, n in columns.items() if n}
    return {"axis": (axis or "row").capitalize(), **lines} if lines else {}


def _line(column: pd.Series, x: np.ndarray, scale: bool) -> tuple[np.ndarray, np.ndarray]:
    """The rows that hold a number."""
    y = pd.to_numeric(column, errors="coerce").to_numpy(float)
    known = np.isfinite(y)
    values = y[known]
    if scale and values.size and values.std() > 0:
        values = (values - values.mean()) / values.std()
    return x[known], values


def method_legend(
    drawn: Figure, study: Study, looks: dict[str, Look], boxes: bool = False, columns: int = 4
) -> None:
    """Write every method's name and look above a figure, in columns that its width has room for."""
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    def handle(name: str, look: Look) -> Artist:
        if boxes:
            light = pale(look.colour)
            return Patch(facecolor=light, edgecolor=look.colour, hatch=look.hatch, label=name)
        return Line2D([], [], ls="", marker=look.marker, ms=8, color=look.colour, label=name)

    handles = [handle(method.name, looks[method.name]) for method in study.methods]
    for count in range(min(columns, len(handles)), 0, -1):
        legend = drawn.legend(handles=handles, loc="outside upper left", ncols=count, fontsize=9.5)
        if count == 1 or legend.get_window_extent().width <= drawn.bbox.width:
            return
        legend.remove()

"""The charts of the report: each function returns a matplotlib figure, or None without data."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from pmrpipe.drawing.style import INK, MUTED, Look, figure
from pmrpipe.stages.report.collect import MethodResult, Study

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Up to here single pairs are drawn over their box, and scatter stays vector graphics.
_FEW, _MANY = 60, 2000
# Below this folding, in percent, the axis is linear: 0 has its place on it.
_LINEAR_FOLDING = 1e-3


def region_boxes(study: Study, looks: dict[str, Look], narrow: bool = False) -> Figure | None:
    """Box plots of Dice by region and method; boxes lie down for a narrow screen."""
    if not study.labelled:
        return None
    groups = {"all": "dice"} | {name: f"dice_{name}" for name in study.regions}
    methods = study.methods
    step = len(methods) + 1.2
    size = (4.4, 0.9 + 0.19 * step * len(groups)) if narrow else (11.0, 4.6)
    made = figure(*size)
    axes = made.add_subplot()
    centres = np.arange(len(groups)) * step
    for n, method in enumerate(methods):
        values = [_known(method, column) for column in groups.values()]
        places = centres + n - (len(methods) - 1) / 2
        _boxes(axes, values, places, looks[method.name], narrow)
    ticks = [name.capitalize() if name != "all" else "All labels" for name in groups]
    _group_axis(axes, centres, ticks, step, narrow)
    _method_legend(made, study, looks, boxes=True, columns=2 if narrow else 6)
    return made


def _known(method: MethodResult, column: str) -> np.ndarray:
    by_pair = method.scores.by_pair
    values = by_pair[column].to_numpy(float) if column in by_pair else np.zeros(0)
    return values[np.isfinite(values)]


def _boxes(
    axes: Axes, values: list[np.ndarray], places: np.ndarray, look: Look, narrow: bool
) -> None:
    drawn = axes.boxplot(
        values,
        positions=places,
        widths=0.78,
        orientation="horizontal" if narrow else "vertical",
        patch_artist=True,
        manage_ticks=False,
        medianprops={"color": INK, "linewidth": 1.8},
        whiskerprops={"color": look.colour},
        capprops={"color": look.colour},
        flierprops={"marker": look.marker, "markersize": 3, "markeredgecolor": look.colour},
        showfliers=max(map(len, values), default=0) > _FEW,
    )
    for box in drawn["boxes"]:
        box.set(facecolor=_pale(look.colour), edgecolor=look.colour, hatch=look.hatch)
    for place, sample in zip(places, values, strict=True):
        if len(sample) <= _FEW:
            # Spread by order and not at random: equal tables give equal figures.
            spread = place + 0.22 * np.sin(2.4 * np.arange(len(sample)))
            x, y = (sample, spread) if narrow else (spread, sample)
            axes.plot(x, y, look.marker, ms=3.2, mfc="white", mec=look.colour, mew=0.9, zorder=3)


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


def dice_against_folding(study: Study, looks: dict[str, Look]) -> Figure | None:
    """Dice (or NCC) of each pair against the percentage of folded voxels, means on top."""
    column = "dice" if study.labelled else "ncc"
    made = figure(5.6, 4.4)
    axes = made.add_subplot()
    count = sum(len(method.scores.by_pair) for method in study.methods)
    for method in study.methods:
        table = method.scores.by_pair[[column, "folding_percent"]].astype(float).dropna()
        x, y = table[column].to_numpy(), table["folding_percent"].to_numpy()
        look = looks[method.name]
        axes.scatter(
            x, y, s=16, marker=look.marker, c=look.colour, alpha=0.35, lw=0,
            rasterized=count > _MANY,
        )  # fmt: skip
        if len(x):
            axes.plot(x.mean(), y.mean(), look.marker, ms=11, mfc=look.colour, mec="white", mew=1.5)
    axes.set_yscale("symlog", linthresh=_LINEAR_FOLDING)
    axes.set_ylim(-_LINEAR_FOLDING / 4, max(axes.get_ylim()[1], 10 * _LINEAR_FOLDING))
    axes.set(xlabel="Dice" if study.labelled else "NCC", ylabel="Folded voxels, %")
    _method_legend(made, study, looks, columns=4)
    return made


def dice_against_seconds(study: Study, looks: dict[str, Look]) -> Figure | None:
    """Mean Dice (or NCC) with its interval against the median seconds of a pair."""
    timed = [method for method in study.methods if method.seconds.size]
    if not timed:
        return None
    made = figure(5.6, 4.4)
    axes = made.add_subplot()
    for method in timed:
        mean, low, high = _mean_interval(study, method)
        look, seconds = looks[method.name], max(float(np.median(method.seconds)), 1e-3)
        if np.isfinite([low, high]).all():
            reach = [[max(mean - low, 0)], [max(high - mean, 0)]]
            axes.errorbar([seconds], [mean], reach, color=look.colour, lw=1.8, capsize=7)
        axes.plot(seconds, mean, look.marker, ms=11, mfc=look.colour, mec="white", mew=1.5)
        axes.annotate(
            method.info.name,
            (seconds, mean),
            xytext=(11, 5),
            textcoords="offset points",
            fontsize=9,
        )
    axes.set_xscale("log")
    axes.margins(x=0.25, y=0.15)
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:g}")
    axes.xaxis.set_minor_formatter(lambda value, _: "")
    axes.set(xlabel="Median seconds per pair", ylabel="Mean Dice" if study.labelled else "Mean NCC")
    return made


def _mean_interval(study: Study, method: MethodResult) -> tuple[float, float, float]:
    if not study.labelled:
        values = method.scores.by_pair["ncc"].to_numpy(float)
        return float(np.nanmean(values)), np.nan, np.nan
    summary = study.summary
    row = summary[(summary["method"] == method.name) & (summary["region"] == "all")].iloc[0]
    return row["dice_mean"], row["dice_low"], row["dice_high"]


def similarity_boxes(study: Study, looks: dict[str, Look]) -> Figure | None:
    """Box plots of NCC and SDlogJ by method: what a cohort without labels has."""
    if study.labelled:
        return None
    made = figure(7.6, 3.6)
    panels = made.subplots(1, 2)
    for axes, (column, name) in zip(
        panels, {"ncc": "NCC", "sdlogj": "SDlogJ"}.items(), strict=True
    ):
        for n, method in enumerate(study.methods):
            _boxes(axes, [_known(method, column)], np.array([n]), looks[method.name], False)
        axes.set_xticks(range(len(study.methods)), [m.name for m in study.methods], rotation=30)
        axes.set_ylabel(name)
        axes.grid(False, axis="x")
    return made


def training_curves(study: Study, looks: dict[str, Look], narrow: bool = False) -> Figure | None:
    """Training objective and validation score of every learned method; stacked when narrow."""
    learned = [(method, curves(method.history)) for method in study.methods]
    learned = [(method, found) for method, found in learned if found]
    if not learned:
        return None
    kinds = [kind for kind in _CURVE_NAMES if any(kind in found for _, found in learned)]
    across, down = (1, len(kinds)) if narrow else (len(kinds), 1)
    made = figure((4.6 if narrow else 5.2) * across, (3.3 if narrow else 3.8) * down)
    for axes, kind in zip(np.ravel(made.subplots(down, across)), kinds, strict=True):
        for method, found in learned:
            if kind in found:
                _curve(axes, *found[kind], looks[method.name], method.name)
        axes.set(xlabel=learned[0][1]["axis"], ylabel=_CURVE_NAMES[kind])
        axes.legend(fontsize=9)
    return made


_CURVE_NAMES = {
    "loss": "Objective (z-scored within method)",
    "score": "Validation Dice",
    "objective": "Validation objective, higher is better\n(z-scored within method)",
}


def _curve(axes: Axes, x: np.ndarray, y: np.ndarray, look: Look, label: str) -> None:
    few = {"marker": look.marker, "ms": 4.5} if len(x) <= 40 else {}
    style = {"dashes": look.dashes} if look.dashes else {}
    axes.plot(x, y, color=look.colour, lw=1.8, label=label, **few, **style)


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
    columns = {
        "loss": [n for n in ("train_total", "total", "train_loss", "loss") if n in names],
        "score": scores,
        "objective": [n for n in validation if "objective" in n],
    }
    found = {k: _line(history[n[0]], x, scale=k != "score") for k, n in columns.items() if n}
    return {"axis": (axis or "row").capitalize(), **found} if found else {}


def _line(column: pd.Series, x: np.ndarray, scale: bool) -> tuple[np.ndarray, np.ndarray]:
    """The rows that hold a number."""
    y = pd.to_numeric(column, errors="coerce").to_numpy(float)
    known = np.isfinite(y)
    values = y[known]
    if scale and values.size and values.std() > 0:
        values = (values - values.mean()) / values.std()
    return x[known], values


def _method_legend(
    made: Figure, study: Study, looks: dict[str, Look], boxes: bool = False, columns: int = 4
) -> None:
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    handles = []
    for method in study.methods:
        look = looks[method.name]
        if boxes:
            style = {"facecolor": _pale(look.colour), "edgecolor": look.colour}
            handles.append(Patch(**style, hatch=look.hatch, label=method.name))
        else:
            style = {"ls": "", "marker": look.marker, "ms": 8, "color": look.colour}
            handles.append(Line2D([], [], **style, label=method.name))
    made.legend(
        handles=handles, loc="outside upper left", ncols=min(columns, len(handles)), fontsize=9.5
    )


def _pale(colour: str) -> tuple[float, float, float]:
    """The colour mixed with white, so that hatches and points show."""
    from matplotlib.colors import to_rgb

    return tuple(1 - 0.25 * (1 - part) for part in to_rgb(colour))  # type: ignore[return-value]

"""The charts of accuracy against what it costs: folding, strain, time.

Each function returns a matplotlib figure, or None without data.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from pmrpipe.drawing.style import Look, figure
from pmrpipe.metrics.metric import TradeOff
from pmrpipe.stages.report.charts import method_legend
from pmrpipe.stages.report.collect import MethodResult, Study

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_SIZE = (5.6, 4.4)
# Up to here a scatter stays vector graphics.
_MANY = 2000


def accuracy_against(
    study: Study, looks: dict[str, Look], column: str, chart: TradeOff
) -> Figure | None:
    """Dice (or NCC) of each pair against another score, means on top.

    Parameters
    ----------
    column : of by_pair, the vertical axis
    """
    tables = {
        method.name: method.scores.by_pair[[_accuracy(study), column]].astype(float).dropna()
        for method in study.methods
    }
    count = sum(map(len, tables.values()))
    if not count:
        return None
    drawn = figure(*_SIZE)
    axes = drawn.add_subplot()
    for name, table in tables.items():
        if len(table):
            _cloud(axes, table.to_numpy(), looks[name], rasterized=count > _MANY)
    _vertical_axis(axes, chart.linear_below)
    axes.set(xlabel="Dice" if study.labelled else "NCC", ylabel=chart.label)
    method_legend(drawn, study, looks, columns=4)
    return drawn


def _accuracy(study: Study) -> str:
    return "dice" if study.labelled else "ncc"


def _cloud(axes: Axes, points: np.ndarray, look: Look, rasterized: bool) -> None:
    x, y = points.T
    small: dict[str, Any] = {"s": 16, "alpha": 0.35, "lw": 0, "rasterized": rasterized}
    axes.scatter(x, y, marker=look.marker, c=look.colour, **small)
    axes.plot(x.mean(), y.mean(), look.marker, ms=11, mfc=look.colour, mec="white", mew=1.5)


def _vertical_axis(axes: Axes, linear_below: float | None) -> None:
    """With a logarithmic axis, 0 has its place on the linear part."""
    top = axes.get_ylim()[1]
    if linear_below is None:
        # Identity scores 0: a little room below it for its marker.
        axes.set_ylim(bottom=min(-0.04 * top, axes.get_ylim()[0]))
        return
    axes.set_yscale("symlog", linthresh=linear_below)
    axes.set_ylim(-linear_below / 4, max(top, 10 * linear_below))


def accuracy_against_seconds(study: Study, looks: dict[str, Look]) -> Figure | None:
    """Mean Dice (or NCC) with its interval against the median seconds of a pair."""
    timed = [method for method in study.methods if method.seconds.size]
    if not timed:
        return None
    drawn = figure(*_SIZE)
    axes = drawn.add_subplot()
    for method in timed:
        _timed_mean(axes, study, method, looks[method.name])
    axes.set_xscale("log")
    axes.margins(x=0.25, y=0.15)
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:g}")
    axes.xaxis.set_minor_formatter(lambda value, _: "")
    axes.set(xlabel="Median seconds per pair", ylabel="Mean Dice" if study.labelled else "Mean NCC")
    return drawn


def _timed_mean(axes: Axes, study: Study, method: MethodResult, look: Look) -> None:
    mean, low, high = _mean_interval(study, method)
    seconds = max(float(np.median(method.seconds)), 1e-3)
    if np.isfinite([low, high]).all():
        reach = [[max(mean - low, 0)], [max(high - mean, 0)]]
        axes.errorbar([seconds], [mean], reach, color=look.colour, lw=1.8, capsize=7)
    axes.plot(seconds, mean, look.marker, ms=11, mfc=look.colour, mec="white", mew=1.5)
    place: dict[str, Any] = {"xytext": (11, 5), "textcoords": "offset points"}
    axes.annotate(method.info.name, (seconds, mean), fontsize=9, **place)


def _mean_interval(study: Study, method: MethodResult) -> tuple[float, float, float]:
    if not study.labelled:
        values = method.scores.by_pair["ncc"].to_numpy(float)
        return float(np.nanmean(values)), np.nan, np.nan
    summary = study.summary
    row = summary[(summary["method"] == method.name) & (summary["region"] == "all")].iloc[0]
    return row["dice_mean"], row["dice_low"], row["dice_high"]

"""The chart of errors for moved images."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from pmrpipe.drawing.style import Look, figure
from pmrpipe.stages.report.collect import Study

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Error in mm below which the axis is linear: 0 is a value of its own.
_LINEAR = 0.1
_PANELS = (
    ("translation", "[U,U]", "error_mm", "Both shifted, mm", "Error, mm"),
    ("translation", "[W,U]", "error_mm", "Moving image shifted, mm", "Error, mm"),
    ("translation", "[W,U]", "dice", "Moving image shifted, mm", "Dice"),
    ("rotation", "[U,U]", "error_mm", "Both turned, degrees", "Error, mm"),
    ("rotation", "[W,U]", "error_mm", "Moving image turned, degrees", "Error, mm"),
)


def equivariance_curves(
    study: Study, looks: dict[str, Look], narrow: bool = False
) -> Figure | None:
    """Error, and Dice, against how far images were moved; None where nobody has measured it."""
    table = study.equivariance
    if table is None or not len(table):
        return None
    shown = [panel for panel in _PANELS if len(_points(table, *panel[:3]))]
    if not shown:
        return None
    across = 1 if narrow else 3
    down = -(-len(shown) // across)
    drawn = figure((4.6 if narrow else 3.7) * across, (2.9 if narrow else 3.3) * down)
    places = np.ravel(drawn.subplots(down, across, squeeze=False))
    for axes, panel in zip(places, shown, strict=False):
        _panel(axes, _points(table, *panel[:3]), looks, *panel[2:])
    for axes in places[len(shown) :]:
        axes.set_visible(False)
    places[0].legend(fontsize=8)
    return drawn


def _points(table: pd.DataFrame, motion: str, group: str, column: str) -> pd.DataFrame:
    """Means over the pairs; an image that is not moved belongs to both groups."""
    group_rows = (table["group"] == group) | (table["amount"] == 0)
    rows = table[(table["motion"] == motion) & group_rows & table[column].notna()]
    return rows.groupby(["method", "amount"], sort=False)[column].mean().reset_index()


def _panel(
    axes: Axes, points: pd.DataFrame, looks: dict[str, Look], column: str, below: str, beside: str
) -> None:
    for method, rows in points.groupby("method", sort=False):
        look = looks.get(str(method))
        style: dict[str, Any] = {"color": look.colour, "marker": look.marker} if look else {}
        rows = rows.sort_values("amount")
        axes.plot(rows["amount"], rows[column], ms=4.5, lw=1.8, label=str(method), **style)
    if column == "error_mm":
        axes.set_yscale("symlog", linthresh=_LINEAR)
        axes.set_ylim(bottom=0)
    axes.set(xlabel=below, ylabel=beside)

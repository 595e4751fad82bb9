"""Methods beside their reference: overlap, distances, volumes and times.

The figures of Yang, Kwitt, Styner, Niethammer, NeuroImage 158 (2017) 378-396, from tables. `looks`
says how each method is drawn.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from pmrpipe.drawing.boxes import boxes, pale
from pmrpipe.drawing.style import INK, MUTED, Look, figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.lines import Line2D

Looks = Mapping[str, Look]
# Columns of the table of distances: whiskers, box and median; points beyond.
_BOX = {"whislo": "p5_mm", "q1": "p25_mm", "med": "p50_mm", "q3": "p75_mm", "whishi": "p95_mm"}
_BEYOND = ("p0.3_mm", "p99.7_mm")
_LEAST_MM = 0.01


def overlap_boxes(overlap: pd.DataFrame, looks: Looks) -> Figure | None:
    """Box plots of target overlap over the pairs.

    overlap : method, target_overlap
    """
    values = {
        str(name): part["target_overlap"].dropna().to_numpy(float)
        for name, part in overlap.groupby("method", sort=False)
    }
    values = {name: sample for name, sample in values.items() if len(sample) and name in looks}
    if not values:
        return None
    drawn = figure(1.6 + 0.95 * len(values), 4.2)
    axes = drawn.add_subplot()
    for place, (name, sample) in enumerate(values.items()):
        boxes(axes, [sample], np.array([place]), looks[name], narrow=False)
    _names_below(axes, list(values))
    axes.set(ylabel="Target overlap")
    return drawn


def error_boxes(errors: pd.DataFrame, looks: Looks) -> Figure | None:
    """Percentiles of the distance to the reference's map, a panel for each kind of pair.

    errors : method, reference, kind, and columns of percentiles in mm. Box: 25th to 75th, line:
        50th, whiskers: 5th and 95th, points: 0.3rd and 99.7th
    """
    kinds = [(str(kind), part) for kind, part in errors.groupby("kind", sort=True)]
    if not kinds:
        return None
    widest = max(len(part) for _, part in kinds)
    drawn = figure((1.4 + 0.85 * widest) * len(kinds), 4.2)
    shared = np.ravel(drawn.subplots(1, len(kinds), sharey=True, squeeze=False))
    for axes, (kind, part) in zip(shared, kinds, strict=True):
        rows = part[part["method"].isin(list(looks))]
        _percentiles(axes, rows, looks)
        axes.set(title=kind.replace("-", " "), yscale="log")
    shared[0].set_ylabel(f"Distance to {_named(errors['reference'])}, mm")
    return drawn


def _percentiles(axes: Axes, rows: pd.DataFrame, looks: Looks) -> None:
    """Values under a hundredth of a millimetre are drawn there: the axis is logarithmic."""
    for place, (_, row) in enumerate(rows.iterrows()):
        look = looks[row["method"]]
        stats = {key: max(float(row[column]), _LEAST_MM) for key, column in _BOX.items()}
        drawn = axes.bxp(
            [stats],
            positions=[place],
            widths=0.7,
            showfliers=False,
            patch_artist=True,
            manage_ticks=False,
            medianprops={"color": INK, "linewidth": 1.8},
            whiskerprops={"color": look.colour},
            capprops={"color": look.colour},
        )
        for box in drawn["boxes"]:
            box.set(facecolor=pale(look.colour), edgecolor=look.colour, hatch=look.hatch)
        beyond = [max(float(row[column]), _LEAST_MM) for column in _BEYOND]
        axes.plot([place] * 2, beyond, look.marker, ms=4.5, mfc="white", mec=look.colour)
    _names_below(axes, [str(name) for name in rows["method"]])


def volume_histograms(jacobians: pd.DataFrame, looks: Looks) -> Figure | None:
    """Percent of voxels by log10 det J: of each method, and of its difference from the reference.

    jacobians : method, reference, kind, quantity, low, high, percent
    """
    kinds = [(str(kind), part) for kind, part in jacobians.groupby("kind", sort=True)]
    if not kinds:
        return None
    drawn = figure(10.4, 3.7 * len(kinds))
    panels = drawn.subplots(len(kinds), 2, squeeze=False)
    for (left, right), (kind, part) in zip(panels, kinds, strict=True):
        _histograms(left, part[part["quantity"] == "log10_jacobian"], looks)
        _reference_histogram(left, part[part["quantity"] == "reference_log10_jacobian"])
        _histograms(right, part[part["quantity"] == "log10_jacobian_difference"], looks)
        left.set(xlabel="log10 det J", ylabel=f"Voxels, % ({kind.replace('-', ' ')})")
        right.set(xlabel=f"log10 det J, minus that of {_named(part['reference'])}")
        for axes in (left, right):
            axes.set_yscale("log")
            axes.axvline(0, color=MUTED, lw=0.8)
    panels[0][0].legend(fontsize=8.5)
    return drawn


def _histograms(axes: Axes, table: pd.DataFrame, looks: Looks) -> None:
    for name, rows in table.groupby("method", sort=False):
        if name in looks:
            look = looks[str(name)]
            style = {"color": look.colour, "ls": (0, look.dashes or ())}
            _steps(axes, rows, lw=1.6, label=str(name), **style)


def _reference_histogram(axes: Axes, table: pd.DataFrame) -> None:
    """The reference once: of the first method beside it, as all have the same pairs."""
    for name, rows in table.groupby("reference", sort=False):
        first = rows["method"].iloc[0]
        of_first = rows[rows["method"] == first]
        _steps(axes, of_first, lw=2.6, color=INK, alpha=0.45, label=f"{name} (reference)")


def _steps(axes: Axes, rows: pd.DataFrame, **style: object) -> None:
    edges = [*rows["low"], rows["high"].iloc[-1]]
    # An empty class has no logarithm.
    shares = rows["percent"].where(rows["percent"] > 0)
    axes.stairs(shares, edges, baseline=None, **style)  # type: ignore[arg-type]


def device_times(times: pd.DataFrame, looks: Looks) -> Figure | None:
    """Seconds a pair against the number of devices: threads of a processor, or GPUs.

    times : method, device, number, seconds_median
    """
    shown = times[times["method"].isin(list(looks))].dropna(subset=["seconds_median"])
    if not len(shown):
        return None
    devices = [(str(name), part) for name, part in shown.groupby("device", sort=True)]
    drawn = figure(1.6 + 3.6 * len(devices), 3.8)
    panels = np.ravel(drawn.subplots(1, len(devices), sharey=True, squeeze=False))
    for axes, (device, part) in zip(panels, devices, strict=True):
        for name, rows in part.groupby("method", sort=False):
            look, rows = looks[str(name)], rows.sort_values("number")
            place = (rows["number"], rows["seconds_median"])
            axes.plot(*place, marker=look.marker, ms=6, lw=1.6, color=look.colour, label=name)
        numbers = sorted(set(part["number"]))
        unit = "Threads of a processor" if device == "cpu" else f"Devices ({device})"
        axes.set(xlabel=unit, yscale="log", xlim=(numbers[0] - 0.5, numbers[-1] + 0.5))
        axes.set_xticks(numbers, [f"{number:g}" for number in numbers])
    panels[0].set_ylabel("Seconds a pair")
    named: dict[str, Line2D] = {}
    for axes in panels:  # a method may be measured on one kind of device alone
        for handle, label in zip(*axes.get_legend_handles_labels(), strict=True):
            named.setdefault(label, handle)
    drawn.legend(named.values(), named, loc="outside right upper", fontsize=8.5)
    return drawn


def _names_below(axes: Axes, names: Sequence[str]) -> None:
    axes.set_xticks(range(len(names)), names, rotation=30, ha="right")
    axes.grid(False, axis="x")
    axes.set_xlim(-0.7, len(names) - 0.3)


def _named(references: pd.Series) -> str:
    """The reference's name, or one word for several."""
    names = sorted(set(references.dropna()))
    return str(names[0]) if len(names) == 1 else "the reference"

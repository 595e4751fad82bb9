"""The energy of a registration at every iteration, with both of its terms."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import groupby
from typing import TYPE_CHECKING

from pmrpipe.drawing.style import INK, MUTED, figure, looks

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_TERMS = {
    "total": "energy",
    "matching": "matching: images that differ",
    "regularity": "regularity: the path's length",
}


def energy_chart(energies: Sequence[Mapping[str, float]], width: float = 8.0) -> Figure:
    """Total, matching and regularity against evaluations, level by level.

    Parameters
    ----------
    energies : rows with level_mm, total, matching and regularity, in the order of the descent;
        levels of other grids see other images, and so their energies do not join
    width : inches
    """
    chart = figure(width, 3.0)
    axes = chart.add_subplot()
    of_term = looks(list(_TERMS))
    start = 0
    for mm, rows in groupby(energies, key=lambda row: row["level_mm"]):
        level = list(rows)
        places = range(start, start + len(level))
        for name, look in of_term.items():
            values = [row[name] for row in level]
            label = _TERMS[name] if start == 0 else None
            axes.plot(places, values, color=look.colour, lw=1.8, ls=(0, look.dashes), label=label)
        if start:
            axes.axvline(start - 0.5, color=MUTED, lw=0.8)
        axes.annotate(
            f"{mm:g} mm", (start, 1), (3, -3), ("data", "axes fraction"), "offset points",
            va="top", color=INK,
        )  # fmt: skip
        start += len(level)
    axes.set(xlabel="iteration, of all levels", ylabel="mm³", yscale="log")
    axes.legend(loc="upper right")
    return chart

"""Box plots that are told apart without colour."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from pmrpipe.drawing.style import INK, Look

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# Up to here single values are drawn over their box.
_FEW = 60


def boxes(
    axes: Axes, values: Sequence[np.ndarray], places: np.ndarray, look: Look, narrow: bool
) -> None:
    """Boxes of samples (N,) at their places; of few values each is a point over its box.

    narrow : boxes lie down
    """
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
        box.set(facecolor=pale(look.colour), edgecolor=look.colour, hatch=look.hatch)
    for place, sample in zip(places, values, strict=True):
        if len(sample) <= _FEW:
            # Spread by order and not at random: equal tables give equal figures.
            spread = place + 0.22 * np.sin(2.4 * np.arange(len(sample)))
            x, y = (sample, spread) if narrow else (spread, sample)
            axes.plot(x, y, look.marker, ms=3.2, mfc="white", mec=look.colour, mew=0.9, zorder=3)


def pale(colour: str) -> tuple[float, float, float]:
    """The colour mixed with white, so that hatches and points show."""
    from matplotlib.colors import to_rgb

    return tuple(1 - 0.25 * (1 - part) for part in to_rgb(colour))  # type: ignore[return-value]

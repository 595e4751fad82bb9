"""Label maps on the template grid."""

from __future__ import annotations

import numpy as np

from pmrpipe.base.errors import WorkError
from pmrpipe.images.resampling import resample, sample_points
from pmrpipe.images.volume import Grid, Volume


def to_template(
    labels: Volume,
    matrix: np.ndarray,
    grid: Grid,
    interpolation: str = "nearest",
    name: object = "labels",
) -> np.ndarray:
    """Resample labels once from native to `grid`, int32.

    Parameters
    ----------
    labels : native label map
    matrix : (4, 4), RAS mm, template points -> native points
    interpolation : "nearest" or "genericLabel" (the label of the largest linear weight)
    name : what messages call the map

    Raises
    ------
    WorkError : no label reaches the grid
    """
    out = resample(labels, sample_points(grid, matrix), interpolation)  # type: ignore[arg-type]
    if not out.any():
        raise WorkError(name, "has no label on the template grid", "look at its affine")
    return out.astype(np.int32)

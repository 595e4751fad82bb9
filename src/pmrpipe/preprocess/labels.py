"""Label maps on the template grid."""

from __future__ import annotations

import numpy as np

from pmrpipe.transforms import resample, sample_points
from pmrpipe.volume import Grid, Volume


def to_template(
    labels: Volume, matrix: np.ndarray, grid: Grid, interpolation: str = "nearest"
) -> np.ndarray:
    """Resample labels once from native to `grid`: "nearest" or "genericLabel", int32."""
    return resample(labels, sample_points(grid, matrix), interpolation).astype(np.int32)

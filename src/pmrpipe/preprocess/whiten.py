"""Intensity whitening on the template grid."""

from __future__ import annotations

import numpy as np

from pmrpipe.errors import WorkError
from pmrpipe.transforms import resample, sample_points
from pmrpipe.volume import Grid, Volume

_CLIP = 3.0


def whiten(
    brain: Volume, mask: Volume, matrix: np.ndarray, grid: Grid, name: object = "brain"
) -> np.ndarray:
    """Resample once from native to `grid`, z-score inside the brain, clip to +-3, map to [0, 1].

    The background is 0 and the brain above it. As Liu et al. 2019 (registration_facts 1.5).

    Raises
    ------
    WorkError : the brain does not reach the grid, or is constant there
    """
    points = sample_points(grid, matrix)
    values = resample(brain, points, "linear")
    inside = resample(Volume(mask.data.astype(np.uint8), mask.affine), points, "nearest") > 0
    if inside.sum() < 1000 * min(1.0, 1 / np.prod(grid.spacing)) or values[inside].std() == 0:
        raise WorkError(name, "no brain on the template grid", "look at its affine and mask")
    return whitened(values, inside)


def whitened(values: np.ndarray, inside: np.ndarray) -> np.ndarray:
    """The intensity part alone: (X, Y, Z) float32 in [0, 1], exactly 0 outside `inside`."""
    brain = values[inside].astype(np.float64)
    z = np.clip((values - brain.mean()) / brain.std(), -_CLIP, _CLIP)
    # Just above 0, so that the darkest brain voxel is not background.
    scaled = np.maximum((z + _CLIP) / (2 * _CLIP), 1e-3)
    return np.where(inside, scaled, 0).astype(np.float32)

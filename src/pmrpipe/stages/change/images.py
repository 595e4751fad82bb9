"""Both scans as they are seen half-way: one brain mask, one scale of intensities."""

from __future__ import annotations

import numpy as np

from pmrpipe.images.resampling import resample, sample_points
from pmrpipe.images.volume import Grid, Volume
from pmrpipe.stages.change.halfway import Halfway, blurred, evened

# As scans are whitened: deviations that are kept, and the darkest brain voxel.
_CLIP, _DARKEST = 3.0, 1e-3
# Share of the typical brain below which intensities are alike.
_DARK = 0.25


def common_mask(
    masks: tuple[Volume, Volume], affines: tuple[np.ndarray, np.ndarray], pose: Halfway, grid: Grid
) -> np.ndarray:
    """Where one of both brains is at least, (X, Y, Z) bool in the half-way space.

    One mask for both, so that no difference of masks looks like change.

    Parameters
    ----------
    masks : of the brains on the template grid, each normalised by its own affine
    affines : from points of the template to points of each scan, by which they were normalised
    """
    inside = np.zeros(grid.shape, bool)
    for mask, own, there in zip(masks, affines, (pose.first, pose.second), strict=True):
        points = sample_points(grid, np.linalg.inv(own) @ there)
        inside |= resample(Volume(mask.data.astype(np.float32), mask.affine), points) > 0.5
    return inside


def seen(
    scans: tuple[Volume, Volume], pose: Halfway, mask: np.ndarray, grid: Grid
) -> tuple[np.ndarray, np.ndarray]:
    """Both scans (X, Y, Z) float32 in [0, 1] in the half-way space, background 0.

    Each is resampled once; the smooth factor between them is shared out, and one mean and one
    deviation hold for both. Logarithms: what a coil still multiplies is then a smooth difference.
    """
    first, second = (
        resample(blurred(scan, min(grid.spacing)), sample_points(grid, affine), "bspline")
        for scan, affine in zip(scans, (pose.first, pose.second), strict=True)
    )
    both = [np.log(np.maximum(x, _DARK)) for x in evened(first, second, mask, grid)]
    values = np.concatenate([image[mask] for image in both])
    low, high = np.quantile(values, (0.001, 0.999))
    values = np.clip(values, low, high)
    mean, deviation = values.mean(), values.std()
    first, second = (_whitened(image, mask, mean, deviation) for image in both)
    return first, second


def _whitened(image: np.ndarray, mask: np.ndarray, mean: float, deviation: float) -> np.ndarray:
    z = np.clip((image - mean) / deviation, -_CLIP, _CLIP)
    white = np.maximum((z + _CLIP) / (2 * _CLIP), _DARKEST)
    return np.where(mask, white, 0).astype(np.float32)

"""A lesion mask: checked, brought to a grid, and its place filled by what surrounds it."""

from __future__ import annotations

import os

import numpy as np

from pmrpipe.base.errors import InputError
from pmrpipe.images.resampling import resample, sample_points
from pmrpipe.images.volume import Grid, Volume, read_mask, require_same_grid

# Deviations, mm, of the Gaussians that fill a lesion, narrow to wide.
_WIDTHS_MM = (3.0, 6.0, 12.0, 24.0)
_LEAST_WEIGHT = 1e-2
# Part of a lesion that lies in the brain at least, and of a brain that it covers at most.
_LEAST_INSIDE, _MOST_COVERED = 0.5, 0.6


def read_lesion(
    path: str | os.PathLike[str], image: Volume, name: object, orientation: str | None = None
) -> Volume:
    """A lesion mask (X, Y, Z) bool on the grid of its scan.

    Raises
    ------
    InputError : as `read_mask`, an empty one among them; it lies on another grid than the scan
    """
    lesion = read_mask(path, orientation)
    require_same_grid(lesion, image, path, name)
    return Volume(lesion.data > 0, lesion.affine)


def require_in_brain(lesion: Volume, mask: Volume, path: str | os.PathLike[str]) -> None:
    """InputError when most of a lesion lies outside the brain, or it is the brain; on one grid."""
    from scipy.ndimage import binary_dilation

    near = binary_dilation(mask.data, iterations=2)
    share = float((lesion.data & near).sum() / lesion.data.sum())
    if share < _LEAST_INSIDE:
        problem = f"lies outside the brain ({share:.0%} of it inside)"
        raise InputError(path, problem, "is it of another scan, or flipped?")
    covered = float((lesion.data & mask.data).sum() / mask.data.sum())
    if covered > _MOST_COVERED:
        problem = f"covers {covered:.0%} of the brain, of which too little is left to compare"
        raise InputError(path, problem, "is it the brain's mask, or inside out?")


def lesion_share(lesion: Volume, grid: Grid, affine: np.ndarray | None = None) -> np.ndarray:
    """How much of each voxel of `grid` is lesion: (X, Y, Z) float32 in [0, 1].

    Parameters
    ----------
    affine : (4, 4), RAS mm, points of the grid's space to points of the scan
    """
    share = Volume(np.asarray(lesion.data > 0, np.float32), lesion.affine)
    return resample(share, sample_points(grid, affine))


def filled(image: Volume, lesion: np.ndarray, inside: np.ndarray | None = None) -> np.ndarray:
    """The image with the mean of what surrounds each lesion voxel in its place, float32.

    Parameters
    ----------
    lesion : (X, Y, Z) bool
    inside : (X, Y, Z) bool, whose voxels may fill it; None: all that are no lesion
    """
    from scipy.ndimage import gaussian_filter

    healthy = ~lesion if inside is None else inside & ~lesion
    data, missing = np.asarray(image.data, np.float32).copy(), lesion.copy()
    for width in _WIDTHS_MM:
        sigma = [width / mm for mm in image.spacing]
        weight = gaussian_filter(healthy.astype(np.float32), sigma, truncate=3)
        total = gaussian_filter(
            np.where(healthy, image.data, 0).astype(np.float32), sigma, truncate=3
        )
        usable = missing & (weight > _LEAST_WEIGHT)
        data[usable] = total[usable] / weight[usable]
        missing &= ~usable
    return data

"""Isotropic voxels in subject space."""

from __future__ import annotations

import numpy as np

from pmrpipe.transforms import resample, sample_points
from pmrpipe.volume import Grid, Volume

_MARGIN_MM = 5.0


def to_isotropic(image: Volume, mm: float) -> Volume:
    """Resample to isotropic voxels along the world's axes (RAS), around what is above zero.

    Where voxels grow, the image is first blurred by half the new voxel (against aliasing).
    """
    grid = covering_grid(image, mm)
    return Volume(resample(_blurred(image, mm), sample_points(grid), "linear"), grid.affine)


def covering_grid(image: Volume, mm: float) -> Grid:
    """Axis-aligned grid of `mm` voxels around the voxels above zero, with a margin of 5 mm."""
    index = np.argwhere(image.data > 0) if (image.data > 0).any() else np.argwhere(image.data == 0)
    corners = np.array(np.meshgrid(*zip(index.min(0), index.max(0), strict=True))).reshape(3, -1)
    world = image.affine[:3, :3] @ corners + image.affine[:3, 3:]
    low, high = world.min(1) - _MARGIN_MM, world.max(1) + _MARGIN_MM
    affine = np.diag([mm, mm, mm, 1.0])
    affine[:3, 3] = low
    shape = np.ceil((high - low) / mm).astype(int) + 1
    return Grid(tuple(shape), affine)  # type: ignore[arg-type]


def _blurred(image: Volume, mm: float) -> Volume:
    from scipy.ndimage import gaussian_filter

    spacing = np.asarray(image.spacing)
    if (spacing >= 0.99 * mm).all():
        return image
    sigma = np.sqrt(np.clip((0.42 * mm) ** 2 - (0.42 * spacing) ** 2, 0, None)) / spacing
    return Volume(gaussian_filter(image.data, sigma), image.affine)

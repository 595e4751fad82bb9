"""Isotropic voxels in subject space."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from pmrpipe.images.resampling import resample, sample_points
from pmrpipe.images.volume import Grid, Volume, read_image, write_volume
from pmrpipe.study.options.preprocessing import Voxels
from pmrpipe.study.sidecar import write_sidecar

_MARGIN_MM = 5.0
# A Gaussian of this width (in voxels) passes about what the voxel grid can represent.
_SIGMA_OF_VOXEL = 1 / 2.355


def run(brain: Path, out: Path, options: Voxels) -> None:
    """Write the brain with isotropic voxels, in subject space."""
    isotropic = to_isotropic(read_image(brain, sheared=True), options.mm)
    write_sidecar(out, [brain], SkullStripped=True, Resolution=f"{options.mm:g} mm isotropic")
    write_volume(out, isotropic.data, isotropic.affine)


def to_isotropic(image: Volume, mm: float) -> Volume:
    """Resample to isotropic voxels of `mm` along the world's axes (RAS), around what is not zero.

    Where voxels grow, the image is first blurred, against aliasing.
    """
    grid = covering_grid(image, mm)
    data = resample(antialiased(image, mm), sample_points(grid), "linear")
    return Volume(data, grid.affine)


def covering_grid(image: Volume, mm: float) -> Grid:
    """Axis-aligned RAS grid of `mm` voxels around the voxels that are not 0, 5 mm wider.

    Its voxel centres fall on those of the image when that is axis-aligned with voxels of `mm`, so
    that such an image is not blurred.
    """
    world = _extent(image)
    phase = image.affine[:3, 3]
    low = phase + np.floor((world.min(0) - _MARGIN_MM - phase) / mm) * mm
    shape = np.ceil((world.max(0) + _MARGIN_MM - low) / mm).astype(int) + 1
    affine = np.diag([mm, mm, mm, 1.0])
    affine[:3, 3] = low
    return Grid(tuple(int(n) for n in shape), affine)  # type: ignore[arg-type]


def _extent(image: Volume) -> np.ndarray:
    """World positions (N, 3) that bound the voxels that are not 0: of each row, its two ends."""
    inside = image.data != 0
    rows = np.argwhere(inside.any(axis=2))
    held = inside[rows[:, 0], rows[:, 1]]
    first, last = held.argmax(1), held.shape[1] - 1 - held[:, ::-1].argmax(1)
    index = np.concatenate([np.column_stack([rows, end]) for end in (first, last)])
    return index @ image.affine[:3, :3].T + image.affine[:3, 3]


def antialiased(image: Volume, mm: float) -> Volume:
    """The image blurred for resampling to voxels of `mm`: along axes whose voxels grow."""
    from scipy.ndimage import gaussian_filter

    spacing = np.asarray(image.spacing)
    sigma_mm = _SIGMA_OF_VOXEL * np.sqrt(np.clip(mm**2 - spacing**2, 0, None))
    sigma = sigma_mm / spacing
    if np.all(sigma < 0.3):  # narrower than the sampled Gaussian can be: nothing to gain
        return image
    blurred = gaussian_filter(np.asarray(image.data, np.float32), sigma, truncate=3)
    return Volume(blurred, image.affine)

"""Intensity whitening on the template grid (as Liu et al. 2019: z-score, clip to 3, [0, 1])."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from pmrpipe.base.errors import WorkError
from pmrpipe.images.extremes import brain_limits, tamed_brain
from pmrpipe.images.lesion import lesion_share
from pmrpipe.images.resampling import resample, sample_points
from pmrpipe.images.transforms import read_affine
from pmrpipe.images.volume import (
    Grid,
    Volume,
    read_grid,
    read_image,
    read_mask,
    require_same_grid,
    write_volume,
)
from pmrpipe.stages.preprocess.resample import antialiased
from pmrpipe.study.options.preprocessing import Whitening
from pmrpipe.study.sidecar import on_template, space_of, write_sidecar

_CLIP = 3.0
# The darkest brain voxel stays above the background's 0, also after packing into 16 bits.
_DARKEST = 1e-3
_LEAST_MM3 = 1e5
_NO_LESION = Whitening()


def run(
    brain: Path,
    mask: Path,
    xfm: Path,
    template: Path,
    out: Path,
    options: Whitening = _NO_LESION,
) -> None:
    """Write the brain on the template grid, whitened: [0, 1], background 0."""
    image, inside, grid = read_image(brain), read_mask(mask), read_grid(template)
    require_same_grid(inside, image, mask, brain)
    lesion = None if options.lesion is None else read_mask(options.lesion)
    data = whiten(image, inside, read_affine(xfm), grid, brain, lesion)
    scale = "z-score inside the brain, clipped to 3, mapped to [0, 1]"
    write_sidecar(
        out,
        [brain, mask, xfm, options.lesion],
        **on_template(grid, space_of(template)),
        SkullStripped=True,
        Intensities=scale,
    )
    write_volume(out, data, grid.affine)


def whiten(
    brain: Volume,
    mask: Volume,
    matrix: np.ndarray,
    grid: Grid,
    name: object = "brain",
    lesion: Volume | None = None,
) -> np.ndarray:
    """Resample once from native to `grid`, and whiten inside the brain.

    Parameters
    ----------
    brain : native scan or brain
    mask : brain mask on the same grid
    matrix : (4, 4), RAS mm, template points -> native points
    name : what messages call the brain
    lesion : mask in the scan's space: mean and deviation are those of the rest

    Returns
    -------
    (X, Y, Z) float32 in [0, 1], background exactly 0, brain above 0

    Raises
    ------
    WorkError : the brain does not reach the grid, or is constant there
    """
    points, mm = sample_points(grid, matrix), float(np.mean(grid.spacing))
    inside_native = np.asarray(mask.data > 0, np.float32)
    native = tamed_brain(np.asarray(brain.data, np.float32), mask.data > 0)
    share = resample(antialiased(Volume(inside_native, mask.affine), mm), points)
    inside = share > 0.5
    masked = Volume(native * inside_native, brain.affine)
    # Divided by the share of brain in what was averaged: the rim is not darkened by background.
    values = resample(antialiased(masked, mm), points[inside]) / share[inside]
    if inside.sum() * np.prod(grid.spacing) < _LEAST_MM3 or np.ptp(values) == 0:
        raise WorkError(name, "leaves no brain on the template grid", "look at its affine and mask")
    out = np.zeros(grid.shape, np.float32)
    out[inside] = values
    healthy = inside if lesion is None else inside & (lesion_share(lesion, grid, matrix) < 0.5)
    return whitened(out, inside, healthy)


def whitened(
    values: np.ndarray, inside: np.ndarray, healthy: np.ndarray | None = None
) -> np.ndarray:
    """The intensity part alone: (X, Y, Z) float32 in [0, 1], exactly 0 outside `inside`.

    `healthy` are the voxels of which mean and deviation are taken; None: all inside.

    Mean and deviation are those without extremes that no tissue has (see `images.extremes`).
    """
    brain = values[inside].astype(np.float64)
    limits = brain_limits(brain)
    if limits is not None:
        brain = np.clip(brain, *limits)
    known = brain if healthy is None else brain[healthy[inside]]
    z = np.clip((brain - known.mean()) / known.std(), -_CLIP, _CLIP)
    out = np.zeros(values.shape, np.float32)
    out[inside] = np.maximum((z + _CLIP) / (2 * _CLIP), _DARKEST)
    return out

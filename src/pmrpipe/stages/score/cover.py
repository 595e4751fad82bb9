"""Where both scans of a pair were scanned at all: outside, nothing is scored.

A T1w of a head holds the brain, and labels are drawn in it. A scan of another contrast is often a
slab, and takes its labels from its session's T1w, which reaches further than it does.
"""

from __future__ import annotations

import numpy as np

from pmrpipe.images.resampling import Field, sample_points, within
from pmrpipe.images.transforms import read_affine
from pmrpipe.images.volume import Grid, read_grid
from pmrpipe.study.keys import T1W, contrast_of
from pmrpipe.study.paths import Results


def pair_cover(
    results: Results, moving: str, fixed: str, grid: Grid, field: Field | None
) -> np.ndarray | None:
    """Voxels of `grid` that both scans hold, bool (X, Y, Z); None where both are T1w.

    Parameters
    ----------
    field : fixed to moving points, None without a deformable part
    """
    covers = [
        _cover(results, key, sample_points(grid, _affine(results, key), warp))
        for key, warp in ((moving, field), (fixed, None))
        if contrast_of(key) != T1W
    ]
    return np.logical_and.reduce(covers) if covers else None


def _affine(results: Results, key: str) -> np.ndarray:
    return read_affine(results.affine(key))


def _cover(results: Results, key: str, points: np.ndarray) -> np.ndarray:
    return within(read_grid(results.brain(key)), points)

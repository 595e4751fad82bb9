"""The average of aligned brains: robust, sharpened, and how sharp it is."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from pmrpipe.images.volume import Grid
from pmrpipe.study.options.template import Average

# Of the values of a voxel, the share that is left out at each end.
_TRIMMED = 0.25


def robust_mean(values: np.ndarray, kind: Average = "trimmed") -> np.ndarray:
    """The average (V,) of values (N, V), NaN where a brain does not reach the voxel.

    "trimmed" leaves out the lowest and the highest quarter of the values of each voxel, rounded
    down. Voxels without any value are 0.
    """
    ordered = np.sort(values, axis=0)  # NaN last
    count = np.isfinite(ordered).sum(0)
    if kind == "median":
        low, high = np.maximum(count - 1, 0) // 2, count // 2
        middle = np.stack([np.take_along_axis(ordered, i[None], 0)[0] for i in (low, high)])
        return np.where(count > 0, np.nan_to_num(middle).mean(0), 0).astype(np.float32)
    cut = (count * _TRIMMED).astype(int) if kind == "trimmed" else np.zeros_like(count)
    sums = np.cumsum(np.nan_to_num(ordered), axis=0, dtype=np.float64)
    sums = np.concatenate([np.zeros_like(sums[:1]), sums])
    high, low = (np.take_along_axis(sums, end[None], 0)[0] for end in (count - cut, cut))
    return ((high - low) / np.maximum(count - 2 * cut, 1)).astype(np.float32)


def sharpened(image: np.ndarray, mask: np.ndarray, weight: float) -> np.ndarray:
    """Unsharp mask: image + weight (image - its Gaussian of one voxel), in the mask alone.

    The Gaussian does not see what lies outside the mask, so that the rim does not ring.
    """
    from scipy.ndimage import gaussian_filter

    if weight == 0:
        return image
    inside = mask.astype(np.float32)
    share = gaussian_filter(inside, 1.0)
    smooth = gaussian_filter(image * inside, 1.0) / np.maximum(share, 1e-6)
    out = np.where(mask, image + weight * (image - smooth), 0)
    return np.clip(out, 0, 1).astype(np.float32)


def sharpness(image: np.ndarray, mask: np.ndarray, grid: Grid) -> float:
    """Mean gradient magnitude, 1/mm, over the brain without its outermost voxels.

    These are left out because the step from brain to background says nothing of sharpness.
    """
    from scipy.ndimage import binary_erosion

    slopes = np.gradient(image.astype(np.float64), *grid.spacing)
    magnitude = np.sqrt(sum(slope**2 for slope in slopes))
    return float(magnitude[binary_erosion(mask)].mean())


def majority(maps: Sequence[np.ndarray]) -> np.ndarray:
    """The label (X, Y, Z) int32 that most maps say; the smaller one when two are equal."""
    first = maps[0]
    out = first.astype(np.int32)
    mixed = np.zeros(first.shape, bool)
    for other in maps[1:]:
        mixed |= other != first
    votes = np.stack([labels[mixed] for labels in maps])
    best = np.zeros(votes.shape[1], np.int32)
    winner = np.zeros(votes.shape[1], np.int32)
    for label in np.unique(votes):
        count = (votes == label).sum(0)
        better = count > best
        best[better], winner[better] = count[better], label
    out[mixed] = winner
    return out

"""Intensities that no tissue has: hot voxels, spikes, a value that stands for "missing".

One of them moves a mean and a deviation as far as it likes. Limits are taken from medians and
percentiles, far outside of what tissue reaches, so that a scan without such voxels is left as it
is, to the bit: on 68 real brains (three scanners) the brightest voxel lay at most 12.3 robust
deviations above the median.
"""

from __future__ import annotations

import numpy as np

# Robust deviations from the median: beyond the first a voxel is no tissue; where there is one,
# intensities are limited to the second.
_NO_TISSUE, _LIMIT = 20.0, 6.0
# The same for whole heads, in spans from the 0.5th to the 98th percentile; what is dark is air.
_NO_HEAD, _HEAD_LIMIT = 10.0, 2.0
_MOST_SAMPLED = 1 << 21


def brain_limits(values: np.ndarray) -> tuple[float, float] | None:
    """Limits for a brain's intensities (N,), or None where none is extreme.

    The deviation is 1.4826 times the median absolute one; where more than half of the voxels share
    one value, it is taken from the span of the middle 98 %.
    """
    middle, deviation = _centre(values)
    far = max(float(values.max()) - middle, middle - float(values.min()))
    if deviation == 0 or far <= _NO_TISSUE * deviation:
        return None
    return middle - _LIMIT * deviation, middle + _LIMIT * deviation


def count_extremes(values: np.ndarray) -> int:
    """How many of a brain's intensities (N,) no tissue has."""
    middle, deviation = _centre(values)
    return int((np.abs(values - middle) > _NO_TISSUE * deviation).sum()) if deviation else 0


def _centre(values: np.ndarray) -> tuple[float, float]:
    middle = float(np.median(values))
    deviation = 1.4826 * float(np.median(np.abs(values - middle)))
    if deviation == 0:
        low, high = np.percentile(values, (1, 99))
        deviation = float(high - low) / 4.65  # of a normal distribution
    return middle, deviation


def tamed_brain(data: np.ndarray, inside: np.ndarray) -> np.ndarray:
    """The image (X, Y, Z) with its extremes inside the brain limited; itself where it has none."""
    limits = brain_limits(data[inside])
    if limits is None:
        return data
    return np.where(inside, np.clip(data, *limits), data).astype(data.dtype)


def tamed_head(data: np.ndarray) -> np.ndarray:
    """A whole head (X, Y, Z) with its extremes limited; itself where it has none."""
    sample = data.ravel()[:: max(1, data.size // _MOST_SAMPLED)]
    low, high = (float(value) for value in np.percentile(sample, (0.5, 98)))
    span = high - low
    far = max(float(data.max()) - high, low - float(data.min()))
    if span <= 0 or far <= _NO_HEAD * span:
        return data
    return np.clip(data, low, high + _HEAD_LIMIT * span)

"""Values of an array between its voxels, as ITK's interpolators give them.

A point is inside when it lies within half a voxel of the outermost voxel centres; there the edge
is extended. Everything here is numpy and scipy, one thread, and so the same on every machine.
"""

from __future__ import annotations

import itertools
from typing import Literal

import numpy as np

Interpolation = Literal["linear", "nearest", "genericLabel", "bspline"]


def prepared(data: np.ndarray, interpolation: Interpolation) -> np.ndarray:
    """What `interpolate` takes for an image (X, Y, Z): coefficients for "bspline", else values."""
    if interpolation == "bspline":
        from scipy.ndimage import spline_filter

        return spline_filter(data.astype(np.float32), 3, output=np.float32, mode="mirror")
    return np.asarray(data, np.float32) if interpolation == "linear" else data


def interpolate(
    data: np.ndarray, index: np.ndarray, interpolation: Interpolation, fill: float = 0
) -> np.ndarray:
    """Values (N,) of `data` (X, Y, Z) at voxel coordinates `index` (3, N), `fill` outside.

    "nearest" rounds halves up; "genericLabel" takes the label with the largest linear weight
    among the eight neighbours (the smaller label when two are equal), which is the largest of
    linearly interpolated one-hot maps; "bspline" wants the coefficients of `prepared`.
    """
    inside = np.ones(index.shape[1], bool)
    for axis, size in enumerate(data.shape):
        inside &= (index[axis] >= -0.5) & (index[axis] < size - 0.5)
    if inside.all():
        return _WAYS[interpolation](data, index)
    within = _WAYS[interpolation](data, np.compress(inside, index, axis=1))
    out = np.full(index.shape[1], fill, within.dtype)
    out[inside] = within
    return out


def _linear(data: np.ndarray, index: np.ndarray) -> np.ndarray:
    from scipy.ndimage import map_coordinates

    return map_coordinates(data, index, output=np.float32, order=1, mode="nearest")


def _bspline(data: np.ndarray, index: np.ndarray) -> np.ndarray:
    from scipy.ndimage import map_coordinates

    return map_coordinates(data, index, output=np.float32, order=3, mode="mirror", prefilter=False)


def _nearest(data: np.ndarray, index: np.ndarray) -> np.ndarray:
    i, j, k = np.floor(index + 0.5).astype(np.intp)
    return data[i, j, k]


def _generic_label(data: np.ndarray, index: np.ndarray) -> np.ndarray:
    """Points within one label need no vote: only the others are worked out."""
    low = np.floor(index).astype(np.intp)
    corners = _neighbours(data, low)
    out, mixed = corners[0].copy(), np.zeros(low.shape[1], bool)
    for corner in corners[1:]:
        mixed |= corner != out
    labels = np.stack([corner[mixed] for corner in corners], axis=1)
    out[mixed] = _heaviest(labels, _weights((index - low)[:, mixed].T))
    return out


def _neighbours(data: np.ndarray, low: np.ndarray) -> list[np.ndarray]:
    """The eight values (N,) around points whose lower corners are `low` (3, N)."""
    last = np.asarray(data.shape)[:, None] - 1
    ends = [np.clip(low + step, 0, last) for step in (0, 1)]
    steps = itertools.product((0, 1), repeat=3)
    return [data[ends[i][0], ends[j][1], ends[k][2]] for i, j, k in steps]


def _weights(fraction: np.ndarray) -> np.ndarray:
    """Trilinear weights (N, 8), in the order of `_neighbours`."""
    sides = np.stack([1 - fraction, fraction], axis=1)  # (N, 2, 3)
    i, j, k = sides[:, :, 0], sides[:, :, 1], sides[:, :, 2]
    return (i[:, :, None, None] * j[:, None, :, None] * k[:, None, None, :]).reshape(-1, 8)


def _heaviest(labels: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """The label (N,) with the largest sum of weights among the eight of each row."""
    best = np.full(len(labels), -1.0)
    out = labels[:, 0].copy()
    for corner in range(8):
        label = labels[:, corner]
        weight = np.where(labels == label[:, None], weights, 0).sum(axis=1)
        better = (weight > best + 1e-12) | ((weight > best - 1e-12) & (label < out))
        best = np.where(better, weight, best)
        out = np.where(better, label, out)
    return out


_WAYS = {
    "linear": _linear,
    "nearest": _nearest,
    "genericLabel": _generic_label,
    "bspline": _bspline,
}

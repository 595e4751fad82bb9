"""Values of an array between its voxels, as ITK's interpolators give them.

A point is inside when it lies within half a voxel of the outermost voxel centres; there the edge
is extended. Everything here is numpy and scipy, one thread, and so the same on every machine.
"""

from __future__ import annotations

from typing import Literal

import numpy as np

Interpolation = Literal["linear", "nearest", "genericLabel"]


def interpolate(
    data: np.ndarray, index: np.ndarray, interpolation: Interpolation, fill: float = 0
) -> np.ndarray:
    """Values of `data` (X, Y, Z) at voxel coordinates `index` (..., 3), `fill` outside.

    "nearest" rounds halves up; "genericLabel" takes the label with the largest linear weight
    among the eight neighbours (the smaller label when two are equal).
    """
    flat = index.reshape(-1, 3)
    inside = np.all((flat >= -0.5) & (flat < np.asarray(data.shape) - 0.5), axis=1)
    within = _WAYS[interpolation](data, flat[inside])
    out = np.full(len(flat), fill, within.dtype)
    out[inside] = within
    return out.reshape(index.shape[:-1])


def _linear(data: np.ndarray, index: np.ndarray) -> np.ndarray:
    from scipy.ndimage import map_coordinates

    coordinates = np.ascontiguousarray(index.T)
    return map_coordinates(data, coordinates, output=np.float32, order=1, mode="nearest")


def _nearest(data: np.ndarray, index: np.ndarray) -> np.ndarray:
    return data[tuple(np.floor(index + 0.5).astype(np.intp).T)]


def _generic_label(data: np.ndarray, index: np.ndarray) -> np.ndarray:
    """Points within one label need no vote: only the others are worked out."""
    labels, low = _neighbours(data, index)
    out = labels[:, 0].copy()
    mixed = np.flatnonzero((labels != labels[:, :1]).any(axis=1))
    weights = _weights(index[mixed] - low[mixed])
    out[mixed] = _heaviest(labels[mixed], weights)
    return out


def _neighbours(data: np.ndarray, index: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The eight surrounding values (N, 8), and the lower corners (N, 3)."""
    low = np.floor(index).astype(np.intp)
    last = np.asarray(data.shape) - 1
    ends = [np.clip(low + step, 0, last) for step in (0, 1)]
    corners = [
        data[ends[i][:, 0], ends[j][:, 1], ends[k][:, 2]]
        for i in (0, 1)
        for j in (0, 1)
        for k in (0, 1)
    ]
    return np.stack(corners, axis=1), low


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


_WAYS = {"linear": _linear, "nearest": _nearest, "genericLabel": _generic_label}

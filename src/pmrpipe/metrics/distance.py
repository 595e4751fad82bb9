"""Surface distances between the labels of two maps, in mm.

The surface of a label is its voxels with at least one of six neighbours outside the label
(outside the image counts as outside). Distances run between centres of surface voxels.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.spatial import cKDTree

PERCENTILE = 95.0


@dataclass(frozen=True)
class Distances:
    """hd95_mm and msd_mm, (L,) float64, one entry per requested label; NaN = in one map only."""

    labels: np.ndarray
    hd95_mm: np.ndarray
    msd_mm: np.ndarray


def label_distances(
    fixed: np.ndarray,
    warped: np.ndarray,
    spacing: Sequence[float],
    labels: Sequence[int] | np.ndarray | None = None,
) -> Distances:
    """HD95 and mean symmetric surface distance of each label.

    hd95 = max(P95(d(F→W)), P95(d(W→F))), percentiles with linear interpolation;
    msd = (Σ d(F→W) + Σ d(W→F)) / (|F| + |W|), F and W being surface voxels.

    Parameters
    ----------
    fixed, warped : integer label maps (X, Y, Z) on one grid
    spacing : distance between voxel centres along the three array axes, mm
    labels : label numbers; all that occur in either map when None

    Raises
    ------
    ValueError : shapes differ
    """
    if fixed.shape != warped.shape:
        raise ValueError(f"label maps of different shape: {fixed.shape} and {warped.shape}")
    if labels is None:
        labels = np.union1d(fixed[fixed > 0], warped[warped > 0])
    labels = np.asarray(labels, dtype=np.int64)
    box = _occupied_box(fixed, warped)
    fixed, warped = fixed[box], warped[box]
    marks = [surface_voxels(fixed), surface_voxels(warped)]
    # A voxel on the same label's surface in both maps is at distance 0: no search for it.
    apart = ~(marks[0] & marks[1] & (fixed == warped))
    scale = np.asarray(spacing, float)
    surfaces = [
        _Surface(volume, mark, apart, scale)
        for volume, mark in zip((fixed, warped), marks, strict=True)
    ]
    pairs = [_distances_of(*(surface.of(label) for surface in surfaces)) for label in labels]
    hd95, msd = np.array(pairs, dtype=np.float64).reshape(-1, 2).T
    return Distances(labels, hd95, msd)


def _occupied_box(*volumes: np.ndarray) -> tuple[slice, ...]:
    """Smallest box around every label of every map."""
    occupied = np.logical_or.reduce([volume > 0 for volume in volumes])
    slices = []
    for axis in range(occupied.ndim):
        others = tuple(other for other in range(occupied.ndim) if other != axis)
        inside = np.flatnonzero(occupied.any(axis=others))
        slices.append(slice(inside[0], inside[-1] + 1) if inside.size else slice(0, 0))
    return tuple(slices)


class _Surface:
    """Surface voxels of every label of a map, sorted by label."""

    def __init__(
        self, labels: np.ndarray, mark: np.ndarray, apart: np.ndarray, spacing: np.ndarray
    ) -> None:
        index = np.nonzero(mark)
        values = labels[index].astype(np.int64)
        order = np.argsort(values, kind="stable")
        self._labels = values[order]
        self._points = np.stack(index, axis=1)[order] * spacing
        self._apart = apart[index][order]

    def of(self, label: int) -> tuple[np.ndarray, np.ndarray]:
        """A label's surface voxels: centres (N, 3) in mm, and which are not on the other's."""
        first, last = np.searchsorted(self._labels, np.array([label, label + 1], np.int64))
        return self._points[first:last], self._apart[first:last]


def surface_voxels(labels: np.ndarray) -> np.ndarray:
    """Mask (X, Y, Z) of the voxels that lie on the surface of their own label."""
    surface = np.zeros(labels.shape, dtype=bool)
    for axis in range(labels.ndim):
        rows = np.moveaxis(labels, axis, 0), np.moveaxis(surface, axis, 0)
        values, marks = rows
        change = values[1:] != values[:-1]
        marks[1:] |= change
        marks[:-1] |= change
        marks[:1] = True
        marks[-1:] = True
    return surface & (labels > 0)


def _distances_of(
    fixed: tuple[np.ndarray, np.ndarray], warped: tuple[np.ndarray, np.ndarray]
) -> tuple[float, float]:
    if len(fixed[0]) == 0 or len(warped[0]) == 0:
        return np.nan, np.nan
    there, back = _nearest(*fixed, warped[0]), _nearest(*warped, fixed[0])
    hd95 = max(np.percentile(there, PERCENTILE), np.percentile(back, PERCENTILE))
    return float(hd95), float((there.sum() + back.sum()) / (there.size + back.size))


def _nearest(points: np.ndarray, apart: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Distance of each of `points` (N, 3) to the nearest of `others` (M, 3), (N,)."""
    distances = np.zeros(len(points))
    if apart.any():
        # Median splits and tight boxes cost more than they save on points of a lattice.
        tree = cKDTree(others, balanced_tree=False, compact_nodes=False)
        distances[apart] = tree.query(points[apart], k=1, workers=1)[0]
    return distances

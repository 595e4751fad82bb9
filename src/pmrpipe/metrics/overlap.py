"""Overlap of two label maps, every label in one pass over the voxels."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

# Above this label number a counting array would be longer than a brain; numbers are compacted.
_LARGEST_COUNTED = 1 << 20


@dataclass(frozen=True)
class Overlap:
    """Counts of labels, one array entry per label; labels in neither map are left out.

    labels, n_fixed, n_warped, n_both : (L,) int64; labels ascending, background 0 excluded
    """

    labels: np.ndarray
    n_fixed: np.ndarray
    n_warped: np.ndarray
    n_both: np.ndarray

    @property
    def dice(self) -> np.ndarray:
        """2 |W∩T| / (|W| + |T|), (L,) float64; 0 where the label is in one map only."""
        return 2.0 * self.n_both / (self.n_fixed + self.n_warped)

    @property
    def target_overlap(self) -> np.ndarray:
        """|W∩T| / |T|, (L,) float64; 0 where the fixed map lacks the label."""
        return self.n_both / np.maximum(self.n_fixed, 1)

    def only(self, labels: np.ndarray) -> Overlap:
        """The entries whose label number is among `labels`, ascending."""
        keep = np.isin(self.labels, labels)
        counts = (self.labels, self.n_fixed, self.n_warped, self.n_both)
        return Overlap(*(column[keep] for column in counts))


def label_overlap(fixed: np.ndarray, warped: np.ndarray) -> Overlap:
    """Count every label of two maps on one grid.

    Parameters
    ----------
    fixed, warped : integer arrays of one shape (X, Y, Z), 0 = background, no negative number

    Raises
    ------
    ValueError : shapes differ, arrays are not of integers, or a label is negative
    """
    fixed, warped = _flat_labels(fixed, warped)
    names = None
    if max(fixed.max(initial=0), warped.max(initial=0)) > _LARGEST_COUNTED:
        names, compact = np.unique(np.concatenate([[0], fixed, warped]), return_inverse=True)
        fixed, warped = compact[1 : 1 + fixed.size], compact[1 + fixed.size :]
    length = 1 + int(max(fixed.max(initial=0), warped.max(initial=0)))
    n_fixed, n_warped, n_both = (
        np.bincount(values, minlength=length)
        for values in (fixed, warped, np.where(fixed == warped, fixed, 0))
    )
    present = np.flatnonzero((n_fixed + n_warped) > 0)
    present = present[present > 0]
    labels = present if names is None else names[present].astype(np.int64)
    return Overlap(labels, n_fixed[present], n_warped[present], n_both[present])


def _flat_labels(fixed: np.ndarray, warped: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    if fixed.shape != warped.shape:
        raise ValueError(f"label maps of different shape: {fixed.shape} and {warped.shape}")
    for labels in (fixed, warped):
        if not np.issubdtype(labels.dtype, np.integer):
            raise ValueError(f"label maps hold integers, not {labels.dtype}")
        if labels.min(initial=0) < 0:
            raise ValueError("label maps hold no negative number")
    # One memory order for both; bincount wants native-size integers.
    return np.ravel(fixed), np.ravel(warped)

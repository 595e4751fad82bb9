"""Similarity of two images."""

from __future__ import annotations

import numpy as np


def ncc(fixed: np.ndarray, warped: np.ndarray, mask: np.ndarray | None = None) -> float:
    """Global normalised cross-correlation (Pearson's r) inside `mask`, in [-1, 1].

    NaN when the mask is empty or one of the images is constant in it.

    Parameters
    ----------
    fixed, warped : (X, Y, Z) images on one grid
    mask : (X, Y, Z) bool, the fixed brain; the whole grid when None
    """
    inside = np.ones(fixed.shape, bool) if mask is None else mask
    first, second = (image[inside].astype(np.float64) for image in (fixed, warped))
    if first.size == 0:
        return float("nan")
    first -= first.mean()
    second -= second.mean()
    # einsum and not dot: the sum's order must not depend on the number of BLAS threads.
    product, power, other = (
        float(np.einsum("i,i->", a, b))
        for a, b in ((first, second), (first, first), (second, second))
    )
    # A constant image keeps rounding noise after its mean is taken away.
    if min(power, other) <= 1e-20 * first.size:
        return float("nan")
    return product / float(np.sqrt(power * other))

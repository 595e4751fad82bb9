"""Numbers that tell a bad scan, mask or affine from a good one, and who stands out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from pmrpipe.images.volume import Volume

# Columns of qc.tsv that are judged, and what a doubtful value is like.
JUDGED = {
    "brain_ml": "low or high",
    "border_percent": "high",
    "mask_dice": "low",
    "correlation": "low",
    "snr": "low",
}
# Bounds that need no cohort: an adult's brain with its ventricles; what an aligned brain reaches
# (see preprocess.affine); a mask that the edge of the image cuts.
_BOUNDS = {
    "brain_ml": (800.0, 2200.0),
    "border_percent": (-np.inf, 0.5),
    "mask_dice": (0.92, np.inf),
    "correlation": (0.45, np.inf),
}
# Robust z beyond which a scan is an outlier of its cohort (Iglewicz and Hoaglin 1993), and the
# number of scans from which on that means anything.
_FAR, _ENOUGH = 3.5, 16
# The smallest spread that counts, as a part of the median: a cohort may be all alike.
_LEAST_SPREAD = 0.01


def measure(image: Volume, mask: Volume, quality: Mapping[str, Any]) -> dict[str, float]:
    """Measures of one scan.

    Parameters
    ----------
    image : the brain on the native grid, background 0
    mask : bool, on the same grid
    quality : of the affine, as its sidecar holds it

    Returns
    -------
    brain_ml : volume of the mask
    border_percent : part of the mask's voxels on the outermost planes of the image: above 0 the
        brain may be cut
    mask_dice, correlation : of the brain and the template after the affine
    attempts : starts that the affine needed
    snr : median intensity over the noise's standard deviation, see `noise`
    """
    inside = mask.data > 0
    border = inside.copy()
    border[1:-1, 1:-1, 1:-1] = False
    deviation = noise(image.data, inside)
    middle = float(np.median(image.data[inside]))
    return {
        "brain_ml": float(inside.sum()) * abs(np.linalg.det(mask.affine[:3, :3])) / 1000,
        "border_percent": 100.0 * float(border.sum()) / float(inside.sum()),
        "mask_dice": float(quality["mask_dice"]),
        "correlation": float(quality["correlation"]),
        "attempts": int(quality["attempts"]),
        "snr": middle / deviation if deviation > 0 else float("inf"),
    }


def noise(data: np.ndarray, inside: np.ndarray) -> float:
    """Standard deviation of the noise, from how far voxels lie from their neighbours' mean.

    Pseudo-residuals e = sqrt(6/7) (x - mean of the six neighbours) (Gasser et al., Biometrika 73,
    1986; Coupe et al., Medical Image Analysis 14, 2010), their deviation by the median absolute
    one, over voxels whose neighbours are inside too. Anatomy makes it larger than the truth, the
    same for all scans of a kind.
    """
    core, total = inside.copy(), np.zeros(data.shape, np.float32)
    for axis in range(3):
        for step in (-1, 1):
            core &= np.roll(inside, step, axis)
            total += np.roll(data, step, axis)
    core[[0, -1]] = core[:, [0, -1]] = core[:, :, [0, -1]] = False
    if not core.any():
        return 0.0
    residual = np.sqrt(6 / 7) * (data[core] - total[core] / 6)
    return 1.4826 * float(np.median(np.abs(residual - np.median(residual))))


def judged(table: pd.DataFrame) -> pd.DataFrame:
    """The table with a column `outlier`: what is doubtful of each scan, or missing.

    A value is doubtful when it leaves the bounds that hold for any adult brain, or, from sixteen
    scans on, lies more than 3.5 robust deviations from the cohort's median on the bad side.
    """
    said: list[list[str]] = [[] for _ in range(len(table))]
    for name, side in JUDGED.items():
        values = table[name].to_numpy(float)
        low, high = _limits(values, name)
        for row, value in enumerate(values):
            if value < low and "low" in side:
                said[row].append(f"{name} low")
            elif value > high and "high" in side:
                said[row].append(f"{name} high")
    words = [", ".join(parts) or None for parts in said]
    return table.assign(outlier=pd.Series(words, index=table.index, dtype=object))


def _limits(values: np.ndarray, name: str) -> tuple[float, float]:
    low, high = _BOUNDS.get(name, (-np.inf, np.inf))
    if len(values) >= _ENOUGH:
        middle = float(np.median(values))
        spread = 1.4826 * float(np.median(np.abs(values - middle)))
        spread = max(spread, _LEAST_SPREAD * abs(middle))
        low, high = max(low, middle - _FAR * spread), min(high, middle + _FAR * spread)
    return low, high

"""How far a method's maps lie from those of a reference method, and how their volumes differ.

Source: Yang, Kwitt, Styner, Niethammer, NeuroImage 158 (2017) 378-396, who set a prediction beside
the optimisation that taught it: percentiles of the distance between the two maps over all voxels of
all pairs, and histograms of log10 det J.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from pmrpipe.images.jacobian import jacobian_determinant
from pmrpipe.images.volume import Grid

PERCENTILES = (0.3, 5.0, 25.0, 50.0, 75.0, 95.0, 99.7)


@dataclass(frozen=True)
class Bins:
    """So many classes of one width, the first from `low` on; values outside are in the end ones."""

    low: float
    width: float
    number: int

    def counts(self, values: np.ndarray) -> np.ndarray:
        """How many values (N,) lie in each class, (number,) int64."""
        places = np.floor((values - self.low) / self.width).astype(np.int64)
        return np.bincount(np.clip(places, 0, self.number - 1), minlength=self.number)

    def edge(self, place: np.ndarray | int) -> np.ndarray:
        """Lower edge of classes by their numbers."""
        return np.round(self.low + self.width * np.asarray(place), 9)

    def percentile(self, counts: np.ndarray, percentile: float) -> float:
        """Of values of which only the counts (number,) are left: exact to one width.

        Values are taken as evenly spread within their class. NaN without any.
        """
        total = counts.sum()
        if not total:
            return float("nan")
        upto, wanted = np.cumsum(counts), total * percentile / 100
        place = max(int(np.searchsorted(upto, wanted)), int(np.flatnonzero(counts)[0]))
        share = (wanted - upto[place] + counts[place]) / counts[place]
        return float(self.low + self.width * (place + share))


ERROR, JACOBIAN = "error_mm", "log10_jacobian"
REFERENCE, DIFFERENCE = "reference_log10_jacobian", "log10_jacobian_difference"
_OF_VOLUME = Bins(-2.0, 0.02, 200)
# Of what is counted: the distance in mm, log10 det J of both maps, and their difference. Folds, and
# what is less than a hundredth of its volume, are in the first class.
BINS: Mapping[str, Bins] = {
    ERROR: Bins(0.0, 0.01, 10_000),
    JACOBIAN: _OF_VOLUME,
    REFERENCE: _OF_VOLUME,
    DIFFERENCE: _OF_VOLUME,
}


def percentile_column(percentile: float) -> str:
    """The column that holds it: p0.3_mm, p50_mm ..."""
    return f"p{percentile:g}_mm"


def compared_maps(
    field: np.ndarray | None, reference: np.ndarray, grid: Grid, mask: np.ndarray
) -> dict[str, np.ndarray]:
    """What BINS count, of each voxel of `mask`, (N,) each.

    Parameters
    ----------
    field : (X, Y, Z, 3) displacement, RAS mm, fixed point to moving point; None: the identity
    reference : such a displacement by the reference method
    grid : where both lie
    mask : (X, Y, Z) bool, the fixed brain
    """
    own = np.zeros_like(reference) if field is None else field
    distance = np.linalg.norm((own - reference)[mask].astype(np.float64), axis=-1)
    volumes = [_log10_jacobian(one, grid)[mask] for one in (own, reference)]
    return {
        ERROR: distance,
        JACOBIAN: volumes[0],
        REFERENCE: volumes[1],
        DIFFERENCE: volumes[0] - volumes[1],
    }


def _log10_jacobian(field: np.ndarray, grid: Grid) -> np.ndarray:
    determinants = jacobian_determinant(field, grid)
    return np.log10(np.maximum(determinants, 10.0**_OF_VOLUME.low))


def error_percentiles(distances: np.ndarray) -> dict[str, float]:
    """Mean and PERCENTILES of distances (N,) in mm, by column; NaN without any."""
    if not distances.size:
        return {"mean_mm": np.nan} | {percentile_column(p): np.nan for p in PERCENTILES}
    values = np.percentile(distances, PERCENTILES)
    columns = (percentile_column(p) for p in PERCENTILES)
    return {"mean_mm": float(distances.mean())} | dict(zip(columns, values.tolist(), strict=True))

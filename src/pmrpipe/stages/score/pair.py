"""All scores of one registered pair."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from pmrpipe.metrics.distance import label_distances
from pmrpipe.metrics.entries import measured
from pmrpipe.metrics.judgement import doubts
from pmrpipe.metrics.metric import RegisteredPair, Row
from pmrpipe.metrics.overlap import Overlap, label_overlap
from pmrpipe.metrics.similarity import ncc
from pmrpipe.study.keys import contrast_of
from pmrpipe.study.regions import region_labels, scored_rows

if TYPE_CHECKING:
    import pandas as pd

    from pmrpipe.images.volume import Volume


def score_pair(
    fixed_dseg: Volume | None,
    warped_dseg: np.ndarray | None,
    mask: np.ndarray,
    fixed_image: Volume,
    warped_image: np.ndarray,
    field: np.ndarray | None,
    label_table: pd.DataFrame | None,
    *,
    moving: str = "",
    fixed: str = "",
    interpolation: str = "nearest",
    registered: Mapping[str, float] | None = None,
    moving_image: np.ndarray | None = None,
) -> tuple[list[Row], Row]:
    """Score one pair on the grid of `fixed_image`.

    Parameters
    ----------
    fixed_dseg, warped_dseg : label maps, integers; None without labels
    mask : (X, Y, Z) bool, the fixed brain: where deformation and similarity are measured
    fixed_image, warped_image : the fixed and the warped moving image
    field : (X, Y, Z, 3) displacement in RAS mm on the same grid, fixed point to moving point;
        None when there is no deformable part
    label_table : columns index, name, region, scored; None without labels
    moving, fixed, interpolation : written into the rows
    registered : what was measured when the pair was registered, by column of by_pair
    moving_image : as the affines alone bring it to the fixed image; without it nothing is doubted

    Returns
    -------
    by_label rows : one per scored label that is in at least one map, ascending
    by_pair row : every metric of `metrics.entries`, and `doubts`, what is doubtful in sentences;
        dice is the mean over those labels, dice_<region> over the region's; NaN where there is
        none. A label in one map only counts 0; its distances are NaN.

    Raises
    ------
    ValueError : arrays of different shapes
    """
    names: Row = {"moving": moving, "fixed": fixed}
    labelled, by_label = False, []
    if fixed_dseg is not None and warped_dseg is not None and label_table is not None:
        labelled, by_label = True, _label_rows(fixed_dseg, warped_dseg, label_table, names)
    pair = RegisteredPair(
        fixed_image,
        warped_image,
        mask,
        field,
        fixed_dseg if labelled else None,
        warped_dseg if labelled else None,
        by_label,
        registered,
    )
    regions = {} if label_table is None else region_labels(label_table)
    row = names | measured(pair, regions)
    row |= {"interpolation": interpolation if labelled else np.nan}
    return by_label, row | {"doubts": _doubts(pair, row, moving_image)}


def _doubts(pair: RegisteredPair, row: Row, moving_image: np.ndarray | None) -> str | None:
    """What is doubtful of a pair, in sentences; None where nothing is."""
    if moving_image is None:
        return None
    before = ncc(pair.fixed_image.data, moving_image, pair.mask)
    alike = contrast_of(row["moving"]) == contrast_of(row["fixed"])
    return "; ".join(doubts(row | {"ncc_affine": before}, alike)) or None


def _label_rows(
    fixed_dseg: Volume, warped_dseg: np.ndarray, label_table: pd.DataFrame, names: Row
) -> list[Row]:
    rows = scored_rows(label_table).set_index("index")
    overlap = label_overlap(fixed_dseg.data, warped_dseg).only(rows.index.to_numpy())
    distances = label_distances(fixed_dseg.data, warped_dseg, fixed_dseg.spacing, overlap.labels)
    return [
        {
            **names,
            "label": int(label),
            "name": rows.at[label, "name"],
            "region": rows.at[label, "region"],
            **_overlap_of(overlap, n),
            "hd95_mm": float(distances.hd95_mm[n]),
            "msd_mm": float(distances.msd_mm[n]),
        }
        for n, label in enumerate(overlap.labels)
    ]


def _overlap_of(overlap: Overlap, n: int) -> Row:
    return {
        "dice": float(overlap.dice[n]),
        "target_overlap": float(overlap.target_overlap[n]),
        "n_fixed": int(overlap.n_fixed[n]),
        "n_warped": int(overlap.n_warped[n]),
    }

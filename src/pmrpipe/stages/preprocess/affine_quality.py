"""What an affine is judged by: overlap, similarity and sizes, on the template grid."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.ndimage import binary_fill_holes

from pmrpipe.images.resampling import resample, sample_points
from pmrpipe.images.volume import Grid, Volume
from pmrpipe.metrics.agreement import correlation_ratio, mutual_information
from pmrpipe.stages.preprocess.pose_search import correlation
from pmrpipe.stages.preprocess.resample import antialiased
from pmrpipe.study.keys import T1W


def brain_share(volume: Volume, grid: Grid, contrast: str = T1W) -> Volume:
    """The brain as shares of the voxels of a coarser grid.

    Brain is what is brighter than a tenth of its typical value: coarse images fade at the rim. Of
    other contrasts than T1w holes are filled: in a FLAIR fluid is dark.
    """
    typical = np.percentile(volume.data[volume.data > 0], 75)
    inside = volume.data > 0.1 * typical
    if contrast != T1W:
        inside = binary_fill_holes(inside)
    mask = Volume(inside.astype(np.float32), volume.affine)
    if volume.grid == grid:
        return mask
    # Not `coarse` by the spacing: grids of an odd size have another along each axis.
    return Volume(resample(antialiased(mask, grid.spacing[0]), sample_points(grid)), grid.affine)


def quality_of(
    moving: Volume,
    fixed: Volume,
    moving_mask: Volume,
    fixed_mask: Volume,
    matrix: np.ndarray,
    contrast: str = T1W,
) -> dict[str, Any]:
    """Overlap and similarity on the template grid, and what the affine does to sizes.

    Of another contrast than the template's, T1w, a correlation says nothing: the correlation ratio
    is measured too, how far the template's intensities are a function of the scan's.
    """
    points = sample_points(fixed.grid, matrix)
    values, inside = resample(moving, points), resample(moving_mask, points) > 0.5
    target = fixed_mask.data > 0.5
    both = inside & target
    rotation, scales, turn = np.linalg.svd(matrix[:3, :3])
    cosine = np.clip((np.trace(rotation @ turn) - 1) / 2, -1, 1)
    other = {}
    if contrast != T1W:
        ratio = correlation_ratio(values[both], fixed.data[both])
        other = {"correlation_ratio": _short(ratio)}
    return {
        "mask_dice": _short(2 * both.sum() / max(1, inside.sum() + target.sum())),
        "correlation": _short(correlation(values[both], fixed.data[both])),
        "mutual_information": _short(mutual_information(values[both], fixed.data[both])),
        "scales": [_short(scale) for scale in scales],
        "determinant": _short(np.linalg.det(matrix[:3, :3])),
        "rotation_degrees": _short(np.degrees(np.arccos(cosine))),
        "working_mm": _short(fixed.spacing[0]),
        **other,
    }


def _short(value: Any) -> float:
    return round(float(value), 4)


def similarity_of(quality: dict[str, Any]) -> tuple[str, float]:
    """Name and value of what says how like scan and template are."""
    name = "correlation_ratio" if "correlation_ratio" in quality else "correlation"
    return name.replace("_", " "), quality[name]


def missed(
    quality: dict[str, Any], least: tuple[float, float], sizes: tuple[float, float]
) -> list[str]:
    """The limits that an affine does not keep, each with its value."""
    scales, missed = quality["scales"], []
    measures = (("overlap", quality["mask_dice"]), similarity_of(quality))
    for (name, value), limit in zip(measures, least, strict=True):
        if value < limit:
            missed.append(f"{name} {value:.2f}, at least {limit:g} is needed")
    if quality["determinant"] <= 0:
        missed.append("it is mirrored")
    if min(scales) < sizes[0] or max(scales) > sizes[1]:
        told = ", ".join(f"{scale:.2f}" for scale in scales)
        missed.append(f"scales {told}, {sizes[0]:g} to {sizes[1]:g} are taken")
    return missed

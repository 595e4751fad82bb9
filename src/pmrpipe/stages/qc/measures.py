"""Numbers that tell a bad scan, mask or affine from a good one, and who stands out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from pmrpipe.images.extremes import count_extremes
from pmrpipe.images.orientation import DISAGREEMENT_MM
from pmrpipe.images.resampling import slabs_of_points, within
from pmrpipe.images.volume import Grid, Volume
from pmrpipe.metrics.judgement import usual_range
from pmrpipe.metrics.similarity import ncc
from pmrpipe.study.keys import contrast_of

# Columns of qc.tsv that are judged, and what a doubtful value is like.
JUDGED = {
    "brain_ml": "low or high",
    "border_percent": "high",
    "mask_dice": "low",
    "correlation": "low",
    "snr": "low",
    "scale_min": "low",
    "scale_max": "high",
    "contrast": "low",
    "extreme_voxels": "high",
    "header_mm": "high",
    "core_correlation": "low",
    "correlation_ratio": "low",
    "cover": "low",
}
# Bounds that need no cohort: an adult's brain with its ventricles; what an aligned brain reaches
# (see preprocess.affine); a mask that the edge of the image cuts.
_BOUNDS = {
    "brain_ml": (800.0, 2200.0),
    "border_percent": (-np.inf, 0.5),
    "mask_dice": (0.92, np.inf),
    "correlation": (0.45, np.inf),
    "scale_min": (0.6, np.inf),
    "scale_max": (-np.inf, 1.6),
    "contrast": (0.1, np.inf),
    "extreme_voxels": (-np.inf, 0.5),
    "header_mm": (-np.inf, DISAGREEMENT_MM),
    "core_correlation": (0.2, np.inf),
    "correlation_ratio": (0.4, np.inf),
    "cover": (0.9, np.inf),
}
# What a person reads of a value beyond its bounds.
_WORDS = {
    "brain_ml": "its brain mask holds {value:.0f} ml, an adult's brain {low:g} to {high:g}",
    "border_percent": "{value:.2g} % of its brain mask lies on the edge of the image: is it cut?",
    "mask_dice": "brain and template overlap by {value:.2f} after the affine, {low:g} is usual",
    "correlation": "brain and template correlate by {value:.2f} after the affine, {low:g} is usual",
    "scale_min": "its brain is {value:.2f} of the template's size along one direction, "
    "an adult's {low:g} or more",
    "scale_max": "its brain is {value:.2f} of the template's size along one direction, "
    "an adult's {high:g} or less",
    "contrast": "its brain is squeezed into few grey values (half of it within {value:.3f} of the "
    "range): is there a very bright or dark spot?",
    "extreme_voxels": "{value:.0f} voxels of its brain are as bright or dark as no tissue is, and "
    "were limited",
    "header_mm": "its header states two places, {value:.3g} mm apart (sform and qform): the sform "
    "is used; left and right, and overlays made by other programs, are to be checked",
    "core_correlation": "away from its edge the brain correlates with the template by {value:.2f}, "
    "{low:g} is usual at least: is it a T1w at all?",
    "correlation_ratio": "brain and template depend on each other by {value:.2f} after the affine "
    "(correlation ratio), {low:g} is usual",
    "cover": "the scan holds {value:.0%} of the brain's place: outside nothing is known",
}
# What a person reads of a value that stands out in its cohort.
_TITLES = {
    "brain_ml": "brain volume, ml,",
    "mask_dice": "overlap with the template",
    "correlation": "correlation with the template",
    "snr": "signal to noise",
    "correlation_ratio": "correlation ratio with the template",
}
# Judged by their bounds alone: sizes of heads and contrasts of scanners differ, and of the others
# nearly every scan has none.
_ALONE = (
    *("scale_min", "scale_max", "contrast"),
    *("border_percent", "extreme_voxels", "header_mm", "core_correlation", "cover"),
)
# How deep inside both brains the last measure looks: the rim alone makes any two brains alike.
_DEPTH_MM = 6.0
# The smallest spread that counts, as a part of the median: a cohort may be all alike.
_LEAST_SPREAD = 0.01


def measure(
    image: Volume,
    mask: Volume,
    quality: Mapping[str, Any],
    white: np.ndarray | None = None,
    template: Volume | None = None,
) -> dict[str, float]:
    """Measures of one scan.

    Parameters
    ----------
    image : the brain on the native grid, background 0
    mask : bool, on the same grid
    quality : of the affine, as its sidecar holds it
    white : the brain on the template grid, whitened to [0, 1], background 0
    template : of the same contrast, on that grid; None where there is none

    Returns
    -------
    brain_ml : volume of the mask
    border_percent : part of the mask's voxels on the outermost planes of the image: above 0 the
        brain may be cut
    mask_dice, correlation : of the brain and the template after the affine; of another contrast
        than the template's, correlation_ratio in place of correlation
    attempts : starts that the affine needed
    snr : median intensity over the noise's standard deviation, see `noise`
    scale_min, scale_max : size of the brain against the template, along the directions in which
        the affine shrinks and stretches most
    contrast : range of the middle half of the whitened intensities, NaN without `white`
    core_correlation : of `white` and `template` 6 mm inside both, NaN without one of them
    """
    inside = mask.data > 0
    border = inside.copy()
    border[1:-1, 1:-1, 1:-1] = False
    deviation = noise(image.data, inside)
    middle = float(np.median(image.data[inside]))
    name = "correlation_ratio" if "correlation_ratio" in quality else "correlation"
    return {
        "brain_ml": float(inside.sum()) * abs(np.linalg.det(mask.affine[:3, :3])) / 1000,
        "border_percent": 100.0 * float(border.sum()) / float(inside.sum()),
        "mask_dice": float(quality["mask_dice"]),
        name: float(quality[name]),
        "attempts": int(quality["attempts"]),
        "snr": middle / deviation if deviation > 0 else float("inf"),
        "scale_min": float(min(quality["scales"])),
        "scale_max": float(max(quality["scales"])),
        "contrast": float("nan") if white is None else contrast(white),
        "core_correlation": core_correlation(white, template),
    }


def measure_source(scan: Volume, mask: Volume, header_mm: float) -> dict[str, float]:
    """What a scan brings along that preprocessing sets right, or cannot know.

    Parameters
    ----------
    scan : as it came, on the native grid
    mask : bool, on the same grid
    header_mm : how far sform and qform of the scan put its corners apart

    Returns
    -------
    extreme_voxels : voxels of the brain as bright or dark as no tissue is; they were limited
    header_mm : as given
    """
    extremes = count_extremes(scan.data[mask.data > 0])
    return {"extreme_voxels": extremes, "header_mm": header_mm}


def measure_cover(scan: Grid, affine: np.ndarray, template: Volume) -> dict[str, float]:
    """How much of the brain's place the scan holds.

    Parameters
    ----------
    scan : its own grid
    affine : (4, 4), RAS mm, points of the template to points of the scan
    template : brain, background 0

    Returns
    -------
    cover : part of the template's brain that lies in the scan's voxels
    """
    brain = template.data > 0
    held = (
        within(scan, points)[brain[part]].sum()
        for part, points in slabs_of_points(template.grid, affine)
    )
    return {"cover": float(sum(held) / brain.sum())}


def contrast(white: np.ndarray) -> float:
    """Range of the middle half of the intensities above 0; a normal distribution has 0.22."""
    low, high = np.quantile(white[white > 0], (0.25, 0.75))
    return float(high - low)


def core_correlation(white: np.ndarray | None, template: Volume | None) -> float:
    """Correlation of two brains on one grid inside both, away from the edges; NaN without one.

    The edges tell where a brain is, and the inside what it looks like: noise, or a T2w that is
    named T1w, has the edges of a T1w.
    """
    if white is None or template is None:
        return float("nan")
    from scipy.ndimage import binary_erosion

    both = (white > 0) & (template.data > 0)
    steps = max(1, round(_DEPTH_MM / float(template.spacing[0])))
    return ncc(template.data, white, binary_erosion(both, iterations=steps))


def doubts(measures: Mapping[str, float]) -> list[str]:
    """Sentences on the values of one scan that leave the bounds of any adult brain."""
    said = []
    for name, words in _WORDS.items():
        if name not in measures:
            continue
        low, high = _BOUNDS[name]
        if measures[name] < low or measures[name] > high:
            said.append(words.format(value=measures[name], low=low, high=high))
    return said


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
    scans of its contrast on, lies more than 3.5 robust deviations from their median on the bad
    side.

    Returns
    -------
    The table with `outlier`, all doubts of a scan in words; for each measure `doubt_NAME`: low,
    high, or missing; and `reasons`, the doubts in sentences
    """
    keys = table["key"] if "key" in table else ["sub-x"] * len(table)
    groups = table.groupby([contrast_of(key) for key in keys], sort=False)
    return pd.concat([_judged(group) for _, group in groups]).loc[table.index]


def _judged(table: pd.DataFrame) -> pd.DataFrame:
    """The same of scans of one contrast."""
    names = [name for name in JUDGED if name in table]
    limits = {name: _limits(table[name].to_numpy(float), name) for name in names}
    sides = {name: _sides(table[name].to_numpy(float), name, limits[name]) for name in names}
    words = [
        ", ".join(f"{name} {side[row]}" for name, side in sides.items() if side[row]) or None
        for row in range(len(table))
    ]
    reasons = [_reasons(table.iloc[row], limits) or None for row in range(len(table))]
    columns = {"outlier": words, **{f"doubt_{name}": side for name, side in sides.items()}}
    columns["reasons"] = reasons
    series = {name: pd.Series(c, index=table.index, dtype=object) for name, c in columns.items()}
    return table.assign(**series)


def _reasons(scan: pd.Series, limits: Mapping[str, tuple[float, float]]) -> str:
    """The doubts of one scan as sentences, those of its cohort last."""
    alone = {name: scan[name] for name in limits}
    far = [
        f"its {_TITLES[name]} is {alone[name]:.4g}, far from that of the other scans "
        f"({low:.4g} to {high:.4g} is usual)"
        for name, (low, high) in limits.items()
        if not doubts({name: alone[name]})
        and any(_sides(np.array([alone[name]]), name, (low, high)))
    ]
    return "; ".join([*doubts(alone), *far])


def _sides(values: np.ndarray, name: str, limits: tuple[float, float]) -> list[str | None]:
    """Whether each value of a measure is doubtfully low or high."""
    low, high = limits
    too_low = (values < low) & ("low" in JUDGED[name])
    too_high = (values > high) & ("high" in JUDGED[name])
    sides = zip(too_low, too_high, strict=True)
    return ["low" if low else "high" if high else None for low, high in sides]


def _limits(values: np.ndarray, name: str) -> tuple[float, float]:
    low, high = _BOUNDS.get(name, (-np.inf, np.inf))
    if name in _ALONE:
        return low, high
    least = _LEAST_SPREAD * abs(float(np.median(values)))
    usual_low, usual_high = usual_range(values, least)
    return max(low, usual_low), min(high, usual_high)

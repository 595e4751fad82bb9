"""What register.json says of a registered pair: similarity, regularity, warnings."""

from __future__ import annotations

from typing import Any

import numpy as np

from pmrpipe.images.resampling import sample_displacement
from pmrpipe.images.volume import Grid
from pmrpipe.metrics.agreement import correlation_ratio
from pmrpipe.metrics.deformation import deformation_statistics
from pmrpipe.metrics.judgement import doubts
from pmrpipe.metrics.similarity import ncc
from pmrpipe.native.prepare import PreparedScan
from pmrpipe.native.result import OnTemplate, generated_by
from pmrpipe.study.keys import T1W


def facts_of(
    moving: PreparedScan, fixed: PreparedScan, on_template: OnTemplate, seconds: float
) -> dict[str, Any]:
    """Names, warnings, seconds, similarity and regularity of a pair."""
    contrasts = {"moving": moving.contrast, "fixed": fixed.contrast}
    quality = _quality(on_template, moving.contrast == fixed.contrast)
    return {
        "moving": moving.name,
        "fixed": fixed.name,
        **_lesions(moving, fixed),
        **({"contrasts": contrasts} if {*contrasts.values()} != {T1W} else {}),
        "GeneratedBy": generated_by(),
        "doubtful": {"moving": moving.doubtful, "fixed": fixed.doubtful},
        "warnings": {
            "moving": list(moving.doubts),
            "fixed": list(fixed.doubts),
            "registration": doubts(quality),
        },
        "seconds": seconds,
        **quality,
    }


def _lesions(moving: PreparedScan, fixed: PreparedScan) -> dict[str, Any]:
    """Volume of each lesion on the template, ml, where there is one."""
    sizes = {
        name: round(float(scan.lesion.sum() * np.prod(scan.preproc.spacing) / 1000), 2)
        for name, scan in (("moving", moving), ("fixed", fixed))
        if scan.lesion is not None
    }
    return {"lesion_ml_on_template": sizes} if sizes else {}


def _quality(on_template: OnTemplate, alike: bool) -> dict[str, float]:
    """Similarity and regularity on the template grid, in the fixed brain: after the affines.

    Of two contrasts, where `alike` is False, the correlation ratio too, which needs not one.
    """
    mask = on_template.fixed > 0
    grid: Grid = on_template.grid
    statistics = deformation_statistics(sample_displacement(on_template.field, grid), grid, mask)
    images = {"_affine": on_template.moving, "": on_template.warped}
    ratios = {} if alike else {k: _ratio(on_template.fixed, v, mask) for k, v in images.items()}
    return {
        "ncc_affine": round(ncc(on_template.fixed, on_template.moving, mask), 4),
        "ncc": round(ncc(on_template.fixed, on_template.warped, mask), 4),
        "folding_percent": round(statistics.folding_percent, 4),
        "sdlogj": round(statistics.sdlogj, 4),
        "strain": round(statistics.strain, 4),
        **{f"correlation_ratio{ending}": value for ending, value in ratios.items()},
    }


def _ratio(fixed: np.ndarray, moving: np.ndarray, mask: np.ndarray) -> float:
    return round(correlation_ratio(moving[mask], fixed[mask]), 4)

"""How well methods know what they do not know: their uncertainty against the true warps.

    python benchmarks/calibration.py config/config.yaml [--scans sub-01 sub-02] [--out table.tsv]

The study is of the embedded cohort, registered with `uncertainty: K`. A voxel counts as within
k sd when the written displacement misses the true one by at most k times the map's value, the root
of the summed variances of three components; for a normal error alike in all directions that is so
in 60.8 % (k = 1) and 99.3 % (k = 2) of the voxels. `factor` is what the maps would have to be
multiplied by so that their mean square is that of the error. `rank` is the rank correlation of both
over the voxels, `least_mm` and `most_mm` are the mean errors where the map is in its lowest and its
highest tenth: no factor changes these. `--scans` leaves out pairs of others; `--factor` multiplies
the maps before they are judged.
"""

from __future__ import annotations

import argparse
from collections.abc import Collection, Iterator
from functools import cache
from typing import Any

import numpy as np
import pandas as pd

from pmrpipe.base.files import write_tsv
from pmrpipe.images.open import open_image
from pmrpipe.images.resampling import sample_displacement
from pmrpipe.images.transforms import read_affine, read_field
from pmrpipe.images.volume import read_image
from pmrpipe.stages.cohort.embedded.anatomy import anatomy
from pmrpipe.stages.cohort.embedded.deformation import (
    Deformation,
    random_deformation,
    transform_points,
)
from pmrpipe.study.config import load
from pmrpipe.workflow.plan import Plan

# Chi-squared of three degrees of freedom at 3 k^2.
NOMINAL = {1: 0.6084, 2: 0.9926}


@cache
def true_shape(seed: int, number: int, mm: float) -> Deformation:
    """The deformation that subject `number` was simulated with."""
    return random_deformation(np.random.default_rng([seed, number, 0]), anatomy(mm))


def true_displacement(
    points: np.ndarray,
    moving: tuple[Deformation, np.ndarray],
    fixed: tuple[Deformation, np.ndarray],
) -> np.ndarray:
    """What a perfect registration of two normalised scans says, (3, N), RAS mm.

    Parameters
    ----------
    points : (3, N), RAS mm, of the fixed scan on the template grid
    moving, fixed : true shape of each, and its estimated affine (4, 4), template to scan
    """
    anatomical = fixed[0].to_template(transform_points(fixed[1], points))
    there = moving[0].to_subject(anatomical)
    return transform_points(np.linalg.inv(moving[1]), there) - points


def errors(
    plan: Plan, method: str, every: int, scans: Collection[str] = ()
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Error and uncertainty, (N,) mm each, over the fixed brain of each pair that has a map.

    `every` takes each n-th voxel along each axis, `scans` only pairs among these.
    """
    results, embedded = plan.results, plan.study.embedded
    for moving, fixed in plan.pairs:
        path = results.uncertainty(method, moving, fixed)
        if not path.exists() or (scans and not {moving, fixed} <= set(scans)):
            continue
        image = read_image(results.preproc(fixed))
        thin = np.zeros(image.shape, bool)
        thin[::every, ::every, ::every] = True
        index = np.argwhere(thin & (image.data > 0)).T
        points = transform_points(image.affine, index.astype(np.float32))
        truths = [
            (
                true_shape(embedded.seed, int(key.removeprefix("sub-")), embedded.mm),
                read_affine(results.affine(key)),
            )
            for key in (moving, fixed)
        ]
        field = sample_displacement(read_field(results.field(method, moving, fixed)), image.grid)
        missed = field[tuple(index)].T - true_displacement(points, *truths)
        deviation = open_image(path).read(np.float32)[tuple(index)]
        yield np.linalg.norm(missed, axis=0), deviation


def coverage(error: np.ndarray, deviation: np.ndarray) -> dict[str, float]:
    """Shares of voxels within 1 and 2 sd, means in mm, and the factor that would calibrate."""
    low, high = np.quantile(deviation, (0.1, 0.9))
    within = {f"within_{k}sd": float(np.mean(error <= k * deviation)) for k in NOMINAL}
    mean_square = max(float(np.mean(np.square(deviation, dtype=np.float64))), 1e-12)
    return within | {
        "error_mm": float(error.mean()),
        "sd_mm": float(deviation.mean()),
        "factor": float(np.sqrt(np.mean(np.square(error, dtype=np.float64)) / mean_square)),
        "rank": float(pd.Series(deviation).corr(pd.Series(error), method="spearman")),
        "least_mm": float(error[deviation <= low].mean()),
        "most_mm": float(error[deviation >= high].mean()),
    }


def table(plan: Plan, every: int, scans: Collection[str] = (), factor: float = 1) -> pd.DataFrame:
    """A row for each method with maps, and the nominal one."""
    rows: list[dict[str, Any]] = []
    for method in plan.methods:
        samples = list(errors(plan, method, every, scans)) if plan.specs[method].posterior else []
        if samples:
            error, deviation = (np.concatenate(part) for part in zip(*samples, strict=True))
            rows.append(
                {"method": method, "pairs": len(samples), **coverage(error, factor * deviation)}
            )
    rows.append({"method": "nominal"} | {f"within_{k}sd": share for k, share in NOMINAL.items()})
    return pd.DataFrame(rows)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("study", help="configuration of an embedded cohort that was registered")
    parser.add_argument("--every", type=int, default=3, help="each n-th voxel of an axis")
    parser.add_argument("--scans", nargs="*", default=[], help="only pairs among these")
    parser.add_argument("--factor", type=float, default=1.0, help="multiplies the maps")
    parser.add_argument("--out", help="the table as TSV")
    options = parser.parse_args()
    made = table(Plan(load(options.study)), options.every, options.scans, options.factor)
    print(made.to_string(index=False, float_format="%.3f", na_rep=""))
    if options.out:
        write_tsv(options.out, made)

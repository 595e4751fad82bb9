"""Two preprocessed scans, registered and brought back to their own grids.

A point x of the fixed scan goes to the template by the inverse of the fixed scan's affine, then
through the method's field, then by the moving scan's affine into the moving scan:
y = A_m (t + u(t)), t = A_f^-1 x. Both directions are written as one ITK field each, so that no
other file is needed to apply them.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from pmrpipe.base.files import write_json
from pmrpipe.images.interpolation import Interpolation
from pmrpipe.images.jacobian import jacobian_determinant
from pmrpipe.images.resampling import (
    Field,
    composite_field,
    resample,
    sample_displacement,
    sample_points,
)
from pmrpipe.images.transforms import write_field
from pmrpipe.images.volume import Grid, Volume, write_volume
from pmrpipe.metrics.deformation import deformation_statistics
from pmrpipe.metrics.similarity import ncc
from pmrpipe.stages.register.pairs import millimetres

if TYPE_CHECKING:
    from torch import Tensor

    from pmrpipe.methods.deformation import Method

FORWARD = "from-moving_to-fixed_mode-image_xfm.nii.gz"
INVERSE = "from-fixed_to-moving_mode-image_xfm.nii.gz"
WARPED = "space-fixed_desc-moving_T1w.nii.gz"
WARPED_DSEG = "space-fixed_desc-moving_dseg.nii.gz"
JACOBIAN = "space-fixed_desc-jacobian_map.nii.gz"
UNCERTAINTY = "space-fixed_desc-uncertainty_map.nii.gz"
FACTS = "register.json"


@dataclass(frozen=True)
class PreparedScan:
    """A scan as it came, its brain on the template grid, and how the two are related.

    affine : (4, 4), RAS mm, points of the template to points of the scan
    doubtful : what its quality measures say against it, as in qc.tsv
    """

    name: str
    scan: Volume
    preproc: Volume
    affine: np.ndarray
    doubtful: str | None = None


@dataclass(frozen=True)
class OnTemplate:
    """The pair on the template grid, as a picture shows it: brains, and the deformable part."""

    moving: np.ndarray
    fixed: np.ndarray
    warped: np.ndarray
    field: Field
    grid: Grid


@dataclass(frozen=True)
class NativeRegistration:
    """What registering two scans gives.

    forward : (X, Y, Z, 3) RAS mm on the fixed scan's grid, to points of the moving scan
    inverse : the same on the moving scan's grid, to points of the fixed scan
    warped : the moving scan on the fixed scan's grid
    labels : the moving scan's labels there, or None
    jacobian : (X, Y, Z) determinant of the forward map, its affine part included
    uncertainty : (X, Y, Z) standard deviation of the forward map, mm, or None
    facts : method, seconds, similarity and regularity
    """

    fixed_grid: Grid
    moving_grid: Grid
    forward: np.ndarray
    inverse: np.ndarray
    warped: Volume
    labels: Volume | None
    jacobian: np.ndarray
    uncertainty: np.ndarray | None
    facts: dict[str, Any]
    on_template: OnTemplate = field(repr=False)

    def write(self, folder: Path) -> list[Path]:
        """Write everything to `folder`, each file whole or not at all, register.json last."""
        sources = {"Moving": self.facts["moving"], "Fixed": self.facts["fixed"]}
        for name, values, grid, ends in (
            (FORWARD, self.forward, self.fixed_grid, ("fixed", "moving")),
            (INVERSE, self.inverse, self.moving_grid, ("moving", "fixed")),
        ):
            write_json(folder / name.replace(".nii.gz", ".json"), _about(*ends) | sources)
            write_field(folder / name, values, grid)
        affine, written = self.fixed_grid.affine, [FORWARD, INVERSE, WARPED, JACOBIAN]
        write_volume(folder / WARPED, self.warped.data, affine)
        write_volume(folder / JACOBIAN, self.jacobian, affine, np.float32)
        if self.labels is not None:
            write_volume(folder / WARPED_DSEG, self.labels.data, affine)
            written.append(WARPED_DSEG)
        if self.uncertainty is not None:
            write_volume(folder / UNCERTAINTY, self.uncertainty, affine, np.float32)
            written.append(UNCERTAINTY)
        write_json(folder / FACTS, self.facts)
        return [folder / name for name in (*written, FACTS)]


def _about(on: str, to: str) -> dict[str, str]:
    return {
        "Direction": f"maps points of the {on} scan to points of the {to} scan; "
        f"antsApplyTransforms resamples images of the {to} scan onto the {on} scan with it",
        "Frame": "LPS (ITK's world)",
        "Units": "mm",
        "Format": "ITK displacement field (NIfTI, vector intent), affine parts included",
        "Grid": f"that of the {on} scan",
    }


def register_native(
    moving: PreparedScan,
    fixed: PreparedScan,
    method: Method,
    *,
    labels: Volume | None = None,
    interpolation: Interpolation = "nearest",
    uncertain: Callable[[Sequence[Tensor], Grid], np.ndarray] | None = None,
    device: str = "cpu",
) -> NativeRegistration:
    """Register `moving` to `fixed` and compose both directions between the scans as they came.

    Parameters
    ----------
    labels : label map of the moving scan, on any grid of its space
    uncertain : gives the displacement's standard deviation, mm, (X, Y, Z) on the template grid
    """
    import torch

    grid = fixed.preproc.grid
    images = [torch.from_numpy(s.preproc.data)[None, None].to(device) for s in (moving, fixed)]
    began = time.perf_counter()
    with torch.no_grad():
        found = method.register(*images, grid)
        back = found.inverse()
    seconds = round(time.perf_counter() - began, 3)
    there = (millimetres(found.displacement, found.grid), found.grid)
    again = (millimetres(back.displacement, back.grid), back.grid)
    forward = composite_field(fixed.scan.grid, [np.linalg.inv(fixed.affine), there, moving.affine])
    inverse = composite_field(moving.scan.grid, [np.linalg.inv(moving.affine), again, fixed.affine])
    points = sample_points(fixed.scan.grid, field=(forward, fixed.scan.grid))
    warped = resample(moving.scan, points, "linear")
    dseg = None if labels is None else resample(labels, points, interpolation)
    brain = resample(moving.preproc, sample_points(grid, field=there), "linear")
    shown = OnTemplate(moving.preproc.data, fixed.preproc.data, brain, there, grid)
    return NativeRegistration(
        fixed.scan.grid,
        moving.scan.grid,
        forward,
        inverse,
        Volume(warped, fixed.scan.affine),
        None if dseg is None else Volume(dseg, fixed.scan.affine),
        jacobian_determinant(forward, fixed.scan.grid),
        None if uncertain is None else _on_scan(uncertain(images, grid), moving, fixed),
        {
            "moving": moving.name,
            "fixed": fixed.name,
            "doubtful": {"moving": moving.doubtful, "fixed": fixed.doubtful},
            "seconds": seconds,
            **_quality(shown),
        },
        shown,
    )


def _on_scan(deviation: np.ndarray, moving: PreparedScan, fixed: PreparedScan) -> np.ndarray:
    """From the template grid to the fixed scan's, in mm of the moving scan; 0 outside the brain."""
    inside = np.where(fixed.preproc.data > 0, deviation, 0)
    scale = abs(np.linalg.det(moving.affine[:3, :3])) ** (1 / 3)
    points = sample_points(fixed.scan.grid, np.linalg.inv(fixed.affine))
    return scale * resample(Volume(inside, fixed.preproc.affine), points, "linear")


def _quality(shown: OnTemplate) -> dict[str, float]:
    """Similarity and regularity on the template grid, in the fixed brain: after the affines."""
    mask = shown.fixed > 0
    values, own = shown.field
    on_grid = sample_displacement((values, own), shown.grid)
    statistics = deformation_statistics(on_grid, shown.grid, mask)
    return {
        "ncc_affine": round(ncc(shown.fixed, shown.moving, mask), 4),
        "ncc": round(ncc(shown.fixed, shown.warped, mask), 4),
        "folding_percent": round(statistics.folding_percent, 4),
        "sdlogj": round(statistics.sdlogj, 4),
    }

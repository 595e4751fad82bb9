"""Affine normalisation to the template, by ANTs, with a check of the result."""

from __future__ import annotations

import logging
import os
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from pmrpipe.errors import WorkError
from pmrpipe.transforms import read_affine, resample, sample_points, write_affine
from pmrpipe.volume import Volume

_LOG = logging.getLogger(__name__)
# A brain that is aligned overlaps the template's by far more; one that is upside down does not.
_LEAST_OVERLAP = 0.85
_LEAST_CORRELATION = 0.3


@dataclass(frozen=True)
class AffineResult:
    """`matrix` (4, 4) maps template points to subject points, RAS mm; `quality` is for people."""

    matrix: np.ndarray
    quality: dict[str, Any]


def normalise(
    brain: Volume, template: Volume, *, subject: str, seed: int = 2019, threads: int = 1
) -> AffineResult:
    """Affine from template to subject (Avants et al., NeuroImage 54, 2011), Mattes information.

    Starts from the centres of mass; when the check fails, from the principal axes. The same
    seed and number of threads give the same matrix to the bit.

    Raises
    ------
    WorkError : no start gave an overlap and similarity that an aligned brain has
    """
    best: AffineResult | None = None
    for start, matrix in _starts(brain, template):
        found = _register(brain, template, matrix, seed, threads)
        result = AffineResult(found, {"start": start} | quality(brain, template, found))
        if best is None or _merit(result) > _merit(best):
            best = result
        if _good(result):
            return result
        _LOG.warning("%s: start from %s failed its check, trying again", subject, start)
    assert best is not None
    shown = ", ".join(f"{k} {best.quality[k]:.2f}" for k in ("mask_dice", "correlation"))
    problem = f"affine normalisation failed ({shown})"
    raise WorkError(subject, problem, "look at its brain mask and orientation, or exclude it")


def _merit(result: AffineResult) -> float:
    return float(result.quality["mask_dice"] + result.quality["correlation"])


def _good(result: AffineResult) -> bool:
    kept = result.quality
    return kept["mask_dice"] >= _LEAST_OVERLAP and kept["correlation"] >= _LEAST_CORRELATION


def quality(brain: Volume, template: Volume, matrix: np.ndarray) -> dict[str, Any]:
    """Overlap and similarity on the template grid, and how the affine scales."""
    moved = resample(brain, sample_points(template.grid, matrix), "linear")
    inside, target = moved > 0.1 * np.percentile(moved[moved > 0], 50), template.data > 0.05
    both = inside & target
    scales = np.linalg.svd(matrix[:3, :3], compute_uv=False)
    return {
        "mask_dice": round(float(2 * both.sum() / (inside.sum() + target.sum())), 4),
        "correlation": round(float(np.corrcoef(moved[both], template.data[both])[0, 1]), 4),
        "scale_smallest": round(float(scales.min()), 4),
        "scale_largest": round(float(scales.max()), 4),
        "determinant": round(float(np.linalg.det(matrix[:3, :3])), 4),
    }


def _starts(brain: Volume, template: Volume) -> list[tuple[str, np.ndarray]]:
    (centre, axes), (goal, goal_axes) = _moments(brain), _moments(template)
    shift = np.eye(4)
    shift[:3, 3] = centre - goal
    starts = [("centres of mass", shift)]
    for signs in ((1, 1), (1, -1), (-1, 1), (-1, -1)):
        turn = axes @ np.diag([*signs, signs[0] * signs[1]]) @ goal_axes.T
        matrix = np.eye(4)
        matrix[:3, :3], matrix[:3, 3] = turn, centre - turn @ goal
        starts.append(("principal axes", matrix))
    return starts


def _moments(volume: Volume) -> tuple[np.ndarray, np.ndarray]:
    """Centre of mass and principal axes (columns, right-handed) of the voxels above zero."""
    index = np.argwhere(volume.data > 0.05 * volume.data.max())[::7]
    world = index @ volume.affine[:3, :3].T + volume.affine[:3, 3]
    centre = world.mean(0)
    _, axes = np.linalg.eigh(np.cov((world - centre).T))
    axes[:, 2] *= np.sign(np.linalg.det(axes))
    return centre, axes


def _register(
    brain: Volume, template: Volume, start: np.ndarray, seed: int, threads: int
) -> np.ndarray:
    os.environ["ITK_GLOBAL_DEFAULT_NUMBER_OF_THREADS"] = str(threads)
    import ants

    with tempfile.TemporaryDirectory(prefix="pmrpipe-affine-") as folder:
        initial = Path(folder) / "start.mat"
        write_affine(initial, start)
        found = ants.registration(
            to_ants(template),
            to_ants(brain),
            type_of_transform="Affine",
            initial_transform=str(initial),
            random_seed=seed,
            outprefix=str(Path(folder) / "affine"),
        )
        return read_affine(found["fwdtransforms"][0])


def to_ants(volume: Volume) -> Any:
    """The same image for antspyx: ITK's world is LPS, so x and y change their sign."""
    import ants

    flip = np.diag([-1.0, -1.0, 1.0])
    return ants.from_numpy(
        np.asarray(volume.data, np.float32),
        origin=list(flip @ volume.affine[:3, 3]),
        spacing=list(volume.spacing),
        direction=flip @ (volume.affine[:3, :3] / np.asarray(volume.spacing)),
    )

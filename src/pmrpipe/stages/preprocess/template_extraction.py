"""Brain extraction by registration of a head template that knows its brain.

As antsBrainExtraction of ANTs (Avants et al., NeuroImage 54, 2011; Tustison et al., NeuroImage 99,
2014) without its tissue segmentation: the template is registered to the scan by an affine and SyN
on voxels of 3 mm, and its brain probability is brought along.
"""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from pmrpipe.base.errors import InputError, WorkError
from pmrpipe.base.seed import SEED
from pmrpipe.images.extremes import tamed_head
from pmrpipe.images.itk import load_ants, to_ants
from pmrpipe.images.resampling import resample, sample_points
from pmrpipe.images.volume import Volume, read_image, require_same_grid
from pmrpipe.stages.preprocess.pose_search import CoarseSearch, coarse, correlation

_MM = 3.0
# Correlation of a brain with the head that it was cut out of, perhaps after a bias correction.
_CUT_OUT = 0.5
_SYN_ITERATIONS = (40, 30, 8)


@dataclass(frozen=True)
class HeadTemplate:
    """A whole `head`, and the `probability` in [0, 1] of being brain on the same grid."""

    head: Volume
    probability: Volume


def read_head_template(head: Path, brain: Path) -> HeadTemplate:
    """Read a template from the files of a head and of its brain.

    Parameters
    ----------
    brain : probabilities in [0, 1], a mask, or the extracted brain: what is above 0 is then brain

    Raises
    ------
    InputError : as `read_image`, or the two lie on different grids, or `brain` is none of the three
    """
    image, cut = read_image(head), read_image(brain)
    require_same_grid(cut, image, brain, head)
    return HeadTemplate(image, Volume(_probability(cut.data, image.data, brain), cut.affine))


def _probability(data: np.ndarray, head: np.ndarray, name: object) -> np.ndarray:
    """Probabilities as they are, a mask, or of a brain that was cut out of the head its mask."""
    inside = data > 0
    low, high = float(data.min()), float(data.max())
    if low >= -0.1 and high <= 1.1:
        return np.clip(data, 0, 1)
    two_values = not (inside & (data < high)).any()
    if low < 0 or not (two_values or correlation(data[inside], head[inside]) >= _CUT_OUT):
        problem = f"holds values from {low:g} to {high:g} that are not the head's"
        raise InputError(name, problem, "give probabilities from 0 to 1, a mask, or the brain")
    return inside.astype(np.float32)


def probability_by_template(
    image: Volume, template: HeadTemplate, *, name: object = "image", seed: int = SEED
) -> np.ndarray:
    """Probability of being brain, float32 (X, Y, Z) on the grid of the scan.

    On one thread: ITK's sums depend on their number.

    Parameters
    ----------
    image : whole head in any orientation

    Raises
    ------
    InputError : the scan holds no head that stands out from its background
    WorkError : ANTs gave up
    """
    mm = max(_MM, *image.spacing)
    image = Volume(tamed_head(image.data), image.affine)
    fixed, moving = (_foreground(coarse(v, mm), name) for v in (image, template.head))
    search = CoarseSearch(moving, fixed)
    start = search.upright() if search.upright_fits() else search.ranked(1)[0]
    # Into the header of the template, so that ANTs begins with heads of about the same pose.
    back = np.linalg.inv(start.matrix)
    head = Volume(moving.data, back @ moving.affine)
    brain = Volume(template.probability.data, back @ template.probability.affine)
    warped = _warped(fixed, head, brain, name, load_ants(1, seed))
    return resample(Volume(warped, fixed.affine), sample_points(image.grid))


def _warped(fixed: Volume, head: Volume, brain: Volume, name: object, ants: Any) -> np.ndarray:
    target, source = to_ants(fixed, ants), to_ants(head, ants)
    with tempfile.TemporaryDirectory(prefix="pmrpipe-brain-") as folder:
        try:
            registered = ants.registration(
                target,
                source,
                type_of_transform="SyN",
                initial_transform="Identity",
                aff_shrink_factors=(4, 2, 1),
                aff_smoothing_sigmas=(2, 1, 0),
                aff_iterations=(500, 200, 20),
                reg_iterations=_SYN_ITERATIONS,
                outprefix=str(Path(folder) / "head"),
            )
            moved = ants.apply_transforms(target, to_ants(brain, ants), registered["fwdtransforms"])
        except Exception as error:  # antspyx raises RuntimeError, KeyError and others
            problem = f"ANTs could not register the head template ({error})"
            raise WorkError(name, problem, "choose another brain extraction") from None
    return np.asarray(moved.numpy(), np.float32)


def _foreground(head: Volume, name: object) -> Volume:
    """The head with its noise around it set to 0, the brightest percent clipped."""
    data = head.data - min(float(head.data.min()), 0.0)
    level = _between_classes(data)
    inside = data > level / 2
    if not inside.any() or inside.all():
        raise InputError(name, "holds no head that stands out", "is it a T1w scan of a head?")
    data = np.minimum(data, np.percentile(data[inside], 99))
    return Volume(np.where(inside, data, 0).astype(np.float32), head.affine)


def _between_classes(data: np.ndarray) -> float:
    """Threshold midway between the means on its two sides (Ridler and Calvard 1978)."""
    level = float(data.mean())
    for _ in range(50):
        above = data > level
        if above.all() or not above.any():
            break
        moved = (float(data[above].mean()) + float(data[~above].mean())) / 2
        if abs(moved - level) < 1e-3 * abs(level):
            break
        level = moved
    return level
